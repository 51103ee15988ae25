"""The delivery store in PostgreSQL: any number of release processes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg

from tarnhelm.common import errors
from tarnhelm.common.postgres import Database, Tables
from tarnhelm.gateway.deliveries.sql import Rows, SqlDeliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import Connection

    from tarnhelm.gateway.deliveries.sql import Transaction

__all__ = ["TABLES", "PostgresDeliveries"]

_T = TypeVar("_T")
_FIRST: Final = """
CREATE TABLE deliveries.deliveries (
  object_id text COLLATE "C", destination text COLLATE "C", sha256 text NOT NULL, required smallint NOT NULL,
  state text NOT NULL, attempts bigint NOT NULL, doubts bigint NOT NULL, due double precision NOT NULL,
  code text NOT NULL, planned double precision NOT NULL, PRIMARY KEY (object_id, destination)
);
CREATE INDEX deliveries_due ON deliveries.deliveries (destination, due) WHERE state = 'due';
CREATE INDEX deliveries_by_state ON deliveries.deliveries (state, destination);
CREATE TABLE deliveries.writers (writer text PRIMARY KEY, sequence bigint NOT NULL, head text NOT NULL);
CREATE TABLE deliveries.lines (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, writer text NOT NULL, sequence bigint NOT NULL,
  object_id text NOT NULL, sha256 text NOT NULL, project text NOT NULL, patient_id text NOT NULL,
  study text NOT NULL, sop_instance text NOT NULL, path text NOT NULL, supersedes text NOT NULL,
  content bytea NOT NULL, UNIQUE (object_id, sha256), UNIQUE (writer, sequence)
);
CREATE INDEX lines_by_patient ON deliveries.lines (project, patient_id);
CREATE INDEX lines_by_study ON deliveries.lines (project, study);
CREATE INDEX lines_by_instance ON deliveries.lines (project, sop_instance);
CREATE TABLE deliveries.unreleased (object_id text COLLATE "C" PRIMARY KEY);
CREATE TABLE deliveries.tombstones (
  digest bytea PRIMARY KEY, withdrawal text NOT NULL, buried double precision NOT NULL
);
CREATE TABLE deliveries.told (
  withdrawal text, step text, told double precision NOT NULL, PRIMARY KEY (withdrawal, step)
)
"""
_TRIES: Final = 4
_LOCK: Final = 0x74617264
"""Chosen once; neither the state's nor the ledger's."""
TABLES: Final = Tables("deliveries", (_FIRST,), _LOCK, errors.STATE_VERSION)


class PostgresDeliveries(SqlDeliveries):
    """Deliveries on a server, in a schema of their own.

    Parameters
    ----------
    address
        As in :mod:`tarnhelm.common.postgres`; usually the state's.
    connections
        At most so many at a time.

    Raises
    ------
    TarnhelmError
        STA-001 (RETRY) where the server is away, GTW-006 where it answers with any other error, STA-002 where its
        tables are of another version and this role may not bring them up to date.
    """

    _lock_rows = " FOR UPDATE SKIP LOCKED"

    def __init__(self, address: str, *, connections: int = 8) -> None:
        self._database = Database(
            address,
            configure=_configure,
            prepare=TABLES.prepare,
            away=errors.STATE_AWAY,
            broken=errors.STATE_BROKEN,
            connections=connections,
        )

    def close(self) -> None:
        """Let the connections go."""
        self._database.close()

    def _transact(self, work: Callable[[Transaction], _T]) -> _T:
        def whole(connection: Connection[Any]) -> _T:
            for _ in range(_TRIES):
                # Another process may enter the same object's line at the same time: then the second look finds it.
                with suppress(psycopg.errors.UniqueViolation), connection.transaction():
                    return work(_Statements(connection))
            with connection.transaction():
                return work(_Statements(connection))

        return self._database.use(whole)


class _Statements:
    """Statements of the open transaction."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def rows(self, query: str, values: Sequence[Any] = ()) -> Rows:
        """Ask, or change with RETURNING."""
        return self._connection.execute(_placed(query), values).fetchall()

    def change(self, query: str, values: Sequence[Any]) -> int:
        """Change; returns how many rows."""
        return self._connection.execute(_placed(query), values).rowcount


def _placed(query: str) -> bytes:
    """Return the statement with the driver's places; none of ours has a question mark or a percent sign in a text."""
    return query.replace("?", "%s").encode()


def _configure(connection: Connection[Any]) -> None:
    """Set up a connection; a write that was told to be durable is, whatever the role's settings are."""
    connection.execute("SET search_path = deliveries")
    connection.execute("SET lock_timeout = '10s'")
    connection.execute("SET idle_in_transaction_session_timeout = '5min'")
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
