"""Apache Kafka as a process sees it: an idempotent producer, group consumers, and the questions of an administrator."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaAdminClient, KafkaProducer, OffsetSpec, TopicPartition
from kafka import errors as kafka_errors

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.base import ConsumerSettings, Position, check_message
from tarnhelm.gateway.broker.kafka.clients import make_client
from tarnhelm.gateway.broker.kafka.consumer import KafkaGroupConsumer
from tarnhelm.gateway.broker.kafka.faults import fault_of, mapped, quieten
from tarnhelm.gateway.broker.kafka.pacing import LINGER_MS, PacedClient
from tarnhelm.gateway.broker.kafka.reader import ours
from tarnhelm.gateway.broker.kafka.topics import ensure_topics
from tarnhelm.gateway.broker.topics import by_name

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import Changed, Headers, Partition
    from tarnhelm.gateway.broker.kafka.settings import KafkaSettings
    from tarnhelm.gateway.broker.topics import TopicReport, TopicSpec

__all__ = ["KafkaBroker"]

_BATCH_BYTES: Final = 256 * 1024
_METADATA_MS: Final = 2_000
"""How long `publish` may wait for a topic that the client has not met yet."""
_CLOSE_SECONDS: Final = 30.0
_COORDINATOR_TRIES: Final = 10
_COORDINATOR_SECONDS: Final = 0.1
_KNOWN_SECONDS: Final = 60.0
"""So long the partitions of a topic are not asked for again: they become more on an administrator's order only."""


