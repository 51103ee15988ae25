"""The metadata service's cores, and every way in which a hostile file may treat a worker."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Generator
from typing import Any

from tarnhelm.common.assign import AssignRequest
from tarnhelm.common.limits import Limits
from tarnhelm.common.stage import StageJob, StageOutcome, Status
from tarnhelm.metadata.core.rewriting.target import write_new
from tarnhelm.metadata.worker import ConfiguredCores

DIE, HANG, EAT, FAULT = b"TRAP die", b"TRAP hang", b"TRAP eat", b"TRAP fault"
COPY, ASK, TWICE, GROW = b"TRAP copy", b"TRAP ask", b"TRAP twice", b"TRAP grow"
FACTORY = "tests.support.stage_cores:make_core"


class Trapped(ConfiguredCores):
    """Does what an object says in its first bytes; others get the real core."""

    def begin(self, job: StageJob) -> Generator[Any, Any, Any]:
        data = job.source.read_bytes()
        if data.startswith(DIE):
            os._exit(3)
        if data.startswith(HANG):
            time.sleep(3600)
        if data.startswith(EAT):
            bytearray(1 << 32)
        if data.startswith(FAULT):
            raise ValueError("JANE DOE")
        if data.startswith(COPY):
            return _copied(job, data)
        if data.startswith(GROW):
            return _copied(job, data + bytes(int(data.removeprefix(GROW))))
        if data.startswith((ASK, TWICE)):
            reply = yield AssignRequest("patient", "", "1.2", "", ())
            if data.startswith(TWICE):
                yield AssignRequest("another", "", "1.2", "", ())
            return _copied(job, reply.subject_id.encode() + data)
        return (yield from super().begin(job))


def _copied(job: StageJob, data: bytes) -> StageOutcome:
    digest = hashlib.sha256(data).hexdigest()
    if not job.dry_run:
        write_new(job.target, [data], overwrite=True)
    return StageOutcome(Status.DONE, output_sha256=digest, output_bytes=len(data))


def make_core(limits: Limits) -> Trapped:
    return Trapped(limits)
