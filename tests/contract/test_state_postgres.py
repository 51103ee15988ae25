"""What the state promises on a server beyond the contract: many processes, broken connections, older tables."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tarnhelm.common import errors, postgres
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, State
from tarnhelm.gateway.state import StaleRecordError
from tarnhelm.gateway.state.postgres import PostgresState
from tarnhelm.gateway.state.postgres_schema import TABLES

LIFE = Lifecycle(lambda _verdict: True)


@pytest.fixture
def address(postgres):
    return postgres.database()


@pytest.fixture
def opened(address):
    """Open states; they are closed at the end."""
    made = []

    def make(**options):
        made.append(PostgresState(address, **options))
        return made[-1]

    yield make
    for state in made:
        state._database.close()


def kill_backends(address):
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@contextmanager
def acknowledgement_lost(monkeypatch, statement, then=lambda: None):
    """Let one statement reach the server and its answer be lost; ``then`` happens before anybody tries again."""
    plain = psycopg.Connection.execute
    lost = []

    def execute(self, query, *arguments, **named):
        done = plain(self, query, *arguments, **named)
        text = query.decode() if isinstance(query, bytes) else str(query)
        if text.startswith(statement) and not lost:
            lost.append(text)
            then()
            self.close()
            raise psycopg.OperationalError
        return done

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", execute)
        yield
    assert lost


def test_of_many_writers_one_takes_each_step(opened):
    """Compare-and-set: of all that step a record from the same revision, one succeeds."""
    opened().add(ObjectRecord("one"))
    won = []

    def climb():
        mine = opened()
        while True:
            was = mine.get("one")
            if was.revision >= 40:
                return
            try:
                mine.save(was._replace(revision=was.revision + 1), was)
            except StaleRecordError:
                continue
            won.append(was.revision)

    threads = [threading.Thread(target=climb) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won) == list(range(40))


def test_of_two_pumps_that_enter_the_same_object_one_is_told_so(opened):
    mine, other, batched = opened(), opened(), opened(batched=True)
    assert mine.add(ObjectRecord("one"))
    assert not other.add(ObjectRecord("one"))
    assert not batched.add(ObjectRecord("one"))
    assert batched.add(ObjectRecord("two"))
    batched.flush()
    assert not mine.add(ObjectRecord("two"))


def test_the_first_outcome_wins_among_processes(opened):
    mine, other = opened(), opened()
    first = StageOutcome(
        Status.DONE, code="A", facts=ObjectFacts(modality="CT"), actions={("PatientName", "REMOVE"): 2}
    )
    second = StageOutcome(Status.DONE, code="B", facts=ObjectFacts(modality="MR"), actions={("PatientID", "REMOVE"): 1})
    assert mine.put_outcome("one", "ocr", "plan", first) == first
    assert other.put_outcome("one", "ocr", "plan", second) == first
    assert other.outcome("one", "ocr", "plan") == first


def test_a_batch_is_seen_by_nobody_before_its_flush(opened):
    mine, other = opened(batched=True), opened()
    mine.add(ObjectRecord("one"))
    mine.link_source(b"place", "one")
    assert mine.find_source(b"place") == ObjectRecord("one")
    assert other.get("one") is None
    mine.flush()
    assert other.find_source(b"place") == ObjectRecord("one")


def test_what_was_flushed_survives_a_kill_and_what_was_not_is_gone_whole(address, opened):
    script = (
        "import os, sys\n"
        "from tarnhelm.gateway.state.postgres import PostgresState; from tarnhelm.gateway.record import ObjectRecord\n"
        "store = PostgresState(sys.argv[1], batched=True)\n"
        "store.add(ObjectRecord('kept')); store.flush()\n"
        "store.add(ObjectRecord('lost')); store.link_source(b'lost', 'lost')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    assert subprocess.run([sys.executable, "-c", script, address], env=environment, check=False).returncode == -9
    store = opened()
    assert store.get("kept") is not None
    assert store.add(ObjectRecord("lost"))
    assert store.find_source(b"lost") is None


def test_a_server_that_comes_back_is_used_again(address, opened):
    plain, batched = opened(), opened(batched=True)
    record = ObjectRecord("one")
    plain.add(record)
    kill_backends(address)
    plain.save(LIFE.step(record, Event.ADMIT), record)
    kill_backends(address)
    assert batched.add(ObjectRecord("two"))
    batched.flush()
    kill_backends(address)
    assert [one.object_id for one in batched.records()] == ["one", "two"]


def test_a_batch_whose_connection_breaks_is_lost_whole_and_said_to_be(address, opened):
    store = opened(batched=True)
    outcome = StageOutcome(Status.DONE, actions={("PatientName", "REMOVE"): 2})
    store.add(ObjectRecord("one"))
    store.put_outcome("one", "metadata", "plan", outcome)
    kill_backends(address)
    with pytest.raises(TarnhelmError) as caught:
        store.flush()
    assert caught.value.kind is errors.STATE_AWAY
    assert caught.value.disposition is Disposition.RETRY
    assert store.get("one") is None
    assert store.add(ObjectRecord("one"))
    assert store.put_outcome("one", "metadata", "plan", outcome) == outcome
    store.flush()
    assert opened().outcome("one", "metadata", "plan") == outcome, "its shared mapping was written again"


def test_a_write_whose_acknowledgement_is_lost_is_made_once_and_is_mine(opened, monkeypatch):
    store, record = opened(), ObjectRecord("one")
    with acknowledgement_lost(monkeypatch, "INSERT INTO objects"):
        assert store.add(record)
    admitted = LIFE.step(record, Event.ADMIT)
    with acknowledgement_lost(monkeypatch, "UPDATE objects"):
        store.save(admitted, record)
    assert store.get("one") == admitted
    entry = ManifestEntry("one", "run", "1.dcm", "a" * 64, 1, "p", "q", "s", 1.0)
    with acknowledgement_lost(monkeypatch, "INSERT INTO manifest"):
        store.add_manifest(entry)
    assert list(store.manifest()) == [entry]


def test_a_write_that_another_made_alike_is_not_mine(opened, monkeypatch):
    """The same step from the same revision by two pumps: equal records, one winner, whatever answers are lost."""
    store, other, record = opened(), opened(), ObjectRecord("one")
    other.add(record)
    admitted = LIFE.step(record, Event.ADMIT)
    other.save(admitted, record)
    with acknowledgement_lost(monkeypatch, "UPDATE objects"), pytest.raises(StaleRecordError):
        store.save(admitted, record)
    with acknowledgement_lost(monkeypatch, "INSERT INTO objects"):
        assert not store.add(record)


def test_a_commit_whose_acknowledgement_is_lost_is_asked_about(opened, monkeypatch):
    store = opened(batched=True)
    store.add(ObjectRecord("one"))
    with acknowledgement_lost(monkeypatch, "COMMIT"):
        store.flush()
    assert opened().get("one") is not None


def test_an_output_path_that_another_takes_first_is_a_stale_record(opened):
    for batched in (False, True):
        name = str(batched)
        mine, other = opened(batched=batched), opened()
        one, two = ObjectRecord(f"one{name}"), ObjectRecord(f"two{name}")
        mine.add(one)
        mine.flush()
        assert not mine.path_taken(f"{name}.dcm", one.object_id)
        other.add(two._replace(output_path=f"{name}.dcm"))
        with pytest.raises(StaleRecordError):
            mine.save(one._replace(output_path=f"{name}.dcm", revision=1), one)
        assert mine.get(one.object_id) == one


def test_tables_of_a_newer_software_are_refused(address, opened):
    opened().close()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("UPDATE gateway.version SET version = 99")
    with pytest.raises(TarnhelmError) as caught:
        opened()
    assert caught.value.kind is errors.STATE_VERSION
    assert caught.value.facts == {"found": 99, "wanted": len(TABLES.steps)}


def test_a_later_step_is_added_to_tables_with_rows_in_them(address, opened):
    store = opened()
    store.add(ObjectRecord("one"))
    steps = len(TABLES.steps)
    wider = postgres.Tables(
        "gateway",
        (*TABLES.steps, "ALTER TABLE gateway.runs ADD COLUMN more text"),
        7,
        errors.STATE_VERSION,
    )
    with psycopg.connect(address, autocommit=True) as connection:
        wider.prepare(connection)
        wider.prepare(connection)
        assert connection.execute("SELECT version FROM gateway.version").fetchone() == (steps + 1,)
    assert store.get("one") == ObjectRecord("one")


def test_processes_that_start_together_make_the_tables_once(address):
    made, failed = [], []

    def start():
        try:
            made.append(PostgresState(address, connections=1))
        except TarnhelmError as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert len(made) == 5
    for state in made:
        state.close()


def test_a_role_that_may_not_make_tables_says_that_they_are_missing(address, opened):
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS pump{os.getpid()}")
        connection.execute(f"CREATE ROLE pump{os.getpid()} LOGIN")
    with pytest.raises(TarnhelmError) as caught:
        PostgresState(make_conninfo(address, user=f"pump{os.getpid()}"))
    assert caught.value.kind is errors.STATE_VERSION


def test_a_database_that_is_away_is_said_to_be(tmp_path, monkeypatch):
    with pytest.raises(TarnhelmError) as caught:
        postgres.Database(
            f"host={tmp_path} dbname=secret user=somebody",
            configure=lambda _: None,
            prepare=lambda _: None,
            away=errors.STATE_AWAY,
            broken=errors.STATE_BROKEN,
            wait_seconds=0.2,
        )
    assert caught.value.kind is errors.STATE_AWAY
    assert caught.value.__cause__ is None


def test_counts_and_pages_are_those_of_all_processes(opened):
    mine, other = opened(), opened()
    for number in range(30):
        (mine if number % 2 else other).add(ObjectRecord(f"{number:02}", State.ADMITTED))
    assert mine.counts() == other.counts() == {State.ADMITTED: 30}
    assert [one.object_id for one in mine.records(State.ADMITTED)] == [f"{number:02}" for number in range(30)]
