"""The ledger of one machine: one SQLite file for each project, shared by any number of processes."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tarnhelm.common.errors import LEDGER_BUSY, LEDGER_DAMAGED, LEDGER_VERSION, PROJECT_DESTROYED, TarnhelmError
from tarnhelm.linkage.core import ledger_statements as sql
from tarnhelm.linkage.core.ledger import TicketBinding
from tarnhelm.linkage.core.ledger_sql import SqlLedger
from tarnhelm.linkage.core.ledger_standing import Session
from tarnhelm.linkage.core.private_files import private_directory, touch_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["SqliteLedger"]

_T = TypeVar("_T")
_FORMAT: Final = 2
_NUMBER: Final = 1
"""A file holds one project, so its row in ``book`` is the first."""
_BUSY_SECONDS: Final = 10.0
_META: Final = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_SCHEMA: Final = """
CREATE TABLE book (
  project INTEGER PRIMARY KEY, changes INTEGER NOT NULL DEFAULT 0, listed INTEGER NOT NULL DEFAULT 0,
  destroyed INTEGER NOT NULL DEFAULT 0
);
INSERT INTO book (project) VALUES (1);
CREATE TABLE event (
  event INTEGER PRIMARY KEY, project INTEGER NOT NULL, kind TEXT NOT NULL, subject BLOB NOT NULL,
  target BLOB NOT NULL, studies BLOB NOT NULL, undoes INTEGER, case_id TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX event_undoes ON event (project, undoes);
CREATE TABLE link (
  project INTEGER, subject BLOB, target BLOB NOT NULL, event INTEGER NOT NULL, PRIMARY KEY (project, subject)
) WITHOUT ROWID;
CREATE INDEX link_target ON link (project, target);
CREATE INDEX link_event ON link (project, event);
CREATE TABLE split (
  project INTEGER, subject BLOB, study BLOB, target BLOB NOT NULL, event INTEGER NOT NULL,
  PRIMARY KEY (project, subject, study)
) WITHOUT ROWID;
CREATE INDEX split_target ON split (project, target);
CREATE INDEX split_event ON split (project, event);
CREATE TABLE sex (project INTEGER, subject BLOB, token BLOB NOT NULL, PRIMARY KEY (project, subject)) WITHOUT ROWID;
CREATE TABLE record (
  sequence INTEGER PRIMARY KEY, project INTEGER NOT NULL, tag BLOB NOT NULL, kind TEXT NOT NULL,
  handle TEXT NOT NULL, sealed BLOB NOT NULL, subject BLOB NOT NULL, study BLOB NOT NULL, UNIQUE (project, tag)
);
CREATE INDEX record_handle ON record (project, handle);
CREATE INDEX record_subject ON record (project, subject);
CREATE TABLE tombstone (
  project INTEGER, tag BLOB, case_id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (project, tag)
) WITHOUT ROWID;
CREATE TABLE cohort (
  sequence INTEGER PRIMARY KEY, project INTEGER NOT NULL, tag BLOB NOT NULL, study_id TEXT NOT NULL,
  offset_days INTEGER, by_accession INTEGER NOT NULL, UNIQUE (project, tag, by_accession)
);
CREATE UNIQUE INDEX cohort_patient ON cohort (project, study_id) WHERE by_accession = 0;
CREATE TABLE ticket (
  project INTEGER, ticket BLOB, digest BLOB NOT NULL, expires INTEGER NOT NULL, bound INTEGER NOT NULL,
  PRIMARY KEY (project, ticket)
) WITHOUT ROWID;
CREATE INDEX ticket_bound ON ticket (project, bound)
"""
_ASIDE: Final = """
DROP INDEX alias_canonical;
DROP INDEX record_handle;
ALTER TABLE alias RENAME TO alias_1;
ALTER TABLE sex RENAME TO sex_1;
ALTER TABLE record RENAME TO record_1
"""
"""Format 1 had aliases without a history, and records that did not say whom they are about."""
_TAKEN_OVER: Final = """
INSERT INTO event (project, kind, subject, target, studies, case_id, at)
  SELECT 1, 'link', subject, canonical, x'', 'format-1', 0 FROM alias_1;
INSERT INTO link (project, subject, target, event) SELECT 1, subject, target, event FROM event;
INSERT INTO sex (project, subject, token) SELECT 1, subject, token FROM sex_1;
INSERT INTO record (sequence, project, tag, kind, handle, sealed, subject, study)
  SELECT sequence, 1, tag, kind, handle, sealed, x'', x'' FROM record_1;
DROP TABLE alias_1;
DROP TABLE sex_1;
DROP TABLE record_1
"""
_KNOWN: Final = "SELECT tag FROM record WHERE project = 1 AND tag = ?"
_SEX: Final = "SELECT token FROM sex WHERE project = :project AND subject = :subject"
_BIND: Final = """
INSERT INTO ticket (project, ticket, digest, expires, bound) VALUES (:project, :ticket, :digest, :expires, :now)
ON CONFLICT (project, ticket) DO UPDATE
  SET digest = excluded.digest, expires = excluded.expires, bound = excluded.bound WHERE ticket.expires <= :now
"""
_BOUND: Final = "SELECT digest FROM ticket WHERE project = :project AND ticket = :ticket"


class SqliteLedger(SqlLedger):
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
    clock
        See :class:`~tarnhelm.linkage.core.ledger_sql.SqlLedger`.
    """

    def __init__(self, path: Path, project: str, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(project, clock=clock)
        self._path = path
        self._lock = threading.RLock()
        self._owner = 0
        self._unflushed = True
        self._connection: sqlite3.Connection | None = None
        # A connection that came through a fork is kept and never closed: closing would touch its owner's log.
        self._inherited: list[sqlite3.Connection] = []
        private_directory(path.parent)
        with self._use():
            pass

    # --- transactions ----------------------------------------------------------------------------------------

    def _read(self, work: Callable[[Session], _T], *, together: bool = False) -> _T:
        with self._use() as connection:
            if not together:
                return work(_SqliteSession(connection))
            connection.execute("BEGIN")
            try:
                return work(_SqliteSession(connection))
            finally:
                connection.execute("COMMIT")

    def _write(self, work: Callable[[Session], _T], *, alone: bool = False, durable: bool = True) -> _T:  # noqa: ARG002 (one writer at a time)
        if durable:
            self._unflushed = True
        with self._transaction() as connection:
            return work(_SqliteSession(connection))

    def _known(self, session: Session, tags: Sequence[bytes]) -> list[bytes]:  # noqa: ARG002 (positional places are faster)
        with self._use() as connection:
            rows = [connection.execute(_KNOWN, (tag,)).fetchone() for tag in tags]
        # What another process put may not be on the disk yet, and is relied on from now on.
        self._unflushed = True
        return [row[0] for row in rows if row is not None]

    def _sexes(self, session: Session, subjects: Sequence[bytes]) -> dict[bytes, bytes]:
        found = {subject: session.rows(_SEX, subject=subject) for subject in subjects}
        return {subject: rows[0][0] for subject, rows in found.items() if rows}

    def _bind(self, session: Session, items: Sequence[TicketBinding], now: int) -> dict[bytes, bytes]:
        bound = {}
        for item in items:
            session.count(_BIND, ticket=item.ticket, digest=item.digest, expires=item.expires, now=now)
            ((bound[item.ticket],),) = session.rows(_BOUND, ticket=item.ticket)
        return bound

    # --- the file --------------------------------------------------------------------------------------------

    def withdraw(self, subject: bytes, case: str, handles: Sequence[str] = ()) -> int:
        """See :class:`Ledger`; what was deleted is gone from the log too, unless somebody is reading it."""
        gone = super().withdraw(subject, case, handles)
        with self._use() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def flush(self) -> None:
        """See :class:`Ledger`; costs nothing where there was nothing to keep since the last time."""
        if not self._unflushed:
            return
        with self._use() as connection:
            self._unflushed = False
            connection.execute("PRAGMA synchronous = FULL")
            try:
                # In this mode a commit syncs the whole log, so the earlier commits are safe with it.
                with self._transaction():
                    connection.execute("INSERT OR REPLACE INTO meta VALUES ('flushed', ?)", (str(os.getpid()),))
            except BaseException:
                self._unflushed = True
                raise
            finally:
                connection.execute("PRAGMA synchronous = NORMAL")

    def destroy(self) -> None:
        """See :class:`Ledger`."""
        with self._transaction() as connection:
            for table in sql.TABLES:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 (a fixed list of names)
            connection.execute(sql.MARK_DESTROYED, {"project": _NUMBER})
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
    def _transaction(self) -> Iterator[sqlite3.Connection]:
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
        connection.execute("PRAGMA cache_size = -512")  # KiB a connection; the system keeps the file's pages anyway
        meta = _meta(connection)
        if meta.get("format") != str(_FORMAT):
            self._bring_up_to_date(connection)
            meta = _meta(connection)
        if meta.get("project") != self._project:
            raise TarnhelmError(LEDGER_DAMAGED)
        if "destroyed" in meta:
            raise TarnhelmError(PROJECT_DESTROYED)

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_META)
            steps = _steps(_meta(connection), self._project)
            for statement in ";".join(steps).split(";") if steps else ():
                connection.execute(statement)
            values = (str(_FORMAT), self._project)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?), ('project', ?)", values)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


