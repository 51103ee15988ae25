"""Heads in a table of another database, whose role here may add and read, and can neither change nor delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from tarnhelm.common.errors import ANCHOR_AWAY, TarnhelmError
from tarnhelm.common.postgres import noticing
from tarnhelm.reveal.core.audit.lines import Head, parse_head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

__all__ = ["PostgresAnchor", "prepare_anchor"]

_WAIT_SECONDS: Final = 10
_TABLE: Final = """
CREATE SCHEMA IF NOT EXISTS anchor;
CREATE TABLE IF NOT EXISTS anchor.head (
  entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, writer text NOT NULL, sequence bigint NOT NULL,
  body bytea NOT NULL, kept timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS head_writer ON anchor.head (writer, entry)
"""
_GRANTS: Final = """
GRANT USAGE ON SCHEMA anchor TO {role};
GRANT SELECT ON anchor.head TO {role};
GRANT INSERT (writer, sequence, body) ON anchor.head TO {role}
"""
_PUT: Final = "INSERT INTO anchor.head (writer, sequence, body) VALUES (%s, %s, %s)"
_HEADS: Final = "SELECT body FROM anchor.head WHERE writer = %s ORDER BY entry"


def prepare_anchor(connection: Connection[Any], role: str) -> None:
    """Make the table, as its owner in other hands, and let ``role`` add to it."""
    with connection.transaction():
        connection.execute(_TABLE)
        for statement in _GRANTS.split(";"):
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(role)))


class PostgresAnchor:
    """Implements :class:`~tarnhelm.reveal.core.audit.anchors.Anchor`.

    Parameters
    ----------
    address
        Of a database in other hands than the cases and the ledger. Its role should be granted what
        :func:`prepare_anchor` grants and own nothing there.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Connection[Any] | None = None

    def put(self, head: Head) -> None:
        """See :class:`Anchor`; committed, on the server's disk, before it returns."""
        for attempt in (1, 2):
            try:
                self._connected().execute(_PUT, (head.writer, head.sequence, head.to_bytes()))
            except psycopg.Error:
                self.close()
                if attempt == 2:
                    raise TarnhelmError(ANCHOR_AWAY) from None
            else:
                return

    def heads(self, writer: str) -> Iterator[Head]:
        """See :class:`Anchor`."""
        try:
            rows = self._connected().execute(_HEADS, (writer,)).fetchall()
        except psycopg.Error:
            self.close()
            raise TarnhelmError(ANCHOR_AWAY) from None
        return iter([head for row in rows if (head := parse_head(bytes(row[0]))) is not None])

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection[Any]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._address,
                autocommit=True,
                connect_timeout=_WAIT_SECONDS,
                **noticing(self._address),
                options="-c synchronous_commit=on -c statement_timeout=10s",
            )
        return self._connection
