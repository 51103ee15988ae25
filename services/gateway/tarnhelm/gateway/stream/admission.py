"""Admission: the moment after which an object cannot be lost.

In this order: the raw blob is durable, the record is durable, the metadata pump is woken, the sender is told. What dies
before the record leaves a blob that the sweeper finds; what dies after it leaves an object that housekeeping finds. The
sender, who heard nothing, sends again and meets its own record.

Another content under the same SOP Instance UID is dealt with as the project says (``on_update``):

``supersede``
    The new one goes on. Older ones that no verdict covers yet (also held ones) are rejected with GTW-024 in the same
    transaction. One that is verified or released stays; when the new one is released, its manifest line names the older
    release as superseded. So at no moment does a UID have no release that once had one.
``keep-first``
    The new one is not kept; its sender hears success.
``quarantine``
    The new one is accepted and held with GTW-025; a reviewer decides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.gateway.broker.trace import new_trace
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.intake import Arrival, Receipt, Reception
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state import StaleRecordError, Step
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.content import Content
from tarnhelm.gateway.stream.plan_cache import PlanCache

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.blobs import BlobName, BlobStore
    from tarnhelm.gateway.keys import GatewayKeys
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.stream.meters import StreamMeters
    from tarnhelm.gateway.stream.publishing import Publisher
    from tarnhelm.gateway.stream.road import Failpoint
    from tarnhelm.gateway.stream.room import Room

__all__ = ["AdmissionSettings", "OnUpdate", "StreamAdmitter"]

_MIB: Final = 1024**2
_GONE: Final = frozenset({State.REJECTED, State.SKIPPED})
_REPLACEABLE: Final = frozenset(
    {State.ADMITTED, State.RUNNING, State.READY, State.WITNESSING, State.WAITING, State.QUARANTINED}
)
_TRIES: Final = 5


class OnUpdate(StrEnum):
    """What is done with another content under a SOP Instance UID that is here already."""

    SUPERSEDE = "supersede"
    KEEP_FIRST = "keep-first"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """How objects are taken in.

    Attributes
    ----------
    scratch
        A private folder on this machine for large objects on their way in.
    memory_bytes_per_object
        Above it an object goes to the scratch.
    on_update
        Project → what is done with another content under the same UID.
    on_update_default
        For the projects that are not named.
    limits
        ``max_object_bytes`` bounds what is taken.
    """

    scratch: Path
    memory_bytes_per_object: int = 4 * _MIB
    on_update: Mapping[str, OnUpdate] = field(default_factory=dict)
    on_update_default: OnUpdate = OnUpdate.SUPERSEDE
    limits: Limits = DEFAULT_LIMITS


class StreamAdmitter:
    """See :class:`tarnhelm.gateway.intake.Admitter`.

    Parameters
    ----------
    room
        Decides whether more is taken.
    failpoint
        Called between any two steps.
    """

    def __init__(
        self,
        settings: AdmissionSettings,
        state: StreamStore,
        blobs: BlobStore,
        keys: GatewayKeys,
        publisher: Publisher,
        room: Room,
        log: EventLog,
        *,
        meters: StreamMeters | None = None,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        failpoint: Failpoint = lambda _name: None,
    ) -> None:
        self.settings = settings
        self.state = state
        self.blobs = blobs
        self.keys = keys
        self.publisher = publisher
        self.log = log
        self.meters = meters
        self.clock = clock
        self.random = random
        self.failpoint = failpoint
        self.life = Lifecycle(lambda _verdict: False)  # decides nothing about verdicts
        self._room = room
        self._plans = PlanCache(state, clock=clock)
        settings.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)

    def room(self) -> float:
        """0.0 where objects are taken; else the seconds after which a sender should ask again."""
        return self._room.wait()

    def close(self) -> None:
        """Wait until nothing asks broker or state any more; they are closed by whoever opened them."""
        self._room.close()

    def begin(self, arrival: Arrival) -> StreamIntake:
        """Begin one object; raises GTW-020, GTW-021, LIM-001."""
        plan = self._plans.current(arrival.project)
        if plan is None:
            raise TarnhelmError(errors.NO_PLAN)
        limit = self.settings.limits.max_object_bytes
        if arrival.size > limit:
            raise TarnhelmError(errors.TOO_LARGE, seen=arrival.size, limit=limit)
        if not self._room.enter():
            raise TarnhelmError(errors.NO_ROOM)
        return StreamIntake(self, self._room, arrival, plan)

    def on_update(self, project: str) -> OnUpdate:
        """Return what a project says of other contents under one UID."""
        return OnUpdate(self.settings.on_update.get(project, self.settings.on_update_default))


class StreamIntake:
    """One object on its way in; see :class:`tarnhelm.gateway.intake.Intake`."""

    def __init__(self, admitter: StreamAdmitter, room: Room, arrival: Arrival, plan: ProjectPlan) -> None:
        self._admitter = admitter
        self._room = room
        self._arrival = arrival
        self._plan = plan
        self._content = Content(admitter.settings.scratch, admitter.settings.memory_bytes_per_object)
        self._began = admitter.clock()
        self._open = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; raises LIM-001, BLB-001, BLB-002."""
        limit = self._admitter.settings.limits.max_object_bytes
        if self._content.size + len(data) > limit:
            raise TarnhelmError(errors.TOO_LARGE, seen=self._content.size + len(data), limit=limit)
        before = self._content.held
        try:
            self._content.write(data)
        finally:
            self._room.grow(self._content.held - before)

    def commit(self) -> Receipt:
        """Make it durable, enter its record, wake the metadata pump."""
        try:
            receipt = self._commit()
        finally:
            self.abort()
        meters = self._admitter.meters
        if meters is not None:
            meters.received(self._arrival.door, receipt.reception, self._content.size)
        return receipt

    def abort(self) -> None:
        """Drop it; does nothing after a commit."""
        if self._open:
            self._open = False
            self._room.leave(self._content.held)
            self._content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _commit(self) -> Receipt:
        admitter, content = self._admitter, self._content
        digest = content.finish()
        object_id = admitter.keys.object_id(self._arrival.project, digest)
        if admitter.state.get(object_id) is not None:
            return Receipt(Reception.DUPLICATE, object_id)
        uid = content.head.sop_instance_uid if content.head is not None else ""
        uid_digest = admitter.keys.uid_digest(self._arrival.project, uid or self._arrival.sop_instance_uid)
        policy = admitter.on_update(self._arrival.project)
        if policy is OnUpdate.KEEP_FIRST and (first := self._first(uid_digest)) is not None:
            return Receipt(Reception.KEPT_FIRST, first.object_id)
        admitter.failpoint("admit: before the blob")
        name = road.raw_blob(object_id)
        fresh = self._put(name)
        admitter.failpoint("admit: before the record")
        receipt, record = self._enter(self._received(object_id, uid_digest), policy)
        if record is not None and not fresh and admitter.blobs.stat(name) is None:
            self._put(name)  # an old one without a record, which the sweeper took meanwhile
        admitter.failpoint("admit: before the message")
        if record is not None and record.state is State.ADMITTED:
            admitter.publisher.send(record, self._plan.stages[0])
        elif record is None and receipt.reception is Reception.KEPT_FIRST:
            admitter.blobs.delete(name)
        admitter.failpoint("admit: before the answer")
        return receipt

    def _put(self, name: BlobName) -> bool:
        """Make the bytes durable; False where they stand there already."""
        content = self._content
        with self._admitter.blobs.begin(name, known_sha256=content.known_sha256) as writer:
            for piece in content.in_scratch():
                writer.write(piece)
            return writer.commit(content.in_memory).created

    def _received(self, object_id: str, uid_digest: bytes) -> ObjectRecord:
        plan, arrival, admitter = self._plan, self._arrival, self._admitter
        trace = arrival.trace or new_trace(admitter.random)
        return ObjectRecord(
            object_id,
            plan_digest=plan.digest,
            policy_digest=plan.policy_digest,
            size=self._content.size,
            project=arrival.project,
            door=arrival.door,
            received=admitter.clock(),
            uid_digest=uid_digest,
            trace=trace.traceparent,
        )

    def _first(self, uid_digest: bytes) -> ObjectRecord | None:
        return next((one for one in self._admitter.state.find_uid(uid_digest) if one.state not in _GONE), None)

    def _enter(self, received: ObjectRecord, policy: OnUpdate) -> tuple[Receipt, ObjectRecord | None]:
        """Enter the record and settle it with the others of its UID, in one transaction."""
        for turn in range(_TRIES):
            try:
                with self._admitter.state.together():
                    return self._settle(received, policy)
            except StaleRecordError:  # one of the older ones was stepped meanwhile: look again
                if turn == _TRIES - 1:
                    raise TarnhelmError(errors.NO_ROOM) from None
        raise AssertionError

    def _settle(self, received: ObjectRecord, policy: OnUpdate) -> tuple[Receipt, ObjectRecord | None]:
        admitter, state = self._admitter, self._admitter.state
        state.hold(received.object_id.encode())
        others = [one for one in state.find_uid(received.uid_digest) if one.state not in _GONE]
        if any(one.object_id == received.object_id for one in others):
            return Receipt(Reception.DUPLICATE, received.object_id), None
        if others and policy is OnUpdate.KEEP_FIRST:
            return Receipt(Reception.KEPT_FIRST, others[0].object_id), None
        code = errors.UID_TAKEN.code if others and policy is OnUpdate.QUARANTINE else ""
        record = admitter.life.step(received, Event.ADMIT, *([Event.FAIL] if code else []), code=code)
        if not state.add(record):
            return Receipt(Reception.DUPLICATE, received.object_id), None
        now = admitter.clock()
        state.add_step(record.object_id, Step(now, "admitted", code, max(0.0, now - self._began)))
        if code:
            return Receipt(Reception.HELD, record.object_id, code), record
        for older in others:
            if older.state in _REPLACEABLE:
                state.save(admitter.life.step(older, Event.SUPERSEDE, code=errors.SUPERSEDED.code), older)
                state.add_step(older.object_id, Step(now, "superseded", errors.SUPERSEDED.code))
                admitter.log(events.OBJECT_SUPERSEDED, object=older.object_id, state=older.state.value)
        return Receipt(Reception.ACCEPTED, record.object_id), record
