"""The seam of the delivery store; one contract suite runs over every implementation.

Deliveries, manifest lines and tombstones stand in one store, because an object's line and its deliveries become
durable together: nothing leaves without a line, and no line is without its deliveries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Begun", "DeliveryRecord", "DeliveryState", "DeliveryStore", "Planned", "Released", "Sign"]


class DeliveryState(StrEnum):
    """Where the delivery of one object to one destination is."""

    DUE = "due"
    """To be made, now or at its time."""
    DELIVERED = "delivered"
    """The destination has it."""
    HELD = "held"
    """The destination does not take it; an operator retries it or gives it up."""
    WAIVED = "waived"
    """An operator gave it up."""


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One object for one destination.

    Attributes
    ----------
    sha256
        Of the bytes, hex.
    required
        Whether the object waits for it before it is released.
    attempts
        How often it was begun; 1 in the first try.
    doubts
        How often the destination failed over it.
    due
        Seconds since 1970 before which it is not tried.
    code
        Of the last failure; empty: none.
    """

    object_id: str
    destination: str
    sha256: str
    required: bool = True
    state: DeliveryState = DeliveryState.DUE
    attempts: int = 0
    doubts: int = 0
    due: float = 0.0
    code: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """An object whose release is decided.

    Attributes
    ----------
    patient_id, study, sop_instance
        Surrogates, to find it by in a withdrawal and as an earlier version.
    deliveries
        One for each destination.
    leaves
        False: no destination wants it, so there is no line either.
    """

    object_id: str
    sha256: str
    project: str
    patient_id: str
    study: str
    sop_instance: str
    path: str
    deliveries: tuple[DeliveryRecord, ...]
    leaves: bool = True


@dataclass(frozen=True, slots=True)
class Released:
    """What a manifest line says that others look for."""

    object_id: str
    sha256: str
    sop_instance: str
    path: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A delivery that was entered and claimed at once.

    Attributes
    ----------
    line, supersedes
        The object's manifest line and what it replaces; both empty where the line stood there before.
    """

    delivery: DeliveryRecord
    line: bytes
    supersedes: str


Sign = Callable[[Planned, int, str, str], bytes]
"""Makes a line of (object, number in the chain, hash of the line before, object id of the version it replaces)."""


class DeliveryStore(Protocol):
    """Deliveries, manifest, tombstones; every write is durable when its call returns. Safe among threads and processes.

    Errors: STA-001 and GTW-004 may be tried again.
    """

    def plan(self, writer: str, planned: Sequence[Planned], sign: Sign, now: float) -> Sequence[Begun]:
        """Enter deliveries and manifest lines of these objects, all or none.

        What is known already stays as it is. An object that comes with other bytes than before (it went through the
        stages again) gets a further line, and its deliveries begin anew.

        A delivery that has an attempt already is the caller's from the begin, as if it had claimed it until its
        ``due``. Returns those of them that were entered.
        """
        ...

    def claim(self, destination: str, now: float, lease_seconds: float, most: int) -> Sequence[DeliveryRecord]:
        """Take what is due, the longest due first; nobody else gets it before the lease is over."""
        ...

    def renew(self, records: Sequence[DeliveryRecord], until: float) -> None:
        """Keep claimed deliveries for longer."""
        ...

    def settle(self, records: Sequence[DeliveryRecord], ended: Sequence[str] = ()) -> None:
        """Write down how claimed deliveries went; of one that somebody else has claimed since, only a success.

        ``ended`` is written down in the same transaction, as by :meth:`ended`.
        """
        ...

    def of(self, object_id: str) -> Sequence[DeliveryRecord]:
        """Deliveries of an object, by destination."""
        ...

    def of_all(self, object_ids: Sequence[str]) -> Mapping[str, Sequence[DeliveryRecord]]:
        """Deliveries of several objects, by destination; those that have none are missing."""
        ...

    def listing(self, state: DeliveryState, destination: str = "", most: int = 1000) -> Sequence[DeliveryRecord]:
        """Deliveries in a state, of one destination or all, by object id."""
        ...

    def retry(self, object_id: str, destination: str, now: float) -> bool:
        """Make a held or waived delivery due again; false if there is none."""
        ...

    def waive(self, object_id: str, destination: str) -> bool:
        """Give up a delivery that is due or held; false if there is none."""
        ...

    def drop(self, object_id: str) -> None:
        """Forget the deliveries of an object; its manifest lines stay."""
        ...

    def ended(self, object_ids: Sequence[str]) -> None:
        """Write down that the records of these objects have left VERIFIED."""
        ...

    def waiting_for_nothing(self, after: str = "", most: int = 500) -> Sequence[str]:
        """Objects that were planned, have not ended, and have no required delivery due; by id."""
        ...

    def counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        """How many deliveries of each destination are in each state."""
        ...

    def oldest_due(self) -> Mapping[str, float]:
        """When the delivery that has been open longest was planned, for each destination that has any."""
        ...

    def line(self, object_id: str, sha256: str) -> tuple[bytes, str]:
        """Manifest line of an object, and the object id of the version that it replaces; both empty: none."""
        ...

    def lines(self, writer: str, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Lines of one chain with their numbers, in order."""
        ...

    def writers(self) -> Sequence[str]:
        """All who have written lines, sorted."""
        ...

    def released(self, project: str, patient_ids: Sequence[str], studies: Sequence[str]) -> Sequence[Released]:
        """What the manifest has of these surrogates."""
        ...

    def bury(self, digests: Sequence[bytes], order: str, now: float) -> None:
        """Enter tombstones, keyed digests of surrogates."""
        ...

    def buried(self, digests: Sequence[bytes]) -> bool:
        """Whether any of these has a tombstone."""
        ...

    def told(self, order: str) -> frozenset[str]:
        """Which steps of a withdrawal order are done: names of destinations, and ``purged`` for the purge itself."""
        ...

    def tell(self, order: str, step: str, now: float) -> None:
        """Write down that a step of an order is done."""
        ...

    def close(self) -> None:
        """Let go."""
        ...
