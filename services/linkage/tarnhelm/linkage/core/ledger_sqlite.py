"""The ledger of one machine: one SQLite file for each project, shared by any number of processes."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import LEDGER_BUSY, LEDGER_DAMAGED, PROJECT_DESTROYED, TarnhelmError
from tarnhelm.linkage.core.ledger import SealedRecord, TaggedRecord
from tarnhelm.linkage.core.private_files import private_directory, touch_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["SqliteLedger"]

_FORMAT: Final = "1"
_BUSY_SECONDS: Final = 10.0
_PAGE: Final = 500
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alias (subject BLOB PRIMARY KEY, canonical BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alias_canonical ON alias (canonical);
CREATE TABLE IF NOT EXISTS sex (subject BLOB PRIMARY KEY, token BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
  sequence INTEGER PRIMARY KEY, tag BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, handle TEXT NOT NULL, sealed BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS record_handle ON record (handle);
"""


class SqliteLedger:
    """Implements :class:`~tarnhelm.linkage.core.ledger.Ledger` on SQLite in WAL mode.

    Writes are committed without fsync: they survive any death of the process, and a power cut takes at most
    the last ones, never the file. :meth:`flush` commits once with fsync of the log. What a power cut took is
    written again when the object is, because its outcome had not been recorded either.

    Safe among threads and processes; after a fork the child opens a connection of its own.

    Parameters
    ----------
    path
        The file; its directory must be private.
    project
        Opaque id; a file of another project is refused.
    """

    def __init__(self, path: Path, project: str) -> None:
        self._path = path
        self._project = project
        self._lock = threading.RLock()
        self._owner = 0
        self._connection: sqlite3.Connection | None = None
        # A connection that came through a fork is kept and never closed: closing would touch its owner's log.
        self._inherited: list[sqlite3.Connection] = []
        private_directory(path.parent)
        with self._use():
            pass

    # --- aliases and sex -------------------------------------------------------------------------------------

    def canonical(self, subject: bytes) -> bytes:
        """See :class:`Ledger`."""
        with self._use() as connection:
            row = connection.execute("SELECT canonical FROM alias WHERE subject = ?", (subject,)).fetchone()
        return subject if row is None else bytes(row[0])

    def put_alias(self, subject: bytes, canonical: bytes) -> None:
        """See :class:`Ledger`."""
        with self._write() as connection:
            row = connection.execute("SELECT canonical FROM alias WHERE subject = ?", (canonical,)).fetchone()
            target = canonical if row is None else bytes(row[0])
            if target == subject:
                return
            connection.execute("UPDATE alias SET canonical = ? WHERE canonical = ?", (target, subject))
            connection.execute("INSERT OR REPLACE INTO alias VALUES (?, ?)", (subject, target))

    def drop_alias(self, subject: bytes) -> None:
        """See :class:`Ledger`."""
        with self._write() as connection:
            connection.execute("DELETE FROM alias WHERE subject = ?", (subject,))

    def first_sex(self, subject: bytes, token: bytes) -> bytes:
        """See :class:`Ledger`."""
        query = "SELECT token FROM sex WHERE subject = ?"
        with self._use() as connection:
            row = connection.execute(query, (subject,)).fetchone()
        if row is None:
            with self._write() as connection:
                connection.execute("INSERT INTO sex VALUES (?, ?) ON CONFLICT DO NOTHING", (subject, token))
                row = connection.execute(query, (subject,)).fetchone()
        return bytes(row[0])

    # --- sealed records --------------------------------------------------------------------------------------

    def known(self, tags: Sequence[bytes]) -> frozenset[bytes]:
        """See :class:`Ledger`."""
        with self._use() as connection:
            rows = [connection.execute("SELECT tag FROM record WHERE tag = ?", (tag,)).fetchone() for tag in tags]
        return frozenset(bytes(row[0]) for row in rows if row is not None)

    def put_records(self, records: Sequence[TaggedRecord]) -> int:
        """See :class:`Ledger`."""
        if not records:
            return 0
        with self._write() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT INTO record (tag, kind, handle, sealed) VALUES (?, ?, ?, ?) ON CONFLICT (tag) DO NOTHING",
                [(record.tag, record.kind, record.handle, record.sealed) for record in records],
            )
            return connection.total_changes - before

    def records(self, kind: str = "", handle: str = "") -> Iterator[SealedRecord]:
        """See :class:`Ledger`."""
        query = (
            "SELECT sequence, kind, handle, sealed FROM record WHERE sequence > ? AND (? = '' OR kind = ?) "
            "AND (? = '' OR handle = ?) ORDER BY sequence LIMIT ?"
        )
        last = 0
        while True:
            with self._use() as connection:
                rows = connection.execute(query, (last, kind, kind, handle, handle, _PAGE)).fetchall()
            for _, found_kind, found_handle, sealed in rows:
                yield SealedRecord(self._project, found_kind, found_handle, bytes(sealed))
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    # --- the file --------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """See :class:`Ledger`."""
        with self._use() as connection:
            connection.execute("PRAGMA synchronous = FULL")
            try:
                # In this mode a commit syncs the whole log, so the earlier commits are safe with it.
                with self._write():
                    connection.execute("INSERT OR REPLACE INTO meta VALUES ('flushed', ?)", (str(os.getpid()),))
            finally:
                connection.execute("PRAGMA synchronous = NORMAL")

    def destroy(self) -> None:
        """See :class:`Ledger`."""
        with self._write() as connection:
            for table in ("alias", "sex", "record"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 (a fixed list of names)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('destroyed', '1')")
        with self._use() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._forget()

    def close(self) -> None:
        """See :class:`Ledger`."""
        if self._connection is not None and self._owner == os.getpid():
            self.flush()
            self._forget()

    def _forget(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is not None and self._owner != os.getpid():
                    self._inherited.append(self._connection)
                    self._connection = None
                if self._connection is None:
                    self._connection = self._opened()
                    self._owner = os.getpid()
                yield self._connection
            except sqlite3.OperationalError:
                # Locked for too long, disk full, read-only: all pass, or are cured without us.
                raise TarnhelmError(LEDGER_BUSY) from None
            except sqlite3.Error:
                raise TarnhelmError(LEDGER_DAMAGED) from None

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _opened(self) -> sqlite3.Connection:
        touch_private(self._path)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?), ('project', ?)", (_FORMAT, self._project))
        connection.execute("COMMIT")
        meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        if meta["format"] != _FORMAT or meta["project"] != self._project:
            raise TarnhelmError(LEDGER_DAMAGED)
        if "destroyed" in meta:
            raise TarnhelmError(PROJECT_DESTROYED)
