"""What every broker promises, whichever server stands behind it.

The gateway needs little of a broker: records that are durable before they are acknowledged, order per key,
consumer groups whose members share partitions, and positions that move only over work that is done. Delivery is
at least once; the state store makes a second delivery harmless (the first recorded outcome wins), so nothing here
needs transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.topics import TopicReport, TopicSpec

__all__ = [
    "MAX_ENVELOPE_BYTES",
    "MAX_VALUE_BYTES",
    "Broker",
    "Changed",
    "Consumer",
    "ConsumerSettings",
    "Headers",
    "Message",
    "Partition",
    "Position",
    "check_message",
    "size_of",
]

MAX_VALUE_BYTES: Final = 900 * 1024
"""Largest value of one message: below the 1 MiB that Kafka takes by default, with room for key and headers."""
MAX_ENVELOPE_BYTES: Final = 16 * 1024
"""Largest sum of key and headers."""

Headers = Sequence[tuple[str, bytes]]
"""Names and values in order; a name may stand more than once. Never holds an identifier."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One ordered part of a topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record stands; the broker's acknowledgement that it is durable."""

    partition: Partition
    offset: int


@dataclass(frozen=True, slots=True)
class Message:
    """One delivered record.

    Attributes
    ----------
    key
        Empty where the producer gave none.
    published
        Seconds since the epoch, by the clock of the producer or the broker.
    """

    partition: Partition
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    published: float

    @property
    def topic(self) -> str:
        """Name of the topic."""
        return self.partition.topic

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return size_of(self.key, self.value, self.headers)


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """How one member of a group behaves.

    Attributes
    ----------
    max_bytes_in_flight
        Bytes handed out and not yet done, above which nothing more is handed out. One message is always handed out
        when none is in flight, so that a large one cannot block its partition.
    session_seconds
        How long a member may be silent before its partitions go to others. Kafka allows no less than its
        ``group.min.session.timeout.ms`` (6 s by default).
    heartbeat_seconds
        How often a member says that it lives.
    """

    max_bytes_in_flight: int = 64 << 20
    session_seconds: float = 15.0
    heartbeat_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.max_bytes_in_flight < 1 or not 0 < self.heartbeat_seconds < self.session_seconds:
            raise TarnhelmError(errors.BROKER_SETTINGS)


Changed = Callable[[frozenset[Partition], frozenset[Partition]], None]
"""Called within ``poll`` with the partitions that were gained and lost; work on lost ones may be given up."""


class Consumer(Protocol):
    """One member of a consumer group; used by one thread at a time.

    A group that is new begins at the oldest record.
    """

    def poll(self, *, max_records: int, max_bytes: int, timeout_seconds: float) -> list[Message]:
        """Return the next messages, or none when the time is over; must be called often enough to stay a member.

        ``max_bytes`` may be exceeded by one message, and only if it is the first. Without a limit on the calls in
        between, a member that is alive must call at least once per session.

        Raises
        ------
        TarnhelmError
            BRK-001, -004 or -007: the broker is away or refuses; the membership may be lost and is taken up again.
        """
        ...

    def done(self, message: Message) -> None:
        """Mark a message as done, in any order; one of a partition that was lost meanwhile is ignored."""
        ...

    def commit(self) -> Mapping[Partition, int]:
        """Commit, per partition, the position up to which everything handed out is done.

        A message that is not done holds the position of its partition, whatever was done behind it. Returns the
        positions (the next offset to read) that the broker took; a commit during a rebalance takes none, and the
        next ``poll`` and ``commit`` see to it.
        """
        ...

    def pause(self, partitions: Collection[Partition]) -> None:
        """Hand out nothing of these until they are resumed; holds over rebalances."""
        ...

    def resume(self, partitions: Collection[Partition]) -> None:
        """End the pause."""
        ...

    def rewind(self, partitions: Collection[Partition]) -> None:
        """Forget what was handed out of these and deliver again from the committed position."""
        ...

    def assignment(self) -> frozenset[Partition]:
        """Partitions that this member owns now."""
        ...

    def lag(self) -> Mapping[Partition, int]:
        """Records behind the committed position, for each owned partition."""
        ...

    def bytes_in_flight(self) -> int:
        """Bytes that were handed out and are not done."""
        ...

    def expired(self) -> int:
        """Records that retention removed before this member could read them; anything but 0 is worth an alarm."""
        ...

    def close(self) -> None:
        """Commit what is done and leave the group."""
        ...


class Broker(Protocol):
    """A broker as one process sees it; all methods may be called by any thread."""

    def ensure(self, *, apply: bool = True) -> Sequence[TopicReport]:
        """Create the topics that are missing and tell how existing ones differ; never changes or deletes one.

        With ``apply=False`` nothing is created either.
        """
        ...

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers = ()) -> Future[Position]:
        """Hand one record over; the future ends when the record is durable, or with a TarnhelmError.

        Records of one key go to one partition, in the order of the calls. A record whose future failed with a
        RETRY error may be there all the same; publish it again.

        Raises
        ------
        TarnhelmError
            At once: BRK-002 too large, BRK-003 not an allowed topic, BRK-008 too many bytes wait already.
        """
        ...

    def flush(self, timeout_seconds: float) -> None:
        """Wait until nothing is on its way; raises BRK-001 where that takes too long."""
        ...

    def consumer(
        self,
        group: str,
        topics: Collection[str],
        settings: ConsumerSettings | None = None,
        changed: Changed | None = None,
    ) -> Consumer:
        """Join a group."""
        ...

    def lag(self, group: str, topics: Collection[str]) -> Mapping[Partition, int]:
        """Records behind the group's committed position, for every partition; joins nothing."""
        ...

    def waiting(self, readers: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
        """Sum of `lag` for each of several readers, (group, topic); costs hardly more than for one."""
        ...

    def trim(self, topic: str, groups: Collection[str]) -> Mapping[Partition, int]:
        """Delete the records that all these groups have committed; returns the oldest offset that is kept.

        Only partitions on which every one of the groups has committed are trimmed.
        """
        ...

    def close(self) -> None:
        """Wait for what is on its way, then let go."""
        ...


def size_of(key: bytes, value: bytes, headers: Headers) -> int:
    """Bytes of key, value and headers."""
    return len(key) + len(value) + sum(len(name) + len(content) for name, content in headers)


def check_message(spec: TopicSpec | None, key: bytes, value: bytes, headers: Headers) -> int:
    """Return a record's size; raises BRK-003 for a topic that is not allowed and BRK-002 for what is too large."""
    if spec is None:
        raise TarnhelmError(errors.TOPIC_NOT_ALLOWED)
    size = size_of(key, value, headers)
    envelope = size - len(value)
    if len(value) > spec.max_value_bytes:
        raise TarnhelmError(errors.MESSAGE_TOO_LARGE, size=len(value), limit=spec.max_value_bytes)
    if envelope > MAX_ENVELOPE_BYTES:
        raise TarnhelmError(errors.MESSAGE_TOO_LARGE, size=envelope, limit=MAX_ENVELOPE_BYTES)
    return size
