"""The two files of the embedded broker, and how they are opened.

``log.sqlite`` holds the records. Each transaction in it is synced to the disk before it is acknowledged
(``synchronous=FULL`` in WAL mode). ``groups.sqlite`` holds members and positions and is not synced each time
(``synchronous=NORMAL``): a power cut can lose the last commits there, never its consistency, and then some records
are delivered again. In one file the heartbeats and commits of the consumers would wait for the producers' syncs.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["Files", "mapped", "write"]

_VERSION: Final = 1
_LOG: Final = """
CREATE TABLE IF NOT EXISTS partitions (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, number INTEGER NOT NULL, first INTEGER NOT NULL DEFAULT 0,
  next INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, number));
CREATE TABLE IF NOT EXISTS records (
  id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, headers BLOB NOT NULL, published REAL NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_GROUPS: Final = """
CREATE TABLE IF NOT EXISTS members (
  grp TEXT NOT NULL, member TEXT NOT NULL, topics TEXT NOT NULL, seen REAL NOT NULL, session REAL NOT NULL,
  PRIMARY KEY (grp, member)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shares (
  grp TEXT NOT NULL, topic TEXT NOT NULL, number INTEGER NOT NULL, target TEXT, owner TEXT,
  epoch INTEGER NOT NULL DEFAULT 0, committed INTEGER NOT NULL, has_committed INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (grp, topic, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@contextlib.contextmanager
def mapped() -> Iterator[None]:
    """Turn SQLite's errors into the catalogue's; their texts can hold paths."""
    try:
        yield
    except sqlite3.OperationalError as error:
        full = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
        raise TarnhelmError(errors.NO_SPACE if full else errors.BROKER_AWAY) from None
    except sqlite3.ProgrammingError:
        raise TarnhelmError(errors.BROKER_CLOSED) from None
    except sqlite3.DatabaseError:
        raise TarnhelmError(errors.BROKER_UNREADABLE) from None


@contextlib.contextmanager
def write(database: sqlite3.Connection) -> Iterator[None]:
    """One write transaction; rolled back when something raises."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


class Files:
    """Opens connections to the two files.

    Parameters
    ----------
    folder
        Made with mode 0700 when it is not there. It must lie on a disk of this machine: SQLite's WAL does not work
        over a network file system.
    busy_seconds
        How long a transaction waits for another process's before the broker counts as away.
    """

    def __init__(self, folder: Path, busy_seconds: float) -> None:
        self.folder = folder
        self._busy_seconds = busy_seconds
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_mode & 0o077:
                raise TarnhelmError(errors.BROKER_SETTINGS)
        except OSError:
            raise TarnhelmError(errors.BROKER_AWAY) from None
        with mapped():
            self._prepare()

    def log(self) -> sqlite3.Connection:
        """Open the records."""
        database = self._open("log.sqlite")
        database.execute("PRAGMA synchronous=FULL")
        # A record of `ingest` identifies people: what is deleted is overwritten, too.
        database.execute("PRAGMA secure_delete=ON")
        return database

    def groups(self) -> sqlite3.Connection:
        """Open members and positions."""
        database = self._open("groups.sqlite")
        database.execute("PRAGMA synchronous=NORMAL")
        return database

    def _open(self, name: str) -> sqlite3.Connection:
        path = self.folder / name
        if not path.exists():
            path.touch(mode=0o600)
        return sqlite3.connect(path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> None:
        with contextlib.closing(self.log()) as log, contextlib.closing(self.groups()) as groups:
            identity = ""
            for database, tables in ((log, _LOG), (groups, _GROUPS)):
                if not database.execute("PRAGMA page_count").fetchone()[0]:
                    database.execute("PRAGMA auto_vacuum=INCREMENTAL")
                if database.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                    database.execute("PRAGMA journal_mode=WAL")
                with write(database):
                    version = database.execute("PRAGMA user_version").fetchone()[0]
                    if version not in {0, _VERSION}:
                        raise TarnhelmError(errors.BROKER_UNREADABLE)
                    for statement in tables.split(";")[:-1]:
                        database.execute(statement)
                    database.execute(f"PRAGMA user_version={_VERSION}")
                    identity = _identify(database, identity)


def _identify(database: sqlite3.Connection, wanted: str) -> str:
    """Keep the log's identity in both files: positions of another log mean nothing and are dropped."""
    row = database.execute("SELECT value FROM meta WHERE name='log'").fetchone()
    if not wanted:
        wanted = row[0] if row else secrets.token_hex(16)
    if row is None or row[0] != wanted:
        if row is not None:
            database.execute("DELETE FROM shares")
        database.execute("INSERT OR REPLACE INTO meta VALUES ('log', ?)", (wanted,))
    return wanted
