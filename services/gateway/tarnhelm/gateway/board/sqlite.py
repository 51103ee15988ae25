"""The board in a SQLite file of its own: many processes of one machine."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.board.base import PartNote, note_of, row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["SqliteBoard"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS notes (
  kind TEXT, name TEXT, instance TEXT, condition TEXT NOT NULL, code TEXT NOT NULL, since REAL NOT NULL,
  said REAL NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (kind, name, instance)) WITHOUT ROWID
"""


class SqliteBoard:
    """Keeps notes in a file of mode 0600. A power cut may take the last of them: they are said again."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_SCHEMA)
        except sqlite3.Error:
            raise TarnhelmError(errors.STATE_BROKEN) from None

    def post(self, notes: Iterable[PartNote]) -> None:
        """Keep these notes."""
        rows = [row_of(note) for note in notes]
        if rows:
            self._do("BEGIN IMMEDIATE", "INSERT OR REPLACE INTO notes VALUES (?,?,?,?,?,?,?,?)", rows)

    def notes(self) -> Sequence[PartNote]:
        """All notes."""
        with self._lock:
            try:
                rows = self._db.execute("SELECT * FROM notes ORDER BY kind, name, instance").fetchall()
            except sqlite3.Error:
                raise TarnhelmError(errors.STATE_BROKEN) from None
        return [note_of(row) for row in rows]

    def withdraw(self, instance: str) -> None:
        """Remove the notes of a process."""
        self._do("BEGIN IMMEDIATE", "DELETE FROM notes WHERE instance=?", [(instance,)])

    def sweep(self, before: float) -> int:
        """Remove old notes."""
        return self._do("BEGIN IMMEDIATE", "DELETE FROM notes WHERE said<?", [(before,)])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _do(self, begin: str, statement: str, rows: list[tuple[Any, ...]]) -> int:
        with self._lock:
            try:
                self._db.execute(begin)
                try:
                    changed = self._db.executemany(statement, rows).rowcount
                    self._db.execute("COMMIT")
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error:
                raise TarnhelmError(errors.STATE_BROKEN) from None
        return changed
