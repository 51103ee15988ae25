"""The embedded broker as a process sees it: one thread writes batches, consumers read for themselves."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.base import ConsumerSettings, Position, check_message
from tarnhelm.gateway.broker.sqlite.consumer import SqliteConsumer
from tarnhelm.gateway.broker.sqlite.files import Files, mapped
from tarnhelm.gateway.broker.sqlite.groups import Groups, Member
from tarnhelm.gateway.broker.sqlite.log import Log, Record
from tarnhelm.gateway.broker.sqlite.wakeup import Doorbells
from tarnhelm.gateway.broker.topics import by_name

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import Changed, Headers, Partition
    from tarnhelm.gateway.broker.topics import TopicReport, TopicSpec

__all__ = ["SqliteBroker", "SqliteBrokerSettings"]

_BATCH_RECORDS: Final = 1000
_BATCH_BYTES: Final = 8 << 20
_CLOSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class SqliteBrokerSettings:
    """How the embedded broker behaves.

    Attributes
    ----------
    max_bytes_in_flight
        Bytes that may wait to be written before ``publish`` refuses.
    busy_seconds
        How long a write waits for another process's before the broker counts as away.
    expire_every_seconds
        How often records are looked for that are past their retention.
    """

    max_bytes_in_flight: int = 64 << 20
    busy_seconds: float = 10.0
    expire_every_seconds: float = 60.0


@dataclass(slots=True)
class _Waiting:
    record: Record
    size: int
    future: Future[Position]


class SqliteBroker:
    """See :class:`tarnhelm.gateway.broker.base.Broker`.

    Several records that wait while one transaction is synced go into the next one together, so the cost of a sync
    is shared. A broker object belongs to the process that made it; make a new one after a fork.

    Parameters
    ----------
    folder
        The broker's own, on a disk of this machine; made with mode 0700.
    topics
        The allow-list.
    clock
        Seconds since the epoch: the time that a record carries and that retention counts from.
    monotonic
        Seconds that nobody sets back: time-outs.
    """

    def __init__(
        self,
        folder: Path,
        topics: Iterable[TopicSpec],
        settings: SqliteBrokerSettings | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = by_name(topics)
        self._settings = settings or SqliteBrokerSettings()
        self._clock = clock
        self._monotonic = monotonic
        self._files = Files(folder, self._settings.busy_seconds)
        self._bells = Doorbells(folder)
        self._log_lock = threading.Lock()
        with mapped():
            self._log = Log(self._files.log())  # for questions; the writer has its own
        self._changed = threading.Condition()
        self._queue: list[_Waiting] = []
        self._bytes = 0
        self._closing = False
        self._consumers: list[SqliteConsumer] = []
        self._writer = threading.Thread(target=self._write, name="broker-writer", daemon=True)
        self._writer.start()

    # --- topics ----------------------------------------------------------------------------------------

    def ensure(self, *, apply: bool = True) -> Sequence[TopicReport]:
        """Create the topics that are missing; an existing one keeps the partitions that it has."""
        with self._log_lock, mapped():
            return self._log.ensure(self._topics.values(), apply=apply)

    # --- producing -------------------------------------------------------------------------------------

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers = ()) -> Future[Position]:
        """Queue one record for the next batch."""
        size = check_message(self._topics.get(topic), key, value, headers)
        waiting = _Waiting(Record(topic, key, value, tuple(headers), self._clock()), size, Future())
        with self._changed:
            if self._closing:
                raise TarnhelmError(errors.BROKER_CLOSED)
            if self._bytes and self._bytes + size > self._settings.max_bytes_in_flight:
                raise TarnhelmError(errors.BROKER_BUSY, size=self._bytes)
            self._queue.append(waiting)
            self._bytes += size
            self._changed.notify_all()
        return waiting.future

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything is written."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._bytes, timeout_seconds):
                raise TarnhelmError(errors.BROKER_AWAY)

    def _write(self) -> None:
        """Write batches until the broker is closed and nothing waits."""
        log = Log(self._files.log())
        groups = Groups(self._files.groups())
        next_expiry = self._monotonic()
        while True:
            with self._changed:
                wait = max(0.0, next_expiry - self._monotonic())
                self._changed.wait_for(lambda: self._queue or self._closing, wait)
                batch = self._take_batch()
                if not batch and self._closing:
                    break
            if batch:
                self._write_batch(log, groups, batch)
            if self._monotonic() >= next_expiry:
                next_expiry = self._monotonic() + self._settings.expire_every_seconds
                self._expire(log)
        log.close()
        groups.close()

    def _take_batch(self) -> list[_Waiting]:
        size = count = 0
        for waiting in self._queue[:_BATCH_RECORDS]:
            size += waiting.size
            if count and size > _BATCH_BYTES:
                break
            count += 1
        batch = self._queue[:count]
        del self._queue[:count]
        return batch

    def _write_batch(self, log: Log, groups: Groups, batch: list[_Waiting]) -> None:
        topics = {topic for topic in {one.record.topic for one in batch} if self._known(log, topic)}
        known = [one for one in batch if one.record.topic in topics]
        failure: TarnhelmError | None = None
        positions: list[Position] = []
        try:
            with mapped():
                positions = log.append([one.record for one in known])
        except TarnhelmError as error:
            failure = error
        with self._changed:
            self._bytes -= sum(one.size for one in batch)
            self._changed.notify_all()
        for one, position in zip(known, positions, strict=False):
            one.future.set_result(position)
        for one in batch:
            if not one.future.done():
                one.future.set_exception(failure or TarnhelmError(errors.TOPIC_MISSING))
        if positions:
            self._ring(groups, topics)

    def _known(self, log: Log, topic: str) -> bool:
        try:
            with mapped():
                return bool(log.partitions(topic))
        except TarnhelmError:
            return True  # append will meet the same trouble and say so

    def _ring(self, groups: Groups, topics: set[str]) -> None:
        try:
            with mapped():
                self._bells.ring(groups.listeners(topics))
        except TarnhelmError:
            pass  # the records are there; who sleeps looks again at the next heartbeat

    def _expire(self, log: Log) -> None:
        try:
            with mapped():
                now = self._clock()
                removed = sum(log.expire(one.name, now - one.retention_seconds) for one in self._topics.values())
                if removed:
                    log.tidy()
        except TarnhelmError:
            pass  # what could not be deleted now is deleted the next time

    # --- groups ----------------------------------------------------------------------------------------

    def consumer(
        self,
        group: str,
        topics: Collection[str],
        settings: ConsumerSettings | None = None,
        changed: Changed | None = None,
    ) -> SqliteConsumer:
        """Join a group."""
        if not topics or any(topic not in self._topics for topic in topics):
            raise TarnhelmError(errors.TOPIC_NOT_ALLOWED)
        with self._log_lock, mapped():
            if not all(self._log.partitions(topic) for topic in topics):
                raise TarnhelmError(errors.TOPIC_MISSING)
        member = Member(group, secrets.token_hex(8), tuple(sorted(set(topics))), settings or ConsumerSettings())
        with mapped():
            made = SqliteConsumer(self._files, self._bells, member, changed, self._clock, self._monotonic)
        self._consumers.append(made)
        return made

    def lag(self, group: str, topics: Collection[str]) -> Mapping[Partition, int]:
        """Records behind the group's position."""
        found: dict[Partition, int] = {}
        with self._log_lock, mapped():
            groups = Groups(self._files.groups())
            try:
                for topic in topics:
                    committed = groups.positions(group, topic)
                    for one, (first, following) in self._log.bounds(topic).items():
                        found[one] = following - max(first, committed.get(one, 0))
            finally:
                groups.close()
        return found

    def waiting(self, readers: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
        """Records behind each group on its topic."""
        return {(group, topic): sum(self.lag(group, [topic]).values()) for group, topic in readers}

    def trim(self, topic: str, groups: Collection[str]) -> Mapping[Partition, int]:
        """Delete what all these groups have committed."""
        if topic not in self._topics or not groups:
            raise TarnhelmError(errors.TOPIC_NOT_ALLOWED)
        with self._log_lock, mapped():
            positions = Groups(self._files.groups())
            try:
                committed = [positions.positions(group, topic) for group in groups]
            finally:
                positions.close()
            upto = {
                one: min(each[one] for each in committed)
                for one in self._log.partitions(topic)
                if all(one in each for each in committed)
            }
            kept = self._log.trim(upto)
            self._log.tidy()
            return kept

    def close(self) -> None:
        """Write what waits, leave all groups, close the files."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._writer.join(_CLOSE_SECONDS)
        for consumer in self._consumers:
            consumer.close()
        with self._log_lock:
            self._log.close()
        self._bells.close()
