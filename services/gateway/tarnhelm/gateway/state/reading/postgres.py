"""The read side of a state in PostgreSQL: connections that cannot write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.postgres import Database
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state.base import Decision
from tarnhelm.gateway.state.postgres_schema import configure
from tarnhelm.gateway.state.reading.base import Selection, Tally, conditions, record_of
from tarnhelm.gateway.state.schema import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from psycopg import Connection

__all__ = ["PostgresReading"]

_TALLY: Final = (
    "SELECT state, code, count(*), coalesce(sum(size), 0)::bigint,"
    " coalesce(min(received) FILTER (WHERE received > 0), 0)"
    ' FROM objects GROUP BY state, code ORDER BY state COLLATE "C", code COLLATE "C"'
)


class PostgresReading:
    """Reads the tables of :class:`~tarnhelm.gateway.state.postgres.PostgresState`; it makes and changes none.

    Parameters
    ----------
    address
        As libpq takes it; a role with SELECT on the schema ``gateway`` is enough.
    """

    def __init__(self, address: str, *, connections: int = 2) -> None:
        self._database = Database(
            address,
            configure=_configure,
            prepare=_look,
            away=errors.STATE_AWAY,
            broken=errors.STATE_BROKEN,
            connections=connections,
        )

    def tally(self) -> Sequence[Tally]:
        """Count all objects by state and code."""
        return [
            Tally(State(state), code, objects, size, oldest)
            for state, code, objects, size, oldest in self._rows(_TALLY)
        ]

    def select(self, selection: Selection, after: str, limit: int) -> Sequence[ObjectRecord]:
        """Return a page of a selection, by id."""
        where, values = conditions(selection, "%s")
        query = f"SELECT {COLUMNS} FROM objects WHERE {where} AND object_id > %s ORDER BY object_id LIMIT %s"  # noqa: S608  # our own names
        return [record_of(row) for row in self._rows(query, *values, after, limit)]

    def count(self, selection: Selection) -> tuple[int, int]:
        """Objects and bytes of a selection."""
        where, values = conditions(selection, "%s")
        query = f"SELECT count(*), coalesce(sum(size), 0)::bigint FROM objects WHERE {where}"  # noqa: S608  # our own names
        objects, size = self._rows(query, *values)[0]
        return int(objects), int(size)

    def decisions_of(self, object_ids: Collection[str]) -> Sequence[Decision]:
        """Decisions on these objects, in their order."""
        query = (
            "SELECT object_id, kind, decided_by, reason, code, decided FROM decisions"
            " WHERE object_id = ANY(%s) ORDER BY number"
        )
        return [Decision(*row) for row in self._rows(query, sorted(object_ids))]

    def latest_decisions(self, before: int, limit: int) -> Sequence[tuple[int, Decision]]:
        """Decisions below a number, the newest first."""
        query = (
            "SELECT number, object_id, kind, decided_by, reason, code, decided FROM decisions"
            " WHERE number < %s ORDER BY number DESC LIMIT %s"
        )
        return [(row[0], Decision(*row[1:])) for row in self._rows(query, before, limit)]

    def close(self) -> None:
        """Let all connections go."""
        self._database.close()

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        def work(connection: Connection[Any]) -> list[tuple[Any, ...]]:
            return connection.execute(query.encode(), values).fetchall()

        return self._database.use(work)


def _configure(connection: Connection[Any]) -> None:
    configure(connection)
    connection.execute("SET default_transaction_read_only = on")


def _look(connection: Connection[Any]) -> None:
    connection.execute("SELECT 1 FROM objects LIMIT 1")