class _SqliteSession:
    """Implements :class:`~tarnhelm.linkage.core.ledger_standing.Session`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        values["project"] = _NUMBER
        return self._connection.execute(statement, values).fetchall()

    def each(self, statement: str, values: Sequence[dict[str, Any]]) -> list[list[tuple[Any, ...]]]:
        return [self._connection.execute(statement, {"project": _NUMBER, **one}).fetchall() for one in values]

    def count(self, statement: str, **values: Any) -> int:
        values["project"] = _NUMBER
        return self._connection.execute(statement, values).rowcount

    def many(self, statement: str, values: Sequence[dict[str, Any]]) -> int:
        named = [{"project": _NUMBER, **one} for one in values]
        return max(0, self._connection.executemany(statement, named).rowcount)


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return {}
    return dict(connection.execute("SELECT name, value FROM meta").fetchall())


def _steps(meta: dict[str, str], project: str) -> tuple[str, ...]:
    """Which statements bring a file up to date; none where another process was faster."""
    found = meta.get("format", "0")
    if meta.get("project", project) != project or not found.isdecimal():
        raise TarnhelmError(LEDGER_DAMAGED)
    if int(found) > _FORMAT:
        raise TarnhelmError(LEDGER_VERSION, found=int(found), wanted=_FORMAT)
    return {0: (_SCHEMA,), 1: (_ASIDE, _SCHEMA, _TAKEN_OVER), _FORMAT: ()}[int(found)]
