"""The pump of one step: a task wakes it, the record decides, a service works, the state remembers, the next is woken.

The order within an object is always: result blob if absent, outcome if absent with the record's next state, message,
done. Between any two of them the process may die: whoever gets the message again finds what stands and goes on from it.

A worker ends with the result blob. What then has to be recorded and told is done for several objects together, by one
thread in one transaction.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors, events
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.common.stage import Status
from tarnhelm.gateway.fsm import TABLE, Event, Lifecycle
from tarnhelm.gateway.record import ObjectRecord
from tarnhelm.gateway.state import StaleRecordError, Step
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.breaker import Breaker, BreakerSettings
from tarnhelm.gateway.stream.conveyor import Conveyor, ConveyorSettings, Handled
from tarnhelm.gateway.stream.gathering import Gathering
from tarnhelm.gateway.stream.plan_cache import PlanCache
from tarnhelm.gateway.stream.settling import MOST_ATTEMPTS, Answer, Answered, Settler, Work
from tarnhelm.gateway.stream.turns import Turns

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.broker import Broker, Message
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.stream.meters import StreamMeters
    from tarnhelm.gateway.stream.publishing import Publisher
    from tarnhelm.gateway.stream.road import Failpoint

__all__ = ["Pump", "PumpSettings"]

_STALE_TRIES: Final = 8
_SETTLE_SECONDS: Final = 30.0
_MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class PumpSettings:
    """How one pump works.

    Attributes
    ----------
    max_bytes_in_flight
        Sum of the sizes of the objects in hand.
    gather_seconds
        How long an answer waits for others, with which it is recorded in one transaction.
    """

    max_bytes_in_flight: int = 256 * _MIB
    gather_seconds: float = 0.02
    conveyor: ConveyorSettings = field(default_factory=ConveyorSettings)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)


class Pump:
    """Drives one step for all objects.

    Parameters
    ----------
    work
        The step.
    life
        Steps records.
    publisher
        Wakes whoever comes next.
    failpoint
        Called between any two steps.
    """

    def __init__(
        self,
        work: Work,
        settings: PumpSettings,
        state: StreamStore,
        broker: Broker,
        publisher: Publisher,
        life: Lifecycle,
        log: EventLog,
        *,
        meters: StreamMeters | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        failpoint: Failpoint = lambda _name: None,
    ) -> None:
        self._work = work
        self._state = state
        self._broker = broker
        self._publisher = publisher
        self._life = life
        self._log = log
        self._meters = meters
        self._in_flight = None if meters is None else meters.in_flight.labels(work.step)
        self._clock = clock
        self._plans = PlanCache(state, clock=clock)
        self._breaker = breaker = Breaker(settings.breaker, monotonic=monotonic)
        if meters is not None:  # asked, not told: threads open and close it within the same moment
            meters.breaker_open.labels(work.step).set_function(lambda: breaker.open)
        self._turns = Turns(settings.max_bytes_in_flight)
        self._busy: set[str] = set()
        self._busy_lock = threading.Lock()
        self._conveyor = Conveyor(
            broker,
            road.GROUPS[work.step],
            road.topic_of(work.step),
            settings.conveyor,
            self._breaker,
            self.handle,
            monotonic=monotonic,
        )
        self._settler = Settler(work, state, publisher, life, log, meters=meters, clock=clock, failpoint=failpoint)
        self._answered: Gathering[Answered] = Gathering(self._settle_all, settings.gather_seconds)

    @property
    def breaker(self) -> Breaker:
        """Open while the step's service is away."""
        return self._breaker

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, and then until what is in hand is done."""
        self._answered.start(f"{self._work.step}-settles")
        try:
            self._conveyor.run(stop)
        finally:
            self._answered.close(_SETTLE_SECONDS)

    # --- one message -----------------------------------------------------------------------------------

    def handle(self, message: Message, probe: bool = False) -> Handled | None:
        """Take one message to its end; HELD where something that it needs is away. Never raises.

        None: it has its answer, which is recorded with those of others; the conveyor is told then.
        """
        try:
            task = road.read_task(message.value)
        except TarnhelmError as error:
            return self._bury(message, error.code, probe=probe)
        return self._taken(message, task.object_id, probe=probe, gather=self._answered.running)

    def object(self, message: Message, object_id: str, *, probe: bool = False) -> Handled:
        """Take one object through the step, unless this pump has it in hand already."""
        return self._taken(message, object_id, probe=probe, gather=False) or Handled.HELD

    def _taken(self, message: Message, object_id: str, *, probe: bool, gather: bool) -> Handled | None:
        with self._busy_lock:
            if object_id in self._busy:  # a second delivery: the first one, before it in its partition, sees to it
                if probe:
                    self._breaker.not_now()
                return Handled.DONE
            self._busy.add(object_id)
        if self._in_flight is not None:
            self._in_flight.inc()
        handled: Handled | None = Handled.HELD
        try:
            handled = self._guarded(message, object_id, probe=probe, gather=gather)
        finally:
            if handled is not None:
                self._out_of_hand(object_id)
        return handled

    def _out_of_hand(self, object_id: str) -> None:
        with self._busy_lock:
            self._busy.discard(object_id)
        if self._in_flight is not None:
            self._in_flight.dec()

    def _guarded(
        self, message: Message, object_id: str, *, probe: bool, gather: bool, answer: Answer | None = None
    ) -> Handled | None:
        try:
            return self._stepped(message, object_id, probe=probe, gather=gather, answer=answer)
        except TarnhelmError as error:
            return self._away(error.code, object_id, probe=probe)
        except Exception as error:  # noqa: BLE001  # a fault of ours must not take the thread, nor every object after it
            return self._at_fault(object_id, error, probe=probe)

    def _stepped(
        self, message: Message, object_id: str, *, probe: bool, gather: bool, answer: Answer | None
    ) -> Handled | None:
        """Do the step; raises TarnhelmError where state, blobs or broker are away."""
        for _ in range(_STALE_TRIES):
            record = self._state.get(object_id)
            if record is None:
                return self._bury(message, errors.TASK_UNREADABLE.code, probe=probe)
            try:
                plan = self._plans.of(record.plan_digest)
                step = road.next_step(record, plan)
            except (TarnhelmError, ValueError) as error:
                if isinstance(error, TarnhelmError) and error.disposition in (Disposition.RETRY, Disposition.USAGE):
                    raise
                self._fail(record, errors.NO_PLAN.code)  # no plan, or one that does not know its stage
                continue
            if step != self._work.step:
                if probe:
                    self._breaker.not_now()
                if step and answer is None:  # delivered again: whoever had it may have died before its message
                    self._settler.forward(record, step)
                return Handled.DONE
            if answer is None:
                with self._turns.turn(record.size, alone=record.attempts == MOST_ATTEMPTS - 1):
                    answer = self._ask(record, plan)
                if answer.status is Status.RETRY and not _may_be_its_own(answer):
                    return self._wait(record, answer, probe=probe)
                self._back(object_id, probe=probe)
                probe = False
                if gather and road.IMAGING not in plan.stages:  # members of one volume are recorded one by one
                    self._answered.put(Answered(message, record, plan, answer))
                    return None
            try:
                self._settle(Answered(message, record, plan, answer))
            except StaleRecordError:  # somebody else stepped it: look again
                continue
            return Handled.DONE
        return Handled.DONE  # whoever changes it all the time publishes it, too

    def _ask(self, record: ObjectRecord, plan: ProjectPlan) -> Answer:
        try:
            return self._work.ask(record, plan)
        except TarnhelmError as error:
            if error.disposition in (Disposition.RETRY, Disposition.USAGE):
                raise
            return Answer(Status.QUARANTINE, error.code)
        except Exception as error:  # noqa: BLE001  # cannot decide means quarantine
            self._log(events.PUMP_FAULT, stage=self._work.step, site=_site(error))
            return Answer(Status.QUARANTINE, errors.STAGE_FAULT.code)

    # --- what became of it -----------------------------------------------------------------------------

    def _settle(self, one: Answered) -> None:
        (after,) = self._settler.record([one])
        self._settler.tell(one, after)

    def _settle_all(self, ones: list[Answered]) -> None:
        """Settle several objects together, or each for itself where one of them does not allow that."""
        try:
            afters = self._settler.record(ones)
        except Exception as error:  # noqa: BLE001  # nothing was kept: the state is away, or one of them does not go
            code = error.code if isinstance(error, TarnhelmError) and error.disposition is Disposition.RETRY else ""
            for one in ones:
                name = one.record.object_id
                self._ended(one, self._away(code, name, probe=False) if code else self._settled_alone(one))
        else:
            for one, after in zip(ones, afters, strict=True):
                try:
                    self._settler.tell(one, after)
                    handled = Handled.DONE
                except Exception as error:  # noqa: BLE001  # a fault of ours
                    handled = self._at_fault(one.record.object_id, error, probe=False)
                self._ended(one, handled)

    def _settled_alone(self, one: Answered) -> Handled:
        handled = self._guarded(one.message, one.record.object_id, probe=False, gather=False, answer=one.answer)
        return handled or Handled.HELD

    def _ended(self, one: Answered, handled: Handled) -> None:
        self._out_of_hand(one.record.object_id)
        self._conveyor.ended(one.message, handled)

    def _at_fault(self, object_id: str, error: Exception, *, probe: bool) -> Handled:
        """Quarantine an object that this pump cannot step; where that is not possible either, wait."""
        self._log(events.PUMP_FAULT, stage=self._work.step, site=_site(error))
        try:
            record = self._state.get(object_id)
            if record is not None:
                self._fail(record, errors.STAGE_FAULT.code)
        except Exception:  # noqa: BLE001  # the state is not there
            return self._away(errors.STAGE_FAULT.code, object_id, probe=probe)
        if probe:
            self._breaker.not_now()
        return Handled.DONE

    def _fail(self, record: ObjectRecord, code: str) -> None:
        """Quarantine an object that no plan leads on; one that is past that is left alone."""
        if (record.state, Event.FAIL) not in TABLE:
            return
        with suppress(StaleRecordError), self._state.together():
            self._state.save(self._life.step(record, Event.FAIL, code=code), record)
            self._state.add_step(record.object_id, Step(self._clock(), self._work.step, code))

    # --- what is not an answer -------------------------------------------------------------------------

    def _wait(self, record: ObjectRecord, answer: Answer, *, probe: bool) -> Handled:
        """Hold the message while a dependency is away; an object that alone meets it so is parked."""
        handled = self._away(answer.code, record.object_id, probe=probe)
        if not self._breaker.alone_to_blame(record.object_id):
            return handled
        try:
            with self._state.together():
                self._state.save(self._life.step(record, Event.PARK, code=answer.code), record)
                self._state.add_step(record.object_id, Step(self._clock(), "waiting", answer.code))
        except StaleRecordError:
            return handled
        self._log(events.OBJECT_WAITS, object=record.object_id, code=answer.code, times=record.attempts)
        self._back(record.object_id, probe=True)
        return Handled.DONE

    def _away(self, code: str, object_id: str, *, probe: bool) -> Handled:
        if self._breaker.failed(code, object_id, probe=probe):
            self._log(events.STAGE_WAITS, stage=self._work.step, code=code, failures=1)
        return Handled.HELD

    def _back(self, object_id: str, *, probe: bool) -> None:
        seconds = self._breaker.passed(object_id, probe=probe)
        if seconds is not None:
            self._log(events.STAGE_BACK, stage=self._work.step, seconds=round(seconds))

    def _bury(self, message: Message, code: str, *, probe: bool) -> Handled:
        """Keep a message that nobody can read apart; it is no object, so it is in no quarantine."""
        if not self._publisher.bury(message, code):
            return self._away(errors.BROKER_AWAY.code, "", probe=probe)
        if probe:
            self._breaker.not_now()
        self._log(events.DEAD_LETTER, topic=message.topic, code=code)
        if self._meters is not None:
            self._meters.dead_letters.labels(message.topic).inc()
        return Handled.DONE


def _may_be_its_own(answer: Answer) -> bool:
    return answer.code == errors.STAGE_LOST.code


def _site(error: BaseException) -> str:
    """Name the place of a fault in our own code: a file and a line, never a text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    return f"{type(error).__name__}:{PurePath(trace.tb_frame.f_code.co_filename).stem}:{trace.tb_lineno}"
