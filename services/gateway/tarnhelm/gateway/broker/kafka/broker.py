"""Apache Kafka as a process sees it: an idempotent producer, group consumers, and the questions of an administrator."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from kafka import KafkaAdminClient, KafkaProducer, OffsetSpec, TopicPartition
from kafka import errors as kafka_errors

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.base import ConsumerSettings, Position, check_message
from tarnhelm.gateway.broker.kafka.clients import make_client
from tarnhelm.gateway.broker.kafka.consumer import KafkaGroupConsumer
from tarnhelm.gateway.broker.kafka.faults import fault_of, mapped, quieten
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

    def __init__(self, settings: KafkaSettings, topics: Iterable[TopicSpec]) -> None:
        quieten()
        self._settings = settings
        self._topics = by_name(topics)
        self._lock = threading.Lock()
        self._producer: KafkaProducer | None = None
        self._admin: KafkaAdminClient | None = None
        self._consumers: list[KafkaGroupConsumer] = []
        self._room = threading.Condition()
        self._bytes = 0
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
            admin = self._administrator()
            partitions = self._partitions(topics)
            ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
            starts = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
            committed = self._committed(group, partitions)
        return {ours(one): ends[one].offset - max(starts[one].offset, committed.get(one, 0)) for one in partitions}

    def trim(self, topic: str, groups: Collection[str]) -> Mapping[Partition, int]:
        """Delete what all these groups have committed (DeleteRecords)."""
        if topic not in self._topics or not groups:
            raise TarnhelmError(errors.TOPIC_NOT_ALLOWED)
        with mapped():
            partitions = self._partitions([topic])
            committed = [self._committed(group, partitions) for group in groups]
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
        found = []
        for topic in self._administrator().describe_topics(list(topics)):
            if topic["error_code"]:
                raise kafka_errors.for_code(topic["error_code"])
            found += [TopicPartition(topic["name"], one["partition_index"]) for one in topic["partitions"]]
        return sorted(found)

    def _committed(self, group: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        found = self._administrator().list_group_offsets({group: list(partitions)})[group]
        return {one: place.offset for one, place in found.items() if place.offset >= 0}

    # --- the clients -----------------------------------------------------------------------------------

    def _sender(self) -> KafkaProducer:
        with self._lock:
            self._check_open()
            if self._producer is None:
                self._producer = make_client(
                    KafkaProducer,
                    **self._settings.client_configs(),
                    enable_idempotence=True,
                    acks="all",
                    max_in_flight_requests_per_connection=5,
                    allow_auto_create_topics=False,
                    delivery_timeout_ms=round(self._settings.delivery_seconds * 1000),
                    max_block_ms=_METADATA_MS,
                    batch_size=_BATCH_BYTES,
                    linger_ms=self._settings.linger_ms,
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
