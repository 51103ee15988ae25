"""Many processes at one ledger: one answer for all of them, and nothing half when one is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
import time
from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.support.canaries import CANARIES, canary_requests
from tests.support.ledgers import Place, code_of, record, subject

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.assign import LocalAssigner
from tarnhelm.linkage.core.ledger import CohortEntry, LinkKind, TaggedRecord, TicketBinding, Tombstone
from tarnhelm.linkage.core.ledger_postgres_schema import grant_assigning
from tarnhelm.linkage.local import LocalLinkage

SPAWN = multiprocessing.get_context("spawn")
FAR = 1 << 40
BATCH = 6


def _bind(place, digest, count):
    ledger = place.open()
    items = [TicketBinding(b"ticket %d" % number, digest, FAR) for number in range(count)]
    found = [ledger.bind_tickets(items[start : start + 5]) for start in range(0, count, 5)]
    place.release()
    return [bound for batch in found for bound in batch]


def test_two_processes_that_bind_the_same_tickets_agree_on_who_was_first(place):
    with SPAWN.Pool(2) as pool:
        one, other = pool.starmap(_bind, [(place, b"one", 200), (place, b"other", 200)])
    assert [first != second for first, second in zip(one, other, strict=True)] == [True] * 200
    ledger = place.open()
    again = ledger.bind_tickets([TicketBinding(b"ticket %d" % number, b"one", FAR) for number in range(200)])
    assert again == one


def _first_sex(place, token):
    ledger = place.open()
    found = [ledger.first_sex(subject(str(number)), token) for number in range(150)]
    place.release()
    return found


def test_two_processes_that_record_a_sex_get_the_same(place):
    with SPAWN.Pool(2) as pool:
        one, other = pool.starmap(_first_sex, [(place, b"f"), (place, b"m")])
    assert one == other
    assert set(one) <= {b"f", b"m"}


def _merge(place, forward):
    ledger = place.open()
    done = 0
    for number in range(60):
        pair = [subject(f"{number} a"), subject(f"{number} b")]
        try:
            ledger.link(*(pair if forward else pair[::-1]), "case")
            done += 1
        except TarnhelmError as error:
            assert error.code == "LNK-019"  # noqa: PT017 (another process, whose failure the pool tells)
    place.release()
    return done


def test_two_processes_that_merge_in_opposite_directions_make_no_circle(place):
    with SPAWN.Pool(2) as pool:
        assert sum(pool.starmap(_merge, [(place, True), (place, False)])) == 60
    ledger = place.open()
    for number in range(60):
        assert ledger.canonical(subject(f"{number} a")) == ledger.canonical(subject(f"{number} b"))


def test_a_record_and_a_withdrawal_do_not_overtake_each_other(place):
    """Whatever the order, nothing of a withdrawn subject remains."""
    one, other = place.open(), place.open()
    for number in range(40):
        about = subject(str(number))
        barrier = threading.Barrier(2)

        def put(about=about, barrier=barrier, number=number):
            barrier.wait()
            for part in range(5):
                try:
                    one.put_records([TaggedRecord(b"%d.%d" % (number, part), "subject", "S", b"x", about)])
                except TarnhelmError as error:
                    assert error.code == "LNK-017"  # noqa: PT017

        writer = threading.Thread(target=put)
        writer.start()
        barrier.wait()
        time.sleep(0.0005 * (number % 8))
        other.withdraw(about, "case")
        writer.join()
        assert list(other.records()) == []


def _work_until_killed(place, ready, turn):
    ledger = place.open()
    ready.set()
    number = 1_000_000 * turn
    while True:
        number += 1
        one, other = subject(f"{number}"), subject(f"{number} other")
        about = [
            TaggedRecord(b"%d.%d" % (number, part), "subject", f"S-{number}", b"x" * 400, one) for part in range(BATCH)
        ]
        ledger.put_records(about)
        ledger.first_sex(one, b"f")
        link = ledger.link(one, other, "case")
        split = ledger.split(one, [subject(f"{number} study {part}") for part in range(BATCH)], subject("n"), "case")
        ledger.put_cohort(
            [CohortEntry(subject(f"{number} list {part}"), f"P-{number}-{part}") for part in range(BATCH)]
        )
        ledger.unlink(link, "case")
        if number % 3 == 0:
            ledger.withdraw(one, "case")
        if number % 4 == 0:
            ledger.unsplit(split, "case")


def _rows(ledger, query):
    return ledger._read(lambda session: session.rows(query))


def nothing_is_half(ledger):
    per_subject = _rows(ledger, "SELECT subject, count(*) FROM record WHERE project = :project GROUP BY subject")
    assert {count for _, count in per_subject} <= {BATCH}
    assert not any(ledger.withdrawn(about) for about, _ in per_subject)
    links = {row[0] for row in _rows(ledger, "SELECT event FROM link WHERE project = :project")}
    splits = _rows(ledger, "SELECT event, count(*) FROM split WHERE project = :project GROUP BY event")
    assert {count for _, count in splits} <= {BATCH}
    events = list(ledger.links())
    undone = {event.undoes for event in events}
    assert links == {event.id for event in events if event.kind is LinkKind.LINK and event.id not in undone}
    assert {event for event, _ in splits} == {
        event.id for event in events if event.kind is LinkKind.SPLIT and event.id not in undone
    }
    assert ledger.cohort_size() % BATCH == 0


def kill_many(place, times):
    for turn in range(times):
        ready = SPAWN.Event()
        worker = SPAWN.Process(target=_work_until_killed, args=(place, ready, turn))
        worker.start()
        assert ready.wait(30)
        time.sleep(0.05 + 0.013 * turn)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        worker.close()
        ledger = place.open()
        nothing_is_half(ledger)
        place.release()


def test_a_killed_process_leaves_nothing_half(place):
    kill_many(place, 2)
    assert place.open().counts().records > 0


@pytest.mark.slow
def test_many_killed_processes_leave_nothing_half(place):
    kill_many(place, 25)


def test_a_forked_child_has_connections_of_its_own(ledger, place):
    ledger.put_records([record(1)])
    child = os.fork()
    if child == 0:
        try:
            ledger.put_records([record(2)])
            ledger.first_sex(subject("a"), b"f")
        finally:
            os._exit(len(list(ledger.records())) != 2)
    assert os.waitpid(child, 0)[1] == 0
    ledger.put_records([record(3)])
    assert len(list(ledger.records())) == 3


# --- PostgreSQL alone -----------------------------------------------------------------------------------------------


@pytest.fixture
def in_postgres(ledger_database):
    found = Place("postgres", ledger_database, os.urandom(16).hex())
    yield found
    found.release()


def test_postgres_connections_that_the_server_closed_are_replaced(in_postgres):
    ledger, other = in_postgres.open(), in_postgres.open()
    ledger.put_records([record(1)])
    other._database.use(
        lambda connection: connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database() AND backend_type = 'client backend'"
        )
    )
    assert ledger.put_records([record(2)]) == 1
    assert len(list(ledger.records())) == 2


def test_postgres_a_server_that_is_away_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("tarnhelm.linkage.core.postgres._WAIT_SECONDS", 0.2)
    with pytest.raises(TarnhelmError) as caught:
        Place("postgres", f"host={tmp_path} dbname=nobody", "1" * 32).open()
    assert caught.value.code == "LNK-008"
    assert caught.value.__suppress_context__


def lived_in(state, place):
    """Assign, merge, split, withdraw and list, with values that are easy to find again."""
    linkage = LocalLinkage(state)
    project = linkage.create("lung")
    place.project = project.id
    assigner = LocalAssigner(project, linkage.vault, place.open())
    requests = canary_requests()
    for request in requests:
        assigner.assign(request)
    assigner.record_paths("run-1", [("/in/CANARYNAME/a.dcm", "S/a.dcm")])
    names, ledger = assigner.identities, place.opened[0]
    one, other, third = (names.patient(request.patient_id, request.issuer) for request in requests[:3])
    ledger.link(one, other, "case")
    ledger.split(other, [names.study(requests[1].study_uid)], names.split_off(other, "case"), "case")
    ledger.withdraw(third, "case")
    ledger.put_cohort([CohortEntry(names.accession("CANARYACC3", "HOSPITAL"), "P-1", by_accession=True)])
    ledger.bind_tickets([TicketBinding(b"t", b"d", FAR)])


def canaries_in(content):
    return [
        text
        for text in CANARIES
        for form in (text.encode(), text.lower().encode(), text.encode("utf-16-le"), text.encode().hex().encode())
        if form in content
    ]


def test_sqlite_no_identifier_stands_in_any_byte_of_file_and_log(tmp_path):
    place = Place("sqlite", str(tmp_path / "ledger"), "")
    lived_in(tmp_path / "state", place)
    place.open().put_records([record(1)])  # leaves a log that was not folded in yet
    files = {path.suffix: path.read_bytes() for path in (tmp_path / "ledger").iterdir()}
    assert files.keys() == {".sqlite", ".sqlite-wal", ".sqlite-shm"}
    assert len(files[".sqlite-wal"]) > 4096
    assert [canaries_in(content) for content in files.values()] == [[], [], []]
    place.release()


def test_postgres_no_identifier_stands_in_a_dump(postgres, tmp_path):
    if postgres.binaries is None:
        pytest.skip("the server's pg_dump is needed; it was named by its address")
    place = Place("postgres", postgres.database(), "")
    lived_in(tmp_path / "state", place)
    found = conninfo_to_dict(place.where)
    command = [postgres.binaries / "pg_dump", "-h", found["host"], "-U", found["user"], found["dbname"]]
    dump = subprocess.run(command, capture_output=True, check=True).stdout
    assert dump.count(b"\n") > 100
    assert canaries_in(dump) == []
    place.release()


def test_postgres_the_role_that_assigns_can_neither_change_nor_delete_a_link(postgres):
    owner = Place("postgres", postgres.database(), "1" * 32)
    ledger = owner.open()
    role = f"assign_{os.urandom(4).hex()}"
    ledger._database.use(lambda connection: connection.execute(f"CREATE ROLE {role} LOGIN"))
    ledger._database.use(lambda connection: grant_assigning(connection, role))
    event = ledger.link(subject("a"), subject("b"), "case")
    assigning = Place("postgres", make_conninfo(owner.where, user=role), "1" * 32)
    narrow = assigning.open()
    # What assigning does:
    assert narrow.resolve(subject("a"), b"").canonical == subject("b")
    assert narrow.changes() == 1
    assert narrow.first_sex(subject("b"), b"f") == b"f"
    assert narrow.put_records([record(1), record(2)]) == 2
    assert narrow.known([b"tag1"]) == {b"tag1"}
    assert narrow.bind_tickets([TicketBinding(b"t", b"d", FAR)]) == [True]
    # And no more:
    for call in (
        lambda: narrow.link(subject("c"), subject("d"), "x"),
        lambda: narrow.unlink(event, "x"),
        lambda: narrow.split(subject("c"), [subject("s")], subject("d"), "x"),
        lambda: narrow.withdraw(subject("c"), "x"),
        lambda: narrow.put_cohort([CohortEntry(subject("c"), "P-1")]),
        lambda: narrow.put_tombstones(list(ledger.tombstones()) or [Tombstone(b"t", "x", 0)]),
        lambda: narrow.reseal(lambda records: [b"x" for _ in records]),
        narrow.destroy,
        lambda: Place("postgres", assigning.where, "2" * 32).open(),
    ):
        assert code_of(call) == "LNK-012"
    assert len(list(ledger.records())) == 2
    assigning.release()
    owner.release()


def test_postgres_tables_of_another_version_are_refused(postgres):
    place = Place("postgres", postgres.database(), "1" * 32)
    database = place.open()._database
    database.use(lambda connection: connection.execute("UPDATE linkage.version SET version = 99"))
    assert code_of(place.open) == "LNK-023"
    place.release()


def test_postgres_a_role_that_may_not_make_the_tables_says_so(postgres):
    with closing(psycopg.connect(postgres.address, autocommit=True)) as connection:
        role = f"nobody_{os.urandom(4).hex()}"
        connection.execute(f"CREATE ROLE {role} LOGIN")
    empty = Place("postgres", make_conninfo(postgres.database(), user=role), "1" * 32)
    assert code_of(empty.open) == "LNK-023"
