"""Volumes: the objects of one study and frame of reference, which imaging sees together (one mask for all contrasts).

An object that has to be defaced is collected after the stage before imaging. A volume closes when nothing has come to it
for ``quiet_seconds``: no protocol announces how many objects there will be. It is then kept with its geometry, without
pixels, for the late window. An object that comes later and fits gets in, and the volume's message goes out once more
for it; one that does not fit is held with GTW-029. A single slice makes no volume: it is held with GTW-030.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state import StaleRecordError, Step, VolumeRecord
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.plan_cache import PlanCache

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.common.stage import ObjectFacts
    from tarnhelm.gateway.broker import Broker
    from tarnhelm.gateway.keys import GatewayKeys
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.stream.publishing import Publisher

__all__ = ["Assembler", "AssemblySettings", "Place", "collect", "waiting_members"]

_DEFACE: Final = "deface"


@dataclass(frozen=True, slots=True)
class AssemblySettings:
    """When volumes close.

    Attributes
    ----------
    quiet_seconds
        After so long without a new object a volume is taken for complete.
    stalled_seconds
        After so long a closed volume's message is published again, if its topic is empty.
    every_seconds
        Between two looks.
    """

    quiet_seconds: float = 120.0
    stalled_seconds: float = 300.0
    every_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a collected object belongs: a volume; with a code that says why it is held instead."""

    volume: str
    code: str = ""


def collect(
    state: StreamStore,
    keys: GatewayKeys,
    record: ObjectRecord,
    plan: ProjectPlan,
    facts: ObjectFacts | None,
    now: float,
) -> Place | None:
    """Put an object into its volume, within the transaction that steps it; None where it needs no imaging.

    Raises
    ------
    StaleRecordError
        Another process was faster.
    """
    if facts is None or _DEFACE not in facts.needs:
        return None
    volume_id = keys.volume_id(plan.project, facts.study_uid, facts.frame_of_reference_uid or facts.sop_uid)
    state.hold(volume_id.encode())
    was = state.volume(volume_id)
    if was is None:
        state.put_volume(VolumeRecord(volume_id, plan.digest, 0, "open", 1, "", now, now), None)
        return Place(volume_id)
    if was.geometry and _shape(facts) not in json.loads(was.geometry):
        return Place(volume_id, errors.VOLUME_LATE.code)
    known = record.group == volume_id
    state.put_volume(was.stepped(state="open", members=was.members + (not known), touched=now), was)
    return Place(volume_id)


def waiting_members(state: StreamStore, volume: str) -> list[ObjectRecord]:
    """Return the objects of a volume that its stage has not had yet."""
    return [record for record in state.members(volume) if record.state is State.READY]


class Assembler:
    """Closes volumes and wakes their pump; several processes may do so, to no harm."""

    def __init__(
        self,
        settings: AssemblySettings,
        state: StreamStore,
        broker: Broker,
        publisher: Publisher,
        log: EventLog,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._state = state
        self._broker = broker
        self._publisher = publisher
        self._log = log
        self._clock = clock
        self._life = Lifecycle(lambda _verdict: False)  # decides nothing about verdicts
        self._plans = PlanCache(state, clock=clock)
        self._told: dict[str, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set."""
        while not stop.is_set():
            with suppress(TarnhelmError):
                self.round()
            stop.wait(self._settings.every_seconds)

    def round(self) -> None:
        """Close what is quiet, and wake again what nobody has taken up."""
        now = self._clock()
        for volume in self._state.volumes("open", now - self._settings.quiet_seconds):
            with suppress(StaleRecordError):  # an object came at this very moment
                self._close(volume, now)
        stalled = self._state.volumes("closed", now - self._settings.quiet_seconds - self._settings.stalled_seconds)
        for volume in stalled:
            if now - self._told.get(volume.volume, 0.0) > self._settings.stalled_seconds and self._idle():
                self._wake(volume, now)

    def _close(self, was: VolumeRecord, now: float) -> None:
        members = waiting_members(self._state, was.volume)
        facts = [found for record in members if (found := self._facts(record)) is not None]
        lone = not was.geometry and len(members) == 1 and all(one.frames <= 1 for one in facts)
        if not members or lone:
            with self._state.together():
                self._state.put_volume(was.stepped(state="done"), was)
                for record in members:
                    code = errors.VOLUME_LONE.code
                    self._state.save(self._life.step(record, Event.FAIL, code=code), record)
                    self._state.add_step(record.object_id, Step(now, "assemble", code))
            return
        shapes = json.loads(was.geometry) if was.geometry else []
        shapes += [shape for shape in (_shape(one) for one in facts) if shape not in shapes]
        unique = sorted({(rows, columns) for rows, columns in shapes})
        closed = was.stepped(state="closed", geometry=json.dumps(unique))
        with self._state.together():
            self._state.put_volume(closed, was)
        self._log(events.VOLUME_CLOSED, volume=was.volume, members=len(members))
        self._wake(closed, now)

    def _wake(self, volume: VolumeRecord, now: float) -> None:
        self._told[volume.volume] = now
        record = ObjectRecord(volume.volume, plan_digest=volume.plan_digest)
        self._publisher.send(record, road.IMAGING)

    def _idle(self) -> bool:
        topic = road.topic_of(road.IMAGING)
        return not sum(self._broker.lag(road.GROUPS[road.IMAGING], [topic]).values())

    def _facts(self, record: ObjectRecord) -> ObjectFacts | None:
        outcome = self._state.outcome(record.object_id, record.stage, road.outcome_key(record))
        return None if outcome is None else outcome.facts


def _shape(facts: ObjectFacts) -> list[int]:
    return [facts.rows, facts.columns]
