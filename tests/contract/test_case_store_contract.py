"""One suite for every store of cases, register of people and anchor of heads."""

from __future__ import annotations

import secrets
import threading

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.postgres import postgres
from tests.support.vault_sessions import error_of

from tarnhelm.reveal.core.audit.anchors import DirectoryAnchor
from tarnhelm.reveal.core.audit.anchors_postgres import PostgresAnchor, prepare_anchor
from tarnhelm.reveal.core.audit.lines import Head, make_line
from tarnhelm.reveal.core.cases import Step
from tarnhelm.reveal.core.database import CaseDatabase
from tarnhelm.reveal.core.keyring import new_keys
from tarnhelm.reveal.core.people import Register, make_card
from tarnhelm.reveal.core.register_postgres import PostgresRegister
from tarnhelm.reveal.core.store import CaseEvent, UseCount
from tarnhelm.reveal.core.store_postgres import PostgresCases
from tarnhelm.reveal.core.store_sqlite import SqliteCases
from tarnhelm.reveal.settings import anchor_of

__all__ = ["postgres"]


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request, tmp_path):
    """Open the same store any number of times."""
    made = []
    if request.param == "postgres":
        address = request.getfixturevalue("postgres").database()

    def open_one():
        if request.param == "sqlite":
            made.append(SqliteCases(tmp_path / "private" / "cases.sqlite"))
        else:
            made.append(CaseDatabase(address))
            return PostgresCases(made[-1])
        return made[-1]

    yield open_one
    for one in made:
        one.close()


def event(case, number, step=Step.OPEN, *, time=100, person="bob", project="P1", audit=""):
    return CaseEvent(case, number, step, time, b"doc%d" % number, project, person, audit or f"w:{secrets.token_hex(4)}")


def test_events_come_back_in_order_and_are_added_without_gaps(opener):
    store = opener()
    first, second = event("a", 1), event("a", 2, Step.APPROVE, person="carol")
    assert store.add(first)
    assert not store.add(event("a", 1))
    assert not store.add(event("a", 3))
    assert store.add(second)
    assert opener().events("a") == (first, second)
    assert store.events("b") == ()


def test_a_case_is_used_once_whatever_the_numbers_say(opener):
    store = opener()
    assert store.add(event("a", 1))
    assert store.add(event("a", 2, Step.USE))
    assert not store.add(event("a", 3, Step.USE))
    assert len(store.events("a")) == 2


def test_cases_are_listed_by_time_and_project(opener):
    store = opener()
    for case, moment, project in (("b", 5, "P1"), ("a", 9, "P1"), ("c", 1, "P2")):
        assert store.add(event(case, 1, time=moment, project=project))
    assert list(store.cases()) == ["c", "b", "a"]
    assert list(store.cases("P1")) == ["b", "a"]


def test_uses_are_counted_for_person_and_project_since_a_time(opener):
    store = opener()
    for number, (moment, person, project) in enumerate(
        [(10, "bob", "P1"), (20, "bob", "P2"), (20, "dave", "P1"), (30, "bob", "P1")]
    ):
        assert store.add(event(f"c{number}", 1, time=moment))
        assert store.add(event(f"c{number}", 2, Step.USE, time=moment, person=person, project=project))
    assert store.uses("bob", "P1", 20) == UseCount(2, 2)
    assert store.uses("nobody", "P9", 0) == UseCount(0, 0)


def test_of_many_who_add_the_same_number_one_does(opener):
    stores = [opener() for _ in range(4)]
    added = []

    def work(store):
        with store.turn():
            added.append(store.add(event("a", 1)))

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(added) == [False, False, False, True]


def test_one_turn_after_the_other(opener):
    first, second = opener(), opener()
    order = []

    def other():
        with second.turn():
            order.append("second")

    with first.turn():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


