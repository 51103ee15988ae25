"""Connections to PostgreSQL for the ledger and the projects: pooled, retried once, errors without values.

The address is what libpq takes (``host=... dbname=... user=... sslmode=verify-full``) or a ``postgresql://``
address. A password does not belong in it: name a ``passfile``, or use a client certificate.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

from tarnhelm.common.errors import LEDGER_BUSY, LEDGER_DAMAGED, LEDGER_VERSION, TarnhelmError
from tarnhelm.linkage.core.ledger_postgres_schema import VERSION, check_version, migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg import Connection

__all__ = ["Database"]

_T = TypeVar("_T")
_WAIT_SECONDS: Final = 10.0
_PASSING: Final = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
"""Away, restarting, overloaded, a standby that is read-only, a deadlock: all pass, or are cured without us."""


class Database:
    """A pool of connections to one database whose tables are of this version.

    Safe among threads; after a fork the child opens connections of its own.

    Parameters
    ----------
    address
        See the module.
    connections
        At most so many at a time.

    Raises
    ------
    TarnhelmError
        LNK-008 (RETRY) where it cannot be reached, LNK-012 where it is not a ledger's, LNK-023 where its
        tables are of another version and this role may not bring them up to date.
    """

    def __init__(self, address: str, *, connections: int = 4) -> None:
        self._address = address
        self._connections = connections
        self._lock = threading.Lock()
        self._owner = 0
        self._pool: ConnectionPool[Connection[Any]] | None = None
        # A pool that came through a fork is kept and never closed: its connections are the parent's.
        self._inherited: list[ConnectionPool[Connection[Any]]] = []
        self.use(_prepare)

    def use(self, work: Callable[[Connection[Any]], _T]) -> _T:
        """Do work with a connection in autocommit mode; again, if the server had closed it meanwhile.

        The work must come to the same when it is done twice.
        """
        try:
            try:
                return self._once(work)
            except _PASSING:
                self._current().drain()
                return self._once(work)
        except _PASSING:
            raise TarnhelmError(LEDGER_BUSY) from None
        except psycopg.Error:
            raise TarnhelmError(LEDGER_DAMAGED) from None

    @contextmanager
    def lasting(self) -> Iterator[Connection[Any]]:
        """Give a connection for a while; the errors of the database are those of :meth:`use`."""
        try:
            with self._current().connection() as connection:
                yield connection
        except _PASSING:
            raise TarnhelmError(LEDGER_BUSY) from None
        except psycopg.Error:
            raise TarnhelmError(LEDGER_DAMAGED) from None

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
                    kwargs={"autocommit": True, "connect_timeout": int(_WAIT_SECONDS)},
                    configure=_configure,
                    min_size=1,
                    max_size=self._connections,
                    timeout=_WAIT_SECONDS,
                    open=True,
                )
                self._owner = os.getpid()
            return self._pool


def _configure(connection: Connection[Any]) -> None:
    connection.execute("SET search_path = linkage")
    connection.execute(f"SET lock_timeout = '{int(_WAIT_SECONDS)}s'")
    connection.execute("SET idle_in_transaction_session_timeout = '60s'")


def _prepare(connection: Connection[Any]) -> None:
    if check_version(connection):
        return
    try:
        migrate(connection)
    except psycopg.errors.InsufficientPrivilege:
        raise TarnhelmError(LEDGER_VERSION, found=0, wanted=VERSION) from None
