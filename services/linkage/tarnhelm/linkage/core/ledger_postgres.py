"""The ledger of many machines: one PostgreSQL schema for all projects of a site.

Single statements are upserts and need no more than READ COMMITTED. What must not be overtaken is kept in order
by one advisory lock for each project: records and sexes are put under its shared form; merging, splitting,
withdrawing and the list take it alone. So whoever puts a record sees every withdrawal that was told to be done.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tarnhelm.common.errors import PROJECT_DESTROYED, TarnhelmError
from tarnhelm.linkage.core import ledger_statements as sql
from tarnhelm.linkage.core.ledger import TicketBinding
from tarnhelm.linkage.core.ledger_sql import SqlLedger
from tarnhelm.linkage.core.ledger_standing import Session
from tarnhelm.linkage.core.postgres import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import Connection

__all__ = ["PostgresLedger"]

_T = TypeVar("_T")
_LOCK: Final = 0x6C696E6B
"""The first of two numbers of the advisory lock; the second is the project's."""
_PLACE: Final = re.compile(r":([a-z_]+)")
_BOOK: Final = "SELECT project, destroyed FROM book WHERE name = %s"
_OPEN_BOOK: Final = "INSERT INTO book (name) VALUES (%s) ON CONFLICT DO NOTHING"
_KNOWN: Final = "SELECT tag FROM record WHERE project = :project AND tag = ANY(:tags)"
_SEXES: Final = "SELECT subject, token FROM sex WHERE project = :project AND subject = ANY(:subjects)"
_BIND: Final = """
INSERT INTO ticket (project, ticket, digest, expires, bound)
SELECT :project, ticket, digest, expires, :now
FROM unnest(CAST(:tickets AS bytea[]), CAST(:digests AS bytea[]), CAST(:expire AS bigint[])) AS item (ticket, digest, expires)
ON CONFLICT (project, ticket) DO UPDATE SET
  digest = CASE WHEN ticket.expires <= :now THEN excluded.digest ELSE ticket.digest END,
  bound = CASE WHEN ticket.expires <= :now THEN excluded.bound ELSE ticket.bound END,
  expires = CASE WHEN ticket.expires <= :now THEN excluded.expires ELSE ticket.expires END
RETURNING ticket, digest
"""


class PostgresLedger(SqlLedger):
    """Implements :class:`~tarnhelm.linkage.core.ledger.Ledger` on PostgreSQL 13 or later.

    Writes are committed with the server's own durability, so :meth:`flush` has nothing to do; bindings of
    tickets alone are committed without waiting for the disk. What is deleted stays in the server's files until
    it is vacuumed, and in its log for as long as that is kept: sealed and keyed, as it was.

    Parameters
    ----------
    database
        Address, or a pool that is shared; a shared one is not closed with the ledger.
    project
        Opaque id.
    clock
        See :class:`~tarnhelm.linkage.core.ledger_sql.SqlLedger`.
    """

    def __init__(self, database: str | Database, project: str, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(project, clock=clock)
        self._shared = isinstance(database, Database)
        self._database = database if isinstance(database, Database) else Database(database)
        try:
            self._number = self._database.use(self._opened)
        except BaseException:
            self._forget()
            raise

    def _read(self, work: Callable[[Session], _T], *, together: bool = False) -> _T:
        def read(connection: Connection[Any]) -> _T:
            if not together:
                return work(_PostgresSession(connection, self._number))
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                return work(_PostgresSession(connection, self._number))

        return self._database.use(read)

    def _write(self, work: Callable[[Session], _T], *, alone: bool = False, durable: bool = True) -> _T:
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"

        def write(connection: Connection[Any]) -> _T:
            with connection.transaction():
                if durable:
                    connection.execute(f"SELECT {lock}(%s, %s)", (_LOCK, self._number))
                else:
                    connection.execute("SET LOCAL synchronous_commit = off")
                return work(_PostgresSession(connection, self._number))

        return self._database.use(write)

    def _known(self, session: Session, tags: Sequence[bytes]) -> list[bytes]:
        return [row[0] for row in session.rows(_KNOWN, tags=list(tags))]

    def _sexes(self, session: Session, subjects: Sequence[bytes]) -> dict[bytes, bytes]:
        return dict(session.rows(_SEXES, subjects=list(subjects)))

    def _bind(self, session: Session, items: Sequence[TicketBinding], now: int) -> dict[bytes, bytes]:
        rows = session.rows(
            _BIND,
            now=now,
            tickets=[item.ticket for item in items],
            digests=[item.digest for item in items],
            expire=[item.expires for item in items],
        )
        return dict(rows)

    def flush(self) -> None:
        """See :class:`Ledger`: every write is on the server's disk when it returns."""

    def destroy(self) -> None:
        """See :class:`Ledger`."""

        def work(session: Session) -> None:
            for table in sql.TABLES:
                session.count(f"DELETE FROM {table} WHERE project = :project")  # noqa: S608 (a fixed list of names)
            session.count(sql.MARK_DESTROYED)

        self._write(work, alone=True)
        self._forget()

    def close(self) -> None:
        """See :class:`Ledger`."""
        self._forget()

    def _forget(self) -> None:
        if not self._shared:
            self._database.close()

    def _opened(self, connection: Connection[Any]) -> int:
        found = connection.execute(_BOOK, (self._project,)).fetchone()
        if found is None:
            connection.execute(_OPEN_BOOK, (self._project,))
            found = connection.execute(_BOOK, (self._project,)).fetchone()
        if found is None or found[1]:
            raise TarnhelmError(PROJECT_DESTROYED)
        return int(found[0])


class _PostgresSession:
    """Implements :class:`~tarnhelm.linkage.core.ledger_standing.Session`."""

    __slots__ = ("_connection", "_number")

    def __init__(self, connection: Connection[Any], number: int) -> None:
        self._connection = connection
        self._number = number

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        values["project"] = self._number
        return self._connection.execute(_translated(statement), values).fetchall()

    def each(self, statement: str, values: Sequence[dict[str, Any]]) -> list[list[tuple[Any, ...]]]:
        if len(values) < 2:
            return [self.rows(statement, **one) for one in values]
        with self._connection.cursor() as cursor:
            # Sent together, so many questions take hardly longer than one.
            cursor.executemany(_translated(statement), self._named(values), returning=True)
            return [result.fetchall() for result in cursor.results()]

    def count(self, statement: str, **values: Any) -> int:
        values["project"] = self._number
        return self._connection.execute(_translated(statement), values).rowcount

    def many(self, statement: str, values: Sequence[dict[str, Any]]) -> int:
        if not values:
            return 0
        if len(values) == 1:
            return self.count(statement, **values[0])
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), self._named(values))
            return max(0, cursor.rowcount)

    def _named(self, values: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"project": self._number, **one} for one in values]


@lru_cache(maxsize=256)
def _translated(statement: str) -> bytes:
    return _PLACE.sub(r"%(\1)s", statement).encode()
