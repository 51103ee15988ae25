"""Objects that come in chunks: each chunk is put into the blob store, so memory stays flat and positions move on.

A chunk is durable before its record counts as done. What is known of an object stands beside its chunks, so that any
replica, after any death, finds what is complete. Names are keyed digests; a marker remembers what was completed or given
up, for chunks that come once more.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs.base import BlobName, put

if TYPE_CHECKING:
    from tarnhelm.gateway.blobs.base import BlobStore
    from tarnhelm.gateway.doors.ingest_settings import ReassemblySettings
    from tarnhelm.gateway.ingest.records import Chunk

__all__ = ["AREA", "ENDED_AREA", "Progress", "Reassembly", "Standing", "Transfer"]

AREA: Final = "ingest"
ENDED_AREA: Final = "ingestended"
"""Markers of what was completed or given up; apart, so that a look meets only what is open."""
_HEAD: Final = "head"
_CHUNK: Final = "chunk-"
_SHA256_BYTES: Final = 32
_REMEMBERED: Final = 128
_TIDY_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """One object that comes in chunks, as all its chunks describe it.

    Attributes
    ----------
    name
        Keyed digest of all below; 32 hex digits.
    signer
        Number of the producer's key, and ``producer`` its name; empty: none.
    """

    name: str
    project: str
    producer: str
    signer: str
    record_id: str = field(repr=False)
    count: int
    total_size: int
    is_dicom: bool
    sealed_to: str


class Progress(Enum):
    """What a chunk brought about."""

    WAITING = "waiting"
    COMPLETE = "complete"
    ENDED = "ended"
    """The object was completed, or given up, before."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An object that a look through the store found in need of something.

    Attributes
    ----------
    chunks
        How many are there; all of them: it can be taken in, else it is to be given up.
    """

    transfer: Transfer
    chunks: int

    @property
    def complete(self) -> bool:
        """Whether all chunks are there."""
        return self.chunks == self.transfer.count


@dataclass(slots=True)
class _Open:
    """What this process has seen of one object."""

    seen: dict[int, int] = field(default_factory=dict)
    begun: bool = False
    ended: bool = False
    claimed: bool = False

    @property
    def bytes(self) -> int:
        return sum(self.seen.values())


class Reassembly:
    """Chunks on their way to a whole; safe among threads and processes.

    Parameters
    ----------
    clock
        Seconds since 1970.
    """

    def __init__(self, settings: ReassemblySettings, blobs: BlobStore, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._blobs = blobs
        self._clock = clock
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._pending = 0
        self._put_since_look = 0
        self._next_tidy = 0.0

    @property
    def pending_bytes(self) -> int:
        """Bytes of chunks in the store, as far as this process knows."""
        return self._pending

    def take(self, transfer: Transfer, chunk: Chunk) -> Progress:
        """Make one chunk durable.

        Raises
        ------
        TarnhelmError
            ING-011 where no further object may be begun now; ING-009 where the chunks are more than the whole; BLB-….
        """
        known = self._known(transfer)
        if known.ended:
            return Progress.ENDED
        if not known.begun:
            if self._pending > self._settings.max_pending_bytes:
                raise TarnhelmError(errors.CHUNKS_FULL)
            put(self._blobs, BlobName(AREA, transfer.name, _HEAD), [_document(transfer)])
            known.begun = True
        with self._lock:
            new = chunk.index not in known.seen
            if new and known.bytes + len(chunk.data) > transfer.total_size:
                raise TarnhelmError(errors.PAYLOAD_DIFFERS)
        if new:
            put(self._blobs, _chunk_name(transfer.name, chunk.index), [chunk.sha256, chunk.data])
            if self._has_ended(transfer.name):  # another replica was through in between, and has deleted its chunks
                self._leave_nothing(transfer, chunk.index)
                return Progress.ENDED
            with self._lock:
                known.seen[chunk.index] = len(chunk.data)
                self._pending += len(chunk.data)
                self._put_since_look += len(chunk.data)
        with self._lock:
            return Progress.COMPLETE if len(known.seen) == transfer.count else Progress.WAITING

    def claim(self, transfer: Transfer) -> bool:
        """Whether the caller is the one in this process to take the whole in; to be let go by :meth:`unclaim`.

        Who is not has nothing to do: its chunk is durable, and the other one's record is not done before the whole is.
        """
        with self._lock:
            known = self._open.setdefault(transfer.name, _Open())
            mine = not known.claimed and not known.ended
            known.claimed = known.claimed or mine
            return mine

    def unclaim(self, transfer: Transfer) -> None:
        """Let others take it in, where it did not end."""
        with self._lock:
            known = self._open.get(transfer.name)
            if known is not None:
                known.claimed = False
                if not known.begun and not known.ended:  # nothing was seen of it here but that it is whole
                    del self._open[transfer.name]

    def sha256(self, transfer: Transfer) -> bytes:
        """Return what the last chunk says of the whole."""
        with self._blobs.open(_chunk_name(transfer.name, transfer.count - 1), 0, _SHA256_BYTES) as reader:
            return b"".join(reader)

    def pieces(self, transfer: Transfer) -> Iterator[bytes]:
        """Yield the payload; BLB-004 where a chunk has gone."""
        for index in range(transfer.count):
            start = _SHA256_BYTES if index == transfer.count - 1 else 0
            with self._blobs.open(_chunk_name(transfer.name, index), start) as reader:
                yield from reader

    def ended(self, transfer: Transfer) -> bool:
        """Whether the object was completed or given up, by whomever."""
        return self._has_ended(transfer.name)

    def end(self, transfer: Transfer) -> None:
        """Remember that the object is through, and delete its chunks."""
        put(self._blobs, BlobName(ENDED_AREA, transfer.name), [b"ended"])
        with self._lock:
            known = self._open.setdefault(transfer.name, _Open())
            known.ended = True
            self._pending = max(0, self._pending - known.bytes)
            known.seen.clear()
        for index in range(transfer.count):
            self._blobs.delete(_chunk_name(transfer.name, index))
        self._blobs.delete(BlobName(AREA, transfer.name, _HEAD))

    def forget(self, transfer: Transfer) -> None:
        """Look into the store again when the next chunk comes."""
        with self._lock:
            self._open.pop(transfer.name, None)

    def look(self) -> Iterator[Standing]:
        """Look through the store: yield what is complete and nobody takes in, and what is too old; tidy the rest."""
        now = self._clock()
        pending = 0
        with self._lock:
            self._put_since_look = 0
        for name, group in itertools.groupby(self._blobs.listing(AREA), key=lambda one: one.name.object_id):
            parts = {one.name.part: one for one in group}
            chunks = [one for part, one in parts.items() if part.startswith(_CHUNK)]
            age = now - max(one.modified for one in parts.values())
            transfer = self._read_head(name) if _HEAD in parts else None
            given_up = age > self._settings.patience_seconds
            complete = transfer is not None and len(chunks) == transfer.count
            if not given_up and not (complete and age > self._settings.look_seconds):
                pending += sum(one.size for one in chunks)
            elif transfer is None or self._has_ended(name):  # what a chunk that came once more left behind
                for one in parts.values():
                    self._blobs.delete(one.name)
            else:
                pending += sum(one.size for one in chunks)
                yield Standing(transfer, len(chunks))
        with self._lock:  # a chunk put meanwhile may have been passed by: counted once more until the next look
            self._pending = pending + self._put_since_look
        if now >= self._next_tidy:
            self._next_tidy = now + min(_TIDY_SECONDS, self._settings.remember_seconds)
            self._tidy(now)

    def _tidy(self, now: float) -> None:
        for marker in self._blobs.listing(ENDED_AREA):
            if now - marker.modified > self._settings.remember_seconds:
                self._blobs.delete(marker.name)
                with self._lock:
                    self._open.pop(marker.name.object_id, None)

    def _leave_nothing(self, transfer: Transfer, index: int) -> None:
        """Take back what came once more: whoever ends an object leaves its marker first and deletes after."""
        with self._lock:
            self._open.setdefault(transfer.name, _Open()).ended = True
        self._blobs.delete(_chunk_name(transfer.name, index))
        self._blobs.delete(BlobName(AREA, transfer.name, _HEAD))

    def _has_ended(self, name: str) -> bool:
        return self._blobs.stat(BlobName(ENDED_AREA, name)) is not None

    def _known(self, transfer: Transfer) -> _Open:
        name = transfer.name
        with self._lock:
            known = self._open.get(name)
            if known is not None:
                self._open.move_to_end(name)
                return known
        found = _Open(ended=self._has_ended(name))
        for one in self._blobs.listing(AREA, name):
            part = one.name.part
            if part.startswith(_CHUNK):
                index = int(part.removeprefix(_CHUNK))
                found.seen[index] = one.size - (_SHA256_BYTES if index == transfer.count - 1 else 0)
            found.begun = found.begun or part == _HEAD
        with self._lock:
            known = self._open.setdefault(name, found)
            while len(self._open) > _REMEMBERED:
                self._open.popitem(last=False)
            return known

    def _read_head(self, name: str) -> Transfer | None:
        with contextlib.suppress(ValueError, TypeError):
            try:
                with self._blobs.open(BlobName(AREA, name, _HEAD)) as reader:
                    found: dict[str, Any] = json.loads(b"".join(reader))
            except TarnhelmError as error:
                if error.code == errors.BLOB_MISSING.code:  # another replica was faster
                    return None
                raise
            return Transfer(name=name, **found)
        return None


def _chunk_name(name: str, index: int) -> BlobName:
    return BlobName(AREA, name, f"{_CHUNK}{index:05}")


def _document(transfer: Transfer) -> bytes:
    found = asdict(transfer)
    del found["name"]
    return json.dumps(found, sort_keys=True).encode()
