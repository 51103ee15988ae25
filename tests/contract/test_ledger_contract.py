"""What every ledger must do: sex, records, tickets, destroying. Links and lists are in ``test_ledger_life_contract``."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.ledgers import code_of, record, subject

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core import ledger_sqlite
from tarnhelm.linkage.core.ledger import LedgerCounts, SealedRecord, TaggedRecord, TicketBinding
from tarnhelm.linkage.core.ledger_sqlite import SqliteLedger
from tarnhelm.linkage.core.private_files import private_directory

PROJECT = "1" * 32
A, B, C = (subject(name) for name in "abc")


# --- sex ----------------------------------------------------------------------------------------------------------


def test_the_first_token_stays(ledger, place):
    assert ledger.first_sex(A, b"one") == b"one"
    assert ledger.first_sex(A, b"two") == b"one"
    assert place.open().first_sex(A, b"three") == b"one"
    assert ledger.first_sex(B, b"two") == b"two"
    assert ledger.resolve(A, b"").sex_token == b"one"
    assert ledger.resolve(C, b"").sex_token is None


def test_writers_at_the_same_time_get_one_answer(place):
    ledgers = [place.open() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for name in "abcdefghij":
            found = pool.map(
                lambda pair, name=name: pair[1].first_sex(subject(name), b"%d" % pair[0]), enumerate(ledgers)
            )
            assert len(set(found)) == 1


# --- sealed records -------------------------------------------------------------------------------------------------


def test_a_record_is_put_once(ledger, place):
    assert ledger.put_records([record(1), record(2)]) == 2
    assert ledger.put_records([record(2), record(3)]) == 1
    changed = TaggedRecord(b"tag1", "subject", "S-1", b"other")
    assert place.open().put_records([changed]) == 0
    assert [found.sealed for found in ledger.records()] == [b"sealed1", b"sealed2", b"sealed3"]
    assert ledger.put_records([]) == 0


def test_what_is_known_is_known_by_its_tag(ledger):
    ledger.put_records([record(1)])
    assert ledger.known([b"tag1", b"tag2"]) == {b"tag1"}
    assert ledger.known([]) == frozenset()


def test_records_are_found_by_kind_and_surrogate(ledger, place):
    ledger.put_records([record(1), record(2, "study"), record(3, "study", "S-1")])
    assert [found.sealed for found in ledger.records(kind="study")] == [b"sealed2", b"sealed3"]
    assert [found.sealed for found in ledger.records(handle="S-1")] == [b"sealed1", b"sealed3"]
    assert list(ledger.records("study", "S-1")) == [SealedRecord(place.project, "study", "S-1", b"sealed3")]
    assert list(ledger.records("paths")) == []


def test_many_records_come_in_the_order_of_writing(ledger):
    ledger.put_records([record(number) for number in range(1234)])
    assert [found.handle for found in ledger.records()] == [f"S-{number}" for number in range(1234)]


def test_all_of_a_batch_or_none(ledger):
    with pytest.raises((TarnhelmError, TypeError)):
        ledger.put_records([record(1), TaggedRecord(b"tag2", "subject", "S-2", None)])
    assert list(ledger.records()) == []
    assert ledger.put_records([record(1)]) == 1


def test_what_was_written_is_seen_by_others_at_once(ledger, place):
    other = place.open()
    ledger.put_records([record(1)])
    assert other.known([b"tag1"]) == {b"tag1"}


def test_closing_and_flushing_lose_nothing(ledger, place):
    ledger.put_records([record(1)])
    ledger.flush()
    ledger.put_records([record(2)])
    ledger.close()
    ledger.close()
    assert len(list(place.open().records())) == 2


def test_records_and_tags_do_not_show_what_is_sealed():
    assert "sealed1" not in repr(record(1))
    assert "sealed1" not in repr(SealedRecord(PROJECT, "subject", "S-1", b"sealed1"))


def test_every_record_is_sealed_anew_and_keeps_its_place(ledger):
    ledger.put_records([record(number) for number in range(25)])
    batches = []

    def rewrap(records):
        batches.append(len(records))
        return [b"new" + found.sealed for found in records]

    assert ledger.reseal(rewrap, batch=10) == 25
    assert batches == [10, 10, 5]
    assert [found.sealed for found in ledger.records()] == [b"newsealed%d" % number for number in range(25)]
    assert [found.handle for found in ledger.records()] == [f"S-{number}" for number in range(25)]
    assert ledger.known([b"tag7"]) == {b"tag7"}
    assert ledger.reseal(lambda records: [found.sealed for found in records]) == 0


def test_sealing_anew_that_was_broken_off_is_begun_again(ledger):
    ledger.put_records([record(number) for number in range(20)])

    def breaks(records):
        if records[0].sealed == b"sealed10":
            raise ConnectionError
        return [found.sealed.replace(b"sealed", b"new") for found in records]

    with pytest.raises(ConnectionError):
        ledger.reseal(breaks, batch=5)
    assert ledger.reseal(lambda records: [found.sealed.replace(b"sealed", b"new") for found in records]) == 10
    assert [found.sealed for found in ledger.records()] == [b"new%d" % number for number in range(20)]


def test_sealing_anew_never_undoes_what_somebody_else_wrote(ledger, place):
    ledger.put_records([record(1), record(2)])
    other = place.open()

    def overtaken(records):
        other.reseal(lambda found: [b"faster" for _ in found])
        return [b"slower" for _ in records]

    assert ledger.reseal(overtaken) == 0
    assert [found.sealed for found in ledger.records()] == [b"faster"] * 2


# --- tickets ----------------------------------------------------------------------------------------------------------


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


def test_the_first_request_of_a_ticket_wins_until_it_expires(place):
    clock = Clock()
    one, other = place.open(clock=clock), place.open(clock=clock)
    soon = int(clock.now) + 60
    assert one.bind_tickets([TicketBinding(b"t1", b"d1", soon)]) == [True]
    assert other.bind_tickets([TicketBinding(b"t1", b"d1", soon), TicketBinding(b"t1", b"d2", soon)]) == [True, False]
    assert other.bind_tickets([TicketBinding(b"t1", b"d2", soon + 99)]) == [False]
    clock.now += 60
    # The ticket has expired: it binds nothing, and if its id comes again it is a new one.
    assert one.bind_tickets([TicketBinding(b"t1", b"d1", soon)]) == [False]
    assert one.bind_tickets([TicketBinding(b"t1", b"d2", soon + 99)]) == [True]
    assert one.bind_tickets([TicketBinding(b"t1", b"d1", soon + 99)]) == [False]


def test_a_batch_of_tickets_is_answered_in_its_order(ledger):
    far = 1 << 40
    ledger.bind_tickets([TicketBinding(b"t2", b"mine", far)])
    items = [TicketBinding(b"t%d" % number, b"x", far) for number in (3, 2, 1, 3)] + [TicketBinding(b"t3", b"y", far)]
    assert ledger.bind_tickets(items) == [True, False, True, True, False]
    assert ledger.bind_tickets([]) == []


def test_the_tickets_of_the_last_hour_are_counted_and_old_ones_dropped(place):
    clock = Clock()
    ledger = place.open(clock=clock)
    ledger.bind_tickets([TicketBinding(b"t%d" % number, b"x", int(clock.now) + 60) for number in range(5)])
    clock.now += 1800
    assert ledger.counts().tickets == 5  # expired, and counted still
    ledger.bind_tickets([TicketBinding(b"t9", b"x", int(clock.now) + 60)])
    clock.now += 1801
    assert ledger.counts().tickets == 1
    ledger.bind_tickets([TicketBinding(b"t9", b"x", int(clock.now) + 60)])
    stored = ledger._read(lambda session: session.rows("SELECT ticket FROM ticket WHERE project = :project"))
    assert stored == [(b"t9",)]


# --- the whole --------------------------------------------------------------------------------------------------------


def test_it_counts_what_there_is(ledger):
    assert ledger.counts() == LedgerCounts(0, 0, 0, 0)
    ledger.first_sex(A, b"x")
    ledger.first_sex(B, b"x")
    ledger.put_records([record(1), record(2, "study", "U-1"), record(3, "study", "U-1"), record(4, "study", "U-2")])
    assert ledger.counts() == LedgerCounts(subjects=2, studies=2, records=4, tickets=0)


def test_projects_see_nothing_of_each_other(ledger, place):
    other = place.other()
    beside = other.open()
    ledger.put_records([record(1)])
    ledger.first_sex(A, b"x")
    ledger.link(A, B, "case")
    ledger.withdraw(C, "case")
    ledger.bind_tickets([TicketBinding(b"t", b"x", 1 << 40)])
    assert beside.counts() == LedgerCounts(0, 0, 0, 0)
    assert beside.canonical(A) == A
    assert not beside.withdrawn(C)
    assert beside.changes() == 0
    assert list(beside.links()) == list(beside.tombstones()) == list(beside.records()) == []
    assert beside.bind_tickets([TicketBinding(b"t", b"y", 1 << 40)]) == [True]
    beside.destroy()
    assert len(list(ledger.records())) == 1
    other.release()


def test_a_destroyed_ledger_is_empty_and_not_opened_again(ledger, place):
    other = place.open()
    ledger.put_records([record(1)])
    ledger.link(A, B, "case")
    ledger.withdraw(C, "case")
    ledger.destroy()
    assert code_of(place.open) == "LNK-009"
    # Who has it open still meets the same, and writes nothing.
    assert code_of(other.changes) == "LNK-009"
    assert code_of(other.resolve, A, b"") == "LNK-009"
    assert code_of(other.put_records, [record(2)]) == "LNK-009"
    assert code_of(other.put_records, [record(2, about=B)]) == "LNK-009"
    assert list(other.records()) == list(other.tombstones()) == list(other.links()) == []


def test_threads_share_a_ledger(ledger):
    def work(number):
        ledger.first_sex(subject(str(number % 7)), b"x")
        return ledger.put_records([record(number % 50)])

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(200))) == 50
    assert ledger.counts() == LedgerCounts(subjects=7, studies=0, records=50, tickets=0)


# --- SQLite alone -------------------------------------------------------------------------------------------------------


def sqlite(tmp_path, project=PROJECT):
    return SqliteLedger(private_directory(tmp_path / "ledger") / "x.sqlite", project)


def test_sqlite_another_projects_file_is_refused(tmp_path):
    sqlite(tmp_path).close()
    assert code_of(sqlite, tmp_path, "2" * 32) == "LNK-012"


def test_sqlite_a_destroyed_ledger_holds_no_byte_of_a_record(tmp_path):
    ledger = sqlite(tmp_path)
    ledger.put_records([TaggedRecord(b"t", "subject", "S-1", b"REMAINS" * 900)])
    ledger.destroy()
    assert not [path.name for path in (tmp_path / "ledger").iterdir() if b"REMAINS" in path.read_bytes()]


def test_sqlite_a_withdrawn_subject_leaves_no_byte_of_a_record(tmp_path):
    ledger = sqlite(tmp_path)
    ledger.put_records([TaggedRecord(b"t", "subject", "S-1", b"REMAINS" * 900, A), record(2, about=B)])
    assert ledger.withdraw(A, "case") == 1
    files = list((tmp_path / "ledger").iterdir())
    assert not [path.name for path in files if b"REMAINS" in path.read_bytes() or A in path.read_bytes()]
    assert len(list(ledger.records())) == 1
    ledger.close()


def test_sqlite_files_are_private(tmp_path):
    ledger = sqlite(tmp_path)
    ledger.put_records([record(1)])
    files = list((tmp_path / "ledger").iterdir())
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    ledger.close()


def test_sqlite_a_locked_file_is_waited_for_and_then_retried(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_sqlite, "_BUSY_SECONDS", 0.05)
    ledger = sqlite(tmp_path)
    holder = sqlite3.connect(tmp_path / "ledger" / "x.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert code_of(ledger.put_records, [record(1)]) == "LNK-008"
    holder.execute("ROLLBACK")
    holder.close()
    assert ledger.put_records([record(1)]) == 1
    ledger.close()


def test_sqlite_a_file_that_is_no_ledger_is_refused(tmp_path):
    folder = private_directory(tmp_path / "ledger")
    (folder / "x.sqlite").write_bytes(b"no database" * 400)
    assert code_of(sqlite, tmp_path) == "LNK-012"


FORMAT_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE alias (subject BLOB PRIMARY KEY, canonical BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX alias_canonical ON alias (canonical);
CREATE TABLE sex (subject BLOB PRIMARY KEY, token BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
  sequence INTEGER PRIMARY KEY, tag BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, handle TEXT NOT NULL, sealed BLOB NOT NULL
);
CREATE INDEX record_handle ON record (handle);
"""


