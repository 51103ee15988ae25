"""Housekeeping: what nobody else sees to, because whoever should have has died, or because its time has come."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import TABLE, Event, Lifecycle
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state import UNFINISHED, StaleRecordError, Step
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.plan_cache import PlanCache
from tarnhelm.gateway.stream.sweeping import Sweeper

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.blobs import BlobStore
    from tarnhelm.gateway.broker import Broker
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.stream.meters import StreamMeters
    from tarnhelm.gateway.stream.publishing import Publisher
    from tarnhelm.gateway.stream.road import Failpoint

__all__ = ["Housekeeping", "HousekeepingSettings"]

_MOVING: Final = tuple(state for state in UNFINISHED if state is not State.WAITING)
_PURGEABLE: Final = (State.RELEASED, State.REJECTED, State.SKIPPED)
_REMEMBERED: Final = 50_000


@dataclass(frozen=True, slots=True)
class HousekeepingSettings:
    """When what is done.

    Attributes
    ----------
    every_seconds
        Between two rounds.
    stalled_seconds
        An object that nobody has stepped for so long, while its topic is empty, has lost its message.
    lag_floor
        A topic with no more unfinished tasks than this counts as empty.
    republish_seconds
        After so long the message is published again whatever the topic's lag is.
    suspect_seconds
        How long a suspect waits before its second and its third attempt.
    parked_seconds
        How long an object that a dependency would not serve waits before it is tried again.
    purge_after_seconds
        After an object's end its bytes are shredded.
    orphan_seconds
        A blob without a record that is older belongs to nobody.
    sweep_every_seconds
        Between two looks at all blobs.
    trim_every_seconds
        Between two deletions of what identifies people and was read.
    trim
        Topic → the groups that must have read it; only ``ingest`` is read by somebody.
    measure_every_seconds
        Between two counts of objects and messages for the metrics.
    age_alarm_seconds
        An unfinished object that is older raises an alarm.
    """

    every_seconds: float = 2.0
    stalled_seconds: float = 60.0
    lag_floor: int = 0
    republish_seconds: float = 1800.0
    suspect_seconds: tuple[float, float] = (5.0, 30.0)
    parked_seconds: float = 60.0
    purge_after_seconds: float = 24 * 3600.0
    orphan_seconds: float = 24 * 3600.0
    sweep_every_seconds: float = 3600.0
    trim_every_seconds: float = 60.0
    trim: tuple[tuple[str, tuple[str, ...]], ...] = ()
    measure_every_seconds: float = 10.0
    age_alarm_seconds: float = 3600.0


class Housekeeping:
    """One round after the other; several processes may do so at the same time, to no harm.

    Parameters
    ----------
    failpoint
        Called between any two steps.
    """

    def __init__(
        self,
        settings: HousekeepingSettings,
        state: StreamStore,
        broker: Broker,
        blobs: BlobStore,
        publisher: Publisher,
        log: EventLog,
        *,
        meters: StreamMeters | None = None,
        clock: Callable[[], float] = time.time,
        failpoint: Failpoint = lambda _name: None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._broker = broker
        self._blobs = blobs
        self._publisher = publisher
        self._log = log
        self._meters = meters
        self._clock = clock
        self._failpoint = failpoint
        self._life = Lifecycle(lambda _verdict: False)  # decides nothing about verdicts
        self._plans = PlanCache(state, clock=clock)
        self._sweeper = Sweeper(state, blobs, log, meters=meters, clock=clock)
        self._again: OrderedDict[str, tuple[int, float, float]] = OrderedDict()
        self._next_sweep = float("-inf")
        self._next_trim = float("-inf")
        self._next_measure = float("-inf")
        self._alarmed: dict[State, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; what is away now is seen to in a later round."""
        while not stop.is_set():
            with suppress(TarnhelmError):
                self.round()
            stop.wait(self._settings.every_seconds)

    def round(self) -> None:
        """See to everything once; what cannot be done now does not keep the rest from being done.

        Raises
        ------
        TarnhelmError
            At the end, the first of what was away.
        """
        now = self._clock()
        failed: list[TarnhelmError] = []
        for work in (self._wake_parked, self._republish_stalled, self.purge, self._sweep, self._trim, self._measure):
            try:
                work(now)
            except TarnhelmError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def _sweep(self, now: float) -> None:
        if now >= self._next_sweep:
            self._next_sweep = now + self._settings.sweep_every_seconds
            self._sweeper.sweep(now - self._settings.orphan_seconds)

    def _trim(self, now: float) -> None:
        if now >= self._next_trim:
            self._next_trim = now + self._settings.trim_every_seconds
            for topic, groups in self._settings.trim:
                self._broker.trim(topic, groups)

    # --- objects that wait -----------------------------------------------------------------------------

    def _wake_parked(self, now: float) -> None:
        for record in self._state.untouched(now, State.WAITING):
            steps = self._state.steps(record.object_id)
            since = steps[-1].at if steps else record.received
            if now - since >= self._parked_for(record):
                self._step(record, Event.UNPARK, "again", now)

    def _parked_for(self, record: ObjectRecord) -> float:
        if record.code == errors.STAGE_LOST.code:
            return self._settings.suspect_seconds[min(record.attempts, 2) - 1]
        return self._settings.parked_seconds

    def _republish_stalled(self, now: float) -> None:
        settings = self._settings
        empty: dict[str, bool] = {}
        for record in self._state.untouched(now - settings.stalled_seconds, *_MOVING):
            step = self._next(record)
            if not step or step == road.IMAGING:
                continue
            topic = road.topic_of(step)
            if topic not in empty:
                empty[topic] = sum(self._broker.lag(road.GROUPS[step], [topic]).values()) <= settings.lag_floor
            known = self._again.get(record.object_id)
            revision, at, wait = known if known is not None else (-1, record.received, 0.0)
            if revision != record.revision:
                wait = 0.0
            if now - at < (wait if empty[topic] else settings.republish_seconds):
                continue
            # What stays where it is though it was told (its destination is away) is told less and less often.
            wait = min(max(wait * 2, settings.stalled_seconds), settings.republish_seconds)
            self._again[record.object_id] = record.revision, now, wait
            self._publish(record, step)
        while len(self._again) > _REMEMBERED:
            self._again.popitem(last=False)

    def _publish(self, record: ObjectRecord, step: str) -> None:
        self._log(events.OBJECT_AGAIN, object=record.object_id, step=step, code=errors.STALLED.code)
        if self._meters is not None:
            self._meters.again.labels(step).inc()
        self._publisher.send(record, step)

    def recover(self) -> int:
        """Publish every unfinished object again, after the broker and its messages were lost; returns how many.

        Objects whose raw bytes are gone, as after a backup of the state alone, are quarantined with GTW-022.
        """
        self._sweeper.missing()
        count = 0
        for record in self._state.records(*_MOVING):
            step = self._next(record) if record.door else ""
            if step and step != road.IMAGING:
                self._publisher.send(record, step)
                count += 1
        self._broker.flush(60.0)
        return count

    def _next(self, record: ObjectRecord) -> str:
        plan = self._plan(record)
        if plan is not None:
            with suppress(ValueError):  # a plan that does not know the object's stage is none
                return road.next_step(record, plan)
        self._step(record, Event.FAIL, "recover", self._clock(), code=errors.NO_PLAN.code)
        return ""

    def _plan(self, record: ObjectRecord) -> ProjectPlan | None:
        try:
            return self._plans.of(record.plan_digest)
        except TarnhelmError as error:
            if error.kind is errors.NO_PLAN:
                return None
            raise

    # --- the end of an object --------------------------------------------------------------------------

    def purge(self, now: float) -> int:
        """Shred the bytes of objects that have come to their end long enough ago; returns how many."""
        count = 0
        for record in self._state.untouched(now - self._settings.purge_after_seconds, *_PURGEABLE):
            plan = self._plan(record)
            for name in [road.raw_blob(record.object_id), *(road.work_blobs(record, plan) if plan else [])]:
                self._blobs.delete(name)
            self._failpoint("purge: before the record")
            if self._step(record, Event.PURGE, "purged", now):
                self._log(events.OBJECT_PURGED, object=record.object_id, state=record.state.value)
                if self._meters is not None:
                    self._meters.purged.inc()
                count += 1
        return count

    def _step(self, record: ObjectRecord, event: Event, step: str, now: float, *, code: str = "") -> bool:
        """Step a record, unless somebody was faster; one that was parked or failed is told on."""
        if (record.state, event) not in TABLE:
            return False
        after = self._life.step(record, event, code=code or None)
        try:
            with self._state.together():
                self._state.save(after, record)
                self._state.add_step(record.object_id, Step(now, step, code))
        except StaleRecordError:
            return False
        if event is Event.UNPARK:
            following = self._next(after)
            if following:
                self._publisher.send(after, following)
        return True

    # --- what is told ----------------------------------------------------------------------------------

    def _measure(self, now: float) -> None:
        if now < self._next_measure:
            return
        self._next_measure = now + self._settings.measure_every_seconds
        for state, received in self._state.oldest().items():
            age = now - received
            if age > self._settings.age_alarm_seconds and now - self._alarmed.get(state, float("-inf")) > 600.0:
                self._alarmed[state] = now
                self._log(events.AGE_ALARM, state=state.value, seconds=round(age))
        meters = self._meters
        if meters is None:
            return
        tallies = self._state.tallies()
        for state in State:
            tally = tallies.get(state)
            meters.objects.labels(state.value).set(tally.count if tally else 0)
            if state in UNFINISHED:
                meters.oldest.labels(state.value).set(now - tally.oldest if tally else 0.0)
        with suppress(TarnhelmError):
            waiting = self._broker.waiting([(group, road.topic_of(step)) for step, group in road.GROUPS.items()])
            for (_, topic), count in waiting.items():
                meters.lag.labels(topic).set(count)
