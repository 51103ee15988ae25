"""Stages and the witness of this machine as the stream's pumps see them: bytes are spooled, cores read files."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING

from tarnhelm.common.errors import STAGE_AWAY, STAGE_GARBLED, STAGE_LOST, WITNESS_POLICY, ErrorCode
from tarnhelm.common.limits import MIB
from tarnhelm.common.stage import CONFIG, CONFIG_DIGEST, STAGE, StageJob, StageOutcome, Status
from tarnhelm.gateway.verdict import JudgeJob, SignedVerdict

if TYPE_CHECKING:
    from pathlib import Path

    from tarnhelm.common.stage import Stage
    from tarnhelm.common.stage_service.scratch import Scratch
    from tarnhelm.gateway.stages.stage_calls import JudgeCall, Sink, Source, StageCall
    from tarnhelm.gateway.verdict import Judge

__all__ = ["SpooledJudge", "SpooledStage"]


class SpooledStage:
    """Implements :class:`~tarnhelm.gateway.stages.stage_calls.StageClient` over a stage that takes files.

    Tickets are not used: such a stage has its assigner beside it.

    Parameters
    ----------
    stage
        Closed with this client. Its jobs are waited for in the caller's thread, so it must run by itself.
    scratch
        Where the files lie; closed with this client.
    """

    def __init__(self, stage: Stage, scratch: Scratch) -> None:
        self._stage = stage
        self._scratch = scratch

    @property
    def name(self) -> str:
        """The step."""
        return self._stage.name

    def close(self) -> None:
        """Finish what runs, stop the stage, remove the files."""
        self._stage.close()
        self._scratch.close()

    def process(self, call: StageCall, source: Source, sink: Sink) -> StageOutcome:
        """Work on one object; see :meth:`~tarnhelm.gateway.stages.stage_calls.StageClient.process`."""
        taken, target = self._scratch.path(), self._scratch.path()
        try:
            if _spool(taken, source) != (call.size, call.sha256):
                return _ended(Status.QUARANTINE, STAGE_GARBLED)
            try:
                outcome = self._stage.submit(self._job(call, taken, target)).result()
            except CancelledError:
                return _ended(Status.RETRY, STAGE_AWAY)
            if outcome.status is Status.DONE and not call.dry_run:
                size, digest = _hand_on(target, sink)
                if (outcome.output_sha256 or digest, outcome.output_bytes) != (digest, size):
                    return _ended(Status.RETRY, STAGE_LOST)
                return _completed(outcome, call, digest)
            return _completed(outcome, call, outcome.output_sha256)
        finally:
            taken.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    def _job(self, call: StageCall, source: Path, target: Path) -> StageJob:
        return StageJob(
            object_id=call.object_id,
            source=source,
            target=target,
            plan_digest=call.plan_digest,
            size=call.size,
            accept_unchecked_pixels=call.accept_unchecked_pixels,
            dry_run=call.dry_run,
            limits=call.limits,
            options={
                CONFIG: call.config.decode("utf-8"),
                CONFIG_DIGEST: hashlib.sha256(call.config).hexdigest(),
                STAGE: self.name,
            },
            facts=call.facts,
            earlier=call.earlier,
        )


class SpooledJudge:
    """Implements :class:`~tarnhelm.gateway.stages.stage_calls.JudgeClient` over a judge that takes files.

    Parameters
    ----------
    judge
        Closed with this client; it judges under one policy.
    scratch
        Where the files lie; closed with this client.
    """

    def __init__(self, judge: Judge, scratch: Scratch) -> None:
        self._judge = judge
        self._scratch = scratch

    def close(self) -> None:
        """Finish what runs, stop the judge, remove the files."""
        self._judge.close()
        self._scratch.close()

    def judge(self, call: JudgeCall, source: Source, result: Source) -> SignedVerdict:
        """Have one result judged; see :meth:`~tarnhelm.gateway.stages.stage_calls.JudgeClient.judge`."""
        before, after = self._scratch.path(), self._scratch.path()
        try:
            size, digest = _spool(before, source)
            spooled = size == call.source_size and call.source_sha256 in ("", digest)
            if not spooled or _spool(after, result) != (call.result_size, call.result_sha256):
                return _unjudged(call, STAGE_GARBLED)
            masks = json.dumps(call.masks) if call.masks else ""
            job = JudgeJob(call.object_id, before, after, call.policy_digest, call.source_size, masks)
            try:
                verdict = self._judge.submit(job).result()
            except CancelledError:
                return _unjudged(call, STAGE_AWAY)
            if verdict.policy_digest != call.policy_digest:
                return _unjudged(call, WITNESS_POLICY)
            if verdict.clean and verdict.output_sha256 != call.result_sha256:
                return _unjudged(call, STAGE_LOST)
            return verdict
        finally:
            before.unlink(missing_ok=True)
            after.unlink(missing_ok=True)


def _spool(path: Path, source: Source) -> tuple[int, str]:
    """Write an object to a new file; returns its size and sha256."""
    size, digest = 0, hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for data in source():
            size += len(data)
            digest.update(data)
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
    return size, digest.hexdigest()


def _hand_on(path: Path, sink: Sink) -> tuple[int, str]:
    """Give a file's bytes to the sink; returns their number and sha256."""
    size, digest = 0, hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while data := file.read(MIB):
            size += len(data)
            digest.update(data)
            sink(data)
    return size, digest.hexdigest()


def _completed(outcome: StageOutcome, call: StageCall, output_sha256: str) -> StageOutcome:
    """Say of what it is the outcome, as a service does."""
    return replace(outcome, source_sha256=call.sha256, source_bytes=call.size, output_sha256=output_sha256)


def _ended(status: Status, kind: ErrorCode) -> StageOutcome:
    return StageOutcome(status, code=kind.code, message=kind.message)


def _unjudged(call: JudgeCall, kind: ErrorCode) -> SignedVerdict:
    return SignedVerdict(call.object_id, call.policy_digest, "", clean=False, code=kind.code)
