"""What has been written since the last transaction: the newest form of each record, and all that goes with it.

An object passes through five states within a second. Only the last of them has to reach the disk with a batch: a
record that is met half-way after a crash is done again from its source in any case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tarnhelm.gateway.state import schema
from tarnhelm.gateway.state.base import StaleRecordError

if TYPE_CHECKING:
    import sqlite3

    from tarnhelm.gateway.record import ObjectRecord

__all__ = ["Batch", "row_of"]

Row = tuple[Any, ...]


def row_of(record: ObjectRecord) -> Row:
    """Return a record as a row; plain types, because the driver adapts others in Python."""
    return (record[0], record[1].value, *record[2:14], int(record[14]), *record[15:])


@dataclass(slots=True)
class Batch:
    """One batch.

    Attributes
    ----------
    records
        Object id → its newest record.
    before
        Object id → (state, revision) that the table holds; None for a new one.
    paths
        Output path → object id, of these records.
    """

    records: dict[str, ObjectRecord] = field(default_factory=dict)
    before: dict[str, tuple[str, int] | None] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    sources: dict[bytes, str] = field(default_factory=dict)
    mappings: dict[bytes, bytes] = field(default_factory=dict)
    outcomes: dict[tuple[str, str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    steps: list[Row] = field(default_factory=list)
    manifest: list[Row] = field(default_factory=list)

    def put(self, record: ObjectRecord, was: ObjectRecord | None) -> None:
        """Take a record in; ``was`` is what stood in the table or here, None for a new one."""
        object_id = record.object_id
        if object_id not in self.before:
            self.before[object_id] = None if was is None else (was.state.value, was.revision)
        if was is not None and was.output_path and self.paths.get(was.output_path) == object_id:
            del self.paths[was.output_path]
        if record.output_path:
            self.paths[record.output_path] = object_id
        self.records[object_id] = record

    def frees_a_path(self, record: ObjectRecord, was: ObjectRecord) -> bool:
        """Tell whether the table must hear of this record before another one may take its path."""
        return bool(was.output_path) and record.output_path != was.output_path

    def write(self, database: sqlite3.Connection) -> None:
        """Write all of it in the open transaction; raises StaleRecordError where another writer was faster."""
        if self.mappings:
            database.executemany("INSERT OR IGNORE INTO mappings VALUES (?,?)", self.mappings.items())
        if self.records:
            self._write_records(database)
        if self.sources:
            database.executemany("INSERT OR REPLACE INTO sources VALUES (?,?)", self.sources.items())
        if self.outcomes:
            rows = [(*key, *value) for key, value in self.outcomes.items()]
            database.executemany("INSERT OR IGNORE INTO outcomes VALUES (?,?,?,?,?)", rows)
        if self.verdicts:
            found = [(key, *value) for key, value in self.verdicts.items()]
            database.executemany("INSERT OR REPLACE INTO verdicts VALUES (?,?,?)", found)
        if self.steps:
            database.executemany(schema.STEP, self.steps)
        if self.manifest:
            database.executemany(schema.MANIFEST, self.manifest)

    def _write_records(self, database: sqlite3.Connection) -> None:
        changed: list[Row] = []
        new: list[Row] = []
        for object_id, record in self.records.items():
            before = self.before[object_id]
            row = row_of(record)
            if before is None:
                new.append(row)
            else:
                changed.append((*row[1:], object_id, *before))
        if changed and database.executemany(schema.UPDATE, changed).rowcount != len(changed):
            raise StaleRecordError
        if new:
            database.executemany(schema.INSERT, new)

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(
            self.records
            or self.steps
            or self.outcomes
            or self.mappings
            or self.sources
            or self.verdicts
            or self.manifest
        )
