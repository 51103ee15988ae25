"""From a record to what is sent: the verified bytes, compared with the verdict before one of them goes out."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.destinations.base import Parcel
from tarnhelm.gateway.record import State
from tarnhelm.gateway.release import candidate_paths
from tarnhelm.gateway.stream import road

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tarnhelm.gateway.blobs.base import BlobName, BlobReader, BlobStore
    from tarnhelm.gateway.deliveries.base import DeliveryRecord, DeliveryStore
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.state.base import StateStore

__all__ = ["Bytes", "Known", "ParcelMaker", "facts_of", "path_of"]


@dataclass(frozen=True, slots=True)
class Bytes:
    """Where the verified bytes are: ``source`` opens them again and again."""

    size: int
    source: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Known:
    """What the plan of an object's release has found, for its delivery a moment later.

    Attributes
    ----------
    pieces
        The verified bytes, compared with the verdict's digest; None where they were not kept.
    line, supersedes
        Its manifest line, and the object id of the version that it replaces; both empty: to be looked up.
    """

    record: ObjectRecord
    facts: ObjectFacts
    size: int
    pieces: tuple[bytes, ...] | None
    line: bytes = b""
    supersedes: str = ""

    @property
    def kept_bytes(self) -> int:
        """How much memory it takes."""
        return 0 if self.pieces is None else self.size


def facts_of(store: StateStore, record: ObjectRecord, first_stage: str) -> ObjectFacts:
    """Return what the first stage said of an object."""
    for end in ("+accepted", "") if record.accepted else ("", "+accepted"):
        outcome = store.outcome(record.object_id, first_stage, f"{record.plan_digest}{end}")
        if outcome is not None and outcome.facts is not None:
            return outcome.facts
    return ObjectFacts()


def path_of(record: ObjectRecord, facts: ObjectFacts) -> str:
    """Surrogate path of an object: the one that the state keeps for it, or the one that no other can have."""
    return record.output_path or candidate_paths(facts, record.object_id)[-1]


class ParcelMaker:
    """Makes parcels; safe among threads.

    Parameters
    ----------
    state, blobs, deliveries
        Where records, bytes and manifest lines are.
    plan_of
        Gives the plan of a digest, None for one that is not known.
    memory_bytes
        Up to this size an object is held in memory while it is sent.
    """

    def __init__(
        self,
        state: StateStore,
        blobs: BlobStore,
        deliveries: DeliveryStore,
        plan_of: Callable[[str], ProjectPlan | None],
        memory_bytes: int,
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._deliveries = deliveries
        self._plan_of = plan_of
        self._memory_bytes = memory_bytes

    def parcel(self, delivery: DeliveryRecord, known: Known | None = None) -> Parcel:
        """Return what is to be sent.

        The record is read anew whatever is ``known``: the object may have been withdrawn a moment ago. What is known
        of another revision of it is not used.

        Raises
        ------
        TarnhelmError
            GTW-003 where the bytes, or the record, are no longer what the witness judged; DLV-017 where they are
            gone; DLV-020 where the object was withdrawn; BLB-….
        """
        record = self._state.get(delivery.object_id)
        if record is None or record.state not in (State.VERIFIED, State.RELEASED):
            kind = errors.DELIVERY_WITHDRAWN if record and record.state is State.REJECTED else errors.DELIVERY_GONE
            raise TarnhelmError(kind)
        if not record.verdict or record.output_sha256 != delivery.sha256:
            raise TarnhelmError(errors.RESULT_CHANGED)
        plan = self._plan_of(record.plan_digest)
        if known is None or known.record != record:
            facts = facts_of(self._state, record, plan.stages[0] if plan else "metadata")
            known = Known(record, facts, 0, None)
        facts, line, supersedes = known.facts, known.line, known.supersedes
        found = self.bytes_of(record, plan) if known.pieces is None else Bytes(known.size, known.pieces.__iter__)
        if not line:
            line, supersedes = self._deliveries.line(record.object_id, record.output_sha256)
        return Parcel(
            object_id=record.object_id,
            project=record.project,
            facts=facts,
            size=found.size,
            sha256=record.output_sha256,
            path=path_of(record, facts),
            source=found.source,
            manifest_line=line,
            supersedes=facts.sop_uid if supersedes else "",
            attempt=delivery.attempts,
            trace=record.trace,
        )

    def look(
        self, record: ObjectRecord, plan: ProjectPlan | None, most_bytes: int
    ) -> tuple[int, tuple[bytes, ...] | None]:
        """Size of the verified bytes, and themselves where they are few enough; raises GTW-003 and DLV-017."""
        if most_bytes <= 0:
            return self._verified(record, plan)[1], None
        try:
            with self._reader(record, plan) as reader:
                size = reader.info.size
                return size, tuple(reader) if size <= min(most_bytes, self._memory_bytes) else None
        except TarnhelmError as error:
            raise _told(error) from None

    def bytes_of(self, record: ObjectRecord, plan: ProjectPlan | None) -> Bytes:
        """Find the verified bytes and read all of them once; raises GTW-003 and DLV-017."""
        try:
            with self._reader(record, plan) as reader:
                name, size = reader.info.name, reader.info.size
                in_memory = size <= self._memory_bytes
                # The store compares what it reads with the digest of its head, which is the verdict's.
                kept = deque(reader, None if in_memory else 0)
        except TarnhelmError as error:
            raise _told(error) from None
        if in_memory:
            return Bytes(size, lambda: iter(kept))
        return Bytes(size, lambda: self._again(name, record.output_sha256))

    def _reader(self, record: ObjectRecord, plan: ProjectPlan | None) -> BlobReader:
        """Open the blob whose head names the digest of the verdict; raises GTW-003 and DLV-017."""
        if plan is not None:
            with suppress(TarnhelmError):  # what is wrong with it is said below
                reader = self._blobs.open(road.result_blob(record, plan))
                if reader.info.sha256 == record.output_sha256:
                    return reader
                reader.close()
        name, _ = self._verified(record, plan)
        reader = self._blobs.open(name)
        if reader.info.sha256 != record.output_sha256:  # another stands there since a moment ago
            reader.close()
            raise TarnhelmError(errors.RESULT_CHANGED)
        return reader

    def _again(self, name: BlobName, sha256: str) -> Iterator[bytes]:
        """Read once more; the store compares the digest of its head before it hands out the last piece."""
        try:
            with self._blobs.open(name) as reader:
                same = reader.info.sha256 == sha256
                if same:
                    yield from reader
        except TarnhelmError as error:
            raise _told(error) from None
        if not same:
            raise TarnhelmError(errors.RESULT_CHANGED)

    def _verified(self, record: ObjectRecord, plan: ProjectPlan | None) -> tuple[BlobName, int]:
        """Return the work blob that holds the bytes of the verdict: the last stage's, else whichever has them."""
        if plan is not None:
            name = road.result_blob(record, plan)
            info = self._blobs.stat(name)
            if info is not None and info.sha256 == record.output_sha256:
                return name, info.size
        changed = False
        for stored in self._blobs.listing("work", record.object_id):
            if stored.name.object_id == record.object_id:
                info = self._blobs.stat(stored.name)
                if info is not None and info.sha256 == record.output_sha256:
                    return stored.name, info.size
                changed = True
        raise TarnhelmError(errors.RESULT_CHANGED if changed else errors.DELIVERY_GONE)


def _told(error: TarnhelmError) -> TarnhelmError:
    """Say that a blob went meanwhile in words of a delivery."""
    return TarnhelmError(errors.DELIVERY_GONE) if error.kind is errors.BLOB_MISSING else error
