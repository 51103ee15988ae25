"""The thread that reads for one consumer: it stays in the client's ``poll``, whatever the consumer's owner does.

The client takes part in a rebalance only while somebody is in ``poll``; the answer to its join that comes between
two calls is thrown away and asked for again, and that makes every other member join again. A pump that looks in
now and then could so keep a group from ever agreeing. This thread is always there. It reads ahead, within a bound.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import MemberState

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.base import Message, Partition
from tarnhelm.gateway.broker.kafka.faults import fault_of

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.progress import Progress

__all__ = ["LOST", "Reader", "native", "ours"]

LOST: Final = (
    kafka_errors.RebalanceInProgressError,
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
    kafka_errors.FencedInstanceIdError,
)
"""The membership is in question: poll again, and it is taken up anew."""
_AHEAD_BYTES: Final = 8 << 20
_AHEAD_RECORDS: Final = 1000
_FEW_RECORDS: Final = 64
_FEW_BYTES: Final = 256 * 1024
"""A fetch that brought less is followed by the next one after a rest."""
_POLL_MS: Final = 200
_JOIN_MS: Final = 1000
_SILENCE_SECONDS: Final = 240.0
"""Nobody has asked for messages for so long: the owner hangs, and the partitions shall go to others."""
_FAULT_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 30.0


def native(partition: Partition) -> TopicPartition:
    """Return the client's name of a partition."""
    return TopicPartition(partition.topic, partition.number)


def ours(partition: TopicPartition) -> Partition:
    """Return our name of a partition."""
    return Partition(partition.topic, partition.partition)


class _Changes(ConsumerRebalanceListener):
    """What the client says of the assignment, on a thread of its own that must not wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[tuple[bool, frozenset[Partition]]] = []

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Another member gets these."""
        self._note(revoked, gained=False)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """The group went on without us."""
        self._note(lost, gained=False)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """These are ours from now on."""
        self._note(assigned, gained=True)

    def take(self) -> list[tuple[bool, frozenset[Partition]]]:
        """Return what happened, in order, and forget it."""
        with self._lock:
            events, self._events = self._events, []
            return events

    def _note(self, partitions: Iterable[TopicPartition], *, gained: bool) -> None:
        with self._lock:
            self._events.append((gained, frozenset(map(ours, partitions))))


