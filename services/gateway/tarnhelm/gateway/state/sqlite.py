"""The state in one SQLite file: one machine, one writer at a time, crash-safe."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.sandbox.wire import Codec
from tarnhelm.common.stage import StageOutcome
from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, RunRecord, State
from tarnhelm.gateway.state.base import Decision, StaleRecordError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["SqliteState"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS objects (
  object_id TEXT PRIMARY KEY, state TEXT NOT NULL, revision INTEGER NOT NULL, stage TEXT NOT NULL,
  plan_digest TEXT NOT NULL, policy_digest TEXT NOT NULL, run_id TEXT NOT NULL, size INTEGER NOT NULL,
  code TEXT NOT NULL, source BLOB NOT NULL, locator BLOB NOT NULL, output_sha256 TEXT NOT NULL,
  output_path TEXT NOT NULL, verdict TEXT NOT NULL, accepted INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_by_state ON objects (state);
CREATE UNIQUE INDEX IF NOT EXISTS objects_by_path ON objects (output_path) WHERE output_path <> '';
CREATE TABLE IF NOT EXISTS mappings (digest BLOB PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcomes (
  object_id TEXT NOT NULL, stage TEXT NOT NULL, plan_digest TEXT NOT NULL, head BLOB NOT NULL, mappings BLOB NOT NULL,
  PRIMARY KEY (object_id, stage, plan_digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (object_id TEXT PRIMARY KEY, code TEXT NOT NULL, findings TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (source BLOB PRIMARY KEY, object_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS manifest (
  number INTEGER PRIMARY KEY, object_id TEXT NOT NULL, run_id TEXT NOT NULL, output_path TEXT NOT NULL,
  sha256 TEXT NOT NULL, size INTEGER NOT NULL, plan_digest TEXT NOT NULL, policy_digest TEXT NOT NULL,
  verdict TEXT NOT NULL, released REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
  run_id TEXT PRIMARY KEY, started REAL NOT NULL, finished REAL NOT NULL, document TEXT NOT NULL,
  options BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
  number INTEGER PRIMARY KEY, object_id TEXT NOT NULL, kind TEXT NOT NULL, decided_by TEXT NOT NULL,
  reason TEXT NOT NULL, code TEXT NOT NULL, decided REAL NOT NULL);
"""
_VERSION: Final = 1
_COLUMNS: Final = (
    "object_id, state, revision, stage, plan_digest, policy_digest, run_id, size, code, source, locator,"
    " output_sha256, output_path, verdict, accepted"
)
_CACHED_MAPPINGS: Final = 512


