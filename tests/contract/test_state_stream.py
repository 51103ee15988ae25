"""What the stream asks of every state: grouped writes, plans, lists, roads, volumes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tarnhelm.common.stage import StageOutcome, Status
from tarnhelm.gateway.plans import ProjectPlan
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state import Decision, SqliteState, StaleRecordError, Step, StreamStore, Tally, VolumeRecord
from tarnhelm.gateway.state.postgres import PostgresState


@pytest.fixture(params=["file", "memory", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StreamStore]:
    if request.param == "postgres":
        made: StreamStore = PostgresState(request.getfixturevalue("postgres").database())
    else:
        made = SqliteState(None if request.param == "memory" else tmp_path / "state.sqlite", batched=False)
    yield made
    made.close()


def record(name: str, state: State = State.ADMITTED, **changes: object) -> ObjectRecord:
    fields = {"project": "p1", "door": "folder", "received": 10.0} | changes
    return ObjectRecord(name, state, **fields)  # type: ignore[arg-type]


def test_writes_together_are_all_kept_or_none(store: StreamStore) -> None:
    with store.together():
        assert store.add(record("one"))
        store.add_step("one", Step(1.0, "admitted"))
        assert store.get("one") == record("one")
    with pytest.raises(ZeroDivisionError), store.together():  # noqa: PT012  # the writes before it are what is tested
        store.add(record("two"))
        store.put_outcome("two", "metadata", "plan", StageOutcome(Status.DONE, actions={("PatientName", "REMOVE"): 1}))
        store.save(record("one")._replace(revision=1), record("one"))
        store.add_step("two", Step(1.0, "admitted"))
        raise ZeroDivisionError
    assert store.get("one") == record("one")
    assert store.get("two") is None
    assert store.steps("two") == []
    assert store.outcome("two", "metadata", "plan") is None
    done = StageOutcome(Status.DONE, actions={("PatientName", "REMOVE"): 1})
    assert store.put_outcome("two", "metadata", "plan", done) == done
    assert store.outcome("two", "metadata", "plan") == done, "its shared mapping was written again"


def test_a_stale_record_undoes_only_its_own_unit(store: StreamStore) -> None:
    store.add(record("one"))
    with pytest.raises(StaleRecordError), store.together():  # noqa: PT012  # the step before it is what is tested
        store.add_step("one", Step(1.0, "metadata"))
        store.save(record("one")._replace(revision=9), record("one")._replace(revision=8))
    assert store.steps("one") == []
    with store.together(), store.together():
        store.save(record("one")._replace(revision=1), record("one"))
    assert store.get("one") == record("one")._replace(revision=1)


def test_single_writes_neither_end_nor_undo_what_others_have_open(store: StreamStore) -> None:
    store.add(record("shared"))
    kept: list[str] = []

    def units(number: int) -> None:
        for turn in range(25):
            name = f"{number}-{turn}"
            with store.together():
                store.add(record(name))
                store.add_step(name, Step(1.0, "admitted"))
            kept.append(name)

    def singles(number: int) -> None:
        for turn in range(25):
            with suppress(StaleRecordError):
                store.save(record("shared")._replace(revision=7), record("shared")._replace(revision=6))
            store.add(record(f"single-{number}-{turn}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3) for work in (units, singles)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(kept) == 75
    assert all(store.get(name) is not None and store.steps(name) for name in kept)
    assert len(list(store.records())) == 151


def test_units_of_many_threads_are_each_whole(store: StreamStore) -> None:
    def work(number: int) -> None:
        for turn in range(12):
            name = f"{number}-{turn}"
            try:
                with store.together():
                    store.add(record(name))
                    store.add_step(name, Step(1.0, "admitted"))
                    if turn % 3 == 2:
                        raise ZeroDivisionError  # noqa: TRY301  # ends the unit
            except ZeroDivisionError:
                assert store.get(name) is None
            else:
                assert store.get(name) is not None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(list(store.records())) == 6 * 8
    assert all(len(store.steps(one.object_id)) == 1 for one in store.records())


def test_a_plan_is_found_by_its_digest_and_by_its_project(store: StreamStore) -> None:
    first = ProjectPlan("p1", "core", "{}", "{}", "policy")
    second = ProjectPlan("p1", "another core", "{}", "{}", "policy")
    assert store.current_plan("p1") is None
    store.put_plan(first)
    store.put_plan(second)
    assert store.current_plan("p1") == second
    assert store.plan(first.digest) == first
    assert store.plan("nothing") is None
    store.put_plan(first)
    assert store.current_plan("p1") == first
    assert store.projects() == ["p1"]


def test_objects_of_one_uid_are_found_the_oldest_first(store: StreamStore) -> None:
    store.add(record("b", uid_digest=b"uid", received=1.0))
    store.add(record("a", uid_digest=b"uid", received=2.0))
    store.add(record("c", uid_digest=b"other"))
    store.add(record("d"))
    assert [one.object_id for one in store.find_uid(b"uid")] == ["b", "a"]
    with store.together():
        assert [one.object_id for one in store.find_uid(b"other")] == ["c"]
    assert store.find_uid(b"") == []


def test_pages_go_from_the_newest_to_the_oldest(store: StreamStore) -> None:
    for number in range(7):
        store.add(record(f"{number}", received=float(number // 2), code="" if number % 2 else "WIT-001"))
    store.add(record("not of the stream", door=""))
    first = store.page(limit=4)
    assert [one.object_id for one in first] == ["6", "5", "4", "3"]
    assert [one.object_id for one in store.page(after=first[-1])] == ["2", "1", "0"]
    assert [one.object_id for one in store.page(State.ADMITTED, code="WIT-001")] == ["6", "4", "2", "0"]
    assert store.page(State.RELEASED) == []
    assert store.page(project="another") == []


def test_tallies_and_the_oldest_by_state(store: StreamStore) -> None:
    store.add(record("one", received=3.0))
    store.add(record("two", received=2.0))
    store.add(record("three", State.RELEASED, received=1.0))
    assert store.tallies() == {State.ADMITTED: Tally(2, 2.0), State.RELEASED: Tally(1, 1.0)}
    assert store.oldest() == {State.ADMITTED: 2.0}


def test_what_nobody_touched_since(store: StreamStore) -> None:
    for name, at in (("old", 1.0), ("young", 9.0)):
        store.add(record(name, received=1.0))
        store.add_step(name, Step(at, "admitted"))
    store.add(record("fresh", received=9.0))
    assert [one.object_id for one in store.untouched(5.0, State.ADMITTED)] == ["old"]
    assert store.untouched(5.0, State.READY) == []
    assert [one.object_id for one in store.untouched(20.0, State.ADMITTED, limit=2)] == ["old", "young"]


def test_a_road_is_kept_in_order(store: StreamStore) -> None:
    steps = [Step(1.0, "admitted"), Step(2.5, "metadata", seconds=0.25), Step(3.0, "witness", "WIT-001", 0.5)]
    for step in reversed(steps):
        store.add_step("one", step)
    store.add_step("one", steps[0])
    assert store.steps("one") == steps
    assert store.steps("two") == []


def test_a_volume_is_stepped_by_one_writer(store: StreamStore) -> None:
    made = VolumeRecord("v", "plan", opened=1.0, touched=1.0)
    store.put_volume(made, None)
    with pytest.raises(StaleRecordError):
        store.put_volume(made, None)
    later = made.stepped(touched=2.0, members=1)
    store.put_volume(later, made)
    with pytest.raises(StaleRecordError):
        store.put_volume(made.stepped(), made)
    assert store.volume("v") == later
    assert store.volumes("open", 2.0) == []
    assert store.volumes("open", 3.0) == [later]
    store.add(record("one", group="v"))
    store.add(record("two"))
    assert [one.object_id for one in store.members("v")] == ["one"]
    assert store.members("") == []


def test_decisions_of_one_object(store: StreamStore) -> None:
    mine = [Decision("one", kind, "ann", "because", "PIX-001", 1.0) for kind in ("propose", "accept")]
    for decision in (mine[0], Decision("two", "reject", "ann", "because", "", 1.0), mine[1]):
        store.decide(decision)
    assert store.decisions_of("one") == mine


def test_of_many_writers_on_one_file_one_takes_each_step(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    first = SqliteState(path, batched=False)
    first.add(record("one"))
    won: list[int] = []

    def climb() -> None:
        mine = SqliteState(path, batched=False)
        while (was := mine.get("one")) is not None and was.revision < 60:
            try:
                with mine.together():
                    mine.save(was._replace(revision=was.revision + 1), was)
                    mine.add_step("one", Step(float(was.revision), "metadata"))
            except StaleRecordError:
                continue
            won.append(was.revision)
        mine.close()

    threads = [threading.Thread(target=climb) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won) == list(range(60))
    assert len(first.steps("one")) == 60
    first.close()
