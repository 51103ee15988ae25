"""A pool of bounded workers and the rules by which one bad job harms no other."""

from __future__ import annotations

import itertools
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, MIB, Limits
from tarnhelm.common.sandbox import frames
from tarnhelm.common.sandbox.dispatcher import Dispatcher
from tarnhelm.common.sandbox.forkserver import ForkServer
from tarnhelm.common.sandbox.hand import Hand, StageFaultError, Task, error_named
from tarnhelm.common.sandbox.parcel import pack
from tarnhelm.common.sandbox.wire import Codec, WireError
from tarnhelm.common.sandbox.worker import Setup

__all__ = ["PoolSettings", "WorkerPool"]

Upcall = Callable[[Any, Any], Any]
"""``upcall(job, request) -> reply``, in the loop's thread; may raise TarnhelmError.

An upcall that has to wait returns a Future of its reply: the questions of a batch then wait together, and the loop
serves other workers. Whoever makes the Future bounds its time, in which the worker's own does not run.
"""
Failed = Callable[[Any, TarnhelmError], Any]
"""Makes a result of a job that raised or was ended."""
_READ_BYTES = 64 * 1024
_SUSPECT_AFTER = 2


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a pool is made of.

    Attributes
    ----------
    factory
        ``module:callable`` that makes a core out of ``config`` in each worker. A core is
        ``core(job, caller) -> result``, or a :class:`~tarnhelm.common.sandbox.steps.SteppedCore`, and raises
        TarnhelmError for what it cannot do.
    result, request
        The dataclasses that a worker may send.
    batch, batch_bytes
        Jobs per message at most, and bytes of their objects: one wake-up then serves several. A worker has two
        messages at most in hand, the second so that it need not wait.
    max_bytes_in_flight
        Sum of the sizes of the objects that workers have in hand; one larger object goes alone.
    retry_seconds
        How long after all workers failed to start they are tried again; 0: never, all jobs fail from then on.
    """

    factory: str
    config: Any
    result: type
    request: type | None = None
    workers: int = 1
    limits: Limits = DEFAULT_LIMITS
    batch: int = 16
    batch_bytes: int = 4 * MIB
    max_bytes_in_flight: int = 256 * MIB
    retry_seconds: float = 0.0


class WorkerPool:
    """Runs jobs in worker processes that a hostile file may kill, hang or take over.

    - A worker that dies costs its other jobs nothing: they are run again. The job it was at is tried once
      more with nothing else in the worker, then it fails with ``LIM-007``.
    - A job over its wall-clock deadline is killed and fails with ``LIM-006``; out of memory is ``LIM-008``.
    - A worker that sends anything but the expected dataclasses is killed like one that died.

    Parameters
    ----------
    settings
        Factory, bounds, sizes.
    upcall
        Answers what workers ask. Keys stay with the parent for this reason.
    failed
        Turns an error into a result, so that a future carries no exception for a bad object.
    again
        Called with a job that will run a second time because its worker died: removes what is half-written.
    dispatcher
        The loop to run on; without one the pool starts one with a thread of its own.
    """

    def __init__(
        self,
        settings: PoolSettings,
        upcall: Upcall | None = None,
        failed: Failed | None = None,
        dispatcher: Dispatcher | None = None,
        again: Callable[[Any], None] = lambda _job: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._upcall = upcall
        self._failed = failed
        self._again = again
        self._clock = clock
        self._result: Codec[Any] = Codec(settings.result)
        self._request: Codec[Any] | None = Codec(settings.request) if settings.request else None
        self._setup = Setup(settings.factory, settings.config, settings.limits, settings.result, settings.request)
        self._server = ForkServer(self._setup)
        self._own_dispatcher = dispatcher is None
        self._loop = dispatcher or Dispatcher()
        self._workers: list[Hand] = []
        self._queue: deque[Task] = deque()
        self._seq = 0
        self._bytes = 0
        self._buffer = bytearray(_READ_BYTES)
        self._broken: TarnhelmError | None = None
        self._broken_at = 0.0
        self._failed_starts = 0
        self._closing = False
        self._lock = threading.Lock()
        self.confinement = ""
        """What keeps workers from the network: ``seccomp`` or ``audit hook``; empty until one has started."""
        self._loop.every_tick(self._tick)
        if self._own_dispatcher:
            self._loop.start("tarnhelm-pool")
        self._loop.post(self._fill)

    # --- the outside -----------------------------------------------------------------------------------

    def submit(self, job: Any, size: int = 0, *, seconds: float = 0.0) -> Future[Any]:
        """Queue one job of an object of ``size`` bytes; the future runs its callbacks in the loop's thread.

        Parameters
        ----------
        seconds
            Wall-clock bound in a worker, where it is narrower than the pool's own; 0: the pool's own.
        """
        future: Future[Any] = Future()
        with self._lock:
            self._seq += 1
            task = Task(self._seq, job, size, future, seconds=seconds)
        self._queue.append(task)
        if self._own_dispatcher or len(self._queue) == 1:
            self._loop.post(self._dispatch)
        return future

    @property
    def pending(self) -> int:
        """Jobs queued or in a worker's hands."""
        return len(self._queue) + sum(len(worker.tasks) for worker in self._workers)

    @property
    def serving(self) -> bool:
        """Whether workers start: one has, and none failed for good since. One that dies is replaced, and counts.

        May be asked from any thread.
        """
        return self._broken is None and self.confinement != ""

    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that live now."""
        return tuple(worker.pid for worker in self._workers)

    def close(self, *, drain: bool = True) -> None:
        """Finish what is queued (unless ``drain`` is false), then stop the workers and the loop's thread."""
        if self._closing:
            return
        if drain:
            while self.pending:
                if self._own_dispatcher:
                    time.sleep(0.005)
                else:
                    self._loop.run_once()
        self._closing = True
        if self._own_dispatcher:
            self._loop.stop()
        self._loop.drop_tick(self._tick)
        for worker in self._workers:
            if not self._own_dispatcher:
                self._loop.forget(worker.forked.sock.fileno())
            worker.close()
        self._workers.clear()
        self._server.close()
        for task in self._queue:
            if not task.future.cancel() and not task.future.done():
                task.future.set_exception(CancelledError())
        self._queue.clear()

    # --- workers come and go ---------------------------------------------------------------------------

    def _fill(self) -> None:
        while len(self._workers) < self._settings.workers and not self._closing and self._broken is None:
            try:
                forked = self._server.fork()
            except OSError:
                self._server.close()
                self._server = ForkServer(self._setup)
                forked = self._server.fork()
            made = Hand(forked)
            self._workers.append(made)
            self._loop.watch(forked.sock.fileno(), lambda mask, made=made: self._on_event(made, mask))  # type: ignore[misc]

    def _bury(self, worker: Hand, *, kill: bool) -> None:
        """Take a worker out, find the job to blame, queue the others again."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        current = worker.at()
        self._loop.forget(worker.forked.sock.fileno())
        worker.close()
        try:
            status = self._server.end(worker.pid, kill=kill)
        except OSError:
            status = -signal.SIGKILL
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= 3 * self._settings.workers:
                self._give_up(self._broken or TarnhelmError(errors.STAGE_BROKEN))
        error = worker.ending
        if error is None and status == -signal.SIGXCPU:
            error = TarnhelmError(errors.TOO_SLOW, limit=int(self._settings.limits.seconds_per_object))
        innocent: list[Task] = []
        for task in worker.tasks.values():
            self._bytes -= task.size
            task.incidents += 1
            blamed = task.number == current or len(worker.tasks) == 1
            if blamed and error is not None:
                self._fail(task, error)
                continue
            if blamed:
                task.deaths += 1
                if task.alone:
                    self._fail(task, TarnhelmError(errors.WORKER_DIED, seen=task.incidents))
                    continue
            task.alone = blamed or task.incidents > _SUSPECT_AFTER
            self._again(task.job)
            innocent.append(task)
        worker.tasks.clear()
        self._queue.extendleft(reversed(innocent))
        self._fill()
        self._dispatch()

    def _give_up(self, error: TarnhelmError) -> None:
        """No worker can be made at all: every job fails alike, and at once."""
        if self._broken is None:
            self._broken_at = self._clock()
        self._broken = error
        while self._queue:
            self._fail(self._queue.popleft(), error)

    def _tick(self, now: float) -> None:
        retry = self._settings.retry_seconds
        if self._broken is not None and retry and now - self._broken_at > retry:
            self._broken, self._failed_starts = None, 0
            self._fill()
        for worker in tuple(self._workers):
            if worker.asking:
                continue
            current = worker.at()
            task = worker.tasks.get(current)
            if task is None:  # between jobs, or a worker that does not say what it does
                task = next(iter(worker.tasks.values()), None)
                current = task.number if task else -1
            if current != worker.watched:
                worker.watched, worker.since = current, now
            elif task is not None and worker.ready:
                limit = self._settings.limits.deadline_seconds(task.size)
                limit = min(limit, task.seconds or limit)
                if now - worker.since > limit:
                    worker.ending = TarnhelmError(errors.TOO_SLOW, limit=int(limit))
                    self._bury(worker, kill=True)
        if self._queue:
            self._dispatch()

    # --- jobs go out -----------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        if self._broken is not None:
            self._give_up(self._broken)
            return
        for worker in sorted(self._workers, key=lambda one: len(one.tasks)):
            if not self._queue:
                return
            if worker.ready and self._wants_more(worker):
                self._hand_out(worker)

    def _wants_more(self, worker: Hand) -> bool:
        """Tell whether a worker has nothing to do, or only one message and a full one lies ready."""
        held = len(worker.tasks)
        return not held or (held <= self._settings.batch <= len(self._queue))

    def _hand_out(self, worker: Hand) -> None:
        settings = self._settings
        busy = bool(worker.tasks)
        room = min(settings.batch, max(1, -(-len(self._queue) // len(self._workers))))
        batch: list[tuple[int, Any, int]] = []
        together = 0
        while self._queue and len(batch) < room:
            task = self._queue[0]
            if task.future.cancelled():
                self._queue.popleft()
                continue
            if task.alone and (busy or batch):
                break
            if batch and together + task.size > settings.batch_bytes:
                break
            if self._bytes and self._bytes + task.size > settings.max_bytes_in_flight:
                break
            self._queue.popleft()
            if not task.begin():
                continue
            together += task.size
            self._bytes += task.size
            worker.tasks[task.number] = task
            batch.append((task.number, pack(task.job), task.size))
            if task.alone:
                break
        if batch:
            worker.send(frames.JOBS, pickle.dumps(batch, pickle.HIGHEST_PROTOCOL), self._loop)

    # --- words come in ---------------------------------------------------------------------------------

    def _on_event(self, worker: Hand, mask: int) -> None:
        if not worker.receive(mask, self._buffer, self._loop):
            self._bury(worker, kill=True)
            return
        try:
            for kind, payload in worker.frames():
                self._serve(worker, kind, payload)
        except (WireError, ValueError, KeyError):
            self._bury(worker, kill=True)

    def _serve(self, worker: Hand, kind: int, payload: bytes) -> None:
        if kind == frames.RESULTS:
            self._results(worker, payload)
        elif kind == frames.UPCALL:
            self._answer(worker, payload)
        elif kind == frames.HELLO:
            worker.ready = True
            self._failed_starts = 0
            self.confinement = "seccomp" if payload == b"seccomp" else "audit hook"
            self._dispatch()
        elif kind == frames.BROKEN:
            self._broken = error_named(payload, errors.STAGE_BROKEN)
            self._failed_starts = 3 * self._settings.workers
            self._give_up(self._broken)
        else:
            raise WireError

    def _results(self, worker: Hand, payload: bytes) -> None:
        for number, kind, body in frames.items_of(payload):
            task = worker.tasks[number]
            if kind == frames.GOOD:
                result = self._result.decode(body)
                self._settle(worker, task)
                task.future.set_result(result)
                continue
            if kind == frames.NO_MEMORY:
                error = TarnhelmError(errors.TOO_MUCH_MEMORY)
            elif kind == frames.FAULT:
                error = StageFaultError(body.decode("ascii", "ignore"))
            elif kind == frames.FAILED:
                error = error_named(body, errors.STAGE_FAULT)
            else:
                raise WireError
            self._settle(worker, task)
            self._fail(task, error)
        if self._queue and self._wants_more(worker):
            self._dispatch()

    def _settle(self, worker: Hand, task: Task) -> None:
        del worker.tasks[task.number]
        self._bytes -= task.size

    def _answer(self, worker: Hand, payload: bytes) -> None:
        """Answer the questions of a batch, each for a job that the worker has in hand."""
        if self._request is None or self._upcall is None or worker.asking:
            raise WireError
        before = self._clock()
        answers: list[Any] = []
        for number, kind, body in frames.items_of(payload):
            if kind != frames.QUESTION:
                raise WireError
            request = self._request.decode(body)
            try:
                answers.append(self._upcall(worker.tasks[number].job, request))
            except TarnhelmError as error:
                answers.append(error)
        worker.asking = True
        waiting = [answer for answer in answers if isinstance(answer, Future)]
        if not waiting:
            self._reply(worker, answers, before)
            return
        left = itertools.count(len(waiting) - 1, -1)  # its next() is one step, whichever thread takes it

        def answered(_one: Future[Any]) -> None:
            if next(left) == 0:
                self._loop.post(lambda: self._reply(worker, answers, before))

        for one in waiting:
            one.add_done_callback(answered)

    def _reply(self, worker: Hand, answers: list[Any], before: float) -> None:
        """Send a worker what it asked for, unless it has gone meanwhile."""
        if worker not in self._workers:
            return
        worker.asking = False
        worker.since += self._clock() - before  # the parent's time is not the job's
        replies = [pack(_answer_of(answer)) for answer in answers]
        worker.send(frames.REPLY, pickle.dumps(replies, pickle.HIGHEST_PROTOCOL), self._loop)

    def _fail(self, task: Task, error: TarnhelmError) -> None:
        if not task.begin():
            return
        if self._failed is None:
            task.future.set_exception(error)
        else:
            task.future.set_result(self._failed(task.job, error))


def _answer_of(answer: Any) -> Any:
    """Return a reply or the TarnhelmError that stands for it."""
    if not isinstance(answer, Future):
        return answer
    try:
        return answer.result()
    except TarnhelmError as error:
        return error
    except (Exception, CancelledError):  # noqa: BLE001  # its text may hold a value; the job fails, the pool does not
        return TarnhelmError(errors.STAGE_FAULT)