class SqliteState:
    """State in a file of mode 0600, write-ahead log, one open transaction until the next flush.

    A statement inside an open transaction costs microseconds, a commit a disk's round-trip: so the pump
    flushes per batch. What a crash takes is the open batch, whole; the objects in it are done again.

    Parameters
    ----------
    path
        The file, or None for a state that lives in memory (a dry run).
    batched
        Without it every write is its own transaction, for several processes on one file.
    """

    def __init__(self, path: Path | None, *, batched: bool = True) -> None:
        self._batched = batched
        self._lock = threading.RLock()
        self._codec: Codec[StageOutcome] = Codec(StageOutcome)
        self._known_mappings: set[bytes] = set()
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
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise TarnhelmError(errors.STATE_BROKEN)
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={_VERSION}")
        except sqlite3.DatabaseError:
            raise TarnhelmError(errors.STATE_BROKEN) from None

    # --- records ---------------------------------------------------------------------------------------

    def add(self, record: ObjectRecord) -> bool:
        """Enter a new record; false if its id is known already."""
        marks = ",".join("?" * 15)
        cursor = self._write(f"INSERT OR IGNORE INTO objects ({_COLUMNS}) VALUES ({marks})", record)  # noqa: S608
        return cursor.rowcount == 1

    def get(self, object_id: str) -> ObjectRecord | None:
        """Return the record of an id."""
        return self._one("WHERE object_id=?", object_id)

    def save(self, record: ObjectRecord, was: ObjectRecord) -> None:
        """Compare-and-set on (object id, state, revision) of ``was``."""
        cursor = self._write(
            "UPDATE objects SET state=?, revision=?, stage=?, plan_digest=?, policy_digest=?, run_id=?, size=?, code=?,"
            " source=?, locator=?, output_sha256=?, output_path=?, verdict=?, accepted=?"
            " WHERE object_id=? AND state=? AND revision=?",
            (*record[1:], was.object_id, was.state.value, was.revision),
        )
        if cursor.rowcount != 1:
            raise StaleRecordError(was.object_id)

    def records(self, *states: State) -> Iterator[ObjectRecord]:
        """Yield the records in any of ``states``, by id."""
        last = ""
        marks = ",".join("?" * len(states))
        where = f"state IN ({marks}) AND" if states else ""
        query = f"SELECT {_COLUMNS} FROM objects WHERE {where} object_id > ? ORDER BY object_id LIMIT 500"  # noqa: S608
        while rows := self._read(query, (*(state.value for state in states), last)):
            yield from map(_record_of, rows)
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

    # --- outcomes --------------------------------------------------------------------------------------

    def put_outcome(self, object_id: str, stage: str, plan_digest: str, outcome: StageOutcome) -> StageOutcome:
        """Put if absent; returns the outcome that is recorded.

        What an outcome counts per attribute is nearly the same for all objects of a series: mappings are
        kept once, by digest.
        """
        head, *lines = self._codec.encode(outcome).split(b"\n")
        digests = b"".join(self._keep_mapping(line) for line in lines)
        cursor = self._write(
            "INSERT OR IGNORE INTO outcomes VALUES (?,?,?,?,?)", (object_id, stage, plan_digest, head, digests)
        )
        if cursor.rowcount == 1:
            return outcome
        return self.outcome(object_id, stage, plan_digest) or outcome

    def outcome(self, object_id: str, stage: str, plan_digest: str) -> StageOutcome | None:
        """Return the recorded outcome."""
        query = "SELECT head, mappings FROM outcomes WHERE object_id=? AND stage=? AND plan_digest=?"
        rows = self._read(query, (object_id, stage, plan_digest))
        if not rows:
            return None
        head, digests = rows[0]
        keys = [digests[at : at + 16] for at in range(0, len(digests), 16)]
        lines = [self._read("SELECT text FROM mappings WHERE digest=?", (key,))[0][0] for key in keys]
        return self._codec.decode(b"\n".join([head, *lines]))

    def drop_outcomes(self, object_id: str) -> None:
        """Forget all outcomes of an object."""
        self._write("DELETE FROM outcomes WHERE object_id=?", (object_id,))

    def put_verdict(self, object_id: str, findings: Mapping[tuple[str, str], int], code: str) -> None:
        """Keep what the witness found."""
        text = json.dumps([[*key, count] for key, count in findings.items()])
        self._write("INSERT OR REPLACE INTO verdicts VALUES (?,?,?)", (object_id, code, text))

    def verdict(self, object_id: str) -> tuple[str, Mapping[tuple[str, str], int]]:
        """Code and findings of the last verdict."""
        rows = self._read("SELECT code, findings FROM verdicts WHERE object_id=?", (object_id,))
        if not rows:
            return "", {}
        return rows[0][0], {(finding, where): count for finding, where, count in json.loads(rows[0][1])}

    # --- sources, paths, manifest ----------------------------------------------------------------------

    def link_source(self, source: bytes, object_id: str) -> None:
        """Remember that a source digest is this object."""
        self._write("INSERT OR REPLACE INTO sources VALUES (?,?)", (source, object_id))

    def find_source(self, source: bytes) -> ObjectRecord | None:
        """Return the record that a source digest belongs to."""
        return self._one("WHERE object_id=(SELECT object_id FROM sources WHERE source=?)", source)

    def path_taken(self, output_path: str, object_id: str) -> bool:
        """Whether another object has this output path."""
        query = "SELECT 1 FROM objects WHERE output_path=? AND output_path<>'' AND object_id<>?"
        return bool(self._read(query, (output_path, object_id)))

    def add_manifest(self, entry: ManifestEntry) -> None:
        """Record one release."""
        self._write(
            "INSERT INTO manifest (object_id, run_id, output_path, sha256, size, plan_digest, policy_digest, verdict,"
            " released) VALUES (?,?,?,?,?,?,?,?,?)",
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
            ),
        )

    def manifest(self) -> Iterator[ManifestEntry]:
        """All releases in order."""
        last = 0
        query = "SELECT * FROM manifest WHERE number > ? ORDER BY number LIMIT 500"
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

    # --- transactions ----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Commit the open batch."""
        with self._lock:
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def close(self) -> None:
        """Flush and close the file."""
        with self._lock:
            self.flush()
            self._db.close()

    def _write(self, query: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        with self._lock:
            if self._batched and not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            return self._db.execute(query, values)

    def _read(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _one(self, where: str, value: Any) -> ObjectRecord | None:
        rows = self._read(f"SELECT {_COLUMNS} FROM objects {where}", (value,))  # noqa: S608  # our own clauses
        return _record_of(rows[0]) if rows else None

    def _keep_mapping(self, line: bytes) -> bytes:
        digest = hashlib.blake2b(line, digest_size=16).digest()
        if digest not in self._known_mappings:
            self._write("INSERT OR IGNORE INTO mappings VALUES (?,?)", (digest, line))
            if len(self._known_mappings) >= _CACHED_MAPPINGS:
                self._known_mappings.clear()
            self._known_mappings.add(digest)
        return digest


def _record_of(row: tuple[Any, ...]) -> ObjectRecord:
    return ObjectRecord._make((row[0], State(row[1]), *row[2:14], bool(row[14])))
