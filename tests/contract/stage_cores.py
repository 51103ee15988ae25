"""The metadata service's cores, and every way in which a hostile file may treat a worker."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import Any

from tarnhelm.common.limits import Limits
from tarnhelm.common.stage import StageJob
from tarnhelm.metadata.worker import ConfiguredCores

DIE, HANG, EAT, FAULT = b"TRAP die", b"TRAP hang", b"TRAP eat", b"TRAP fault"


class Trapped(ConfiguredCores):
    def begin(self, job: StageJob) -> Generator[Any, Any, Any]:
        head = job.source.read_bytes()[:16]
        if head.startswith(DIE):
            os._exit(3)
        if head.startswith(HANG):
            time.sleep(3600)
        if head.startswith(EAT):
            bytearray(1 << 32)
        if head.startswith(FAULT):
            raise ValueError("JANE DOE")
        return (yield from super().begin(job))


def make_core(limits: Limits) -> Trapped:
    return Trapped(limits)
