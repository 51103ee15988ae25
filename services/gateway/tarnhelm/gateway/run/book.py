"""The objects of a run: what is in flight, every change of a record, and the counts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.run.plan import Plan, RunCounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tarnhelm.common.stage import StageOutcome
    from tarnhelm.gateway.run.parts import Parts, Task
    from tarnhelm.gateway.sources import Source

__all__ = ["Book"]


class Book:
    """Keeps the records of a run: no other part of a pump writes one.

    Parameters
    ----------
    plan, parts
        Of the pump.
    """

    def __init__(self, plan: Plan, parts: Parts) -> None:
        self.plan = plan
        self.parts = parts
        self.life = Lifecycle(parts.verify)
        self.counts = RunCounts()
        self.tasks: dict[str, Task] = {}
        self.bytes = 0
        """Of the objects in flight."""
        self.abort: TarnhelmError | None = None
        """Why the run ends before its time."""
        self._pairs: list[tuple[str, str]] = []
        self._owners: list[tuple[str, str]] = []

    # --- objects come and go ---------------------------------------------------------------------------

    def enter(self, task: Task) -> None:
        """Count an object as in flight."""
        if task.record.object_id not in self.tasks:
            self.tasks[task.record.object_id] = task
            self.bytes += task.source.size
            self.counts.in_flight = len(self.tasks)

    def leave(self, task: Task, counter: str, *, work_left: bool = True) -> None:
        """Count an object as done."""
        self.tasks.pop(task.record.object_id, None)
        self.bytes -= task.source.size
        self.counts.in_flight = len(self.tasks)
        if work_left:
            self.clean_up(task)
        self.ended(task.source, counter)

    def ended(self, source: Source, counter: str) -> None:
        """Count a source as done; a copy out of an archive is removed."""
        setattr(self.counts, counter, getattr(self.counts, counter) + 1)
        self.counts.done_bytes += source.size
        if source.temporary and not any(task.source is source for task in self.tasks.values()):
            source.path.unlink(missing_ok=True)

    def refused(self, record: ObjectRecord, source: Source) -> None:
        """Count a source that never came into flight."""
        self.counts.codes[record.code] += 1
        self.ended(source, record.state.value)

    @staticmethod
    def clean_up(task: Task) -> None:
        """Remove the work file."""
        try:
            os.unlink(task.target)  # noqa: PTH108  # once per object: the method costs more than the call
        except OSError:
            return

    # --- records ---------------------------------------------------------------------------------------

    def save(self, task: Task, record: ObjectRecord) -> None:
        """Keep the new form of a record."""
        self.parts.store.save(record, task.record)
        task.record = record

    def advance(self, task: Task, *events_: Event, **changes: Any) -> None:
        """Step a record through the table."""
        self.save(task, self.life.step(task.record, *events_, **changes))

    def end(self, task: Task, event: Event, code: str) -> None:
        """End an object without a release; a held one keeps its place, so that a reviewer can send it again."""
        locator = self.locator(task) if event in (Event.FAIL, Event.FINDING) else b""
        record = self.life.step(
            task.record, event, code=code, locator=locator, output_path="", output_sha256="", verdict=""
        )
        self.save(task, record)
        self.counts.codes[code] += 1
        if record.state is not State.SKIPPED:
            self._log_held(task, code)
        self.leave(task, record.state.value)

    def fail_integrity(self, task: Task, code: str) -> None:
        """End an object whose verdict or bytes are not what they should be."""
        self.counts.integrity += 1
        self.end(task, Event.FAIL, code)

    def locator(self, task: Task) -> bytes:
        """Return the sealed place of an object's source."""
        source = task.source
        return self.parts.keys.seal_place(source.place, source.member, task.record.object_id)

    def _log_held(self, task: Task, code: str) -> None:
        message = task.outcome.message if task.outcome else ""
        _, bracket, site = message.rpartition("[")
        log, object_id = self.parts.log, task.record.object_id
        place = site.rstrip("]").replace(" ", ":") if bracket else ""
        log(events.OBJECT_HELD, object=object_id, code=code, state=task.record.state.value, site=place)
        if code in (errors.WITNESS_SIGNATURE.code, errors.RESULT_CHANGED.code):
            log(events.INTEGRITY_FAILURE, object=object_id, code=code)

    # --- the way back of paths -------------------------------------------------------------------------

    def pair(self, sources: Iterable[Source], output_path: str, outcome: StageOutcome | None) -> None:
        """Remember where a release came from, and whose it is, until the next :meth:`seal`."""
        facts = outcome.facts if outcome is not None else None
        owner = (facts.subject_id, facts.study_uid) if facts is not None else ("", "")
        for one in sources:
            self._pairs.append((f"{one.place}!{one.member}" if one.member else one.place, output_path))
            self._owners.append(owner)

    def first_outcome(self, record: ObjectRecord) -> StageOutcome | None:
        """Give what the first stage said of an object that was released earlier, in this run or another."""
        stored = (
            self.parts.store.outcome(record.object_id, self.plan.stages[0], f"{record.plan_digest}{end}")
            for end in ("", "+accepted")
        )
        return next((outcome for outcome in stored if outcome is not None and outcome.facts is not None), None)

    def seal(self) -> None:
        """Seal what has gathered, together: sealing costs more per record than per path."""
        if self._pairs:
            self.parts.seal_paths(self._pairs, self._owners)
            self._pairs, self._owners = [], []
