"""The store of cases of one machine: one SQLite file, to which rows are added and in which none is changed."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import CASES_BUSY, CASES_DAMAGED, TarnhelmError
from tarnhelm.linkage.core.private_files import private_directory, touch_private
from tarnhelm.reveal.core.cases import Step
from tarnhelm.reveal.core.store import CaseEvent, UseCount

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SqliteCases"]

_BUSY_SECONDS: Final = 10.0
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS event (
  case_id TEXT NOT NULL, number INTEGER NOT NULL CHECK (number > 0), step TEXT NOT NULL, time INTEGER NOT NULL,
  document BLOB NOT NULL, project TEXT NOT NULL, person TEXT NOT NULL, audit TEXT NOT NULL,
  PRIMARY KEY (case_id, number)
)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS used_once ON event (case_id) WHERE step = 'use'",
    "CREATE INDEX IF NOT EXISTS opened ON event (step, time)",
    "CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TRIGGER IF NOT EXISTS no_removal BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'append only'); END",
)


class SqliteCases:
    """Implements :class:`~tarnhelm.reveal.core.store.CaseStore`; each event is on the disk (fsync) when added.

    Safe among threads and processes.

    Parameters
    ----------
    path
        The file; its directory must be private.
    """

    def __init__(self, path: Path) -> None:
        private_directory(path.parent)
        touch_private(path)
        touch_private(path.with_name(f"{path.name}.turn"))
        self._path = path
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            with self._use() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                for statement in _SCHEMA:
                    connection.execute(statement)
        except BaseException:
            self._connection.close()
            raise

    def add(self, event: CaseEvent) -> bool:
        """See :class:`CaseStore`."""
        with self._use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                row = connection.execute("SELECT count(*) FROM event WHERE case_id = ?", (event.case,)).fetchone()
                added = int(row[0]) == event.number - 1
                if added:
                    connection.execute(
                        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            event.case,
                            event.number,
                            str(event.step),
                            event.time,
                            event.document,
                            event.project,
                            event.person,
                            event.audit,
                        ),
                    )
                connection.execute("COMMIT")
            except sqlite3.IntegrityError:
                connection.execute("ROLLBACK")
                return False
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            return added

    def events(self, case: str) -> tuple[CaseEvent, ...]:
        """See :class:`CaseStore`."""
        with self._use() as connection:
            rows = connection.execute("SELECT * FROM event WHERE case_id = ? ORDER BY number", (case,)).fetchall()
        try:
            found = tuple(
                CaseEvent(case_id, number, Step(step), time, bytes(document), project, person, audit)
                for case_id, number, step, time, document, project, person, audit in rows
            )
        except (ValueError, TypeError):
            raise TarnhelmError(CASES_DAMAGED) from None
        if [event.number for event in found] != list(range(1, len(found) + 1)):
            raise TarnhelmError(CASES_DAMAGED)
        return found

    def cases(self, project: str = "") -> Iterator[str]:
        """See :class:`CaseStore`."""
        query = "SELECT case_id FROM event WHERE step = 'open' AND (? = '' OR project = ?) ORDER BY time, case_id"
        with self._use() as connection:
            rows = connection.execute(query, (project, project)).fetchall()
        return iter([str(row[0]) for row in rows])

    def uses(self, person: str, project: str, since: int) -> UseCount:
        """See :class:`CaseStore`."""
        query = "SELECT total(person = ?), total(project = ?) FROM event WHERE step = 'use' AND time >= ?"
        with self._use() as connection:
            row = connection.execute(query, (person, project, since)).fetchone()
        return UseCount(int(row[0]), int(row[1]))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """See :class:`CaseStore`; by a lock on a file of its own, which ends with the process."""
        with self._path.with_name(f"{self._path.name}.turn").open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def close(self) -> None:
        """See :class:`CaseStore`."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.OperationalError:
                raise TarnhelmError(CASES_BUSY) from None
            except sqlite3.Error:
                raise TarnhelmError(CASES_DAMAGED) from None
