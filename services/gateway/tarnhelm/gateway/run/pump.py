"""The pump of one machine: from a source to a release, one state machine for every object.

It runs in one thread, on the loop of its stages' pools: between two events nothing else changes a record.
What it promises (DESIGN §1): a file gets its name in OUT only after the witness's signed verdict on exactly
those bytes is durable; every admitted object ends released, rejected or quarantined; whatever dies, a run
with ``resume`` takes up what was not finished.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

from tarnhelm.common import errors, events
from tarnhelm.common.errors import CATALOGUE, Disposition, TarnhelmError
from tarnhelm.common.stage import StageJob, StageOutcome, Status
from tarnhelm.gateway.fsm import Event
from tarnhelm.gateway.release import FileMark
from tarnhelm.gateway.run.admit import Admission
from tarnhelm.gateway.run.book import Book
from tarnhelm.gateway.run.outgoing import Outgoing
from tarnhelm.gateway.run.parts import Parts, Task
from tarnhelm.gateway.verdict import JudgeJob, SignedVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tarnhelm.gateway.run.plan import Plan, RunCounts
    from tarnhelm.gateway.sources import Source

__all__ = ["Parts", "Pump"]

_FLUSH_SECONDS: Final = 1.0
_ENDS: Final = {Status.SKIP: Event.SKIP, Status.REJECT: Event.REJECT, Status.QUARANTINE: Event.FAIL}
T = TypeVar("T")


class Pump:
    """Drives sources through the plan.

    Parameters
    ----------
    plan, parts
        What to do, and with what.
    """

    def __init__(self, plan: Plan, parts: Parts) -> None:
        self._plan = plan
        self._parts = parts
        self._book = Book(plan, parts)
        self._admission = Admission(self._book, lambda task: self._submit(task, plan.stages[0]))
        self._outgoing = Outgoing(self._book)
        self._parked: deque[tuple[float, Task]] = deque()
        self._stopping = False
        self._next_flush = 0.0

    @property
    def counts(self) -> RunCounts:
        """What the run has met so far."""
        return self._book.counts

    # --- the loop --------------------------------------------------------------------------------------

    def run(self, sources: Iterator[Source]) -> RunCounts:
        """Take every source to its end; returns what became of them.

        Raises
        ------
        TarnhelmError
            A fault of the configuration or an integrity failure; everything in flight stays unreleased and
            is taken up by the next run.
        """
        book, outgoing = self._book, self._outgoing
        exhausted = False
        try:
            while book.abort is None:
                while not exhausted and not self._stopping and self._has_room():
                    source = next(sources, None)
                    if source is None:
                        exhausted = True
                        break
                    self._admission.receive(source)
                self._wake_parked()
                busy = book.tasks or self._admission.hashing or outgoing.busy
                if not busy and (exhausted or self._stopping):
                    break
                self._parts.dispatcher.run_once()
                outgoing.release_due()
                self._flush_due()
                self._parts.tick(book.counts)
        finally:
            outgoing.close()
            self._admission.close()
            for task in book.tasks.values():
                book.clean_up(task)
            book.seal()
            self._parts.store.flush()
        if book.abort is not None:
            raise book.abort
        return book.counts

    def stop(self) -> None:
        """Admit nothing more and finish what is in flight; safe in a signal handler."""
        self._stopping = True

    @property
    def stopped(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stopping

    def _has_room(self) -> bool:
        load = len(self._book.tasks) + self._admission.hashing
        return load < self._plan.max_objects_in_flight and self._book.bytes < self._plan.max_bytes_in_flight

    def _flush_due(self) -> None:
        now = self._parts.clock()
        if now >= self._next_flush:
            self._next_flush = now + _FLUSH_SECONDS
            self._book.seal()
            self._parts.store.flush()

    # --- stages ----------------------------------------------------------------------------------------

    def _submit(self, task: Task, stage: str) -> None:
        self._book.enter(task)
        plan = self._plan
        job = StageJob(
            object_id=task.record.object_id,
            source=task.source.path if stage == plan.stages[0] else task.target,
            target=task.target,
            plan_digest=plan.digest,
            size=task.source.size,
            accept_unchecked_pixels=plan.accept_unchecked_pixels or task.record.accepted,
            dry_run=plan.dry_run,
            limits=plan.limits,
        )
        future = self._parts.stages[stage].submit(job)
        future.add_done_callback(functools.partial(self._in_loop, self._stage_done, task))

    def _in_loop(self, handler: Callable[[Task, T], None], task: Task, done: Future[T]) -> None:
        if not done.cancelled():
            self._parts.dispatcher.post(functools.partial(handler, task, done.result()))

    def _stage_done(self, task: Task, outcome: StageOutcome) -> None:
        book, plan = self._book, self._plan
        if book.abort is not None:
            return
        if outcome.status is Status.RETRY:
            self._park(task, outcome)
            return
        accepted = plan.accept_unchecked_pixels or task.record.accepted
        stage, key = task.record.stage, plan.outcome_key(accepted=accepted)
        outcome = task.outcome = self._parts.store.put_outcome(task.record.object_id, stage, key, outcome)
        if outcome.status in _ENDS:
            book.end(task, _ENDS[outcome.status], outcome.code)
        elif plan.dry_run:
            book.advance(task, Event.STAGE_DONE)
            book.leave(task, "would_release")
        else:
            self._after_stage(task, outcome, accepted=accepted)

    def _after_stage(self, task: Task, outcome: StageOutcome, *, accepted: bool) -> None:
        book, plan = self._book, self._plan
        following = plan.stages.index(task.record.stage) + 1
        if following < len(plan.stages):
            stage = plan.stages[following]
            book.advance(task, Event.STAGE_DONE, Event.START, stage=stage)
            self._submit(task, stage)
            return
        needs = outcome.facts.needs if outcome.facts else frozenset()
        if needs - set(plan.stages) and not accepted:
            book.end(task, Event.FAIL, errors.STAGE_MISSING.code)
            return
        try:
            mark = task.mark = FileMark.of(task.target)
        except OSError:
            book.end(task, Event.FAIL, errors.STAGE_FAULT.code)
            return
        book.advance(task, Event.STAGE_DONE, Event.JUDGE, output_sha256=outcome.output_sha256)
        size = max(task.source.size, mark.size)
        job = JudgeJob(task.record.object_id, task.source.path, task.target, plan.policy_digest, size)
        future = self._parts.judge.submit(job)
        future.add_done_callback(functools.partial(self._in_loop, self._judged, task))

    # --- the verdict -----------------------------------------------------------------------------------

    def _judged(self, task: Task, verdict: SignedVerdict) -> None:
        book = self._book
        if book.abort is not None:
            return
        if verdict.findings or not verdict.clean:
            self._parts.store.put_verdict(task.record.object_id, verdict.findings, verdict.code)
        if not verdict.clean:
            kind = CATALOGUE.get(verdict.code)
            if kind is not None and kind.disposition is Disposition.USAGE:
                book.abort = TarnhelmError(kind)
                return
            book.end(task, Event.FINDING, verdict.code or errors.WITNESS_UNDECIDED.code)
        elif not _source_same(task.source):
            book.end(task, Event.FAIL, errors.SOURCE_CHANGED.code)
        else:
            self._outgoing.take(task, verdict)

    # --- waiting for a dependency ----------------------------------------------------------------------

    def _park(self, task: Task, outcome: StageOutcome) -> None:
        book = self._book
        kind = CATALOGUE.get(outcome.code)
        if kind is not None and kind.disposition is Disposition.USAGE:
            book.abort = TarnhelmError(kind)
            return
        book.advance(task, Event.PARK, code=outcome.code)
        task.parks += 1
        self._parts.log(events.OBJECT_WAITS, object=task.record.object_id, code=outcome.code, times=task.parks)
        if task.parks > self._plan.max_parks:
            book.counts.codes[outcome.code] += 1
            book.leave(task, "waiting")
            return
        self._parked.append((self._parts.clock() + self._plan.retry_seconds, task))

    def _wake_parked(self) -> None:
        if not self._parked:
            return
        now = self._parts.clock()
        while self._parked and (self._parked[0][0] <= now or self._stopping):
            _, task = self._parked.popleft()
            if self._stopping:
                self._book.leave(task, "waiting")
                continue
            first = self._plan.stages[0]
            self._book.advance(task, Event.UNPARK, Event.START, stage=first)
            self._submit(task, first)


def _source_same(source: Source) -> bool:
    try:
        status = os.stat(source.path)  # noqa: PTH116  # once per object
    except OSError:
        return False
    return status.st_size == source.size and (source.temporary or status.st_mtime_ns == source.mtime_ns)
