"""The read side of a state in one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state.base import Decision
from tarnhelm.gateway.state.reading.base import Selection, Tally, conditions, record_of
from tarnhelm.gateway.state.schema import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

__all__ = ["SqliteReading"]

_TALLY: Final = (
    "SELECT state, code, count(*), coalesce(sum(size), 0), coalesce(min(CASE WHEN received > 0 THEN received END), 0)"
    " FROM objects GROUP BY state, code ORDER BY state, code"
)
_CHUNK: Final = 500


class SqliteReading:
    """Reads the file that :class:`~tarnhelm.gateway.state.sqlite.SqliteState` writes; it must be there.

    A connection of its own that the database itself keeps from writing.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=rw",  # a reader of a write-ahead log writes into its index
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=30,
            )
            self._db.execute("PRAGMA query_only=ON")
            self._db.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.Error:
            raise TarnhelmError(errors.STATE_BROKEN) from None

    def tally(self) -> Sequence[Tally]:
        """Count all objects by state and code."""
        return [
            Tally(State(state), code, objects, size, oldest)
            for state, code, objects, size, oldest in self._rows(_TALLY)
        ]

    def select(self, selection: Selection, after: str, limit: int) -> Sequence[ObjectRecord]:
        """Return a page of a selection, by id."""
        where, values = conditions(selection, "?")
        query = f"SELECT {COLUMNS} FROM objects WHERE {where} AND object_id > ? ORDER BY object_id LIMIT ?"  # noqa: S608  # our own names
        return [record_of(row) for row in self._rows(query, *values, after, limit)]

    def count(self, selection: Selection) -> tuple[int, int]:
        """Objects and bytes of a selection."""
        where, values = conditions(selection, "?")
        query = f"SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE {where}"  # noqa: S608  # our own names
        objects, size = self._rows(query, *values)[0]
        return int(objects), int(size)

    def decisions_of(self, object_ids: Collection[str]) -> Sequence[Decision]:
        """Decisions on these objects, in their order."""
        wanted = sorted(object_ids)
        found: list[tuple[Any, ...]] = []
        for at in range(0, len(wanted), _CHUNK):
            part = wanted[at : at + _CHUNK]
            marks = ",".join("?" * len(part))
            found += self._rows(f"SELECT * FROM decisions WHERE object_id IN ({marks})", *part)  # noqa: S608  # question marks
        return [Decision(*row[1:]) for row in sorted(found)]

    def latest_decisions(self, before: int, limit: int) -> Sequence[tuple[int, Decision]]:
        """Decisions below a number, the newest first."""
        query = (
            "SELECT number, object_id, kind, decided_by, reason, code, decided FROM decisions"
            " WHERE number < ? ORDER BY number DESC LIMIT ?"
        )
        return [(row[0], Decision(*row[1:])) for row in self._rows(query, before, limit)]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error:
            raise TarnhelmError(errors.STATE_BROKEN) from None
