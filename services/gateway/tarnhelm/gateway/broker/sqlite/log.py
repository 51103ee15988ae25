"""The records: appended in one transaction per batch, read by offset, deleted by age and by position.

A record's row id is (partition id << 40 | offset), so one B-tree serves all partitions, a partition's records lie
together in order, and there is no second index to write.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tarnhelm.gateway.broker.base import Headers, Message, Partition, Position
from tarnhelm.gateway.broker.sqlite.files import write
from tarnhelm.gateway.broker.topics import TopicReport, TopicSpec

__all__ = ["Log", "Record"]

_SHIFT: Final = 40
_MASK: Final = (1 << _SHIFT) - 1
_LENGTHS: Final = struct.Struct(">HI")
_DELETE_STEP: Final = 2000
"""Records deleted in one transaction, so that producers wait milliseconds."""
_VACUUM_PAGES: Final = 2000


@dataclass(frozen=True, slots=True)
class Record:
    """What a producer hands over."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    published: float


class Log:
    """One connection to the records; used by one thread at a time."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._ids: dict[Partition, int] = {}
        self._partitions: dict[str, tuple[Partition, ...]] = {}
        self._turn = 0

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    # --- topics ----------------------------------------------------------------------------------------

    def ensure(self, specs: Iterable[TopicSpec], *, apply: bool) -> list[TopicReport]:
        """Create what is missing, compare the rest."""
        reports = []
        for spec in specs:
            created = False
            if apply:
                with write(self._database):
                    created = not self._count(spec.name)
                    if created:
                        rows = [(spec.name, number) for number in range(spec.partitions)]
                        self._database.executemany("INSERT INTO partitions (topic, number) VALUES (?,?)", rows)
            found = self._count(spec.name)
            differences = {} if found in {0, spec.partitions} else {"partitions": (str(spec.partitions), str(found))}
            reports.append(TopicReport(spec.name, created, missing=not found, differences=differences))
        return reports

    def partitions(self, topic: str) -> Sequence[Partition]:
        """Return a topic's partitions, which never become more or fewer; empty where it does not exist."""
        found = self._partitions.get(topic, ())
        if not found:
            found = tuple(Partition(topic, number) for number in range(self._count(topic)))
            if found:
                self._partitions[topic] = found
        return found

    def bounds(self, topic: str) -> dict[Partition, tuple[int, int]]:
        """Return the oldest offset and the next one to be written, for each partition."""
        query = "SELECT number, first, next FROM partitions WHERE topic=?"
        rows = self._database.execute(query, (topic,)).fetchall()
        partitions = self.partitions(topic)
        return {partitions[number]: (first, following) for number, first, following in rows}

    def _count(self, topic: str) -> int:
        query = "SELECT COUNT(*) FROM partitions WHERE topic=?"
        return int(self._database.execute(query, (topic,)).fetchone()[0])

    def _id(self, partition: Partition) -> int:
        found = self._ids.get(partition)
        if found is None:
            query = "SELECT id FROM partitions WHERE topic=? AND number=?"
            found = int(self._database.execute(query, (partition.topic, partition.number)).fetchone()[0])
            self._ids[partition] = found
        return found

    # --- writing ---------------------------------------------------------------------------------------

    def append(self, records: Sequence[Record]) -> list[Position]:
        """Write a batch; when this returns it is on the disk."""
        places = [self._place(record) for record in records]
        positions: list[Position] = []
        with write(self._database):
            following: dict[int, int] = {}
            rows = []
            for record, partition in zip(records, places, strict=True):
                number = self._id(partition)
                offset = following.get(number)
                if offset is None:
                    query = "SELECT next FROM partitions WHERE id=?"
                    offset = int(self._database.execute(query, (number,)).fetchone()[0])
                following[number] = offset + 1
                positions.append(Position(partition, offset))
                row_id = number << _SHIFT | offset
                rows.append((row_id, record.key, record.value, _pack(record.headers), record.published))
            self._database.executemany("INSERT INTO records VALUES (?,?,?,?,?)", rows)
            ends = [(offset, number) for number, offset in following.items()]
            self._database.executemany("UPDATE partitions SET next=? WHERE id=?", ends)
        return positions

    def _place(self, record: Record) -> Partition:
        partitions = self.partitions(record.topic)
        if record.key:
            return partitions[zlib.crc32(record.key) % len(partitions)]
        self._turn += 1
        return partitions[self._turn % len(partitions)]

    # --- reading ---------------------------------------------------------------------------------------

    def read(self, partition: Partition, offset: int, max_records: int, max_bytes: int) -> list[Message]:
        """Return the records from an offset on; always one where there is one."""
        base = self._id(partition) << _SHIFT
        query = "SELECT id, key, value, headers, published FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        found: list[Message] = []
        size = 0
        cursor = self._database.execute(query, (base | offset, base | _MASK, max_records))
        try:
            for row_id, key, value, headers, published in cursor:
                message = Message(partition, row_id & _MASK, key, value, _unpack(headers), published)
                size += message.size
                if found and size > max_bytes:
                    break
                found.append(message)
        finally:
            cursor.close()  # an open cursor would keep the WAL from being reset
        return found

    # --- deleting --------------------------------------------------------------------------------------

    def trim(self, upto: Mapping[Partition, int]) -> dict[Partition, int]:
        """Delete the records before these offsets; returns the oldest offsets that are kept."""
        for partition, offset in upto.items():
            self._delete(self._id(partition), offset)
        kept = {}
        for topic in {partition.topic for partition in upto}:
            kept.update({partition: first for partition, (first, _) in self.bounds(topic).items() if partition in upto})
        return kept

    def expire(self, topic: str, before: float) -> int:
        """Delete the records that were published before a moment, oldest first; returns how many."""
        removed = 0
        for partition, (first, following) in self.bounds(topic).items():
            number = self._id(partition)
            base = number << _SHIFT
            query = "SELECT MIN(id) FROM records WHERE id BETWEEN ? AND ? AND published >= ?"
            row = self._database.execute(query, (base | first, base | _MASK, before)).fetchone()
            kept = following if row[0] is None else int(row[0]) & _MASK
            removed += self._delete(number, kept)
        return removed

    def tidy(self) -> None:
        """Give free pages back and empty the write-ahead log, in which deleted records still stand."""
        self._database.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _delete(self, number: int, offset: int) -> int:
        base = number << _SHIFT
        removed = 0
        while True:
            with write(self._database):
                first, following = self._database.execute(
                    "SELECT first, next FROM partitions WHERE id=?", (number,)
                ).fetchone()
                upto = min(offset, following)
                step = min(upto, first + _DELETE_STEP)
                if step <= first:
                    return removed
                self._database.execute("DELETE FROM records WHERE id BETWEEN ? AND ?", (base, base | (step - 1)))
                self._database.execute("UPDATE partitions SET first=? WHERE id=?", (step, number))
            removed += step - first


def _pack(headers: Headers) -> bytes:
    parts = []
    for name, value in headers:
        encoded = name.encode()
        parts += [_LENGTHS.pack(len(encoded), len(value)), encoded, value]
    return b"".join(parts)


def _unpack(packed: bytes) -> tuple[tuple[str, bytes], ...]:
    found = []
    at = 0
    while at < len(packed):
        name_size, value_size = _LENGTHS.unpack_from(packed, at)
        at += _LENGTHS.size
        name = packed[at : at + name_size].decode()
        at += name_size
        found.append((name, packed[at : at + value_size]))
        at += value_size
    return tuple(found)
