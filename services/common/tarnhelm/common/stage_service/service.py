"""The calls of a stage: judge the header, spool the object, let a worker have it, send what came out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.v1 import stage_pb2, stage_pb2_grpc

from tarnhelm.common import errors
from tarnhelm.common.assign import AssignReply, AssignRequest
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, GIB, Limits
from tarnhelm.common.sandbox import Dispatcher, PoolSettings, WorkerPool
from tarnhelm.common.stage import CONFIG, CONFIG_DIGEST, STAGE, StageJob, StageOutcome, Status, outcome_of
from tarnhelm.common.stage_service.convert import ResultWriter, result_message
from tarnhelm.common.stage_service.receive import CHUNK_BYTES, Announced, HeaderReader, receive, take_whole
from tarnhelm.common.stage_service.scratch import Scratch
from tarnhelm.common.stage_service.whole import ACCEPTED_KEY, WHOLE_RESULT_BYTES
from tarnhelm.common.stage_service.whole_messages import WholeResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tarnhelm.common.stage_service.whole_messages import WholeRequest

__all__ = ["Ask", "Bounds", "StageService", "WorkerPlan"]

Ask = Callable[[bytes, AssignRequest], Future[AssignReply]]
"""Puts the question of the object that a ticket admits; never blocks."""
_ACCEPTED: Final = stage_pb2.ProcessResponse(accepted=stage_pb2.JobAccepted())
_RETRY_SECONDS: Final = 5.0
_RESULT: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A worker that was taken over may have left a link or a pipe."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a service takes on at once.

    Attributes
    ----------
    max_objects
        Calls in hand.
    max_scratch_bytes
        Bytes of sources and results in hand; a result counts like its source.
    """

    max_objects: int = 64
    max_scratch_bytes: int = 8 * GIB


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """Where the core comes from that works on the objects.

    Attributes
    ----------
    factory
        ``module:callable`` that makes a :class:`~tarnhelm.common.sandbox.SteppedCore` (or a plain core) for jobs
        whose options hold ``config``, ``config-digest`` and ``stage``. Its outcomes name the digest of what it wrote.
    stages
        The steps that it serves.
    overwrites
        The core writes over the file that it finds at its target, and cuts it to its length. Without, it finds none.
    """

    factory: str
    stages: tuple[str, ...]
    config: Any = None
    workers: int = 1
    limits: Limits = DEFAULT_LIMITS
    overwrites: bool = False


class _Call:
    """What is known of one call while a worker may have its object."""

    __slots__ = ("announced", "asked", "gone", "outcome", "source", "target", "work")

    def __init__(self, announced: Announced, source: Path, target: Path) -> None:
        self.announced = announced
        self.source = source
        self.target = target
        self.work: Future[StageOutcome] | None = None
        self.asked: AssignRequest | None = None
        self.outcome: StageOutcome | None = None
        self.gone = False


