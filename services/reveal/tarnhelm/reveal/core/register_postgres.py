"""The register of people of many replicas: its signed lines in a table. The table is trusted with nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import REGISTRY_DAMAGED, REVEAL_MISSING, TarnhelmError
from tarnhelm.reveal.core.people import Register
from tarnhelm.reveal.core.register_file import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection

    from tarnhelm.reveal.core.audit.writer import Audit
    from tarnhelm.reveal.core.database import CaseDatabase

__all__ = ["PostgresRegister"]

_ADD: Final = "INSERT INTO person (number, line) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_AFTER: Final = "SELECT number, line FROM person WHERE number > %s ORDER BY number"
_CHANGING: Final = 0x72657067


class PostgresRegister:
    """Has what :class:`~tarnhelm.reveal.core.register_file.RegisterFile` has; a revocation works on every replica at once.

    Parameters
    ----------
    database
        Shared.
    root
        Digest of the first line, from the settings of this machine: whoever holds the database cannot put
        another register in its place.
    """

    def __init__(self, database: CaseDatabase, *, root: str) -> None:
        self._database = database
        self._root = root
        self._lock = threading.Lock()
        self._lines: tuple[bytes, ...] = ()

    def load(self) -> Register:
        """Read what was added, and check every line; RVL-029, RVL-005.

        A line that was seen before stays known: one that vanished from the table is missed.
        """
        rows = self._database.use(lambda connection: connection.execute(_AFTER, (0,)).fetchall())
        lines = tuple(bytes(row[1]) for row in rows)
        if not lines:
            raise TarnhelmError(REVEAL_MISSING)
        with self._lock:
            if lines[: len(self._lines)] != self._lines:
                raise TarnhelmError(REGISTRY_DAMAGED, line=min(len(lines), len(self._lines)))
            found = Register(lines, root=self._root)
            self._lines = lines
        return found

    def seed(self, register: Register) -> None:
        """Put in the lines of a register that was founded on this machine, as far as the table has none."""
        register = Register(register.lines(), root=self._root)

        def work(connection: Connection[Any]) -> None:
            if connection.execute("SELECT 1 FROM person LIMIT 1").fetchone() is None:
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.executemany(_ADD, list(enumerate(register.lines(), 1)))

        with self._database.alone(_CHANGING):
            self._database.use(work)

    def change(self, audit: Audit, change: Callable[[Register], bytes], *, person: str, by: str, what: str) -> Register:
        """See :meth:`RegisterFile.change`; one replica after the other."""
        with self._database.alone(_CHANGING):
            register = self.load()
            line = change(register)
            number = register.size
            added = self._database.use(lambda connection: connection.execute(_ADD, (number, line)).rowcount)
            if added != 1:
                raise TarnhelmError(REGISTRY_DAMAGED, line=number)
            tell(audit, register, person=person, by=by, what=what)
            return register
