"""A stage that takes bytes, for a pump that has files: the opposite of :mod:`tarnhelm.gateway.stages.spooled_stage`."""

from __future__ import annotations

import contextlib
import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tarnhelm.common.errors import NO_SPACE, STAGE_GARBLED, TarnhelmError
from tarnhelm.common.limits import MIB
from tarnhelm.common.stage import Status, outcome_of
from tarnhelm.gateway.stages.stage_calls import StageCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tarnhelm.common.stage import StageJob, StageOutcome
    from tarnhelm.gateway.stages.stage_calls import StageClient

__all__ = ["PathStage", "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What all objects of a run have in common.

    Attributes
    ----------
    project
        Opaque id.
    config
        UTF-8 JSON for the stage.
    ticket
        Gives a fresh admission ticket for an object id.
    """

    project: str
    config: bytes = field(repr=False)
    ticket: Callable[[str], bytes]


class PathStage:
    """Implements :class:`tarnhelm.common.stage.Stage` over a :class:`~tarnhelm.gateway.stages.stage_calls.StageClient`.

    Parameters
    ----------
    client
        Closed with this stage; usually a :class:`~tarnhelm.gateway.stages.remote_stage.RemoteStage`.
    threads
        Objects under way at once.
    """

    def __init__(self, client: StageClient, standing: Standing, threads: int = 8) -> None:
        self._client = client
        self._standing = standing
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="tarnhelm-stage")

    @property
    def name(self) -> str:
        """The step."""
        return self._client.name

    def submit(self, job: StageJob) -> Future[StageOutcome]:
        """Start one job; the future never carries an exception for a bad object."""
        return self._threads.submit(self._process, job)

    def close(self) -> None:
        """Finish what runs, then close the client."""
        self._threads.shutdown(wait=True)
        self._client.close()

    def _process(self, job: StageJob) -> StageOutcome:
        try:
            return self._worked_on(job)
        except FileNotFoundError:
            return outcome_of(TarnhelmError(STAGE_GARBLED))
        except OSError:
            return outcome_of(TarnhelmError(NO_SPACE))

    def _worked_on(self, job: StageJob) -> StageOutcome:
        piece = _Piece(job.source, job.offset, job.size)
        size, digest = piece.measured()
        call = StageCall(
            object_id=job.object_id,
            project=self._standing.project,
            ticket=self._standing.ticket(job.object_id),
            plan_digest=job.plan_digest,
            config=self._standing.config,
            size=size,
            sha256=digest,
            accept_unchecked_pixels=job.accept_unchecked_pixels,
            dry_run=job.dry_run,
            limits=job.limits,
            facts=job.facts,
            earlier=job.earlier,
        )
        if job.dry_run:
            return self._client.process(call, piece.pieces, lambda _data: None)
        descriptor = os.open(job.target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        kept = False
        try:
            with os.fdopen(descriptor, "wb") as file:
                outcome = self._client.process(call, piece.pieces, file.write)
            kept = outcome.status is Status.DONE
            return outcome
        finally:
            if not kept:
                with contextlib.suppress(OSError):
                    job.target.unlink()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Where an object lies in a file; size -1 means up to its end."""

    path: Path
    offset: int
    size: int

    def measured(self) -> tuple[int, str]:
        """Give size and sha256."""
        digest, size = hashlib.sha256(), 0
        for data in self.pieces():
            digest.update(data)
            size += len(data)
        return size, digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """Give its bytes."""
        left = self.size
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            while left and (data := file.read(min(MIB, left) if left > 0 else MIB)):
                yield data
                if left > 0:
                    left -= len(data)
