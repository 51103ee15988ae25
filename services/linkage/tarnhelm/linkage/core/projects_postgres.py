"""Projects of a site whose machines share a PostgreSQL database: the same documents, in a table."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.linkage.core.postgres import Database
from tarnhelm.linkage.core.project import Project, dumped
from tarnhelm.linkage.core.projects import ProjectBook, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from psycopg import Connection

__all__ = ["PostgresProjects"]

_LOCK: Final = 0x70726F6A
_ALL: Final = "SELECT id, document FROM project ORDER BY id"
_PUT: Final = """
INSERT INTO project (id, label, folded, document) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET document = excluded.document
"""


class PostgresProjects(ProjectBook):
    """Implements :class:`~tarnhelm.linkage.core.projects.Projects`.

    What ``before`` does runs while a lock of the session is held and not in a transaction: a vault may take its
    time.

    Parameters
    ----------
    database
        Address, or a pool that is shared.
    clock, token
        See :class:`~tarnhelm.linkage.core.projects.ProjectBook`.
    """

    def __init__(
        self,
        database: str | Database,
        *,
        clock: Callable[[], datetime] | None = None,
        token: Callable[[int], str] | None = None,
    ) -> None:
        given: dict[str, Any] = {"clock": clock, "token": token}
        super().__init__(**{name: value for name, value in given.items() if value is not None})
        self._database = database if isinstance(database, Database) else Database(database)
        self._shared = isinstance(database, Database)
        self._guard = threading.Lock()

    def close(self) -> None:
        """Let the connections go, if they are its own."""
        if not self._shared:
            self._database.close()

    @contextmanager
    def _held(self) -> Iterator[None]:
        with self._guard, self._database.lasting() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            try:
                yield
            finally:
                connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))

    def _all(self) -> tuple[tuple[Project, ...], tuple[str, ...]]:
        def work(connection: Connection[Any]) -> list[tuple[str, str]]:
            return connection.execute(_ALL).fetchall()

        return read_all((opaque, document.encode()) for opaque, document in self._database.use(work))

    def _write(self, project: Project) -> None:
        values = (project.id, project.label, project.label.casefold(), dumped(project).decode())
        self._database.use(lambda connection: connection.execute(_PUT, values))