def test_an_event_that_was_added_before_the_connection_broke_counts_as_added(postgres):
    database = CaseDatabase(postgres.database())
    store = PostgresCases(database)
    once = event("a", 1)
    assert store.add(once)
    assert store.add(once)  # the same audit line: the same event
    assert len(store.events("a")) == 1
    database.close()


# --- people ----------------------------------------------------------------------------------------------------------


def test_people_in_the_table_are_those_of_the_root(postgres):
    address = postgres.database()
    keys = new_keys()
    register = Register()
    register.enrol(make_card(keys, "alice", "Alice"), ["admin"], keys, 1)
    database = CaseDatabase(address)
    book = PostgresRegister(database, root=register.digest)
    assert error_of(book.load).code == "RVL-029"
    book.seed(register)
    book.seed(register)
    assert book.load().digest == register.digest
    assert error_of(PostgresRegister(database, root="0" * 64).load).code == "RVL-005"
    bob = new_keys()
    longer = Register(register.lines())
    line = longer.enrol(make_card(bob, "bob", "Bob"), ["requester"], keys, 2)
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute("INSERT INTO reveal.person VALUES (2, %s)", (line,))
        assert book.load().size == 2
        # The owner takes the triggers away and the end off: whoever saw it misses it.
        owner.execute("ALTER TABLE reveal.person DISABLE TRIGGER kept")
        owner.execute("DELETE FROM reveal.person WHERE number = 2")
    assert error_of(book.load).code == "RVL-005"
    database.close()


# --- anchors ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["directory", "postgres"])
def anchor(request, tmp_path):
    if request.param == "directory":
        yield DirectoryAnchor(tmp_path / "share")
        return
    address = request.getfixturevalue("postgres").database()
    role = f"anchor_{secrets.token_hex(4)}"
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN")
        prepare_anchor(owner, role)
    secret = tmp_path / "address"
    secret.touch(mode=0o600)
    secret.write_text(psycopg.conninfo.make_conninfo(address, user=role))
    found = anchor_of(f"postgresql-file:{secret}")
    assert isinstance(found, PostgresAnchor)
    yield found
    found.close()


def heads(count, writer="one"):
    key = Ed25519PrivateKey.generate()
    lines = [make_line(writer, number, number, "started", "0" * 64, {}) for number in range(1, count + 1)]
    return [Head.of(line, line.time, key) for line in lines]


def test_heads_are_kept_by_writer_in_their_order(anchor):
    mine, others = heads(3), heads(2, "two")
    for head in (*mine, *others):
        anchor.put(head)
    assert list(anchor.heads("one")) == mine
    assert list(anchor.heads("two")) == others
    assert list(anchor.heads("three")) == []


def test_who_writes_heads_into_a_database_can_neither_change_nor_delete_them(postgres, tmp_path):
    address = postgres.database()
    role = f"anchor_{secrets.token_hex(4)}"
    with psycopg.connect(address, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN")
        prepare_anchor(owner, role)
        prepare_anchor(owner, role)
    with psycopg.connect(psycopg.conninfo.make_conninfo(address, user=role), autocommit=True) as writer:
        for statement in (
            "UPDATE anchor.head SET sequence = 0",
            "DELETE FROM anchor.head",
            "TRUNCATE anchor.head",
            "DROP TABLE anchor.head",
            "INSERT INTO anchor.head (entry, writer, sequence, body, kept) OVERRIDING SYSTEM VALUE VALUES (1, 'x', 1, '', now())",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                writer.execute(statement)


def test_an_anchor_whose_database_is_away_says_so(tmp_path):
    away = PostgresAnchor("host=/nonexistent dbname=x")
    assert error_of(away.put, heads(1)[0]).code == "RVL-023"
    assert error_of(away.heads, "one").code == "RVL-023"
    secret = tmp_path / "address"
    secret.write_text("host=x")
    secret.chmod(0o644)
    assert error_of(anchor_of, f"postgresql-file:{secret}").code == "RVL-031"
