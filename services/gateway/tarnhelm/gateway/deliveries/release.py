"""The last step of an object's road: planned with its manifest line, delivered, RELEASED."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors, events
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.deliveries.base import DeliveryRecord, DeliveryState, Planned
from tarnhelm.gateway.deliveries.parcels import Known, ParcelMaker, facts_of, path_of
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.manifest import ReleaseEntry, signed_line
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state.base import StaleRecordError
from tarnhelm.gateway.state.stream import Step
from tarnhelm.gateway.stream.plan_cache import PlanCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from tarnhelm.common.events import EventLog
    from tarnhelm.common.stage import ObjectFacts
    from tarnhelm.gateway.blobs.base import BlobStore
    from tarnhelm.gateway.deliveries.base import DeliveryStore
    from tarnhelm.gateway.deliveries.metrics import DeliveryMetrics
    from tarnhelm.gateway.deliveries.settings import ReleaseSettings, Route
    from tarnhelm.gateway.manifest import ManifestKey
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.state.stream import StreamStore

__all__ = ["NOWHERE", "Job", "ReleaseDesk", "ReleaseParts", "Room"]

NOWHERE: Final = "none"
"""Stands for a destination where no destination wants an object."""
_TRIES: Final = 8


def nothing(_place: str) -> None:
    """Do nothing at a failpoint."""


@dataclass(frozen=True, slots=True)
class ReleaseParts:
    """What a release process is put together from.

    Attributes
    ----------
    tombstones
        Keyed digests of (project, patient ID, study) that a withdrawal order would have buried.
    clock
        Seconds since 1970.
    chance
        Numbers in [0, 1), for jitter.
    software
        Name → version, for the manifest.
    reached
        Called with the name of each place between two steps: a test kills the process there.
    """

    state: StreamStore
    blobs: BlobStore
    deliveries: DeliveryStore
    routes: Sequence[Route]
    key: ManifestKey
    metrics: DeliveryMetrics
    log: EventLog
    tombstones: Callable[[str, str, str], Sequence[bytes]]
    clock: Callable[[], float]
    chance: Callable[[], float]
    software: Mapping[str, str] = field(default_factory=dict)
    reached: Callable[[str], None] = nothing


@dataclass(slots=True)
class Room:
    """How much of what is planned may be claimed at once; what is taken of it is taken off.

    Attributes
    ----------
    places
        Destination → deliveries.
    bytes
        Of objects that may be kept in memory.
    """

    places: dict[str, int]
    bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery, with what is known of its object."""

    delivery: DeliveryRecord
    known: Known | None = None


