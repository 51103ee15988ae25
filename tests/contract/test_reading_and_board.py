"""The read side of the state and the board of parts: one suite each, over SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.board import Announcer, Board, Condition, PartNote, SqliteBoard, living
from tarnhelm.gateway.board.postgres import PostgresBoard
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state import Decision, SqliteState, StateStore
from tarnhelm.gateway.state.postgres import PostgresState
from tarnhelm.gateway.state.reading import Selection, SqliteReading, StateReading, Tally
from tarnhelm.gateway.state.reading.postgres import PostgresReading


@pytest.fixture(params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[StateStore, StateReading]]:
    """A state, and the read side of it on another connection."""
    if request.param == "sqlite":
        store: StateStore = SqliteState(tmp_path / "state.sqlite", batched=False)
        reading: StateReading = SqliteReading(tmp_path / "state.sqlite")
    else:
        address = request.getfixturevalue("postgres").database()
        store, reading = PostgresState(address), PostgresReading(address)
    yield store, reading
    reading.close()
    store.close()


def record(number: int, state: State = State.QUARANTINED, **changes: Any) -> ObjectRecord:
    fields = {"code": "PIX-001", "size": 100, "door": "ct", "project": "p", "received": 1000.0 + number}
    return ObjectRecord(f"{number:032x}", state, **(fields | changes))  # type: ignore[arg-type]


def test_a_tally_counts_by_state_and_code(both: Any) -> None:
    store, reading = both
    assert list(reading.tally()) == []
    for number in range(5):
        store.add(record(number))
    store.add(record(8, code="DCM-003", received=0.0))
    store.add(record(9, State.RELEASED, code=""))
    store.flush()
    assert list(reading.tally()) == [
        Tally(State.QUARANTINED, "DCM-003", 1, 100, 0.0),
        Tally(State.QUARANTINED, "PIX-001", 5, 500, 1000.0),
        Tally(State.RELEASED, "", 1, 100, 1009.0),
    ]


def test_a_selection_is_paged_by_id(both: Any) -> None:
    store, reading = both
    for number in range(30):
        store.add(record(number, door="mr" if number % 3 else "ct", code="PIX-001" if number % 2 else "PIX-002"))
    store.flush()
    chosen = Selection(
        frozenset({State.QUARANTINED}),
        frozenset({"PIX-001", "X"}),
        door="mr",
        received_from=1005.0,
        received_until=1020.0,
    )
    wanted = [number for number in range(5, 20) if number % 3 and number % 2]
    found, last = [], ""
    while page := reading.select(chosen, last, 2):
        found += page
        last = page[-1].object_id
    assert found == [store.get(f"{number:032x}") for number in wanted]
    assert reading.count(chosen) == (len(wanted), 100 * len(wanted))
    assert reading.count(Selection(id_prefix=f"{3:032x}"[:31])) == (16, 1600)
    assert reading.count(Selection(door="' OR '1'='1")) == (0, 0)
    assert reading.count(Selection(id_prefix="%")) == (0, 0)


def test_decisions_of_objects_in_order(both: Any) -> None:
    store, reading = both
    made = [
        Decision(f"{number % 3:032x}", "retry", "a", f"why {number}", "PIX-001", float(number)) for number in range(9)
    ]
    for one in made:
        store.decide(one)
    store.flush()
    assert list(reading.decisions_of([f"{number:032x}" for number in (0, 2)])) == [
        one for one in made if one.object_id[-1] in "02"
    ]
    assert list(reading.decisions_of([])) == []
    numbered = reading.latest_decisions(1 << 60, 4)
    assert [one for _, one in numbered] == made[:-5:-1]
    assert [one for _, one in reading.latest_decisions(numbered[-1][0], 100)] == made[4::-1]


def test_the_read_side_cannot_write(both: Any) -> None:
    _, reading = both
    for query in ("DELETE FROM objects", "CREATE TABLE more (one int)"):
        if isinstance(reading, SqliteReading):
            with pytest.raises(sqlite3.OperationalError):
                reading._db.execute(query)
        else:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                reading._database._once(lambda connection, query=query: connection.execute(query))


def test_a_state_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TarnhelmError, match="state"):
        SqliteReading(tmp_path / "none.sqlite")
    assert not list(tmp_path.iterdir())


# --- the board ----------------------------------------------------------------------------------------------

NOTE = PartNote("stage", "metadata", "one", said=1.0, counts={"in-flight": 3})


@pytest.fixture(params=["sqlite", "postgres"])
def boards(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Board, Board]]:
    """Two processes' views of one board."""
    if request.param == "sqlite":
        made: list[Board] = [SqliteBoard(tmp_path / "board.sqlite") for _ in range(2)]
    else:
        address = request.getfixturevalue("postgres").database()
        made = [PostgresBoard(address) for _ in range(2)]
    yield made[0], made[1]
    for board in made:
        board.close()


