"""What the stream asks of the state beyond one machine's run: plans, lists, an object's road, volumes, grouped writes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from tarnhelm.gateway.plans import ProjectPlan
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state.base import Decision, StateStore

__all__ = ["UNFINISHED", "Step", "StreamStore", "Tally", "VolumeRecord"]

UNFINISHED = (State.ADMITTED, State.RUNNING, State.READY, State.WITNESSING, State.VERIFIED, State.WAITING)
"""States of an object that was accepted and has not come to its end."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step on an object's road.

    Attributes
    ----------
    at
        When it ended, seconds since 1970.
    step
        ``admitted``, a stage's name, ``witness``, ``released``, ``waiting``, ``purged``, or a decision's kind.
    code
        What it ended with; empty where all was well.
    seconds
        How long it took, without the waiting before it.
    """

    at: float
    step: str
    code: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """The objects of one state: how many, and when the oldest was accepted (seconds since 1970)."""

    count: int
    oldest: float


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """One volume: the objects of one study and frame of reference that imaging sees together.

    Attributes
    ----------
    volume
        Keyed id; the key of its message.
    state
        ``open`` while it collects, ``closed`` once its message may go out, ``done`` after its stage.
    geometry
        What the late window compares with: JSON of rows, columns and the like, never pixels; empty until it closes.
    touched
        When the last object came, seconds since 1970.
    """

    volume: str
    plan_digest: str
    revision: int = 0
    state: str = "open"
    members: int = 0
    geometry: str = ""
    opened: float = 0.0
    touched: float = 0.0

    def stepped(self, **changes: object) -> VolumeRecord:
        """Return its next revision."""
        return replace(self, revision=self.revision + 1, **changes)  # type: ignore[arg-type]


class StreamStore(StateStore, Protocol):
    """The state of a stream; safe among threads and, unbatched, among processes."""

    def together(self) -> AbstractContextManager[None]:
        """Make the calls within it one transaction, durable when the context ends, all of them or none.

        Several threads that do so at the same time share a sync. Within it a thread sees its own writes. An
        exception undoes its writes only.

        Raises
        ------
        TarnhelmError
            At its end: nothing was kept.
        """
        ...

    def hold(self, key: bytes) -> None:
        """Wait until nobody else holds ``key``, and hold it until the transaction of :meth:`together` ends."""
        ...

    def put_plan(self, plan: ProjectPlan) -> None:
        """Keep a plan under its digest, and make it the one that new objects of its project are admitted under."""
        ...

    def plan(self, digest: str) -> ProjectPlan | None:
        """Return the plan of a digest; it never changes."""
        ...

    def current_plan(self, project: str) -> ProjectPlan | None:
        """Return the plan that new objects of a project are admitted under."""
        ...

    def projects(self) -> Sequence[str]:
        """Projects that have a plan, in order."""
        ...

    def find_uid(self, uid_digest: bytes) -> Sequence[ObjectRecord]:
        """Return the objects of a keyed SOP Instance UID, the oldest first.

        Within :meth:`together` no other process can enter one of the same UID until the context ends.
        """
        ...

    def page(
        self,
        state: State | None = None,
        *,
        code: str = "",
        project: str = "",
        after: ObjectRecord | None = None,
        limit: int = 50,
    ) -> Sequence[ObjectRecord]:
        """Return objects of the stream, the newest first, behind ``after``, the last one of the page before."""
        ...

    def tallies(self) -> dict[State, Tally]:
        """Count the objects of the stream by state, with the age of the oldest of each."""
        ...

    def oldest(self) -> dict[State, float]:
        """When the oldest object of each unfinished state was accepted, seconds since 1970."""
        ...

    def untouched(self, before: float, *states: State, limit: int = 500) -> Sequence[ObjectRecord]:
        """Return objects of the stream in these states whose last step lies before a moment, the oldest first."""
        ...

    def add_step(self, object_id: str, step: Step) -> None:
        """Note one step on an object's road."""
        ...

    def steps(self, object_id: str) -> Sequence[Step]:
        """Return an object's road in order."""
        ...

    def decisions_of(self, object_id: str) -> Sequence[Decision]:
        """Return the decisions about one object in order."""
        ...

    def members(self, volume: str) -> Sequence[ObjectRecord]:
        """Return the objects of a volume by id."""
        ...

    def put_volume(self, volume: VolumeRecord, was: VolumeRecord | None) -> None:
        """Enter a volume (``was`` None) or compare-and-set its revision; raises StaleRecordError."""
        ...

    def volume(self, volume: str) -> VolumeRecord | None:
        """Return one volume."""
        ...

    def volumes(self, state: str, before: float, limit: int = 200) -> Sequence[VolumeRecord]:
        """Return volumes of a state that nobody has touched since a moment, the oldest first."""
        ...
