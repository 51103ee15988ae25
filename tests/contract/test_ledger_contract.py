"""What every ledger must do. An implementation joins by adding a factory to ``LEDGERS``."""

from __future__ import annotations

import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core import ledger_sqlite
from tarnhelm.linkage.core.ledger import SealedRecord, TaggedRecord
from tarnhelm.linkage.core.ledger_sqlite import SqliteLedger
from tarnhelm.linkage.core.private_files import private_directory

PROJECT = "1" * 32


def sqlite(tmp_path, project=PROJECT):
    return SqliteLedger(private_directory(tmp_path / "ledger") / "x.sqlite", project)


LEDGERS = {"sqlite": sqlite}
"""Name → factory(tmp_path, project): each call opens the same store anew."""


@pytest.fixture(params=sorted(LEDGERS))
def reopen(request, tmp_path):
    opened = []

    def open_one(project=PROJECT):
        opened.append(LEDGERS[request.param](tmp_path, project))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger._forget()


@pytest.fixture
def ledger(reopen):
    return reopen()


def subject(name):
    return hashlib.sha256(name.encode()).digest()


A, B, C, D = (subject(name) for name in "abcd")


def record(number, kind="subject", handle=None):
    return TaggedRecord(b"tag%d" % number, kind, f"S-{number}" if handle is None else handle, b"sealed%d" % number)


def code_of(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.code


# --- aliases ----------------------------------------------------------------------------------------------------


def test_a_subject_stands_for_itself_until_it_is_an_alias(ledger, reopen):
    assert ledger.canonical(A) == A
    ledger.put_alias(A, B)
    assert ledger.canonical(A) == B
    assert ledger.canonical(B) == B
    assert reopen().canonical(A) == B
    ledger.drop_alias(A)
    assert ledger.canonical(A) == A


def test_aliases_are_flat_whatever_the_order_of_merging(ledger):
    ledger.put_alias(A, B)
    ledger.put_alias(B, C)  # what stood for B stands for C
    ledger.put_alias(D, A)  # A is an alias itself
    assert {ledger.canonical(one) for one in (A, B, C, D)} == {C}


def test_a_circle_is_never_made(ledger):
    ledger.put_alias(A, B)
    ledger.put_alias(B, A)
    ledger.put_alias(C, C)
    assert ledger.canonical(A) == ledger.canonical(B) == B
    assert ledger.canonical(C) == C


@given(st.lists(st.tuples(st.sampled_from([A, B, C, D]), st.sampled_from([A, B, C, D])), max_size=8))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_after_any_merges_a_canonical_subject_is_its_own(ledger, merges):
    for one in (A, B, C, D):
        ledger.drop_alias(one)
    for one, other in merges:
        ledger.put_alias(one, other)
        assert ledger.canonical(one) == ledger.canonical(other)
    for one in (A, B, C, D):
        assert ledger.canonical(ledger.canonical(one)) == ledger.canonical(one)


# --- sex ----------------------------------------------------------------------------------------------------------


def test_the_first_token_stays(ledger, reopen):
    assert ledger.first_sex(A, b"one") == b"one"
    assert ledger.first_sex(A, b"two") == b"one"
    assert reopen().first_sex(A, b"three") == b"one"
    assert ledger.first_sex(B, b"two") == b"two"


def test_writers_at_the_same_time_get_one_answer(reopen):
    ledgers = [reopen() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for name in "abcdefghij":
            found = pool.map(
                lambda pair, name=name: pair[1].first_sex(subject(name), b"%d" % pair[0]), enumerate(ledgers)
            )
            assert len(set(found)) == 1


# --- sealed records -------------------------------------------------------------------------------------------------


def test_a_record_is_put_once(ledger, reopen):
    assert ledger.put_records([record(1), record(2)]) == 2
    assert ledger.put_records([record(2), record(3)]) == 1
    changed = TaggedRecord(b"tag1", "subject", "S-1", b"other")
    assert reopen().put_records([changed]) == 0
    assert [found.sealed for found in ledger.records()] == [b"sealed1", b"sealed2", b"sealed3"]
    assert ledger.put_records([]) == 0


def test_what_is_known_is_known_by_its_tag(ledger):
    ledger.put_records([record(1)])
    assert ledger.known([b"tag1", b"tag2"]) == {b"tag1"}
    assert ledger.known([]) == frozenset()


def test_records_are_found_by_kind_and_surrogate(ledger):
    ledger.put_records([record(1), record(2, "study"), record(3, "study", "S-1")])
    assert [found.sealed for found in ledger.records(kind="study")] == [b"sealed2", b"sealed3"]
    assert [found.sealed for found in ledger.records(handle="S-1")] == [b"sealed1", b"sealed3"]
    assert list(ledger.records("study", "S-1")) == [SealedRecord(PROJECT, "study", "S-1", b"sealed3")]
    assert list(ledger.records("paths")) == []


def test_many_records_come_in_the_order_of_writing(ledger):
    ledger.put_records([record(number) for number in range(1234)])
    assert [found.handle for found in ledger.records()] == [f"S-{number}" for number in range(1234)]


def test_all_of_a_batch_or_none(ledger):
    with pytest.raises((TarnhelmError, TypeError)):
        ledger.put_records([record(1), TaggedRecord(b"tag2", "subject", "S-2", None)])
    assert list(ledger.records()) == []
    assert ledger.put_records([record(1)]) == 1


def test_what_was_written_is_seen_by_others_at_once(ledger, reopen):
    other = reopen()
    ledger.put_records([record(1)])
    assert other.known([b"tag1"]) == {b"tag1"}


def test_closing_and_flushing_lose_nothing(ledger, reopen):
    ledger.put_records([record(1)])
    ledger.flush()
    ledger.put_records([record(2)])
    ledger.close()
    ledger.close()
    assert len(list(reopen().records())) == 2


def test_records_and_tags_do_not_show_what_is_sealed():
    assert "sealed1" not in repr(record(1))
    assert "sealed1" not in repr(SealedRecord(PROJECT, "subject", "S-1", b"sealed1"))


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_another_projects_ledger_is_refused(ledger, reopen):
    assert code_of(reopen, "2" * 32) == "LNK-012"


def test_a_destroyed_ledger_is_empty_and_not_opened_again(ledger, reopen):
    ledger.put_records([record(1)])
    ledger.put_alias(A, B)
    ledger.destroy()
    assert code_of(reopen) == "LNK-009"


# --- SQLite alone -------------------------------------------------------------------------------------------------------


def test_sqlite_a_destroyed_ledger_holds_no_byte_of_a_record(tmp_path):
    ledger = sqlite(tmp_path)
    ledger.put_records([TaggedRecord(b"t", "subject", "S-1", b"REMAINS" * 900)])
    ledger.destroy()
    assert not [path.name for path in (tmp_path / "ledger").iterdir() if b"REMAINS" in path.read_bytes()]


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