def test_the_last_note_of_a_part_stands(boards: Any) -> None:
    first, second = boards
    first.post([NOTE, replace(NOTE, name="witness")])
    second.post([replace(NOTE, condition=Condition.OPEN, code="STG-005", said=2.0), replace(NOTE, instance="two")])
    assert list(first.notes()) == [
        replace(NOTE, condition=Condition.OPEN, code="STG-005", said=2.0), replace(NOTE, instance="two"), replace(NOTE, name="witness")
    ]  # fmt: skip
    second.withdraw("one")
    assert [note.instance for note in first.notes()] == ["two"]
    assert first.sweep(1.5) == 1
    assert list(second.notes()) == []


def test_many_write_at_once(boards: Any) -> None:
    def work(board: Board, instance: str) -> None:
        for number in range(20):
            board.post([replace(NOTE, name=f"s{place}", instance=instance, said=float(number)) for place in range(5)])

    threads = [threading.Thread(target=work, args=(board, f"i{number}")) for number, board in enumerate(boards * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [note.said for note in boards[0].notes()] == [19.0] * 20


@pytest.mark.parametrize(
    "changed", [{"name": "Doe^Jane"}, {"kind": ""}, {"instance": "a b"}, {"code": "<b>"}, {"counts": {"Jane Doe": 1}}]
)
def test_a_note_is_made_of_words(changed: Any) -> None:
    with pytest.raises(ValueError, match="word"):
        replace(NOTE, **changed)


def test_an_announcer_says_changes_at_once_and_all_else_now_and_then(boards: Any) -> None:
    clock = itertools.count(100.0)
    now = [next(clock)]
    notes = [NOTE]
    announcer = Announcer(
        boards[0], "here", lambda: notes, EventLog(None, lambda: 0.0), lambda: now[0], every_seconds=10.0
    )
    assert announcer.say()
    now[0] = 105.0
    assert not announcer.say()
    notes = [replace(NOTE, condition=Condition.OPEN)]
    assert announcer.say()
    now[0] = 116.0
    assert announcer.say()
    (seen,) = boards[1].notes()
    assert (seen.instance, seen.condition, seen.since, seen.said) == ("here", Condition.OPEN, 105.0, 116.0)
    stop = threading.Event()
    stop.set()
    announcer.run(stop)
    assert list(boards[1].notes()) == []


def test_a_replica_that_was_killed_does_not_count_beside_one_that_lives() -> None:
    old, new = replace(NOTE, instance="host-1", said=10.0), replace(NOTE, instance="host-2", said=95.0)
    gone = [replace(NOTE, name="ocr", instance=f"host-{number}", said=float(number)) for number in (3, 5, 4)]
    assert living([old, new, *gone], 100.0, 60.0) == [new, gone[1]]
    both = replace(old, said=60.0)
    assert living([both, new], 100.0, 60.0) == [both, new]
    assert living([], 100.0, 60.0) == []
