"""The pump of one machine: from a source to a release, one state machine for every object.

It runs in one thread, on the loop of its stages' pools: between two events nothing else changes a record.
What it promises (DESIGN §1): a file gets its name in OUT only after the witness's signed verdict on exactly
those bytes is durable; every admitted object ends released, rejected or quarantined; whatever dies, a run
with ``resume`` takes up what was not finished.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from tarnhelm.common import errors, events
from tarnhelm.common.errors import CATALOGUE, Disposition, TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.common.stage import Stage, StageJob, StageOutcome, Status
from tarnhelm.gateway.fsm import ACCEPTABLE, TERMINAL, Event, Lifecycle
from tarnhelm.gateway.plan import Plan, RunCounts
from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, State
from tarnhelm.gateway.release import Delivery, FileMark, candidate_paths, deliver
from tarnhelm.gateway.verdict import Judge, JudgeJob, SignedVerdict

if TYPE_CHECKING:
    from pathlib import Path

    from tarnhelm.common.sandbox import Dispatcher
    from tarnhelm.gateway.keys import GatewayKeys
    from tarnhelm.gateway.sources import Source
    from tarnhelm.gateway.state.base import StateStore
    from tarnhelm.gateway.workspace import Workspace

__all__ = ["Parts", "Pump", "recover", "refuse_unseen"]

_INLINE_HASH_BYTES: Final = 8 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024
_FLUSH_SECONDS: Final = 1.0
_RELEASE_SECONDS: Final = 0.05
PathPairs = Sequence[tuple[str, str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """The seams of a pump.

    Attributes
    ----------
    stages
        By name.
    verify
        Checks a verdict's signature with the witness's public key.
    out
        The destination.
    seal_paths
        Keeps (original path, released path) as part of the way back; called before the release is recorded.
    flush_links
        Returns when every link assigned so far is durable; called before anything is released.
    """

    store: StateStore
    stages: Mapping[str, Stage]
    judge: Judge
    verify: Callable[[SignedVerdict], bool]
    keys: GatewayKeys
    workspace: Workspace
    out: Path
    dispatcher: Dispatcher
    seal_paths: Callable[[PathPairs], None] = lambda _pairs: None
    flush_links: Callable[[], None] = lambda: None
    tick: Callable[[RunCounts], None] = lambda _counts: None
    log: EventLog = field(default_factory=lambda: EventLog(None, time.time))
    wall_clock: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True, eq=False)
class _Task:
    """An object in flight."""

    record: ObjectRecord
    source: Source
    target: Path
    """Work file of its result."""
    also: list[Source] = field(default_factory=list)
    """Other places with the same bytes."""
    outcome: StageOutcome | None = None
    mark: FileMark | None = None
    parks: int = 0


def recover(store: StateStore) -> int:
    """Bring back what a crash or a stop left half-way: the work is done again from the source."""
    life = Lifecycle(lambda _verdict: False)
    unfinished = [state for state in State if state not in TERMINAL]
    found = 0
    for record in store.records(*unfinished):
        if record.state is State.RECEIVED:
            continue
        store.drop_outcomes(record.object_id)
        store.save(life.step(record, Event.RECOVER, output_path="", output_sha256="", verdict=""), record)
        found += 1
    store.flush()
    return found


def refuse_unseen(store: StateStore) -> int:
    """End what an earlier run admitted and a whole new walk over IN did not meet again: its source has gone.

    Every admitted object ends somewhere; nothing of these was released, and their sender is told.
    """
    life = Lifecycle(lambda _verdict: False)
    found = 0
    for record in store.records(State.ADMITTED):
        store.save(life.step(record, Event.REFUSE, code=errors.UNREADABLE.code, locator=b""), record)
        found += 1
    store.flush()
    return found


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
        self._life = Lifecycle(parts.verify)
        self._tasks: dict[str, _Task] = {}
        self._bytes = 0
        self._verified: list[_Task] = []
        self._verified_since = 0.0
        self._parked: deque[tuple[float, _Task]] = deque()
        self._delivering = 0
        self._hashing = 0
        self._buffer = bytearray(_READ_BYTES)
        self._stopping = False
        self._abort: TarnhelmError | None = None
        self._disk = ThreadPoolExecutor(1, "tarnhelm-release")
        self._hasher = ThreadPoolExecutor(2, "tarnhelm-hash")
        self._next_flush = 0.0
        self._pairs: list[tuple[str, str]] = []
        self.counts = RunCounts()

    # --- the loop --------------------------------------------------------------------------------------

    def run(self, sources: Iterator[Source]) -> RunCounts:
        """Take every source to its end; returns what became of them.

        Raises
        ------
        TarnhelmError
            A fault of the configuration or an integrity failure; everything in flight stays unreleased and
            is taken up by the next run.
        """
        loop = self._parts.dispatcher
        exhausted = False
        try:
            while self._abort is None:
                while not exhausted and not self._stopping and self._has_room():
                    source = next(sources, None)
                    if source is None:
                        exhausted = True
                        break
                    self._receive(source)
                self._wake_parked()
                busy = self._tasks or self._hashing or self._delivering or self._verified
                if not busy and (exhausted or self._stopping):
                    break
                loop.run_once()
                self._release_due()
                self._flush_due()
                self._parts.tick(self.counts)
        finally:
            self._disk.shutdown(wait=True)
            self._hasher.shutdown(wait=True, cancel_futures=True)
            for task in self._tasks.values():
                self._clean_up(task)
            self._seal_now()
            self._parts.store.flush()
        if self._abort is not None:
            raise self._abort
        return self.counts

    def stop(self) -> None:
        """Admit nothing more and finish what is in flight; safe in a signal handler."""
        self._stopping = True

    @property
    def stopped(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stopping

    def _has_room(self) -> bool:
        load = len(self._tasks) + self._hashing
        return load < self._plan.max_objects_in_flight and self._bytes < self._plan.max_bytes_in_flight

    # --- admission -------------------------------------------------------------------------------------

    def _receive(self, source: Source) -> None:
        counts = self.counts
        counts.sources += 1
        counts.source_bytes += source.size
        place = f"{source.place}\x00{source.member}"
        digest = self._parts.keys.source_digest(self._plan.project, place, source.size, source.mtime_ns)
        if self._plan.resume:
            known = self._parts.store.find_source(digest)
            if known is not None and self._admit_known(known, source, digest):
                return
        if source.error is not None:
            self._refuse(source, digest, source.error)
        elif source.size > self._plan.limits.max_object_bytes:
            error = TarnhelmError(errors.TOO_LARGE, seen=source.size, limit=self._plan.limits.max_object_bytes)
            self._refuse(source, digest, error)
        elif source.size <= _INLINE_HASH_BYTES:
            self._hashed(source, digest, _sha256(source.path, self._buffer))
        else:
            self._hashing += 1
            self._bytes += source.size
            future = self._hasher.submit(_sha256, source.path)
            future.add_done_callback(
                lambda done: self._parts.dispatcher.post(lambda: self._hashed_apart(source, digest, done))
            )

    def _hashed_apart(self, source: Source, digest: bytes, done: Future[bytes | None]) -> None:
        self._hashing -= 1
        self._bytes -= source.size
        if not done.cancelled():
            self._hashed(source, digest, done.result())

    def _hashed(self, source: Source, digest: bytes, raw: bytes | None) -> None:
        if raw is None:
            self._refuse(source, digest, TarnhelmError(errors.UNREADABLE))
            return
        object_id = self._parts.keys.object_id(self._plan.project, raw)
        received = self._fresh(object_id, source, digest)
        record = self._life.step(received, Event.ADMIT, Event.START, stage="metadata")
        if self._parts.store.add(record):
            self._parts.store.link_source(digest, object_id)
            self._submit(self._task(record, source), "metadata")
            return
        known = self._parts.store.get(object_id)
        if known is not None:
            self._admit_known(known, source, digest)

    def _fresh(self, object_id: str, source: Source, digest: bytes) -> ObjectRecord:
        plan = self._plan
        return ObjectRecord(
            object_id,
            plan_digest=plan.digest,
            policy_digest=plan.policy_digest,
            run_id=plan.run_id,
            size=source.size,
            source=digest,
            locator=self._parts.keys.seal_place(source.place, source.member, object_id),
        )

    def _task(self, record: ObjectRecord, source: Source) -> _Task:
        return _Task(record, source, self._parts.workspace.target(record.object_id))

    def _refuse(self, source: Source, digest: bytes, error: TarnhelmError) -> None:
        """Without readable bytes the place stands for the object; a bound that is met quarantines it."""
        object_id = self._parts.keys.object_id(self._plan.project, digest)
        record = self._fresh(object_id, source, digest)
        if error.disposition is Disposition.QUARANTINE:
            record = self._life.step(record, Event.ADMIT, Event.FAIL, code=error.code)
        else:
            record = self._life.step(record, Event.REFUSE, code=error.code, locator=b"")
        if self._parts.store.add(record):
            self._parts.store.link_source(digest, object_id)
        else:
            known = self._parts.store.get(object_id)
            if known is not None and known.state is State.ADMITTED:  # a reviewer's retry of an entry without bytes
                event = Event.FAIL if record.state is State.QUARANTINED else Event.REFUSE
                self._parts.store.save(self._life.step(known, event, code=error.code), known)
        self._count(record, source)

    def _admit_known(self, known: ObjectRecord, source: Source, digest: bytes) -> bool:
        """Meet an object that has a record; true if there is nothing more to do for this source."""
        store, plan = self._parts.store, self._plan
        store.link_source(digest, known.object_id)
        task = self._tasks.get(known.object_id)
        if task is not None:
            task.also.append(source)
            self._ended(source, "duplicates")
            return True
        if known.state is State.QUARANTINED and self._worth_another_try(known):
            event = Event.ACCEPT if known.code in ACCEPTABLE and plan.accept_unchecked_pixels else Event.RETRY
            store.drop_outcomes(known.object_id)
            self._again(known, source, event)
            return True
        if known.state is State.ADMITTED:
            self._again(known, source, None)
            return True
        if known.state is State.RELEASED:
            self._seal([source], known.output_path)
        self._ended(source, "resumed" if known.source == digest else "duplicates")
        return True

    def _worth_another_try(self, known: ObjectRecord) -> bool:
        if known.plan_digest != self._plan.digest:
            return True
        return self._plan.accept_unchecked_pixels and known.code in ACCEPTABLE

    def _again(self, known: ObjectRecord, source: Source, event: Event | None) -> None:
        plan = self._plan
        record = known if event is None else self._life.step(known, event)
        record = record._replace(
            plan_digest=plan.digest,
            policy_digest=plan.policy_digest,
            run_id=plan.run_id,
            locator=self._parts.keys.seal_place(source.place, source.member, known.object_id),
            revision=known.revision + 1,
        )
        self._parts.store.save(record, known)
        self._start(self._task(record, source), "metadata")

    # --- stages ----------------------------------------------------------------------------------------

    def _start(self, task: _Task, stage: str) -> None:
        self._advance(task, Event.START, stage=stage)
        self._submit(task, stage)

    def _submit(self, task: _Task, stage: str) -> None:
        if task.record.object_id not in self._tasks:
            self._tasks[task.record.object_id] = task
            self._bytes += task.source.size
            self.counts.in_flight = len(self._tasks)
        plan = self._plan
        target = task.target
        job = StageJob(
            object_id=task.record.object_id,
            source=task.source.path if stage == "metadata" else target,
            target=target,
            plan_digest=plan.digest,
            size=task.source.size,
            accept_unchecked_pixels=plan.accept_unchecked_pixels or task.record.accepted,
            dry_run=plan.dry_run,
            limits=plan.limits,
        )
        future = self._parts.stages[stage].submit(job)
        future.add_done_callback(functools.partial(self._in_loop, self._stage_done, task))

    def _in_loop(self, handler: Callable[[_Task, T], None], task: _Task, done: Future[T]) -> None:
        if not done.cancelled():
            result = done.result()
            self._parts.dispatcher.post(lambda: handler(task, result))

    def _stage_done(self, task: _Task, outcome: StageOutcome) -> None:
        if self._abort is not None:
            return
        stage = task.record.stage
        if outcome.status is Status.RETRY:
            self._park(task, outcome)
            return
        accepted = self._plan.accept_unchecked_pixels or task.record.accepted
        store = self._parts.store
        key = self._plan.outcome_key(accepted=accepted)
        outcome = store.put_outcome(task.record.object_id, stage, key, outcome)
        task.outcome = outcome
        if outcome.status is Status.SKIP:
            self._end(task, Event.SKIP, outcome.code)
        elif outcome.status is Status.REJECT:
            self._end(task, Event.REJECT, outcome.code)
        elif outcome.status is Status.QUARANTINE:
            self._end(task, Event.FAIL, outcome.code)
        elif self._plan.dry_run:
            self._advance(task, Event.STAGE_DONE)
            self._forget(task, "would_release")
        else:
            self._after_stage(task, outcome, accepted=accepted)

    def _after_stage(self, task: _Task, outcome: StageOutcome, *, accepted: bool) -> None:
        following = self._following(task.record.stage)
        if following is not None:
            self._advance(task, Event.STAGE_DONE)
            self._start(task, following)
            return
        needs = outcome.facts.needs if outcome.facts else frozenset()
        if needs - set(self._plan.stages) and not accepted:
            self._end(task, Event.FAIL, errors.STAGE_MISSING.code)
            return
        target = task.target
        try:
            task.mark = FileMark.of(target)
        except OSError:
            self._end(task, Event.FAIL, errors.STAGE_FAULT.code)
            return
        record = self._life.step(task.record, Event.STAGE_DONE, Event.JUDGE, output_sha256=outcome.output_sha256)
        self._save(task, record)
        job = JudgeJob(
            task.record.object_id,
            task.source.path,
            target,
            self._plan.policy_digest,
            max(task.source.size, task.mark.size),
        )
        future = self._parts.judge.submit(job)
        future.add_done_callback(functools.partial(self._in_loop, self._judged, task))

    def _following(self, stage: str) -> str | None:
        place = self._plan.stages.index(stage) + 1
        return self._plan.stages[place] if place < len(self._plan.stages) else None

    # --- the verdict and the release -------------------------------------------------------------------

    def _judged(self, task: _Task, verdict: SignedVerdict) -> None:
        if self._abort is not None:
            return
        store = self._parts.store
        if verdict.findings or not verdict.clean:
            store.put_verdict(task.record.object_id, verdict.findings, verdict.code)
        if not verdict.clean:
            kind = CATALOGUE.get(verdict.code)
            if kind is not None and kind.disposition is Disposition.USAGE:
                self._abort = TarnhelmError(kind)
                return
            self._end(task, Event.FINDING, verdict.code or errors.WITNESS_UNDECIDED.code)
            return
        if not self._source_same(task.source):
            self._end(task, Event.FAIL, errors.SOURCE_CHANGED.code)
            return
        try:
            record = self._life.verified(task.record, verdict, self._free_path(task))
        except TarnhelmError as error:
            self.counts.integrity += 1
            self._end(task, Event.FAIL, error.code)
            return
        if not self._verified:
            self._verified_since = self._parts.clock()
        self._save(task, record)
        self._verified.append(task)

    def _free_path(self, task: _Task) -> str:
        facts = task.outcome.facts if task.outcome else None
        candidates = candidate_paths(facts, task.record.object_id)
        for path in candidates[:-1]:
            if not self._parts.store.path_taken(path, task.record.object_id):
                return path
        return candidates[-1]

    def _release_due(self) -> None:
        """Hand a batch to the disk: first the links and the verdicts are durable, then files get their names."""
        batch = self._verified
        if not batch or self._delivering:
            return
        old = self._parts.clock() - self._verified_since > _RELEASE_SECONDS
        if len(batch) < self._plan.release_batch and not old and len(self._tasks) > len(batch):
            return
        self._verified = []
        for task in batch:
            self._seal([task.source, *task.also], task.record.output_path)
            task.also.clear()
        self._seal_now()
        self._parts.flush_links()
        self._parts.store.flush()
        out = self._parts.out
        deliveries = [
            Delivery(
                task.record.object_id,
                task.target,
                out / task.record.output_path,
                task.mark,
                task.record.output_sha256,
            )
            for task in batch
            if task.mark is not None
        ]
        self._delivering += 1
        future = self._disk.submit(deliver, deliveries)
        future.add_done_callback(lambda done: self._parts.dispatcher.post(lambda: self._delivered(batch, done)))

    def _delivered(self, batch: list[_Task], done: Future[dict[str, str]]) -> None:
        self._delivering -= 1
        try:
            answers = done.result()
        except OSError:
            self._abort = TarnhelmError(errors.OUT_UNWRITABLE)
            return
        for task in batch:
            answer = answers.get(task.record.object_id, "space")
            if answer == "":
                self._released(task)
            elif answer == "changed":
                self.counts.integrity += 1
                self._end(task, Event.FAIL, errors.RESULT_CHANGED.code)
            elif answer == "taken":
                self._end(task, Event.FAIL, errors.NAME_TAKEN.code)
            else:
                self._abort = TarnhelmError(errors.NO_SPACE)

    def _released(self, task: _Task) -> None:
        record = self._life.released(task.record, task.record.output_sha256)
        self._save(task, record)
        size = task.mark.size if task.mark else 0
        self._parts.store.add_manifest(
            ManifestEntry(
                record.object_id,
                record.run_id,
                record.output_path,
                record.output_sha256,
                size,
                record.plan_digest,
                record.policy_digest,
                record.verdict,
                self._parts.wall_clock(),
            )
        )
        self.counts.released_bytes += size
        self._seal(task.also, record.output_path)
        self._forget(task, "released", work_left=False)

    def _seal(self, sources: list[Source], output_path: str) -> None:
        pairs = [(f"{one.place}!{one.member}" if one.member else one.place, output_path) for one in sources]
        self._pairs += pairs

    def _seal_now(self) -> None:
        """Seal what has gathered, in one record: sealing costs more per record than per path."""
        if self._pairs:
            self._parts.seal_paths(self._pairs)
            self._pairs = []

    # --- waiting for a dependency ----------------------------------------------------------------------

    def _park(self, task: _Task, outcome: StageOutcome) -> None:
        kind = CATALOGUE.get(outcome.code)
        if kind is not None and kind.disposition is Disposition.USAGE:
            self._abort = TarnhelmError(kind)
            return
        self._advance(task, Event.PARK, code=outcome.code)
        task.parks += 1
        self._parts.log(events.OBJECT_WAITS, object=task.record.object_id, code=outcome.code, times=task.parks)
        if task.parks > self._plan.max_parks:
            self.counts.codes[outcome.code] += 1
            self._forget(task, "waiting")
            return
        self._parked.append((self._parts.clock() + self._plan.retry_seconds, task))

    def _wake_parked(self) -> None:
        now = self._parts.clock()
        while self._parked and (self._parked[0][0] <= now or self._stopping):
            _, task = self._parked.popleft()
            if self._stopping:
                self._forget(task, "waiting")
                continue
            self._advance(task, Event.UNPARK)
            self._start(task, "metadata")

    # --- records and counts ----------------------------------------------------------------------------

    def _advance(self, task: _Task, *events: Event, stage: str | None = None, code: str | None = None) -> None:
        self._save(task, self._life.step(task.record, *events, stage=stage, code=code))

    def _save(self, task: _Task, record: ObjectRecord) -> None:
        self._parts.store.save(record, task.record)
        task.record = record

    def _end(self, task: _Task, event: Event, code: str) -> None:
        locator = task.record.locator if event in (Event.FAIL, Event.FINDING) else b""
        record = self._life.step(
            task.record, event, code=code, locator=locator, output_path="", output_sha256="", verdict=""
        )
        self._save(task, record)
        self.counts.codes[code] += 1
        if record.state is not State.SKIPPED:
            self._log_held(task, code)
        self._forget(task, record.state.value)

    def _log_held(self, task: _Task, code: str) -> None:
        message = task.outcome.message if task.outcome else ""
        _, bracket, site = message.rpartition("[")
        log, object_id = self._parts.log, task.record.object_id
        place = site.rstrip("]").replace(" ", ":") if bracket else ""
        log(events.OBJECT_HELD, object=object_id, code=code, state=task.record.state.value, site=place)
        if code in (errors.WITNESS_SIGNATURE.code, errors.RESULT_CHANGED.code):
            log(events.INTEGRITY_FAILURE, object=object_id, code=code)

    def _count(self, record: ObjectRecord, source: Source) -> None:
        self.counts.codes[record.code] += 1
        self._ended(source, record.state.value)

    def _forget(self, task: _Task, counter: str, *, work_left: bool = True) -> None:
        self._tasks.pop(task.record.object_id, None)
        self._bytes -= task.source.size
        self.counts.in_flight = len(self._tasks)
        if work_left:
            self._clean_up(task)
        self._ended(task.source, counter)

    def _ended(self, source: Source, counter: str) -> None:
        setattr(self.counts, counter, getattr(self.counts, counter) + 1)
        self.counts.done_bytes += source.size
        if source.temporary and not any(task.source is source for task in self._tasks.values()):
            source.path.unlink(missing_ok=True)

    def _clean_up(self, task: _Task) -> None:
        with contextlib.suppress(OSError):
            task.target.unlink()

    def _flush_due(self) -> None:
        now = self._parts.clock()
        if now >= self._next_flush:
            self._next_flush = now + _FLUSH_SECONDS
            self._seal_now()
            self._parts.store.flush()

    @staticmethod
    def _source_same(source: Source) -> bool:
        try:
            status = source.path.stat()
        except OSError:
            return False
        return status.st_size == source.size and (source.temporary or status.st_mtime_ns == source.mtime_ns)


def _sha256(path: Path, buffer: bytearray | None = None) -> bytes | None:
    """sha256 of the raw bytes, None if they cannot be read."""
    view = memoryview(buffer if buffer is not None else bytearray(_READ_BYTES))
    digest = hashlib.sha256()
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            while size := os.readv(fd, [view]):
                digest.update(view[:size])
        finally:
            os.close(fd)
    except OSError:
        return None
    return digest.digest()
