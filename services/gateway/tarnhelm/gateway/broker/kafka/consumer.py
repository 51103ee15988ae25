"""One member of a group on Apache Kafka.

Reading, pausing and seeking happen on the reader's thread. Commits and questions are asked from the owner's thread:
they touch nothing but requests, which the client itself runs on its I/O thread, whoever asks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from kafka import KafkaConsumer, OffsetAndMetadata
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.kafka.clients import make_client
from tarnhelm.gateway.broker.kafka.faults import mapped
from tarnhelm.gateway.broker.kafka.reader import LOST, Reader, native, ours
from tarnhelm.gateway.broker.progress import Progress

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import Changed, ConsumerSettings, Message, Partition
    from tarnhelm.gateway.broker.kafka.settings import KafkaSettings

__all__ = ["KafkaGroupConsumer"]

_FETCH_BYTES: Final = 8 << 20
_PARTITION_FETCH_BYTES: Final = 2 << 20
_POLL_INTERVAL_MS: Final = 60_000
_COMMIT_MS: Final = 5_000
"""A commit that a broker does not answer is made again with the next one: the pump need not wait for it."""


class KafkaGroupConsumer:
    """See :class:`tarnhelm.gateway.broker.base.Consumer`.

    A member stays one for four minutes without a ``poll``; a process that is dead or stopped is put out after
    ``session_seconds``. Rebalancing is cooperative: partitions that stay with a member are read on without a break.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Collection[str],
        behaviour: ConsumerSettings,
        changed: Changed | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._behaviour = behaviour
        self._changed = changed
        self._monotonic = monotonic
        self._request_ms = round(settings.request_seconds * 1000)
        self._progress = Progress()
        self._paused: frozenset[Partition] = frozenset()
        self._closed = False
        self._client = make_client(
            KafkaConsumer,
            **settings.client_configs(),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            isolation_level="read_committed",
            partition_assignment_strategy=(CooperativeStickyAssignor,),
            session_timeout_ms=round(behaviour.session_seconds * 1000),
            heartbeat_interval_ms=round(behaviour.heartbeat_seconds * 1000),
            max_poll_interval_ms=_POLL_INTERVAL_MS,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
            metrics_enabled=False,
        )
        self._reader = Reader(
            self._client, topics, self._progress, self._request_ms, settings.gather_ms / 1000, monotonic
        )

    def poll(self, *, max_records: int, max_bytes: int, timeout_seconds: float) -> list[Message]:
        """Return the next messages."""
        self._check_open()
        until = self._monotonic() + timeout_seconds
        while True:
            for gained, lost in self._reader.take_moves():
                if self._changed is not None:
                    self._changed(gained, lost)
            found = self._reader.hand_out(max_records, max_bytes, self._behaviour.max_bytes_in_flight)
            left = until - self._monotonic()
            if found or left <= 0:
                return found
            self._reader.wait(left)

    # --- positions -----------------------------------------------------------------------------------------

    def done(self, message: Message) -> None:
        """Mark a message as done."""
        self._progress.done(message)

    def commit(self) -> Mapping[Partition, int]:
        """Commit what is done without a gap; nothing while the group rebalances."""
        self._check_open()
        positions = self._progress.committable()
        if not positions:
            return {}
        offsets = {native(one): OffsetAndMetadata(offset, "", -1) for one, offset in positions.items()}
        with mapped():
            try:
                self._client.commit(offsets, timeout_ms=min(_COMMIT_MS, self._request_ms))
            except LOST:
                return {}
        self._progress.committed(positions)
        return positions

    def pause(self, partitions: Collection[Partition]) -> None:
        """Hand out nothing of these."""
        self._paused |= frozenset(partitions)
        self._reader.set_paused(self._paused)

    def resume(self, partitions: Collection[Partition]) -> None:
        """End the pause."""
        self._paused -= frozenset(partitions)
        self._reader.set_paused(self._paused)

    def rewind(self, partitions: Collection[Partition]) -> None:
        """Deliver again from the committed position, or from the oldest record."""
        self._check_open()
        self._reader.rewind(partitions)

    def assignment(self) -> frozenset[Partition]:
        """What is owned."""
        return self._progress.partitions()

    def lag(self) -> Mapping[Partition, int]:
        """Records behind the committed position."""
        self._check_open()
        positions = {native(one): self._progress.committed_of(one) for one in self.assignment()}
        if not positions:
            return {}
        with mapped():
            ends = self._client.end_offsets(list(positions), timeout_ms=self._request_ms)
            starts = self._client.beginning_offsets(list(positions), timeout_ms=self._request_ms)
        return {ours(one): end - max(starts[one], positions[one]) for one, end in ends.items()}

    def bytes_in_flight(self) -> int:
        """Bytes handed out and not done."""
        return self._progress.bytes

    def expired(self) -> int:
        """Records that retention took first."""
        return self._progress.expired

    def close(self) -> None:
        """Commit, leave the group."""
        if self._closed:
            return
        with contextlib.suppress(TarnhelmError):  # the broker is away: what was done is delivered again
            self.commit()
        self._closed = True
        self._reader.stop()
        with mapped():
            self._client.close(autocommit=False, timeout_ms=self._request_ms)

    def _check_open(self) -> None:
        if self._closed:
            raise TarnhelmError(errors.BROKER_CLOSED)
