"""How the state in SQLite writes: in batches, or in transactions that threads share a sync for."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import TERMINAL
from tarnhelm.gateway.state.batch import Batch
from tarnhelm.gateway.state.outcomes import OutcomeForm
from tarnhelm.gateway.state.schema import SCHEMA, VERSION
from tarnhelm.gateway.state.sharing import SharedSync
from tarnhelm.gateway.state.stream_queries import StreamQueries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.state.bloom import BloomFilter
    from tarnhelm.gateway.state.sharing import Group

__all__ = ["SqliteTransactions"]

_RECENT_RECORDS: Final = 1024
_BUSY_SECONDS: Final = 30.0
_FIRST_PAUSE_SECONDS: Final = 0.0003
_LAST_PAUSE_SECONDS: Final = 0.003


class SqliteTransactions(StreamQueries):
    """The connections of :class:`tarnhelm.gateway.state.sqlite.SqliteState`, and its batch."""

    def __init__(self, path: Path | None, *, batched: bool = True) -> None:
        self._batched = batched
        self._lock = threading.RLock()
        self._form = OutcomeForm()
        self._batch = Batch()
        self._recent: dict[str, ObjectRecord] = {}
        self._seen: BloomFilter | None = None
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()
        self._sharing = SharedSync()
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        try:
            self._db = sqlite3.connect(
                ":memory:" if path is None else path,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_SECONDS,
                cached_statements=64,
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA temp_store=MEMORY")
            self._db.execute("PRAGMA cache_size=-512")  # KiB: rows are written once and read by nobody until the report
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise TarnhelmError(errors.STATE_BROKEN)
            self._db.executescript(SCHEMA)
            if version != VERSION:
                self._db.execute(f"PRAGMA user_version={VERSION}")
            self._db.execute("PRAGMA busy_timeout=0")  # see _begin
            if path is not None and not batched:
                self._reader = sqlite3.connect(
                    path, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS
                )
        except sqlite3.DatabaseError:
            raise TarnhelmError(errors.STATE_BROKEN) from None

    def flush(self) -> None:
        """Write the batch and commit; without batches everything is durable already."""
        if not self._batched:
            return
        with self._lock:
            self._spill()
            if self._db.in_transaction:
                with self._in_words():
                    self._db.execute("COMMIT")

    def close(self) -> None:
        """Flush and close the file."""
        with self._lock:
            self.flush()
            self._db.close()
            if self._reader is not None:
                self._reader.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Make several writes one transaction, which may be shared with those of other threads."""
        if self._batched or self._sharing.mine():
            with self._lock:
                yield
            return
        with self._sharing.turn(self._lock, self._commit) as group:
            try:
                self._begin()
                self._db.execute("SAVEPOINT one")
                yield
                self._spill()
                self._db.execute("RELEASE one")
            except BaseException as error:
                self._undo(group)
                if isinstance(error, sqlite3.OperationalError):
                    raise _refused(error) from None
                raise

    def _undo(self, group: Group) -> None:
        self._batch = Batch()
        self._form.forget()
        try:
            self._db.execute("ROLLBACK TO one")
            self._db.execute("RELEASE one")
        except sqlite3.OperationalError:  # the whole transaction is gone, with the writes of others in it
            group.error = group.error or TarnhelmError(errors.STATE_AWAY)

    def _commit(self) -> None:
        if self._db.in_transaction:
            try:
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                with contextlib.suppress(sqlite3.OperationalError):
                    self._db.execute("ROLLBACK")
                self._form.forget()
                raise _refused(error) from None

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise _refused(error) from None

    def _sees_batch(self) -> bool:
        """Whether this thread may look at what is not committed."""
        return self._reader is None or self._sharing.mine()

    def _writing(self) -> contextlib.AbstractContextManager[object]:
        """One write; unbatched it is a unit like any other, or it would end, or undo, what other threads have open."""
        return self._lock if self._batched or self._sharing.mine() else self.together()

    def _begin(self) -> None:
        if self._db.in_transaction:
            return
        # Asked for often and briefly: the library's own patience sleeps up to a tenth of a second between two looks,
        # while another process's transaction takes a millisecond.
        pause, until = _FIRST_PAUSE_SECONDS, time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= until:
                    raise _refused(error) from None
            else:
                return
            time.sleep(pause)
            pause = min(pause * 1.5, _LAST_PAUSE_SECONDS)

    def _spill(self) -> None:
        """Write the batch into the open transaction."""
        batch = self._batch
        if not batch:
            return
        self._begin()
        try:
            batch.write(self._db)
        except BaseException as error:
            if not self._sharing.mine():  # else it is undone up to its begin
                with contextlib.suppress(sqlite3.OperationalError):  # a full disk has rolled it back already
                    self._db.execute("ROLLBACK")
            self._recent.clear()
            self._form.forget()
            if isinstance(error, sqlite3.OperationalError):
                raise _refused(error) from None
            raise
        finally:
            self._batch = Batch()
        if self._batched:  # else another process may change them
            self._remember(batch)

    def _remember(self, batch: Batch) -> None:
        for object_id, record in batch.records.items():
            self._recent.pop(object_id, None)
            if record.state not in TERMINAL:
                self._recent[object_id] = record
        while len(self._recent) > _RECENT_RECORDS:
            del self._recent[next(iter(self._recent))]

    def _write(self, query: str, values: tuple[Any, ...]) -> int:
        with self._writing(), self._in_words():
            self._spill()
            self._begin()
            return self._db.execute(query, values).rowcount

    def _read(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Ask the tables, the batch included."""
        if not self._sees_batch():
            return self._rows(query, values)
        with self._lock:
            self._spill()
            return self._rows(query, values)

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        """Ask the tables alone."""
        apart = self._reader is not None and not self._sharing.mine()
        database, lock = (self._reader, self._reading) if apart else (self._db, self._lock)
        assert database is not None  # noqa: S101  # a reader, if apart
        try:
            with lock:
                return database.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            raise _refused(error) from None

    _asked = _read
    _told = _write

    def hold(self, key: bytes) -> None:
        """Nothing: a transaction is alone among all processes."""

    def _mapping_text(self, digest: bytes) -> bytes:
        text = self._batch.mappings.get(digest) if self._sees_batch() else None
        return text or bytes(self._rows("SELECT text FROM mappings WHERE digest=?", (digest,))[0][0])

    def _keep_mapping(self, digest: bytes, text: bytes) -> None:
        self._batch.mappings[digest] = text


def _refused(error: sqlite3.OperationalError) -> TarnhelmError:
    """Say what the database's refusal means; its text may hold anything."""
    name = error.sqlite_errorname
    if name == "SQLITE_FULL":
        return TarnhelmError(errors.NO_SPACE)
    return TarnhelmError(errors.STATE_AWAY if name.startswith("SQLITE_BUSY") else errors.STATE_BROKEN)
