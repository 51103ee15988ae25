"""How an object's answer becomes its record: durable first, for several objects in one transaction, told after that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from tarnhelm.common import errors, events
from tarnhelm.common.stage import Status
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state import Step
from tarnhelm.gateway.stream import road

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.broker import Message
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.stream.meters import StreamMeters
    from tarnhelm.gateway.stream.publishing import Publisher
    from tarnhelm.gateway.stream.road import Failpoint

__all__ = ["MOST_ATTEMPTS", "Answer", "Answered", "Settler", "Work"]

MOST_ATTEMPTS: Final = 3
"""So often may a service lose one object after it took it on; the last time it has it alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of the work on one object.

    Attributes
    ----------
    status, code
        RETRY: nothing is known to be wrong with the object; STG-006 counts as an attempt.
    body
        The outcome or the verdict.
    fresh
        Whether a service was asked now; else it was found recorded.
    """

    status: Status
    code: str = ""
    seconds: float = 0.0
    body: Any = None
    fresh: bool = True


class Answered(NamedTuple):
    """An object with a final answer that is not recorded yet."""

    message: Message
    record: ObjectRecord
    plan: ProjectPlan
    answer: Answer


class Work(Protocol):
    """What a pump does with an object, without the waiting, the suspecting and the remembering."""

    @property
    def step(self) -> str:
        """The step's name."""
        ...

    def enter(self, record: ObjectRecord) -> tuple[Event, ...]:
        """Return the events that say that the step has begun."""
        ...

    def ask(self, record: ObjectRecord, plan: ProjectPlan) -> Answer:
        """Do the work; blocks. Raises TarnhelmError for what is not a service's answer."""
        ...

    def settle(self, record: ObjectRecord, plan: ProjectPlan, answer: Answer) -> ObjectRecord:
        """Record a final answer within a transaction, and return the record that it leads to; it is saved then."""
        ...


class Settler:
    """Records what came of objects, and wakes whoever comes next.

    Parameters
    ----------
    work
        The step.
    life
        Steps records.
    failpoint
        Called between any two steps.
    """

    def __init__(
        self,
        work: Work,
        state: StreamStore,
        publisher: Publisher,
        life: Lifecycle,
        log: EventLog,
        *,
        meters: StreamMeters | None = None,
        clock: Callable[[], float] = time.time,
        failpoint: Failpoint = lambda _name: None,
    ) -> None:
        self._work = work
        self._state = state
        self._publisher = publisher
        self._life = life
        self._log = log
        self._meters = meters
        self._clock = clock
        self._failpoint = failpoint

    def record(self, ones: Sequence[Answered]) -> list[ObjectRecord]:
        """Make the answers durable, all or none; returns the records that they lead to.

        Raises
        ------
        StaleRecordError
            Somebody else has stepped one of them.
        """
        for _ in ones:
            self._failpoint(f"{self._work.step}: before the record")
        afters = []
        with self._state.together():
            for _, record, plan, answer in ones:
                lost = answer.status is Status.RETRY
                after = self._suspect(record) if lost else self._work.settle(record, plan, answer)
                self._state.save(after, record)
                code = after.code or answer.code
                self._state.add_step(record.object_id, Step(self._clock(), self._work.step, code, answer.seconds))
                afters.append(after)
        return afters

    def tell(self, one: Answered, after: ObjectRecord) -> None:
        """Wake the next pump, after the record is durable."""
        _, record, plan, answer = one
        code = after.code or answer.code
        self._failpoint(f"{self._work.step}: before the message")
        if self._meters is not None:
            self._meters.left(self._work.step, after.state.value, code, answer.seconds, record.size)
        if answer.status is Status.RETRY:
            stage, lost = self._work.step, errors.STAGE_LOST.code
            self._log(events.OBJECT_SUSPECT, object=record.object_id, stage=stage, code=lost, attempts=after.attempts)
        if after.state is State.QUARANTINED:
            self._log(events.OBJECT_HELD, object=record.object_id, code=code, state=after.state.value, site="")
        step = road.next_step(after, plan)
        if step:
            self.forward(after, step)
        self._failpoint(f"{self._work.step}: before done")

    def forward(self, record: ObjectRecord, step: str) -> None:
        """Publish an object's next task."""
        if step != road.IMAGING:  # volumes are gathered by assemble, which finds them in the state
            self._publisher.send(record, step)

    def _suspect(self, record: ObjectRecord) -> ObjectRecord:
        """Count one attempt; the third one is the last."""
        attempts = record.attempts + 1
        code = errors.STAGE_LOST.code
        start = self._work.enter(record)
        stage = record.stage if self._work.step == road.WITNESS else self._work.step
        if attempts >= MOST_ATTEMPTS:
            code = errors.THREE_TIMES_LOST.code
            return self._life.step(record, *start, Event.FAIL, stage=stage, code=code, attempts=attempts)
        return self._life.step(record, *start, Event.PARK, stage=stage, code=code, attempts=attempts)
