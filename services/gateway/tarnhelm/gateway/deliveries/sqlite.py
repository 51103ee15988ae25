"""The delivery store in a SQLite file of its own: one machine, several processes."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.deliveries.sql import Rows, SqlDeliveries
from tarnhelm.gateway.deliveries.statements import SQLITE_SCHEMA, SQLITE_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tarnhelm.gateway.deliveries.sql import Transaction

__all__ = ["SqliteDeliveries"]

_T = TypeVar("_T")


class SqliteDeliveries(SqlDeliveries):
    """Deliveries in a file of mode 0600, write-ahead log.

    Parameters
    ----------
    path
        A file of its own: writers of the state do not wait for those of the deliveries.

    Raises
    ------
    TarnhelmError
        GTW-006 where the file is of another kind or version.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SQLITE_VERSION):
                raise TarnhelmError(errors.STATE_BROKEN)
            if version == 0:
                self._db.executescript(f"BEGIN IMMEDIATE;{SQLITE_SCHEMA};PRAGMA user_version={SQLITE_VERSION};COMMIT;")
        except sqlite3.DatabaseError:
            raise TarnhelmError(errors.STATE_BROKEN) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _transact(self, work: Callable[[Transaction], _T]) -> _T:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    found = work(_Statements(self._db))
                    self._db.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.OperationalError):  # a full disk has rolled it back already
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:
                full = error.sqlite_errorname == "SQLITE_FULL"
                raise TarnhelmError(errors.NO_SPACE if full else errors.STATE_AWAY) from None
            except sqlite3.DatabaseError:
                raise TarnhelmError(errors.STATE_BROKEN) from None
            return found

    def _rows(self, query: str, values: Sequence[Any] = ()) -> Rows:
        with self._lock:  # without a transaction: readers do not wait for a writer of another process
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.DatabaseError:
                raise TarnhelmError(errors.STATE_AWAY) from None


class _Statements:
    """Statements of the open transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def rows(self, query: str, values: Sequence[Any] = ()) -> Rows:
        """Ask, or change with RETURNING."""
        return self._db.execute(query, values).fetchall()

    def change(self, query: str, values: Sequence[Any]) -> int:
        """Change; returns how many rows."""
        return self._db.execute(query, values).rowcount
