"""The state in one SQLite file: one machine, one writer at a time, crash-safe."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import TERMINAL
from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, RunRecord, State
from tarnhelm.gateway.state.base import Decision, History, StaleRecordError
from tarnhelm.gateway.state.batch import Batch
from tarnhelm.gateway.state.bloom import BloomFilter
from tarnhelm.gateway.state.outcomes import OutcomeForm
from tarnhelm.gateway.state.schema import COLUMNS, SCHEMA, VERSION
from tarnhelm.gateway.state.sharing import SharedSync
from tarnhelm.gateway.state.stream_queries import StreamQueries, record_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tarnhelm.common.stage import StageOutcome
    from tarnhelm.gateway.state.sharing import Group

__all__ = ["SqliteState"]

_RECENT_RECORDS: Final = 1024
_PAGE: Final = 500


class SqliteState(StreamQueries):
    """State in a file of mode 0600, write-ahead log, one transaction for each batch.

    A batch gathers in memory and is written by :meth:`flush` in one transaction: a statement for each change of
    state would cost more than the changes. What a crash takes is the open batch, whole; the objects in it are
    done again. A question that the batch cannot answer writes it first, without ending the transaction.

    Parameters
    ----------
    path
        The file, or None for a state that lives in memory (a dry run).
    batched
        Without it every write is its own transaction, for several processes on one file; :meth:`together` makes one
        of several. Readers do not wait for writers: they have a connection of their own.
    """

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
                timeout=30,
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
            if path is not None and not batched:
                self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        except sqlite3.DatabaseError:
            raise TarnhelmError(errors.STATE_BROKEN) from None

    # --- records ---------------------------------------------------------------------------------------

    def add(self, record: ObjectRecord) -> bool:
        """Enter a new record; false if its id is known already."""
        with self._lock:
            if self._batched and self._seen is None:
                self._seen = self._all_seen()
            if (self._seen is None or record.object_id in self._seen) and self.get(record.object_id) is not None:
                return False
            self._batch.put(record, None)
            if self._seen is not None:
                self._seen.add(record.object_id)
            self._see_path(record)
            self._written()
        return True

    def get(self, object_id: str) -> ObjectRecord | None:
        """Return the record of an id."""
        if self._sees_batch():
            found = self._batch.records.get(object_id) or self._recent.get(object_id)
            if found is not None:
                return found
        rows = self._rows(f"SELECT {COLUMNS} FROM objects WHERE object_id=?", (object_id,))  # noqa: S608  # our own names
        return record_of(rows[0]) if rows else None

    def save(self, record: ObjectRecord, was: ObjectRecord) -> None:
        """Compare-and-set on (object id, state, revision) of ``was``."""
        with self._lock:
            now = self.get(was.object_id)
            if now is None or now.revision != was.revision or now.state is not was.state:
                raise StaleRecordError(was.object_id)
            self._batch.put(record, now)
            self._see_path(record)
            self._written()
            if self._batch.frees_a_path(record, now):
                self._spill()

    def records(self, *states: State) -> Iterator[ObjectRecord]:
        """Yield the records in any of ``states``, by id."""
        last = ""
        marks = ",".join("?" * len(states))
        where = f"state IN ({marks}) AND" if states else ""
        query = f"SELECT {COLUMNS} FROM objects WHERE {where} object_id > ? ORDER BY object_id LIMIT {_PAGE}"  # noqa: S608
        while rows := self._read(query, (*(state.value for state in states), last)):
            yield from map(record_of, rows)
            last = rows[-1][0]

    def counts(self) -> Mapping[State, int]:
        """How many records are in each state."""
        return {
            State(state): count for state, count in self._read("SELECT state, count(*) FROM objects GROUP BY state")
        }

    def codes(self, state: State) -> Mapping[str, int]:
        """How many records of ``state`` have each code."""
        query = "SELECT code, count(*) FROM objects WHERE state=? GROUP BY code ORDER BY 2 DESC, 1"
        return dict(self._read(query, (state.value,)))

    def history(self, stage: str) -> Iterator[History]:
        """Yield each record with its outcomes of one stage and the last verdict's findings, by id."""
        last = ""
        query = f"SELECT {COLUMNS} FROM objects WHERE object_id > ? ORDER BY object_id LIMIT {_PAGE}"  # noqa: S608
        of_page = " FROM {} WHERE object_id BETWEEN ? AND ?"
        while rows := self._read(query, (last,)):
            ends = (rows[0][0], rows[-1][0])
            outcomes: dict[str, dict[str, StageOutcome]] = {}
            found = self._rows(
                "SELECT object_id, plan_digest, head, mappings" + of_page.format("outcomes") + " AND stage=?",
                (*ends, stage),
            )
            for object_id, plan, head, digests in found:
                outcomes.setdefault(object_id, {})[plan] = self._form.outcome(head, digests, self._mapping_text)
            verdicts = {row[0]: row[1:] for row in self._rows("SELECT *" + of_page.format("verdicts"), ends)}
            for row in rows:
                _, findings = _verdict_of(verdicts.get(row[0]))
                yield History(record_of(row), outcomes.get(row[0], {}), findings)
            last = ends[1]

    # --- outcomes --------------------------------------------------------------------------------------

    def put_outcome(self, object_id: str, stage: str, plan_digest: str, outcome: StageOutcome) -> StageOutcome:
        """Put if absent; returns the outcome that is recorded."""
        with self._lock:
            key = f"{object_id}/{stage}"
            if self._seen is None or key in self._seen:
                known = self.outcome(object_id, stage, plan_digest)
                if known is not None:
                    return known
            if self._seen is not None:
                self._seen.add(key)
            self._batch.outcomes[object_id, stage, plan_digest] = self._form.row(outcome, self._keep_mapping)
            self._written()
        return outcome

    def outcome(self, object_id: str, stage: str, plan_digest: str) -> StageOutcome | None:
        """Return the recorded outcome."""
        row = self._batch.outcomes.get((object_id, stage, plan_digest)) if self._sees_batch() else None
        if row is None:
            query = "SELECT head, mappings FROM outcomes WHERE object_id=? AND stage=? AND plan_digest=?"
            rows = self._rows(query, (object_id, stage, plan_digest))
            if not rows:
                return None
            row = rows[0]
        head, digests = row
        return self._form.outcome(head, digests, self._mapping_text)

    def drop_outcomes(self, object_id: str) -> None:
        """Forget all outcomes of an object."""
        with self._lock:
            self._spill()
            self._begin()
            self._db.execute("DELETE FROM outcomes WHERE object_id=?", (object_id,))
            self._written()

    def put_verdict(self, object_id: str, findings: Mapping[tuple[str, str], int], code: str) -> None:
        """Keep what the witness found."""
        text = json.dumps([[*key, count] for key, count in findings.items()])
        with self._lock:
            self._batch.verdicts[object_id] = code, text
            self._written()

    def verdict(self, object_id: str) -> tuple[str, Mapping[tuple[str, str], int]]:
        """Code and findings of the last verdict."""
        rows = self._read("SELECT code, findings FROM verdicts WHERE object_id=?", (object_id,))
        return _verdict_of(rows[0] if rows else None)

    # --- sources, paths, manifest ----------------------------------------------------------------------

    def link_source(self, source: bytes, object_id: str) -> None:
        """Remember that a source digest is this object."""
        with self._lock:
            self._batch.sources[source] = object_id
            self._written()

    def find_source(self, source: bytes) -> ObjectRecord | None:
        """Return the record that a source digest belongs to."""
        object_id = self._batch.sources.get(source) if self._sees_batch() else None
        if object_id is None:
            rows = self._rows("SELECT object_id FROM sources WHERE source=?", (source,))
            if not rows:
                return None
            object_id = rows[0][0]
        return self.get(object_id)

    def path_taken(self, output_path: str, object_id: str) -> bool:
        """Whether another object has this output path."""
        if not output_path:
            return False
        if self._seen is not None and output_path not in self._seen:
            return False
        owner = self._batch.paths.get(output_path) if self._sees_batch() else None
        if owner is not None:
            return owner != object_id
        query = "SELECT 1 FROM objects WHERE output_path=? AND output_path<>'' AND object_id<>?"
        return bool(self._rows(query, (output_path, object_id)))

    def add_manifest(self, entry: ManifestEntry) -> None:
        """Record one release."""
        with self._lock:
            self._batch.manifest.append(
                (
                    entry.object_id,
                    entry.run_id,
                    entry.output_path,
                    entry.sha256,
                    entry.size,
                    entry.plan_digest,
                    entry.policy_digest,
                    entry.verdict,
                    entry.released,
                )
            )
            self._written()

    def manifest(self) -> Iterator[ManifestEntry]:
        """All releases in order."""
        last = 0
        query = f"SELECT * FROM manifest WHERE number > ? ORDER BY number LIMIT {_PAGE}"  # noqa: S608
        while rows := self._read(query, (last,)):
            for row in rows:
                yield ManifestEntry(*row[1:])
            last = rows[-1][0]

    # --- runs and decisions ----------------------------------------------------------------------------

    def put_run(self, run: RunRecord) -> None:
        """Enter or renew one run."""
        row = (run.run_id, run.started, run.finished, run.document, run.options)
        self._write("INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?)", row)

    def runs(self) -> Iterator[RunRecord]:
        """All runs in order."""
        for row in self._read("SELECT run_id, started, finished, document, options FROM runs ORDER BY started, run_id"):
            yield RunRecord(*row)

    def decide(self, decision: Decision) -> None:
        """Record a reviewer's decision."""
        self._write(
            "INSERT INTO decisions (object_id, kind, decided_by, reason, code, decided) VALUES (?,?,?,?,?,?)",
            (decision.object_id, decision.kind, decision.by, decision.reason, decision.code, decision.decided),
        )

    def decisions(self) -> Iterator[Decision]:
        """All decisions in order."""
        query = "SELECT object_id, kind, decided_by, reason, code, decided FROM decisions ORDER BY number"
        for row in self._read(query):
            yield Decision(*row)

    # --- what was never here ----------------------------------------------------------------------------

    def _all_seen(self) -> BloomFilter:
        """Return a filter of all ids, paths and outcomes; it stays complete, because one process alone has the file."""
        seen = BloomFilter()
        self._spill()
        for object_id, path in self._db.execute("SELECT object_id, output_path FROM objects"):
            seen.add(object_id)
            if path:
                seen.add(path)
        for object_id, stage in self._db.execute("SELECT object_id, stage FROM outcomes"):
            seen.add(f"{object_id}/{stage}")
        return seen

    def _see_path(self, record: ObjectRecord) -> None:
        if self._seen is not None and record.output_path:
            self._seen.add(record.output_path)

    # --- transactions ----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the batch and commit."""
        with self._lock:
            self._spill()
            if self._db.in_transaction:
                try:
                    self._db.execute("COMMIT")
                except sqlite3.OperationalError as error:
                    raise _refused(error) from None

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
                with self._in_words():
                    self._begin()
                    self._db.execute("SAVEPOINT one")
                yield
                self._spill()
                with self._in_words():
                    self._db.execute("RELEASE one")
            except BaseException:
                self._undo(group)
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

    def _written(self) -> None:
        if not self._batched and not self._sharing.mine():
            self.flush()

    def _begin(self) -> None:
        if not self._db.in_transaction:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise _refused(error) from None

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
        with self._lock, self._in_words():
            self._spill()
            self._begin()
            written = self._db.execute(query, values).rowcount
            self._written()
            return written

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


def _verdict_of(row: tuple[str, str] | None) -> tuple[str, Mapping[tuple[str, str], int]]:
    if row is None:
        return "", {}
    return row[0], {(finding, where): count for finding, where, count in json.loads(row[1])}
