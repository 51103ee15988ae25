"""Connections to PostgreSQL for the ledger and the projects; the address is as in :mod:`tarnhelm.common.postgres`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg

from tarnhelm.common import postgres
from tarnhelm.common.errors import LEDGER_BUSY, LEDGER_DAMAGED, LEDGER_VERSION, TarnhelmError
from tarnhelm.linkage.core.ledger_postgres_schema import VERSION, check_version, migrate

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["Database"]

_WAIT_SECONDS: Final = 10.0


class Database(postgres.Database):
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
        super().__init__(
            address,
            configure=_configure,
            prepare=_prepare,
            away=LEDGER_BUSY,
            broken=LEDGER_DAMAGED,
            connections=connections,
            wait_seconds=_WAIT_SECONDS,
        )


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
