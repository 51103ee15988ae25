"""The state in PostgreSQL: many pumps, doors and web pages of a cluster on one set of tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import psycopg

from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, RunRecord, State
from tarnhelm.gateway.state import postgres_schema as sql
from tarnhelm.gateway.state.base import Decision, History, StaleRecordError
from tarnhelm.gateway.state.batch import row_of
from tarnhelm.gateway.state.postgres_transactions import PostgresTransactions, first_of
from tarnhelm.gateway.state.schema import COLUMNS
from tarnhelm.gateway.state.stream_queries import record_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from psycopg import Connection

    from tarnhelm.common.stage import StageOutcome

__all__ = ["PostgresState"]

_PAGE: Final = 500
_MARK_BYTES: Final = 16
_ASKS: Final = 5
_ASK_SECONDS: Final = 0.2


class PostgresState(PostgresTransactions):
    """State on a server; every write is durable when its call returns, unless batched.

    A connection may break after the server has committed and before it could say so. Each write of a record therefore
    carries a random mark: when the write is done once more and finds the record changed, the mark tells whether that
    was this very write or another's, so neither two pumps believe that they were first, nor none.

    Parameters
    ----------
    address
        As in :mod:`tarnhelm.common.postgres`.
    batched
        Writes gather in one open transaction, durable after :meth:`flush`, all of them or none; for one worker that
        writes a great many. A broken connection (STA-001), or an output path that another process took first
        (StaleRecordError), loses the batch whole, and the next write begins a new one.
    connections
        At most so many at a time.
    random
        Gives so many random bytes.

    Raises
    ------
    TarnhelmError
        STA-001 (RETRY) where the server is away, GTW-006 where it is not the state's, STA-002 where its tables are of
        another version and this role may not bring them up to date.
    """

    # --- records ---------------------------------------------------------------------------------------

    def add(self, record: ObjectRecord) -> bool:
        """Enter a new record; false if its id is known already."""
        mark = self._random(_MARK_BYTES)

        def work(connection: Connection[Any]) -> bool:
            added = _or_stale(connection, sql.ADD, (*row_of(record), mark))
            return added == 1 or _is_mine(connection, record.object_id, mark)

        return self._change(work)

    def get(self, object_id: str) -> ObjectRecord | None:
        """Return the record of an id."""
        rows = self._rows(f"SELECT {COLUMNS} FROM objects WHERE object_id=%s", (object_id,))  # noqa: S608  # our own names
        return record_of(rows[0]) if rows else None

    def save(self, record: ObjectRecord, was: ObjectRecord) -> None:
        """Compare-and-set on (object id, state, revision) of ``was``."""
        mark = self._random(_MARK_BYTES)
        values = (*row_of(record)[1:], mark, was.object_id, was.state.value, was.revision)

        def work(connection: Connection[Any]) -> None:
            saved = _or_stale(connection, sql.SAVE, values)
            if saved != 1 and not _is_mine(connection, was.object_id, mark):
                raise StaleRecordError(was.object_id)

        self._change(work)

    def records(self, *states: State) -> Iterator[ObjectRecord]:
        """Yield the records in any of ``states``, by id."""
        last = ""
        where = "state = ANY(%s) AND" if states else ""
        query = f"SELECT {COLUMNS} FROM objects WHERE {where} object_id > %s ORDER BY object_id LIMIT {_PAGE}"  # noqa: S608
        wanted = ([state.value for state in states],) if states else ()
        while rows := self._rows(query, (*wanted, last)):
            yield from map(record_of, rows)
            last = rows[-1][0]

    def counts(self) -> Mapping[State, int]:
        """How many records are in each state."""
        return {
            State(state): count for state, count in self._rows("SELECT state, count(*) FROM objects GROUP BY state")
        }

    def codes(self, state: State) -> Mapping[str, int]:
        """How many records of ``state`` have each code."""
        query = 'SELECT code, count(*) FROM objects WHERE state=%s GROUP BY code ORDER BY 2 DESC, code COLLATE "C"'
        return dict(self._rows(query, (state.value,)))

    def history(self, stage: str) -> Iterator[History]:
        """Yield each record with its outcomes of one stage and the last verdict's findings, by id."""
        last = ""
        query = f"SELECT {COLUMNS} FROM objects WHERE object_id > %s ORDER BY object_id LIMIT {_PAGE}"  # noqa: S608
        of_page = "WHERE object_id BETWEEN %s AND %s"
        while rows := self._rows(query, (last,)):
            ends = (rows[0][0], rows[-1][0])
            outcomes: dict[str, dict[str, StageOutcome]] = {}
            asked = f"SELECT object_id, plan_digest, head, mappings FROM outcomes {of_page} AND stage=%s"  # noqa: S608
            for object_id, plan, head, digests in self._rows(asked, (*ends, stage)):
                outcomes.setdefault(object_id, {})[plan] = self._form.outcome(head, digests, self._mapping_text)
            asked = f"SELECT object_id, code, findings FROM verdicts {of_page}"  # noqa: S608
            verdicts = {row[0]: row[1:] for row in self._rows(asked, ends)}
            for row in rows:
                _, findings = _verdict_of(verdicts.get(row[0]))
                yield History(record_of(row), outcomes.get(row[0], {}), findings)
            last = ends[1]

    # --- outcomes --------------------------------------------------------------------------------------

    def put_outcome(self, object_id: str, stage: str, plan_digest: str, outcome: StageOutcome) -> StageOutcome:
        """Put if absent; returns the outcome that is recorded."""
        with self._lock:  # what one thread takes for kept must be committed before another relies on it
            new: list[tuple[bytes, bytes]] = []
            row = self._form.row(outcome, lambda digest, text: new.append((digest, text)))

            def work(connection: Connection[Any]) -> tuple[bytes, bytes]:
                with connection.transaction():
                    for mapping in sorted(new):  # in one order, so that two writers cannot wait for each other
                        connection.execute(sql.MAPPING, mapping)
                    connection.execute(sql.OUTCOME, (object_id, stage, plan_digest, *row))
                return _outcome_row(connection, (object_id, stage, plan_digest)) or row

            try:
                stored = self._change(work)
            except BaseException:
                self._form.forget()
                raise
            return outcome if stored == row else self._form.outcome(*stored, self._mapping_text)

    def outcome(self, object_id: str, stage: str, plan_digest: str) -> StageOutcome | None:
        """Return the recorded outcome."""
        row = self._ask(lambda connection: _outcome_row(connection, (object_id, stage, plan_digest)))
        return None if row is None else self._form.outcome(*row, self._mapping_text)

    def drop_outcomes(self, object_id: str) -> None:
        """Forget all outcomes of an object."""
        self._write("DELETE FROM outcomes WHERE object_id=%s", (object_id,))

    def put_verdict(self, object_id: str, findings: Mapping[tuple[str, str], int], code: str) -> None:
        """Keep what the witness found."""
        text = json.dumps([[*key, count] for key, count in findings.items()])
        self._write(sql.VERDICT, (object_id, code, text))

    def verdict(self, object_id: str) -> tuple[str, Mapping[tuple[str, str], int]]:
        """Code and findings of the last verdict."""
        rows = self._rows("SELECT code, findings FROM verdicts WHERE object_id=%s", (object_id,))
        return _verdict_of(rows[0] if rows else None)

    # --- sources, paths, manifest ----------------------------------------------------------------------

    def link_source(self, source: bytes, object_id: str) -> None:
        """Remember that a source digest is this object."""
        self._write(sql.LINK, (source, object_id))

    def find_source(self, source: bytes) -> ObjectRecord | None:
        """Return the record that a source digest belongs to."""
        wanted = "(SELECT object_id FROM sources WHERE source=%s)"
        rows = self._rows(f"SELECT {COLUMNS} FROM objects WHERE object_id={wanted}", (source,))  # noqa: S608
        return record_of(rows[0]) if rows else None

    def path_taken(self, output_path: str, object_id: str) -> bool:
        """Whether another object has this output path."""
        query = "SELECT 1 FROM objects WHERE output_path=%s AND output_path<>'' AND object_id<>%s"
        return bool(self._rows(query, (output_path, object_id)))

    def add_manifest(self, entry: ManifestEntry) -> None:
        """Record one release."""
        row = (
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
        self._write(sql.MANIFEST, (*row, self._random(_MARK_BYTES)))

    def manifest(self) -> Iterator[ManifestEntry]:
        """All releases in order."""
        last = 0
        columns = "number, object_id, run_id, output_path, sha256, size, plan_digest, policy_digest, verdict, released"
        query = f"SELECT {columns} FROM manifest WHERE number > %s ORDER BY number LIMIT {_PAGE}"  # noqa: S608
        while rows := self._rows(query, (last,)):
            for row in rows:
                yield ManifestEntry(*row[1:])
            last = rows[-1][0]

    # --- runs and decisions ----------------------------------------------------------------------------

    def put_run(self, run: RunRecord) -> None:
        """Enter or renew one run."""
        self._write(sql.RUN, (run.run_id, run.started, run.finished, run.document, run.options))

    def runs(self) -> Iterator[RunRecord]:
        """All runs in order."""
        for row in self._rows("SELECT run_id, started, finished, document, options FROM runs ORDER BY started, run_id"):
            yield RunRecord(*row)

    def decide(self, decision: Decision) -> None:
        """Record a reviewer's decision."""
        row = (decision.object_id, decision.kind, decision.by, decision.reason, decision.code, decision.decided)
        self._write(sql.DECIDE, (*row, self._random(_MARK_BYTES)))

    def decisions(self) -> Iterator[Decision]:
        """All decisions in order."""
        query = "SELECT object_id, kind, decided_by, reason, code, decided FROM decisions ORDER BY number"
        for row in self._rows(query):
            yield Decision(*row)


def _or_stale(connection: Connection[Any], query: str, values: tuple[Any, ...]) -> int:
    """Return how many rows were written; an output path that another has meanwhile is a stale record's."""
    try:
        return connection.execute(query.encode(), values).rowcount
    except psycopg.errors.UniqueViolation:
        raise StaleRecordError from None


def _is_mine(connection: Connection[Any], object_id: str, mark: bytes) -> bool:
    return bool(first_of(connection.execute("SELECT mark FROM objects WHERE object_id=%s", (object_id,))) == mark)


def _outcome_row(connection: Connection[Any], key: tuple[str, str, str]) -> tuple[bytes, bytes] | None:
    query = "SELECT head, mappings FROM outcomes WHERE object_id=%s AND stage=%s AND plan_digest=%s"
    return connection.execute(query, key).fetchone()


def _verdict_of(row: tuple[str, str] | None) -> tuple[str, Mapping[tuple[str, str], int]]:
    if row is None:
        return "", {}
    return row[0], {(finding, where): count for finding, where, count in json.loads(row[1])}