def format_1(tmp_path, *more):
    folder = private_directory(tmp_path / "ledger")
    old = sqlite3.connect(folder / "x.sqlite")
    old.executescript(FORMAT_1)
    (folder / "x.sqlite").chmod(0o600)
    with old:
        old.execute("INSERT INTO meta VALUES ('format', '1'), ('project', ?)", (PROJECT,))
        old.execute("INSERT INTO alias VALUES (?, ?)", (A, B))
        old.execute("INSERT INTO sex VALUES (?, x'01')", (B,))
        old.execute("INSERT INTO record VALUES (7, x'aa', 'subject', 'S-1', x'bb'), (9, x'ab', 'study', 'U-1', x'bc')")
        for statement in more:
            old.execute(statement)
    old.close()


def test_sqlite_a_ledger_of_the_first_format_is_taken_over(tmp_path):
    format_1(tmp_path)
    ledger = sqlite(tmp_path)
    assert ledger.canonical(A) == B
    assert ledger.resolve(A, b"").sex_token == b"\x01"
    assert ledger.known([b"\xaa", b"\xab"]) == {b"\xaa", b"\xab"}
    assert [found.sealed for found in ledger.records()] == [b"\xbb", b"\xbc"]
    ledger.unlink(next(ledger.links()).id, "case")
    assert ledger.canonical(A) == A
    # Such records do not say whom they are about; the surrogate that they belong to does.
    assert ledger.withdraw(B, "case", ["S-1"]) == 1
    ledger.close()
    assert [found.handle for found in sqlite(tmp_path).records()] == ["U-1"]


def test_sqlite_what_was_destroyed_in_the_first_format_stays_destroyed(tmp_path):
    format_1(tmp_path, "INSERT INTO meta VALUES ('destroyed', '1')")
    assert code_of(sqlite, tmp_path) == "LNK-009"


def test_sqlite_another_projects_file_of_the_first_format_is_not_touched(tmp_path):
    format_1(tmp_path)
    before = (tmp_path / "ledger" / "x.sqlite").read_bytes()
    assert code_of(sqlite, tmp_path, "2" * 32) == "LNK-012"
    assert sqlite(tmp_path).canonical(A) == B
    assert len(before) > 0


def test_sqlite_a_ledger_of_a_newer_version_is_refused(tmp_path):
    ledger = sqlite(tmp_path)
    with ledger._transaction() as connection:
        connection.execute("UPDATE meta SET value = '3' WHERE name = 'format'")
    ledger._forget()
    assert code_of(sqlite, tmp_path) == "LNK-023"
