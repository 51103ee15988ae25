"""The database of the way back: cases, the register of people, and heads in another one; never the ledger's.

Its tables stand in the schema ``reveal``. The *owner* makes them; the server's role, which :func:`grant_serving` names,
may read and add, and can neither change nor delete a row.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from tarnhelm.common.errors import CASES_BUSY, CASES_DAMAGED
from tarnhelm.common.postgres import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

__all__ = ["CaseDatabase", "grant_serving", "make_tables"]

_WAIT_SECONDS: Final = 10.0
_MAKING: Final = 0x7265766D
_TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS reveal;
CREATE TABLE IF NOT EXISTS reveal.event (
  case_id text NOT NULL, number integer NOT NULL CHECK (number > 0), step text NOT NULL, time bigint NOT NULL,
  document bytea NOT NULL, project text NOT NULL, person text NOT NULL, audit text NOT NULL,
  PRIMARY KEY (case_id, number)
);
CREATE UNIQUE INDEX IF NOT EXISTS used_once ON reveal.event (case_id) WHERE step = 'use';
CREATE INDEX IF NOT EXISTS opened ON reveal.event (step, time);
CREATE TABLE IF NOT EXISTS reveal.person (
  number integer PRIMARY KEY CHECK (number > 0), line bytea NOT NULL
);
CREATE OR REPLACE FUNCTION reveal.append_only() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'append only' USING ERRCODE = 'insufficient_privilege'; END $$;
CREATE OR REPLACE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON reveal.event
  FOR EACH STATEMENT EXECUTE FUNCTION reveal.append_only();
CREATE OR REPLACE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON reveal.person
  FOR EACH STATEMENT EXECUTE FUNCTION reveal.append_only()
"""
_GRANTS: Final = """
GRANT USAGE ON SCHEMA reveal TO {role};
GRANT SELECT, INSERT ON reveal.event, reveal.person TO {role}
"""


class CaseDatabase(Database):
    """A pool of connections in autocommit mode; safe among threads.

    Parameters
    ----------
    address
        As libpq takes it. A password does not belong in it: name a ``passfile``, or use a client certificate.
    connections
        At most so many at a time.

    Raises
    ------
    TarnhelmError
        RVL-024 (RETRY) where it cannot be reached, RVL-025 where its tables are not there and this role may
        not make them.
    """

    def __init__(self, address: str, *, connections: int = 8) -> None:
        super().__init__(
            address,
            configure=_configure,
            prepare=make_tables,
            away=CASES_BUSY,
            broken=CASES_DAMAGED,
            connections=connections,
            wait_seconds=_WAIT_SECONDS,
        )

    @contextmanager
    def alone(self, lock: int) -> Iterator[None]:
        """Hold one of the database's locks against every other process; freed when the connection dies."""
        with self.lasting() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (lock,))
            try:
                yield
            finally:
                connection.execute("SELECT pg_advisory_unlock(%s)", (lock,))


def make_tables(connection: Connection[Any]) -> None:
    """Make the tables where they are not; needs the owner's rights only then."""
    if connection.execute("SELECT to_regclass('reveal.person')").fetchone() != (None,):
        return
    connection.execute("SELECT pg_advisory_lock(%s)", (_MAKING,))
    try:
        with connection.transaction():
            connection.execute(_TABLES)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (_MAKING,))


def grant_serving(connection: Connection[Any], role: str) -> None:
    """Give a role what the server needs: to read and to add."""
    with connection.transaction():
        for statement in _GRANTS.split(";"):
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(role)))


def _configure(connection: Connection[Any]) -> None:
    connection.execute("SET search_path = reveal")
    connection.execute(f"SET lock_timeout = '{int(_WAIT_SECONDS)}s'")