class KafkaBroker:
    """See :class:`tarnhelm.gateway.broker.base.Broker`.

    The producer is idempotent with ``acks=all``: what it repeats by itself after a lost connection is written
    once and in order. The clients are made at first use, so a broker that is away at the start is met as BRK-001
    where it is needed.

    Parameters
    ----------
    topics
        The allow-list.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Iterable[TopicSpec],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        quieten()
        self._monotonic = monotonic
        self._settings = settings
        self._topics = by_name(topics)
        self._lock = threading.Lock()
        self._producer: KafkaProducer | None = None
        self._admin: KafkaAdminClient | None = None
        self._consumers: list[KafkaGroupConsumer] = []
        self._room = threading.Condition()
        self._bytes = 0
        self._known: dict[str, tuple[float, tuple[TopicPartition, ...]]] = {}
        self._closed = False

    # --- topics ----------------------------------------------------------------------------------------

    def ensure(self, *, apply: bool = True) -> Sequence[TopicReport]:
        """Create the topics that are missing, compare the others."""
        with mapped():
            return ensure_topics(self._administrator(), self._topics.values(), self._settings, apply=apply)

    # --- producing -------------------------------------------------------------------------------------

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers = ()) -> Future[Position]:
        """Hand one record to the producer."""
        size = check_message(self._topics.get(topic), key, value, headers)
        producer = self._sender()
        with self._room:
            if self._bytes and self._bytes + size > self._settings.max_bytes_in_flight:
                raise TarnhelmError(errors.BROKER_BUSY, size=self._bytes)
            self._bytes += size
        future: Future[Position] = Future()
        try:
            sent = producer.send(topic, value=value, key=key or None, headers=list(headers))
        except (kafka_errors.KafkaError, OSError, AssertionError) as error:
            self._gone(size)
            raise fault_of(error) from None
        sent.add_callback(self._acknowledged, future, size)
        sent.add_errback(self._failed, future, size)
        return future

    def _acknowledged(self, future: Future[Position], size: int, metadata: Any) -> None:
        self._gone(size)
        future.set_result(Position(ours(metadata.topic_partition), metadata.offset))

    def _failed(self, future: Future[Position], size: int, error: BaseException) -> None:
        self._gone(size)
        future.set_exception(fault_of(error))

    def _gone(self, size: int) -> None:
        with self._room:
            self._bytes -= size
            self._room.notify_all()

    def _is_full(self) -> bool:
        return self._bytes >= _BATCH_BYTES

    def flush(self, timeout_seconds: float) -> None:
        """Wait for every acknowledgement."""
        with self._room:
            if not self._room.wait_for(lambda: not self._bytes, timeout_seconds):
                raise TarnhelmError(errors.BROKER_AWAY)

    # --- groups ----------------------------------------------------------------------------------------

    def consumer(
        self,
        group: str,
        topics: Collection[str],
        settings: ConsumerSettings | None = None,
        changed: Changed | None = None,
    ) -> KafkaGroupConsumer:
        """Join a group."""
        self._check_open()
        if not topics or any(topic not in self._topics for topic in topics):
            raise TarnhelmError(errors.TOPIC_NOT_ALLOWED)
        made = KafkaGroupConsumer(self._settings, group, topics, settings or ConsumerSettings(), changed)
        with self._lock:
            self._consumers.append(made)
        return made

    def lag(self, group: str, topics: Collection[str]) -> Mapping[Partition, int]:
        """Records behind the group's position."""
        with mapped():
            behind = self._behind({group: self._partitions(topics)})
        return {ours(one): count for (_, one), count in behind.items()}

    def waiting(self, readers: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
        """Records behind each group on its topic, asked for in as many requests as for one."""
        partitions: dict[str, list[TopicPartition]] = {}
        found = dict.fromkeys(readers, 0)
        with mapped():
            for group, topic in found:
                partitions.setdefault(group, []).extend(self._partitions([topic]))
            for (group, one), count in self._behind(partitions).items():
                found[group, one.topic] += count
        return found

    def _behind(self, partitions: Mapping[str, list[TopicPartition]]) -> dict[tuple[str, TopicPartition], int]:
        """Return how far each group is behind in each of its partitions."""
        admin = self._administrator()
        committed = self._committed(partitions)  # before the ends, which are never before it then
        every = sorted({one for some in partitions.values() for one in some})
        ends = {one: found.offset for one, found in _offsets(admin, every, OffsetSpec.LATEST).items()}
        behind = {
            (group, one): ends[one] - committed[group].get(one, 0) for group, some in partitions.items() for one in some
        }
        # Only where something is behind it matters what retention has taken.
        some = sorted({one for (_, one), count in behind.items() if count})
        for one, start in _offsets(admin, some, OffsetSpec.EARLIEST).items():
            for group in partitions:
                if (group, one) in behind:
                    behind[group, one] = max(0, min(behind[group, one], ends[one] - start.offset))
        return behind

    def trim(self, topic: str, groups: Collection[str]) -> Mapping[Partition, int]:
        """Delete what all these groups have committed (DeleteRecords)."""
        if topic not in self._topics or not groups:
            raise TarnhelmError(errors.TOPIC_NOT_ALLOWED)
        with mapped():
            partitions = self._partitions([topic])
            committed = self._committed(dict.fromkeys(groups, partitions)).values()
            upto = {
                one: min(each[one] for each in committed)
                for one in partitions
                if all(one in each for each in committed)
            }
            if not upto:
                return {}
            found = self._administrator().delete_records(upto)
        return {ours(one): answer["low_watermark"] for one, answer in found.items()}

    def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        now = self._monotonic()
        unknown = [topic for topic in topics if self._known.get(topic, (0.0, ()))[0] < now]
        if unknown:
            for topic in self._administrator().describe_topics(unknown):
                if topic["error_code"]:
                    raise kafka_errors.for_code(topic["error_code"])
                found = tuple(TopicPartition(topic["name"], one["partition_index"]) for one in topic["partitions"])
                self._known[topic["name"]] = now + _KNOWN_SECONDS, found
        return sorted(one for topic in set(topics) for one in self._known[topic][1])

    def _committed(self, wanted: Mapping[str, Sequence[TopicPartition]]) -> dict[str, dict[TopicPartition, int]]:
        """Return the positions of groups."""
        asked = {group: list(some) for group, some in wanted.items()}
        admin = self._administrator()
        for left in reversed(range(_COORDINATOR_TRIES)):
            try:
                found = admin.list_group_offsets(asked)
                break
            except kafka_errors.CoordinatorNotAvailableError:  # a cluster that is new makes its coordinators when asked
                if not left:
                    raise
                time.sleep(_COORDINATOR_SECONDS)
        return {
            group: {one: place.offset for one, place in places.items() if place.offset >= 0}
            for group, places in found.items()
        }

    # --- the clients -----------------------------------------------------------------------------------

    def _sender(self) -> KafkaProducer:
        with self._lock:
            self._check_open()
            if self._producer is None:
                self._producer = make_client(
                    KafkaProducer,
                    partial(PacedClient, beat_seconds=self._settings.gather_ms / 1000, is_full=self._is_full),
                    **self._settings.client_configs(),
                    enable_idempotence=True,
                    acks="all",
                    max_in_flight_requests_per_connection=5,
                    allow_auto_create_topics=False,
                    delivery_timeout_ms=round(self._settings.delivery_seconds * 1000),
                    max_block_ms=_METADATA_MS,
                    batch_size=_BATCH_BYTES,
                    linger_ms=LINGER_MS if self._settings.gather_ms else 0,
                    metrics_enabled=False,  # a tenth of the client's work, and nobody reads them
                )
            return self._producer

    def _administrator(self) -> KafkaAdminClient:
        with self._lock:
            self._check_open()
            if self._admin is None:
                self._admin = make_client(KafkaAdminClient, **self._settings.client_configs())
            return self._admin

    def _check_open(self) -> None:
        if self._closed:
            raise TarnhelmError(errors.BROKER_CLOSED)

    def close(self) -> None:
        """Wait for acknowledgements, leave all groups, close the connections."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for consumer in self._consumers:
            consumer.close()
        with mapped():
            if self._producer is not None:
                self._producer.close(_CLOSE_SECONDS)
            if self._admin is not None:
                self._admin.close()


def _offsets(admin: Any, partitions: Collection[TopicPartition], spec: Any) -> Mapping[TopicPartition, Any]:
    return admin.list_partition_offsets(dict.fromkeys(partitions, spec)) if partitions else {}
