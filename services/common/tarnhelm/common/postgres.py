"""Connections to PostgreSQL: pooled, retried once, errors without values, tables by numbered steps.

An address is what libpq takes (``host=... dbname=... user=... sslmode=verify-full``) or a ``postgresql://``
address. A password does not belong in it: name a ``passfile``, or use a client certificate. Needs psycopg.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from tarnhelm.common.errors import ErrorCode, TarnhelmError

__all__ = ["PASSING", "Database", "Tables", "noticing"]

_T = TypeVar("_T")
PASSING: Final = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
"""Away, restarting, overloaded, a standby that is read-only, a deadlock: all pass, or are cured without us."""


#: A server that vanished without a word is noticed within half a minute, and not when the kernel gives up on it.
_NOTICING: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


def noticing(address: str) -> dict[str, Any]:
    """Return connection parameters that notice a vanished server, but for what the address itself says of it."""
    said = conninfo_to_dict(address)
    return {name: value for name, value in _NOTICING.items() if name not in said}


class Database:
    """A pool of connections to one database.

    Safe among threads; after a fork the child opens connections of its own.

    Parameters
    ----------
    address
        See the module.
    configure
        Called with each new connection, which is in autocommit mode.
    prepare
        Called once with a connection: checks the tables, or makes them.
    away, broken
        What is raised where the database cannot be reached, and where it answers with any other error.
    connections
        At most so many at a time.
    wait_seconds
        For a connection.
    """

    def __init__(
        self,
        address: str,
        *,
        configure: Callable[[Connection[Any]], None],
        prepare: Callable[[Connection[Any]], None],
        away: ErrorCode,
        broken: ErrorCode,
        connections: int = 4,
        wait_seconds: float = 10.0,
    ) -> None:
        self._address = address
        self._configure = configure
        self._away = away
        self._broken = broken
        self._connections = connections
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._owner = 0
        self._pool: ConnectionPool[Connection[Any]] | None = None
        # A pool that came through a fork is kept and never closed: its connections are the parent's.
        self._inherited: list[ConnectionPool[Connection[Any]]] = []
        try:
            self.use(prepare)
        except BaseException:
            self.close()  # nobody else has it, and its threads would go on trying
            raise

    def use(self, work: Callable[[Connection[Any]], _T]) -> _T:
        """Do work with a connection in autocommit mode; again, if the server had closed it meanwhile.

        The work must come to the same when it is done twice.
        """
        with self.told():
            try:
                return self._once(work)
            except PASSING:
                self.drain()
                return self._once(work)

    @contextmanager
    def lasting(self) -> Iterator[Connection[Any]]:
        """Give a connection for a while; the errors of the database are those of :meth:`use`."""
        with self.told(), self._current().connection() as connection:
            yield connection

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn the driver's errors, whose texts hold values, into the two of this database."""
        try:
            yield
        except PASSING:
            raise TarnhelmError(self._away) from None
        except psycopg.Error:
            raise TarnhelmError(self._broken) from None

    def drain(self) -> None:
        """Replace all connections: the server has broken one of them, and so perhaps the others."""
        self._current().drain()

    def close(self) -> None:
        """Let the connections go; the next use opens new ones."""
        with self._lock:
            if self._pool is not None and self._owner == os.getpid():
                self._pool.close()
                self._pool = None

    def _once(self, work: Callable[[Connection[Any]], _T]) -> _T:
        with self._current().connection() as connection:
            return work(connection)

    def _current(self) -> ConnectionPool[Connection[Any]]:
        if self._pool is not None and self._owner == os.getpid():
            return self._pool
        with self._lock:
            if self._pool is not None and self._owner != os.getpid():
                self._inherited.append(self._pool)
                self._pool = None
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._address,
                    kwargs={
                        **noticing(self._address),
                        "autocommit": True,
                        "connect_timeout": max(1, int(self._wait_seconds)),
                    },
                    configure=self._configure,
                    min_size=1,
                    max_size=self._connections,
                    timeout=self._wait_seconds,
                    open=True,
                )
                self._owner = os.getpid()
            return self._pool


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one schema, as numbered steps that are only ever added to.

    Attributes
    ----------
    schema
        Its name; a table ``version`` in it says how many of the steps were made.
    steps
        Statements; the version is their number.
    lock
        Of migrations, so that two processes do not migrate at the same time.
    mismatch
        What is raised where the tables are newer, or are older and this role may not change them; its facts are
        ``found`` and ``wanted``.
    """

    schema: str
    steps: Sequence[str]
    lock: int
    mismatch: ErrorCode

    def prepare(self, connection: Connection[Any]) -> None:
        """Make the tables, or bring them up to date, in one transaction, unless they are of this version."""
        if self._found(connection) == len(self.steps):
            return
        try:
            self._migrate(connection)
        except psycopg.errors.InsufficientPrivilege:
            raise TarnhelmError(self.mismatch, found=self._found(connection), wanted=len(self.steps)) from None

    def _migrate(self, connection: Connection[Any]) -> None:
        # The lock is taken before the transaction begins: a transaction does not see tables that were made after.
        connection.execute("SELECT pg_advisory_lock(%s)", (self.lock,))
        try:
            with connection.transaction():
                found = self._found(connection)
                if found == 0:
                    for text in (
                        "CREATE SCHEMA IF NOT EXISTS {}",
                        "CREATE TABLE {}.version (version integer NOT NULL)",
                        "INSERT INTO {}.version VALUES (0)",
                    ):
                        connection.execute(sql.SQL(text).format(sql.Identifier(self.schema)))
                for step in self.steps[found:]:
                    connection.execute(step.encode())
                update = sql.SQL("UPDATE {}.version SET version = %s").format(sql.Identifier(self.schema))
                connection.execute(update, (len(self.steps),))
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (self.lock,))

    def _found(self, connection: Connection[Any]) -> int:
        """Return the version of the tables, 0 for none; raises where a newer software made them."""
        table = f"{self.schema}.version"
        if connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() == (None,):
            return 0
        row = connection.execute(
            sql.SQL("SELECT version FROM {}").format(sql.Identifier(self.schema, "version"))
        ).fetchone()
        found = 0 if row is None else int(row[0])
        if found > len(self.steps):
            raise TarnhelmError(self.mismatch, found=found, wanted=len(self.steps))
        return found
