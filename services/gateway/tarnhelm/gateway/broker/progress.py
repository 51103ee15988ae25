"""How far a consumer has come in each of its partitions: handed out, done, and what may be committed.

Objects finish in any order, a position can only say "everything before this". So it moves only over a gapless run
of done messages: one object that takes long holds its partition's position, and after a crash everything behind it
is delivered again.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import Message, Partition

__all__ = ["Progress"]


class _Track:
    """One partition: the next offset to read, the committed one, and what is out (offset → bytes, in order)."""

    __slots__ = ("committed", "next", "out")

    def __init__(self, committed: int) -> None:
        self.next = committed
        self.committed = committed
        self.out: dict[int, int] = {}

    @property
    def done_up_to(self) -> int:
        # Offsets go out in ascending order and a dict keeps it, so the first key is the lowest.
        return next(iter(self.out), self.next)


class Progress:
    """The books of one consumer; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tracks: dict[Partition, _Track] = {}
        self._bytes = 0
        self._expired = 0

    @property
    def bytes(self) -> int:
        """Bytes handed out and not done."""
        return self._bytes

    @property
    def expired(self) -> int:
        """Offsets that were passed over because retention had removed them."""
        return self._expired

    def partitions(self) -> frozenset[Partition]:
        """Return what is owned."""
        with self._lock:
            return frozenset(self._tracks)

    def begin(self, partition: Partition, committed: int) -> None:
        """Take a partition over at its committed position; -1: nothing was committed, any first record will do."""
        with self._lock:
            self._forget(partition)
            self._tracks[partition] = _Track(committed)

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions that were lost."""
        with self._lock:
            for partition in partitions:
                self._forget(partition)

    def owns(self, partition: Partition) -> bool:
        """Whether the partition is owned."""
        return partition in self._tracks

    def next_of(self, partition: Partition) -> int:
        """Return the offset to read next."""
        return self._tracks[partition].next

    def committed_of(self, partition: Partition) -> int:
        """Return the position that was last committed."""
        return self._tracks[partition].committed

    def hand_out(self, message: Message) -> bool:
        """Enter one message that goes out; False where the partition is not owned or the offset was already passed."""
        with self._lock:
            track = self._tracks.get(message.partition)
            if track is None or message.offset < track.next:
                return False
            if track.next >= 0:
                self._expired += message.offset - track.next
            track.next = message.offset + 1
            track.out[message.offset] = size = message.size
            self._bytes += size
            return True

    def done(self, message: Message) -> None:
        """Mark one message as done."""
        with self._lock:
            track = self._tracks.get(message.partition)
            if track is not None:
                self._bytes -= track.out.pop(message.offset, 0)

    def committable(self) -> dict[Partition, int]:
        """Return the positions that are ahead of what was committed."""
        with self._lock:
            return {
                partition: up_to
                for partition, track in self._tracks.items()
                if (up_to := track.done_up_to) > track.committed
            }

    def committed(self, positions: Mapping[Partition, int]) -> None:
        """Note that the broker took these positions."""
        with self._lock:
            for partition, offset in positions.items():
                track = self._tracks.get(partition)
                if track is not None:
                    track.committed = max(track.committed, offset)

    def rewind(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Go back to the committed positions; returns them."""
        with self._lock:
            found = {}
            for partition in partitions:
                track = self._tracks.get(partition)
                if track is not None:
                    self._bytes -= sum(track.out.values())
                    self._tracks[partition] = _Track(track.committed)
                    found[partition] = track.committed
            return found

    def _forget(self, partition: Partition) -> None:
        track = self._tracks.pop(partition, None)
        if track is not None:
            self._bytes -= sum(track.out.values())
