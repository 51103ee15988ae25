"""What every state store promises; one suite over each implementation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.postgres import PostgresServer

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, RunRecord, State
from tarnhelm.gateway.state import Decision, SqliteState, StaleRecordError, StateStore
from tarnhelm.gateway.state.postgres import PostgresState

LIFE = Lifecycle(lambda _verdict: True)


@pytest.fixture(params=["file", "file, unbatched", "memory", "postgres, batched", "postgres, unbatched"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    batched = "unbatched" not in request.param
    if "postgres" in request.param:
        made: StateStore = PostgresState(request.getfixturevalue("postgres").database(), batched=batched)
    else:
        made = SqliteState(None if request.param == "memory" else tmp_path / "state.sqlite", batched=batched)
    yield made
    made.close()


def outcome(code: str = "") -> StageOutcome:
    return StageOutcome(
        Status.DONE,
        code=code,
        facts=ObjectFacts(modality="CT", needs=frozenset({"ocr"})),
        actions={("PatientName", "REMOVE"): 2},
        methods=("113100",),
    )


def test_a_record_is_added_once(store: StateStore) -> None:
    record = ObjectRecord("one", size=7, source=b"s", locator=b"l")
    assert store.add(record)
    assert not store.add(record._replace(size=8))
    assert store.get("one") == record
    assert store.get("two") is None


def test_save_compares_state_and_revision(store: StateStore) -> None:
    first = ObjectRecord("one")
    store.add(first)
    second = LIFE.step(first, Event.ADMIT)
    store.save(second, first)
    with pytest.raises(StaleRecordError):
        store.save(LIFE.step(first, Event.REFUSE), first)
    assert store.get("one") == second


def test_the_first_outcome_wins(store: StateStore) -> None:
    assert store.put_outcome("one", "metadata", "plan", outcome("A")).code == "A"
    assert store.put_outcome("one", "metadata", "plan", outcome("B")).code == "A"
    assert store.put_outcome("one", "metadata", "other plan", outcome("B")).code == "B"
    assert store.outcome("one", "metadata", "plan") == outcome("A")
    assert store.outcome("one", "ocr", "plan") is None
    store.drop_outcomes("one")
    assert store.outcome("one", "metadata", "plan") is None


def test_the_history_holds_each_record_with_its_outcomes_and_findings(store: StateStore) -> None:
    for number in range(1203):
        store.add(ObjectRecord(f"{number:04d}"))
    store.put_outcome("0007", "metadata", "plan", outcome("A"))
    store.put_outcome("0007", "metadata", "plan+accepted", outcome("B"))
    store.put_outcome("0007", "ocr", "plan", outcome("C"))
    store.put_verdict("0008", {("WIT-001", "00100010 name"): 2}, "WIT-001")
    found = {one.record.object_id: one for one in store.history("metadata")}
    assert list(found) == [f"{number:04d}" for number in range(1203)]
    assert {plan: one.code for plan, one in found["0007"].outcomes.items()} == {"plan": "A", "plan+accepted": "B"}
    assert found["0007"].outcomes["plan"] == outcome("A")
    assert found["0008"].findings == {("WIT-001", "00100010 name"): 2}
    assert not found["0009"].outcomes
    assert not found["0009"].findings


def test_a_path_that_one_object_gives_up_can_be_taken_by_another(store: StateStore) -> None:
    one, two = ObjectRecord("one", output_path="a/1.dcm"), ObjectRecord("two")
    store.add(one)
    store.add(two)
    store.flush()
    freed, taken = one._replace(output_path="", revision=1), two._replace(output_path="a/1.dcm", revision=1)
    store.save(freed, one)
    assert not store.path_taken("a/1.dcm", "two")
    store.save(taken, two)
    store.save(freed._replace(revision=2), freed)
    store.flush()
    assert store.get("two") == taken
    assert store.path_taken("a/1.dcm", "one")


NAMES = st.sampled_from(["one", "two", "three"])
STEPS = st.one_of(
    st.tuples(st.just("add"), NAMES),
    st.tuples(st.just("save"), NAMES, st.sampled_from([State.ADMITTED, State.VERIFIED, State.RELEASED]), st.booleans()),
    st.tuples(st.just("put_outcome"), NAMES, st.sampled_from(["A", "B"])),
    st.tuples(st.just("link_source"), NAMES, st.sampled_from([b"x", b"y"])),
    st.tuples(st.just("drop_outcomes"), NAMES),
    st.tuples(st.just("flush")),
    st.tuples(st.sampled_from(["records", "counts", "manifest"])),
)


def _done(store: StateStore, step: tuple[Any, ...], records: dict[str, ObjectRecord]) -> Any:
    """Do one step, and say all that the store then tells."""
    kind, *args = step
    answer: Any = None
    if kind == "add":
        record = ObjectRecord(args[0])
        answer = store.add(record)
        if answer:
            records[args[0]] = record
    elif kind == "save":
        name, state, fresh = args
        was = records.get(name, ObjectRecord(name))
        record = was._replace(state=state, revision=was.revision + 1, output_path=f"{name}.dcm")
        try:
            store.save(record, was if fresh else was._replace(revision=was.revision + 7))
        except StaleRecordError:
            answer = "stale"
        else:
            records[name] = record
    elif kind == "put_outcome":
        answer = store.put_outcome(args[0], "metadata", "plan", outcome(args[1]))
    elif kind == "link_source":
        store.link_source(args[1], args[0])
    elif kind in ("records", "manifest"):
        answer = list(getattr(store, kind)())
    else:
        answer = getattr(store, kind)(*args)
    known = [store.get(name) for name in ("one", "two", "three")]
    outcomes = [store.outcome(name, "metadata", "plan") for name in ("one", "two", "three")]
    taken = [store.path_taken(f"{name}.dcm", "nobody") for name in ("one", "two", "three")]
    return answer, known, outcomes, taken, [store.find_source(source) for source in (b"x", b"y")]


def _answer_alike(steps: list[tuple[Any, ...]], *stores: StateStore) -> None:
    known: list[dict[str, ObjectRecord]] = [{} for _ in stores]
    for step in steps:
        first, *others = (_done(store, step, records) for store, records in zip(stores, known, strict=True))
        assert all(other == first for other in others)


@given(st.lists(STEPS, max_size=20))
def test_a_batch_in_memory_answers_like_the_tables(steps: list[tuple[Any, ...]]) -> None:
    batched, unbatched = SqliteState(None), SqliteState(None, batched=False)
    try:
        _answer_alike(steps, batched, unbatched)
    finally:
        batched.close()
        unbatched.close()


@pytest.fixture(scope="module")
def servers(postgres: PostgresServer) -> Iterator[list[tuple[str, PostgresState]]]:
    """A batched and an unbatched state on a server; the tables are emptied between examples."""
    addresses = [postgres.database() for _ in range(2)]
    states = [
        PostgresState(address, batched=batched) for address, batched in zip(addresses, (True, False), strict=True)
    ]
    yield list(zip(addresses, states, strict=True))
    for state in states:
        state.close()


@settings(deadline=None, max_examples=60)
@given(st.lists(STEPS, max_size=20))
def test_postgres_answers_like_sqlite(servers: list[tuple[str, PostgresState]], steps: list[tuple[Any, ...]]) -> None:
    tables = "objects, mappings, outcomes, verdicts, sources, manifest, runs, decisions"
    for address, state in servers:
        state.flush()
        state._form.forget()  # what it takes for kept is taken away under its feet
        with psycopg.connect(address) as connection:
            connection.execute(f"SET search_path = gateway; TRUNCATE {tables} RESTART IDENTITY")
    model = SqliteState(None)
    try:
        _answer_alike(steps, model, *(state for _, state in servers))
    finally:
        model.close()


def test_another_writer_of_the_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    mine = SqliteState(path)
    record = ObjectRecord("one")
    mine.add(record)
    mine.flush()
    other = SqliteState(path, batched=False)
    other.save(LIFE.step(record, Event.REFUSE), record)
    mine.save(LIFE.step(record, Event.ADMIT), record)
    with pytest.raises(StaleRecordError):
        mine.flush()
    assert mine.get("one") == other.get("one")
    mine.close()
    other.close()


def test_a_source_leads_to_its_record(store: StateStore) -> None:
    store.add(ObjectRecord("one"))
    store.link_source(b"place", "one")
    store.link_source(b"copy", "one")
    found = store.find_source(b"copy")
    assert found is not None
    assert found.object_id == "one"
    assert store.find_source(b"nowhere") is None


def test_an_output_path_belongs_to_one_object(store: StateStore) -> None:
    store.add(ObjectRecord("one", output_path="a/1.dcm"))
    assert store.path_taken("a/1.dcm", "two")
    assert not store.path_taken("a/1.dcm", "one")
    assert not store.path_taken("a/2.dcm", "two")


def test_records_by_state_are_complete_beyond_one_page(store: StateStore) -> None:
    for number in range(1203):
        state = State.RELEASED if number % 2 else State.QUARANTINED
        store.add(ObjectRecord(f"{number:04d}", state, code="" if number % 2 else "PIX-001"))
    assert len(list(store.records())) == 1203
    assert [record.object_id for record in store.records(State.RELEASED)] == [f"{n:04d}" for n in range(1203) if n % 2]
    assert store.counts() == {State.RELEASED: 601, State.QUARANTINED: 602}
    assert store.codes(State.QUARANTINED) == {"PIX-001": 602}


def test_manifest_runs_decisions_and_verdicts_are_kept_in_order(store: StateStore) -> None:
    entries = [ManifestEntry(f"{n}", "run", f"{n}.dcm", "a" * 64, n, "p", "q", "s", float(n)) for n in range(3)]
    for entry in entries:
        store.add_manifest(entry)
    store.put_run(RunRecord("run", 1.0, 0.0, "{}", b"x"))
    store.put_run(RunRecord("run", 1.0, 2.0, "{}", b"y"))
    decision = Decision("one", "accept", "somebody", "because", "PIX-001", 3.0)
    store.decide(decision)
    store.put_verdict("one", {("WIT-001", "00100010 name"): 2}, "WIT-001")
    assert list(store.manifest()) == entries
    assert list(store.runs()) == [RunRecord("run", 1.0, 2.0, "{}", b"y")]
    assert list(store.decisions()) == [decision]
    assert store.verdict("one") == ("WIT-001", {("WIT-001", "00100010 name"): 2})
    assert store.verdict("two") == ("", {})


def test_what_was_flushed_survives_a_kill_and_what_was_not_is_gone_whole(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from tarnhelm.gateway.state import SqliteState; from tarnhelm.gateway.record import ObjectRecord\n"
        "store = SqliteState(Path(sys.argv[1]))\n"
        "store.add(ObjectRecord('kept')); store.flush()\n"
        "store.add(ObjectRecord('lost')); store.link_source(b'lost', 'lost')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "state.sqlite"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=False)
    assert done.returncode == -9
    store = SqliteState(path)
    assert store.get("kept") is not None
    assert store.get("lost") is None
    assert store.find_source(b"lost") is None
    store.close()


def test_the_file_is_private_and_a_damaged_one_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    SqliteState(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"this is no database" * 100)
    with pytest.raises(TarnhelmError) as caught:
        SqliteState(broken)
    assert caught.value.code == "GTW-006"
