"""How the state in PostgreSQL writes: at once, in one open batch, or in a transaction of a thread's own."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.postgres import PASSING, Database
from tarnhelm.gateway.state import postgres_schema as sql
from tarnhelm.gateway.state.outcomes import OutcomeForm
from tarnhelm.gateway.state.stream_queries import StreamQueries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg import Connection

__all__ = ["PostgresTransactions", "first_of"]

_T = TypeVar("_T")
_ASKS: Final = 5
_ASK_SECONDS: Final = 0.2


class PostgresTransactions(StreamQueries):
    """The connections of :class:`tarnhelm.gateway.state.postgres.PostgresState`."""

    def __init__(
        self,
        address: str,
        *,
        batched: bool = False,
        connections: int = 8,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._batched = batched
        self._random = random
        self._lock = threading.RLock()
        self._form = OutcomeForm()
        self._held: tuple[Connection[Any], ExitStack] | None = None
        self._unit = threading.local()
        self._database = Database(
            address,
            configure=sql.configure,
            prepare=sql.TABLES.prepare,
            away=errors.STATE_AWAY,
            broken=errors.STATE_BROKEN,
            connections=connections,
        )

    def flush(self) -> None:
        """Commit the batch; a connection that breaks meanwhile is asked about on another one."""
        with self._lock:
            if self._held is None:
                return
            connection, _ = self._held
            number = None
            try:
                with self._database.told():
                    number = first_of(connection.execute("SELECT pg_current_xact_id_if_assigned()::text"))
                    connection.execute("COMMIT")
            except TarnhelmError:
                self._lose()
                if number is None or not self._committed(str(number)):
                    raise
            else:
                self._let_go()

    def close(self) -> None:
        """Flush and let the connections go."""
        with self._lock:
            try:
                self.flush()
            finally:
                self._database.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make several writes one transaction, on a connection of this thread's own."""
        if self._batched or self._own() is not None:
            yield
            return
        with self._database.told(), ExitStack() as stack:
            connection = self._opened(stack)
            self._unit.connection = connection
            try:
                yield
            except BaseException:
                self._form.forget()
                with suppress(psycopg.Error):
                    connection.rollback()
                raise
            finally:
                self._unit.connection = None
            self._end_unit(connection)

    def _end_unit(self, connection: Connection[Any]) -> None:
        number = first_of(connection.execute("SELECT pg_current_xact_id_if_assigned()::text"))
        if number is None:  # nothing was written
            connection.rollback()
            return
        try:
            connection.execute("COMMIT")
        except PASSING:
            self._form.forget()
            if not self._committed(str(number)):
                raise

    def _own(self) -> Connection[Any] | None:
        """Return the connection of the transaction that this thread has open."""
        found: Connection[Any] | None = getattr(self._unit, "connection", None)
        return found

    def _opened(self, stack: ExitStack) -> Connection[Any]:
        connection = stack.enter_context(self._database.lasting())
        try:
            connection.execute("BEGIN")
        except PASSING:  # the server was restarted since the connection was made
            stack.close()
            self._database.drain()
            connection = stack.enter_context(self._database.lasting())
            connection.execute("BEGIN")
        return connection

    def _committed(self, number: str) -> bool:
        for _ in range(_ASKS):
            status: Any = self._database.use(
                lambda c: first_of(c.execute("SELECT pg_xact_status(%s::xid8)", (number,)))
            )
            if status != "in progress":
                return bool(status == "committed")
            time.sleep(_ASK_SECONDS)
        return False

    def _change(self, work: Callable[[Connection[Any]], _T]) -> _T:
        own = self._own()
        if own is not None:
            return work(own)
        if not self._batched:
            return self._database.use(work)
        with self._lock:
            connection = self._begun()
            try:
                with self._database.told():
                    return work(connection)
            finally:
                if connection.info.transaction_status is not TransactionStatus.INTRANS:
                    self._lose()

    def _ask(self, work: Callable[[Connection[Any]], _T]) -> _T:
        own = self._own()
        if own is not None:
            return work(own)
        if self._batched:
            with self._lock:
                if self._held is not None:
                    return self._change(work)
        return self._database.use(work)

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._ask(lambda connection: connection.execute(query.encode(), values).fetchall())

    def _write(self, query: str, values: tuple[Any, ...]) -> int:
        return self._change(lambda connection: connection.execute(query.encode(), values).rowcount)

    def _asked(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._rows(query.replace("?", "%s"), values)

    def _told(self, query: str, values: tuple[Any, ...]) -> int:
        return self._write(query.replace("?", "%s"), values)

    _empty = "''::bytea"

    def hold(self, key: bytes) -> None:
        """Take an advisory lock of this transaction."""
        own = self._own()
        if own is not None:
            number = int.from_bytes(hashlib.sha256(key).digest()[:8], "big", signed=True)
            own.execute("SELECT pg_advisory_xact_lock(%s)", (number,))

    def _begun(self) -> Connection[Any]:
        if self._held is None:
            with self._database.told(), ExitStack() as stack:
                self._held = self._opened(stack), stack.pop_all()
        return self._held[0]

    def _lose(self) -> None:
        """Give up the batch; mappings that were written in it are not kept."""
        self._form.forget()
        if self._held is not None:
            with suppress(psycopg.Error):
                self._held[0].rollback()
        self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            with suppress(psycopg.Error, TarnhelmError):
                held[1].close()

    def _mapping_text(self, digest: bytes) -> bytes:
        return bytes(self._rows("SELECT text FROM mappings WHERE digest=%s", (digest,))[0][0])


def first_of(cursor: psycopg.Cursor[Any]) -> Any:
    """Return the first value of the first row, None where there is none."""
    row = cursor.fetchone()
    return None if row is None else row[0]