class Reader:
    """Reads ahead for a consumer, and follows its group.

    Parameters
    ----------
    client
        A ``KafkaConsumer``; from now on only this thread polls, pauses and seeks it.
    gather_seconds
        Rest after a fetch that brought little: what comes meanwhile is fetched together. A fetch costs both sides far
        more than a record in it. What comes after a pause meets a fetch that waits for it.
    monotonic
        Seconds.
    """

    def __init__(
        self,
        client: Any,
        topics: Iterable[str],
        progress: Progress,
        request_ms: int,
        gather_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._client = client
        self._progress = progress
        self._request_ms = request_ms
        self._gather = gather_seconds
        self._monotonic = monotonic
        self._events = _Changes()
        client.subscribe(topics=sorted(set(topics)), listener=self._events)
        self._changed = threading.Condition()
        self._ready: deque[Message] = deque()
        self._ready_bytes = 0
        self._paused: frozenset[Partition] = frozenset()
        self._seeks: dict[Partition, int] = {}
        self._starting: set[Partition] = set()
        self._moves: list[tuple[frozenset[Partition], frozenset[Partition]]] = []
        self._fault: TarnhelmError | None = None
        self._no_room = False
        self._asked = monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker-reader", daemon=True)
        self._thread.start()

    # --- for the owner -----------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Wait for a message that may go out, a change of the assignment, or a fault."""
        with self._changed:
            self._asked = self._monotonic()
            self._changed.wait_for(self._has_news, seconds)

    def _has_news(self) -> bool:
        if self._moves or self._fault is not None:
            return True
        # Without room only the owner's own `done` helps, and the owner is waiting here.
        held = self._paused | self._starting
        return not self._no_room and any(message.partition not in held for message in self._ready)

    def take_moves(self) -> list[tuple[frozenset[Partition], frozenset[Partition]]]:
        """Return (gained, lost) of each rebalance since the last call; raises the fault that was met, once."""
        with self._changed:
            moves, self._moves = self._moves, []
            fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        return moves

    def hand_out(self, max_records: int, max_bytes: int, most_in_flight: int) -> list[Message]:
        """Return what may go out, and enter it in the progress."""
        found: list[Message] = []
        kept: deque[Message] = deque()
        with self._changed:
            full = False
            while self._ready:
                message = self._ready.popleft()
                room = min(max_bytes, most_in_flight - self._progress.bytes)
                too_large = message.size > room and bool(found or self._progress.bytes)
                full = full or len(found) >= max_records or too_large
                if full or message.partition in self._paused or message.partition in self._starting:
                    kept.append(message)
                    continue
                self._ready_bytes -= message.size
                if self._progress.hand_out(message):
                    found.append(message)
                    max_bytes -= message.size
            self._ready = kept
            self._no_room = full and not found
            if found:
                self._changed.notify_all()
        return found

    def set_paused(self, partitions: frozenset[Partition]) -> None:
        """Read nothing of these."""
        with self._changed:
            self._paused = partitions
            self._changed.notify_all()

    def rewind(self, partitions: Collection[Partition]) -> None:
        """Read again from the committed positions, or from the oldest record."""
        with self._changed:
            positions = self._progress.rewind(partitions)
            self._forget(positions)
            self._seeks.update(positions)

    def stop(self) -> None:
        """End the thread; the client is the caller's again."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    # --- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._monotonic() - self._asked > _SILENCE_SECONDS:
                self._stopping.wait(_FAULT_SECONDS)
                continue
            try:
                self._round()
            except LOST:
                continue
            except Exception as error:  # noqa: BLE001  # whatever it is, the owner hears of it and the thread goes on
                with self._changed:
                    self._fault = fault_of(error)
                    self._changed.notify_all()
                self._stopping.wait(_FAULT_SECONDS)

    def _round(self) -> None:
        joined = self._client.group_metadata().state is MemberState.STABLE
        with self._changed:
            # Enough was read ahead: wait for room here, since a client with everything paused would sleep on. But not
            # while the group is joining, for then the place to wait is the client's poll.
            full = not self._changed.wait_for(self._has_room, _POLL_MS / 1000 if joined else 0)
            self._seek()
            self._hold(everything=full)
        milliseconds = _JOIN_MS if not joined else 0 if full else _POLL_MS
        found = self._client.poll(milliseconds, _AHEAD_RECORDS)
        with self._changed:
            self._follow()
            before = len(self._ready), self._ready_bytes
            for records in found.values():
                for record in records:
                    message = _message(record)
                    # A seek that came during the poll makes what was read before it void.
                    if message.partition not in self._seeks:
                        self._ready.append(message)
                        self._ready_bytes += message.size
            few = len(self._ready) - before[0] < _FEW_RECORDS and self._ready_bytes - before[1] < _FEW_BYTES
            starting = sorted(self._starting)
            if found and not starting:
                self._changed.notify_all()
        for partition in starting:
            self._start(partition)
        if found and few and not starting:
            self._stopping.wait(self._gather)

    def _has_room(self) -> bool:
        return self._ready_bytes < _AHEAD_BYTES and len(self._ready) < _AHEAD_RECORDS

    def _hold(self, *, everything: bool) -> None:
        """Pause in the client what must not be read now."""
        assigned = self._client.assignment()
        wanted = {one for one in assigned if everything or ours(one) in self._paused or ours(one) in self._starting}
        held = self._client.paused() & assigned
        if resumed := held - wanted:
            self._client.resume(*resumed)
        if paused := wanted - held:
            self._client.pause(*paused)

    def _seek(self) -> None:
        assigned = self._client.assignment()
        for partition, offset in self._seeks.items():
            if native(partition) not in assigned:
                continue
            if offset < 0:
                self._client.seek_to_beginning(native(partition))
            else:
                self._client.seek(native(partition), offset)
        self._seeks.clear()

    def _follow(self) -> None:
        for is_gain, partitions in self._events.take():
            if is_gain:
                self._starting |= partitions
                continue
            known = partitions & self._progress.partitions()
            self._starting -= partitions
            self._progress.drop(partitions)
            self._forget(partitions)
            self._seeks = {one: offset for one, offset in self._seeks.items() if one not in partitions}
            if known:
                self._moves.append((frozenset(), known))
                self._changed.notify_all()

    def _start(self, partition: Partition) -> None:
        """Learn the committed position of a partition that is new here; what was read of it goes out after that."""
        committed = self._client.committed(native(partition), timeout_ms=self._request_ms)
        with self._changed:
            self._follow()
            if partition not in self._starting:
                return
            self._starting.discard(partition)
            self._progress.begin(partition, -1 if committed is None else committed)
            self._moves.append((frozenset({partition}), frozenset()))
            self._changed.notify_all()

    def _forget(self, partitions: Iterable[Partition]) -> None:
        gone = set(partitions)
        kept = deque(one for one in self._ready if one.partition not in gone)
        self._ready_bytes = sum(one.size for one in kept)
        self._ready = kept


def _message(record: Any) -> Message:
    return Message(
        Partition(record.topic, record.partition),
        record.offset,
        record.key or b"",
        record.value or b"",
        tuple((name, value or b"") for name, value in record.headers),
        record.timestamp / 1000,
    )