class ReleaseDesk:
    """Plans and ends releases; safe among threads, and among processes by the stores' own promises."""

    def __init__(self, settings: ReleaseSettings, parts: ReleaseParts) -> None:
        self.settings = settings
        self.deliveries = parts.deliveries
        self.metrics = parts.metrics
        self.log = parts.log
        self.clock = parts.clock
        self.reached = parts.reached
        self._plans = PlanCache(parts.state)
        self.parcels = ParcelMaker(parts.state, parts.blobs, parts.deliveries, self._plan_of, settings.memory_bytes)
        self._parts = parts
        self._life = Lifecycle(lambda _verdict: False)  # what is verified is decided elsewhere

    # --- planning --------------------------------------------------------------------------------------

    def plan(self, object_ids: Sequence[str], room: Room | None = None) -> Mapping[str, Sequence[Job]]:
        """Make the releases of verified objects durable: their lines, and what is due to whom.

        Others are passed over: a task only wakes, the record decides. What there is room for is claimed in the same
        transaction and returned by destination; the bytes of such an object are read here, once for all of them.

        Raises
        ------
        TarnhelmError
            With RETRY, a store's: the batch has to come again.
        """
        room = room or Room({}, 0)
        entries: dict[str, ReleaseEntry] = {}
        planned: list[Planned] = []
        known: dict[str, Known] = {}
        for object_id in dict.fromkeys(object_ids):
            record = self._parts.state.get(object_id)
            if record is None or record.state is not State.VERIFIED:
                continue
            plan = self._plan_of(record.plan_digest)
            facts = facts_of(self._parts.state, record, plan.stages[0] if plan else "metadata")
            if self._parts.deliveries.buried(self._parts.tombstones(record.project, facts.subject_id, facts.study_uid)):
                self.end(record, Event.REJECT, errors.DELIVERY_WITHDRAWN.code)
                continue
            routes = [route for route in self._parts.routes if route.rules.wants(record.project, facts)]
            at_once = {route.destination.name for route in routes if room.places.get(route.destination.name, 0) > 0}
            try:
                size, pieces = self.parcels.look(record, plan, room.bytes if at_once else 0)
            except TarnhelmError as error:
                if error.disposition is Disposition.RETRY:
                    raise
                self.end(record, Event.FAIL, error.code)
                continue
            one = self._planned(record, facts, routes, at_once)
            planned.append(one)
            known[object_id] = Known(record, facts, size, pieces)
            room.bytes -= known[object_id].kept_bytes
            for name in at_once:
                room.places[name] -= 1
            entries[object_id] = ReleaseEntry(
                object_id=object_id,
                project=record.project,
                facts=facts,
                path=one.path,
                sha256=record.output_sha256,
                size=size,
                recipe_digest=plan.recipe_digest if plan else "",
                policy_digest=record.policy_digest,
                plan_digest=record.plan_digest,
                verdict=record.verdict,
                destinations=tuple(delivery.destination for delivery in one.deliveries),
                time=self.clock(),
                accepted_unchecked=record.accepted or bool(plan and plan.accept_unchecked_pixels),
                software=self._parts.software,
            )

        def sign(one: Planned, sequence: int, previous: str, supersedes: str) -> bytes:
            entry = replace(entries[one.object_id], supersedes=supersedes)
            return signed_line(self._parts.key, self.settings.writer, sequence, previous, entry)

        begun = self._parts.deliveries.plan(self.settings.writer, planned, sign, self.clock())
        self.reached("planned")
        jobs: dict[str, list[Job]] = {}
        for entered in begun:
            object_id = entered.delivery.object_id
            if entered.line and not known[object_id].line:
                known[object_id] = replace(known[object_id], line=entered.line, supersedes=entered.supersedes)
            jobs.setdefault(entered.delivery.destination, []).append(Job(entered.delivery, known[object_id]))
        return jobs

    def _plan_of(self, digest: str) -> ProjectPlan | None:
        try:
            return self._plans.of(digest)
        except TarnhelmError as error:
            if error.kind is not errors.NO_PLAN:
                raise
            return None

    def _planned(
        self, record: ObjectRecord, facts: ObjectFacts, routes: Sequence[Route], at_once: AbstractSet[str]
    ) -> Planned:
        """``at_once`` holds the destinations whose delivery is claimed with the plan."""
        object_id, sha256 = record.object_id, record.output_sha256
        leased = self.clock() + self.settings.lease_seconds
        deliveries = tuple(
            DeliveryRecord(object_id, name, sha256, route.rules.required, attempts=1, due=leased)
            if name in at_once
            else DeliveryRecord(object_id, name, sha256, route.rules.required)
            for route in routes
            for name in (route.destination.name,)
        )
        if not routes:
            held = DeliveryRecord(object_id, NOWHERE, sha256, state=DeliveryState.HELD, code=errors.NO_DESTINATION.code)
            self.log(events.DELIVERY_HELD, object=object_id, destination=NOWHERE, code=held.code, times=0)
            deliveries = (held,)
        return Planned(
            object_id=object_id,
            sha256=sha256,
            project=record.project,
            patient_id=facts.subject_id,
            study=facts.study_uid,
            sop_instance=facts.sop_uid,
            path=path_of(record, facts),
            deliveries=deliveries,
            leaves=bool(routes),
        )

    # --- the end ---------------------------------------------------------------------------------------

    def release(self, object_ids: Sequence[str], known: Mapping[str, ObjectRecord] | None = None) -> Sequence[str]:
        """End those of these objects that wait for no delivery any more.

        ``known`` has records as they were a moment ago, by object id; the store refuses one that is not the same now.
        Returns those that the store of deliveries has to be told of: until then they are only looked at again.
        """
        settled = {
            object_id: found
            for object_id, deliveries in self._parts.deliveries.of_all(object_ids).items()
            if (found := _settled(deliveries)) is not None
        }
        try:
            ended = self._end_all(settled, known or {})
        except StaleRecordError:  # another process was faster with one of them
            ended = [one for object_id, found in settled.items() for one in self._end_one(object_id, found)]
        self.reached("released")
        return ended

    def _end_one(self, object_id: str, deliveries: Sequence[DeliveryRecord]) -> list[str]:
        for _ in range(_TRIES):
            with suppress(StaleRecordError):
                return self._end_all({object_id: deliveries}, {})
        return []

    def _end_all(self, settled: Mapping[str, Sequence[DeliveryRecord]], known: Mapping[str, ObjectRecord]) -> list[str]:
        """End these in one transaction; returns those whose deliveries need not be looked at again."""
        released: list[tuple[str, int]] = []
        refused: list[ObjectRecord] = []
        ended: list[str] = []
        with self._parts.state.together():
            for object_id, deliveries in settled.items():
                record = known.get(object_id) or self._parts.state.get(object_id)
                delivered = [one for one in deliveries if one.state is DeliveryState.DELIVERED]
                if record is None or record.state is not State.VERIFIED:
                    ended.append(object_id)
                elif not delivered:
                    refused.append(record)
                elif all(one.sha256 == record.output_sha256 for one in deliveries):
                    # Else it went through the stages again, and its release will be planned anew.
                    self._parts.state.save(self._life.released(record, delivered[0].sha256), record)
                    released.append((object_id, len(delivered)))
            for object_id, _ in released:  # behind all records, which the store writes in one statement
                self._parts.state.add_step(object_id, Step(self.clock(), "released"))
        ended += [object_id for object_id, _ in released]
        self.metrics.released.inc(len(released))
        self.log.each(events.OBJECT_RELEASED, ({"object": one, "destinations": count} for one, count in released))
        for record in refused:
            self.end(record, Event.REJECT, errors.REJECTED_BY_REVIEWER.code)
        return ended

    def end(self, record: ObjectRecord, event: Event, code: str) -> None:
        """End an object without a release; raises StaleRecordError where somebody else changed it meanwhile."""
        stepped = self._life.step(record, event, code=code)
        with self._parts.state.together():
            self._parts.state.save(stepped, record)
            self._parts.state.add_step(record.object_id, Step(self.clock(), stepped.state.value, code))
        self._parts.deliveries.drop(record.object_id)
        self.log(events.OBJECT_HELD, object=record.object_id, code=code, state=stepped.state.value, site="")
        if code == errors.RESULT_CHANGED.code:
            self.log(events.INTEGRITY_FAILURE, object=record.object_id, code=code)

    def reconcile(self) -> int:
        """Take up what a crash, or an operator's decision in another process, left to be done; returns how many."""
        found = 0
        last = ""
        while page := self._parts.deliveries.waiting_for_nothing(last):
            self._parts.deliveries.ended(self.release(page))
            last = page[-1]
            found += len(page)
        now = self.clock()
        for record in self._parts.deliveries.claim(NOWHERE, now, self.settings.lease_seconds, 500):
            self._parts.deliveries.drop(record.object_id)
            self.plan([record.object_id])
            found += 1
        return found


def _settled(deliveries: Sequence[DeliveryRecord]) -> Sequence[DeliveryRecord] | None:
    """Return the deliveries of an object that waits for none of them any more, else None.

    It waits for each required one. Where none is required it waits until each has been tried to its end, and one that
    all refuse is not released.
    """
    required = [one for one in deliveries if one.required]
    open_ones = (DeliveryState.DUE, DeliveryState.HELD)
    if any(one.state in open_ones for one in required):
        return None
    if any(one.state is DeliveryState.DELIVERED for one in required):
        return deliveries
    if any(one.state is DeliveryState.DUE for one in deliveries):
        return None
    delivered = any(one.state is DeliveryState.DELIVERED for one in deliveries)
    held = any(one.state is DeliveryState.HELD for one in deliveries)
    return deliveries if deliveries and (delivered or not held) else None