class StageService(stage_pb2_grpc.StageServiceServicer):
    """Serves a :class:`~tarnhelm.common.sandbox.WorkerPool` over gRPC.

    Made in the event loop that serves it, which also drives the pool: no thread hands work to another.

    Workers hold no key and reach nobody. What a worker asks the assigner goes out from here with the ticket of its
    object, all questions of all workers at once, and only while the caller still waits for the object.

    Parameters
    ----------
    scratch
        Where objects lie while they are in hand.
    assign
        Puts a question with the ticket of its object; None for stages that ask for nothing.
    ended
        Told of each outcome.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        scratch: Scratch,
        bounds: Bounds,
        assign: Ask | None = None,
        ended: Callable[[Announced, StageOutcome], None] = lambda _announced, _outcome: None,
    ) -> None:
        self._headers = HeaderReader(plan.stages, plan.limits)
        self._overwrites = plan.overwrites
        self._written = ResultWriter()
        self._scratch = scratch
        self._bounds = bounds
        self._assign = assign
        self._ended = ended
        self._calls: dict[Path, _Call] = {}
        self._bytes = 0
        self._loop = asyncio.get_running_loop()
        self._dispatcher = Dispatcher()
        self._dispatcher.attach(self._loop)
        self._dispatcher.every_tick(lambda _now: scratch.tidy())
        self._pool = WorkerPool(
            PoolSettings(
                plan.factory, plan.config, StageOutcome, AssignRequest, plan.workers, plan.limits,
                retry_seconds=_RETRY_SECONDS,
            ),
            upcall=self._ask,
            failed=_failed,
            again=_start_clean,
            dispatcher=self._dispatcher,
        )  # fmt: skip

    @property
    def pool(self) -> WorkerPool:
        """The workers, for what watches them."""
        return self._pool

    @property
    def scratch(self) -> Scratch:
        """Where the objects lie."""
        return self._scratch

    @property
    def objects(self) -> int:
        """Calls in hand."""
        return len(self._calls)

    @property
    def bytes_in_hand(self) -> int:
        """Bytes that are reserved for them."""
        return self._bytes

    def serving(self) -> bool:
        """Whether there is a worker to take an object."""
        return self._pool.serving

    def close(self) -> None:
        """Stop the workers and remove the scratch folder; what no caller waits for is not finished."""
        self._dispatcher.run_in_host(self._end)

    def _end(self) -> None:
        self._pool.close(drain=False)
        self._dispatcher.stop()
        self._scratch.close()

    async def Process(  # noqa: N802
        self, request_iterator: AsyncIterator[stage_pb2.ProcessRequest], context: Any
    ) -> None:
        """Work on one object; see the definition of the protocol."""
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("message") != "header":
            raise TarnhelmError(errors.STAGE_REQUEST)
        path = self._scratch.path
        with self._in_hand(first.header, path, path) as call:
            announced = call.announced
            await context.write(_ACCEPTED)
            async with asyncio.timeout(announced.limits.deadline_seconds(announced.size)):
                await receive(announced, request_iterator, call.source)
            outcome = await self._worked_on(call)
            if outcome.status is Status.DONE and not announced.dry_run:
                await _send(announced.part, call.target, context)
            self._ended(announced, outcome)
            await context.write(stage_pb2.ProcessResponse(result=result_message(announced.stage, outcome)))

    async def ProcessWhole(  # noqa: N802
        self, request: WholeRequest | stage_pb2.ProcessWholeRequest, context: Any
    ) -> WholeResponse:
        """Work on one object that came in one message."""
        scratch = self._scratch
        with self._in_hand(request.header, scratch.taken, scratch.taken if self._overwrites else scratch.path) as call:
            announced = call.announced
            await context.send_initial_metadata(((ACCEPTED_KEY, "1"),))
            take_whole(announced, request.data, call.source)
            outcome = await self._worked_on(call)
            data = b""
            if outcome.status is Status.DONE and not announced.dry_run and outcome.output_bytes <= WHOLE_RESULT_BYTES:
                data = _read(call.target, outcome.output_bytes)
                call.outcome = outcome
            self._ended(announced, outcome)
            return WholeResponse(self._written(announced.stage, outcome), data)

    @contextlib.contextmanager
    def _in_hand(
        self, header: stage_pb2.JobHeader, source: Callable[[], Path], target: Callable[[], Path]
    ) -> Iterator[_Call]:
        """Judge a header and keep room for its object, under names of these kinds.

        Within, the header is good and there is room: whoever tells the caller so says that a failure may be the
        object's from then on.
        """
        announced = self._headers.read(header)
        if not self._pool.serving:
            raise TarnhelmError(errors.STAGE_BROKEN)
        reserved = announced.size * (1 if announced.dry_run else 2)
        if len(self._calls) >= self._bounds.max_objects or self._bytes + reserved > self._bounds.max_scratch_bytes:
            raise TarnhelmError(errors.STAGE_BUSY, limit=self._bounds.max_objects)
        call = _Call(announced, source(), target())
        self._calls[call.target] = call
        self._bytes += reserved

        def release() -> None:
            self._calls.pop(call.target, None)
            self._bytes -= reserved
            if call.outcome is None:
                self._scratch.drop(call.source)
                self._scratch.drop(call.target)
            else:  # both files are whole, and of the sizes that are told
                self._scratch.give_back(call.source, announced.size)
                self._scratch.give_back(call.target, call.outcome.output_bytes)

        try:
            yield call
        finally:
            call.gone = True
            if call.work is None or call.work.done():
                release()
            else:  # a worker still reads and writes; what it asks is no longer answered
                call.work.cancel()
                call.work.add_done_callback(lambda _done: release())

    async def _worked_on(self, call: _Call) -> StageOutcome:
        """Let a worker have the object that has arrived."""
        announced = call.announced
        began = time.perf_counter()
        job = _job(announced, call.source, call.target)
        call.work = self._pool.submit(job, announced.size, seconds=announced.seconds)
        outcome = await _result(call.work)
        return replace(
            outcome,
            source_sha256=announced.sha256,
            source_bytes=announced.size,
            seconds=round(time.perf_counter() - began, 6),
        )

    def _ask(self, job: StageJob, request: AssignRequest) -> Future[AssignReply]:
        """Put a worker's question."""
        call = self._calls.get(job.target)
        if call is None or call.gone:
            raise TarnhelmError(errors.STAGE_LOST)
        if self._assign is None or not call.announced.ticket:
            raise TarnhelmError(errors.STAGE_MISSING)
        if call.asked is not None and call.asked != request:
            raise TarnhelmError(errors.ASSIGN_TWICE)
        call.asked = request
        return self._assign(call.announced.ticket, request)


