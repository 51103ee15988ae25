"""The board in PostgreSQL: the processes of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.postgres import Database, Tables
from tarnhelm.gateway.board.base import PartNote, note_of, row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Connection

__all__ = ["TABLES", "PostgresBoard"]

_FIRST: Final = """
CREATE TABLE gateway_board.notes (
  kind text COLLATE "C", name text COLLATE "C", instance text COLLATE "C", condition text NOT NULL, code text NOT NULL,
  since double precision NOT NULL, said double precision NOT NULL, counts text NOT NULL,
  PRIMARY KEY (kind, name, instance)
)
"""
_LOCK: Final = 0x7461626F
"""Chosen once; no other schema's."""
TABLES: Final = Tables("gateway_board", (_FIRST,), _LOCK, errors.STATE_VERSION)
_POST: Final = (
    b"INSERT INTO gateway_board.notes VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (kind, name, instance)"
    b" DO UPDATE SET condition = EXCLUDED.condition, code = EXCLUDED.code, since = EXCLUDED.since,"
    b" said = EXCLUDED.said, counts = EXCLUDED.counts"
)


class PostgresBoard:
    """Keeps notes in the schema ``gateway_board``, which it makes where it is missing."""

    def __init__(self, address: str, *, connections: int = 2) -> None:
        self._database = Database(
            address,
            configure=_configure,
            prepare=TABLES.prepare,
            away=errors.STATE_AWAY,
            broken=errors.STATE_BROKEN,
            connections=connections,
        )

    def post(self, notes: Iterable[PartNote]) -> None:
        """Keep these notes; in the order of their keys, so that two processes cannot wait for each other."""
        rows = sorted(row_of(note) for note in notes)

        def work(connection: Connection[Any]) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_POST, rows)

        if rows:
            self._database.use(work)

    def notes(self) -> Sequence[PartNote]:
        """All notes."""
        query = b"SELECT * FROM gateway_board.notes ORDER BY kind, name, instance"
        return [note_of(row) for row in self._database.use(lambda connection: connection.execute(query).fetchall())]

    def withdraw(self, instance: str) -> None:
        """Remove the notes of a process."""
        self._do(b"DELETE FROM gateway_board.notes WHERE instance = %s", instance)

    def sweep(self, before: float) -> int:
        """Remove old notes."""
        return self._do(b"DELETE FROM gateway_board.notes WHERE said < %s", before)

    def close(self) -> None:
        """Let all connections go."""
        self._database.close()

    def _do(self, query: bytes, *values: Any) -> int:
        return int(self._database.use(lambda connection: connection.execute(query, values).rowcount))


def _configure(connection: Connection[Any]) -> None:
    connection.execute("SET lock_timeout = '10s'")
