"""What every state store promises; one suite over each implementation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, RunRecord, State
from tarnhelm.gateway.state import Decision, SqliteState, StaleRecordError, StateStore

LIFE = Lifecycle(lambda _verdict: True)


@pytest.fixture(params=["file", "file, unbatched", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    path = None if request.param == "memory" else tmp_path / "state.sqlite"
    made = SqliteState(path, batched="unbatched" not in request.param)
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