def _job(announced: Announced, source: Path, target: Path) -> StageJob:
    return StageJob(
        object_id=announced.object_id,
        source=source,
        target=target,
        plan_digest=announced.plan_digest,
        size=announced.size,
        accept_unchecked_pixels=announced.accept_unchecked_pixels,
        dry_run=announced.dry_run,
        limits=announced.limits,
        options={CONFIG: announced.config, CONFIG_DIGEST: announced.config_digest, STAGE: announced.stage},
        facts=announced.facts,
        earlier=announced.earlier,
    )


async def _result(work: Future[StageOutcome]) -> StageOutcome:
    """Wait for a job; its future ends in this thread, where the event loop drives the pool."""
    waiting = asyncio.get_running_loop().create_future()
    work.add_done_callback(lambda _done: None if waiting.done() else waiting.set_result(None))
    await waiting
    return work.result()


async def _send(part: int, path: Path, context: Any) -> None:
    """Send a result in chunks; its name is gone before the first one."""
    with _only(path) as descriptor:
        while data := os.read(descriptor, CHUNK_BYTES):
            response = stage_pb2.ProcessResponse()
            response.chunk.part, response.chunk.data = part, data  # in place: a message put into another is copied
            await context.write(response)


def _read(path: Path, size: int) -> bytes:
    """Read a result; a file of another size is not the one that its outcome tells of."""
    descriptor = os.open(path, _RESULT)
    try:
        if os.fstat(descriptor).st_size != size:
            raise TarnhelmError(errors.STAGE_FAULT)
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _only(path: Path) -> Iterator[int]:
    """Open a result for reading and remove its name."""
    descriptor = os.open(path, _RESULT)
    try:
        os.unlink(path)  # noqa: PTH108 - in an event loop pathlib's own is held to be slow
        yield descriptor
    finally:
        os.close(descriptor)


def _failed(job: StageJob, error: TarnhelmError) -> StageOutcome:
    _start_clean(job)
    return outcome_of(error)


def _start_clean(job: StageJob) -> None:
    """Remove what a killed worker left: a stage creates its target itself."""
    with contextlib.suppress(OSError):
        job.target.unlink()
