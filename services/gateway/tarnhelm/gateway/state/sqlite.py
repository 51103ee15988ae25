"""The state in one SQLite file: one machine, one writer at a time, crash-safe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, RunRecord, State
from tarnhelm.gateway.state.base import Decision, History, StaleRecordError
from tarnhelm.gateway.state.bloom import BloomFilter
from tarnhelm.gateway.state.schema import COLUMNS
from tarnhelm.gateway.state.sqlite_transactions import SqliteTransactions
from tarnhelm.gateway.state.stream_queries import record_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tarnhelm.common.stage import StageOutcome
    from tarnhelm.gateway.state.stream import Step

__all__ = ["SqliteState"]

_RECENT_RECORDS: Final = 1024
_PAGE: Final = 500


class SqliteState(SqliteTransactions):
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

    # --- records ---------------------------------------------------------------------------------------

    def add(self, record: ObjectRecord) -> bool:
        """Enter a new record; false if its id is known already."""
        with self._writing():
            if self._batched and self._seen is None:
                self._seen = self._all_seen()
            if (self._seen is None or record.object_id in self._seen) and self.get(record.object_id) is not None:
                return False
            self._batch.put(record, None)
            if self._seen is not None:
                self._seen.add(record.object_id)
            self._see_path(record)
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
        with self._writing():
            # Unbatched the statement that writes the batch compares, within the same transaction.
            now = self.get(was.object_id) if self._batched else self._batch.records.get(was.object_id, was)
            if now is None or now.revision != was.revision or now.state is not was.state:
                raise StaleRecordError(was.object_id)
            self._batch.put(record, now)
            self._see_path(record)
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
        with self._writing():
            key = f"{object_id}/{stage}"
            if self._seen is None or key in self._seen:
                known = self.outcome(object_id, stage, plan_digest)
                if known is not None:
                    return known
            if self._seen is not None:
                self._seen.add(key)
            self._batch.outcomes[object_id, stage, plan_digest] = self._form.row(outcome, self._keep_mapping)
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
        with self._writing():
            self._spill()
            self._begin()
            self._db.execute("DELETE FROM outcomes WHERE object_id=?", (object_id,))

    def put_verdict(self, object_id: str, findings: Mapping[tuple[str, str], int], code: str) -> None:
        """Keep what the witness found."""
        text = json.dumps([[*key, count] for key, count in findings.items()])
        with self._writing():
            self._batch.verdicts[object_id] = code, text

    def verdict(self, object_id: str) -> tuple[str, Mapping[tuple[str, str], int]]:
        """Code and findings of the last verdict."""
        rows = self._read("SELECT code, findings FROM verdicts WHERE object_id=?", (object_id,))
        return _verdict_of(rows[0] if rows else None)

    # --- the road --------------------------------------------------------------------------------------

    def add_step(self, object_id: str, step: Step) -> None:
        """Note one step."""
        with self._writing():
            self._batch.steps.append((object_id, step.at, step.step, step.code, step.seconds))

    # --- sources, paths, manifest ----------------------------------------------------------------------

    def link_source(self, source: bytes, object_id: str) -> None:
        """Remember that a source digest is this object."""
        with self._writing():
            self._batch.sources[source] = object_id

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
        with self._writing():
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


def _verdict_of(row: tuple[str, str] | None) -> tuple[str, Mapping[tuple[str, str], int]]:
    if row is None:
        return "", {}
    return row[0], {(finding, where): count for finding, where, count in json.loads(row[1])}
