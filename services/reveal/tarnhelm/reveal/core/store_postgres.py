"""The store of cases of many replicas: one PostgreSQL table, to which rows are added and in which none is changed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import CASES_DAMAGED, TarnhelmError
from tarnhelm.reveal.core.cases import Step
from tarnhelm.reveal.core.database import CaseDatabase
from tarnhelm.reveal.core.store import CaseEvent, UseCount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

__all__ = ["PostgresCases"]

_SPENDING: Final = 0x72657675
_ADD: Final = """
INSERT INTO event SELECT %(case)s, %(number)s, %(step)s, %(time)s, %(document)s, %(project)s, %(person)s, %(audit)s
WHERE (SELECT count(*) FROM event WHERE case_id = %(case)s) = %(number)s - 1
ON CONFLICT DO NOTHING
"""
_SAME: Final = "SELECT 1 FROM event WHERE case_id = %(case)s AND number = %(number)s AND audit = %(audit)s"
_EVENTS: Final = """
SELECT case_id, number, step, time, document, project, person, audit FROM event WHERE case_id = %s ORDER BY number
"""
_CASES: Final = """
SELECT case_id FROM event WHERE step = 'open' AND (%(project)s = '' OR project = %(project)s) ORDER BY time, case_id
"""
_USES: Final = """
SELECT count(*) FILTER (WHERE person = %s), count(*) FILTER (WHERE project = %s)
FROM event WHERE step = 'use' AND time >= %s
"""


class PostgresCases:
    """Implements :class:`~tarnhelm.reveal.core.store.CaseStore`; each event is on the server's disk when added.

    Parameters
    ----------
    database
        Shared; not closed with the store.
    """

    def __init__(self, database: CaseDatabase) -> None:
        self._database = database

    def add(self, event: CaseEvent) -> bool:
        """See :class:`CaseStore`."""
        values: dict[str, Any] = {
            "case": event.case,
            "number": event.number,
            "step": str(event.step),
            "time": event.time,
            "document": event.document,
            "project": event.project,
            "person": event.person,
            "audit": event.audit,
        }

        def work(connection: Connection[Any]) -> bool:
            added = connection.execute(_ADD, values).rowcount == 1
            # Done twice, because the connection broke after the commit: the audit line names the event.
            return added or connection.execute(_SAME, values).fetchone() is not None

        return self._database.use(work)

    def events(self, case: str) -> tuple[CaseEvent, ...]:
        """See :class:`CaseStore`."""
        rows = self._database.use(lambda connection: connection.execute(_EVENTS, (case,)).fetchall())
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
        rows = self._database.use(lambda connection: connection.execute(_CASES, {"project": project}).fetchall())
        return iter([str(row[0]) for row in rows])

    def uses(self, person: str, project: str, since: int) -> UseCount:
        """See :class:`CaseStore`."""
        row = self._database.use(lambda connection: connection.execute(_USES, (person, project, since)).fetchone())
        return UseCount(int(row[0]), int(row[1])) if row else UseCount(0, 0)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """See :class:`CaseStore`: one replica after the other."""
        with self._database.alone(_SPENDING):
            yield

    def close(self) -> None:
        """See :class:`CaseStore`; the connections are the database's."""
