"""The pump over small stand-ins: each object ends once, and nothing unverified is released."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fakecores
import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits
from tarnhelm.common.sandbox import Dispatcher, WorkerPool
from tarnhelm.gateway.keys import GatewayKeys
from tarnhelm.gateway.record import State
from tarnhelm.gateway.run.plan import Plan, RunCounts
from tarnhelm.gateway.run.pump import Parts, Pump
from tarnhelm.gateway.run.recovery import recover, refuse_unseen
from tarnhelm.gateway.run.workspace import Workspace
from tarnhelm.gateway.sources import SourceWalk
from tarnhelm.gateway.stages.local_stage import LocalJudge, LocalStage, PoolPlan
from tarnhelm.gateway.state import SqliteState

KEY = b"k" * 32
VERIFY = fakecores.verify_with(KEY)
LIMITS = Limits(seconds_per_object=1.0)
PLAN = Plan("project", "d" * 64, "p" * 64, "run", limits=LIMITS, retry_seconds=0.05, max_parks=2)


@dataclass
class House:
    """Everything a pump needs, in one folder."""

    root: Path
    sealed: list[tuple[str, str]] = field(default_factory=list)
    pools: tuple[WorkerPool, ...] = ()

    def __post_init__(self) -> None:
        self.source, self.out = self.root / "in", self.root / "out"
        self.source.mkdir()
        self.out.mkdir()
        self.state = SqliteState(self.root / "state" / "state.sqlite")
        self.keys = GatewayKeys.open(self.root / "state")

    def run(
        self,
        plan: Plan = PLAN,
        verify: Callable[[Any], bool] = VERIFY,
        sign_with: bytes = KEY,
        policy: str = PLAN.policy_digest,
        factory: str = "fakecores:make_metadata",
        pump_class: type[Pump] = Pump,
        **parts: Any,
    ) -> RunCounts:
        loop = Dispatcher()
        stage = LocalStage("metadata", PoolPlan(factory, {}, 2, LIMITS), fakecores.FakeAssigner(), loop)
        judge = LocalJudge(PoolPlan("fakecores:make_judge", {"key": sign_with, "policy": policy}, 1, LIMITS), loop)
        workspace = Workspace(self.out, self.root / "state", "work")
        self.pools = (stage.pool, judge.pool)
        try:
            pump = pump_class(
                plan,
                Parts(
                    self.state,
                    {"metadata": stage},
                    judge,
                    verify,
                    self.keys,
                    workspace,
                    self.out,
                    loop,
                    seal_paths=lambda pairs, _owners: self.sealed.extend(pairs),
                    **parts,
                ),
            )
            return pump.run(iter(SourceWalk((self.source,), workspace.folder, LIMITS)))
        finally:
            workspace.remove()
            stage.pool.close(drain=False)
            judge.pool.close(drain=False)
            loop.stop()

    def released(self) -> list[Path]:
        return sorted(path for path in self.out.rglob("*") if path.is_file())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.state.close()


def test_good_ones_are_released_and_each_bad_one_has_its_code(house: House) -> None:
    for number in range(30):
        fakecores.write_fake(house.source / f"Doe{number % 3}" / f"{number}", f"Doe{number % 3}", number + 1)
    for number, behaviour in enumerate(("die", "hang", "text", "leak", "greedy")):
        fakecores.write_fake(house.source / "bad" / behaviour, "Roe", number + 1, behaviour)
    (house.source / "readme.txt").write_text("litter")
    shutil.copy(house.source / "Doe0" / "0", house.source / "copy")
    counts = house.run()
    assert (counts.released, counts.quarantined, counts.skipped, counts.duplicates) == (30, 5, 1, 1)
    assert house.state.codes(State.QUARANTINED) == dict.fromkeys(
        ("LIM-006", "LIM-007", "PIX-001", "STG-004", "WIT-001"), 1
    )
    assert len(house.released()) == 30
    assert not any("Doe" in path.read_text() or "Doe" in str(path.relative_to(house.out)) for path in house.released())
    assert len(list(house.state.manifest())) == 30
    assert not list(house.root.glob("state/work*/**/*.part"))


def test_the_way_back_names_every_place_of_a_release(house: House) -> None:
    fakecores.write_fake(house.source / "a", "Doe", 1)
    shutil.copy(house.source / "a", house.source / "b")
    house.run()
    assert sorted(Path(original).name for original, _ in house.sealed) == ["a", "b"]
    assert len({released for _, released in house.sealed}) == 1


def test_objects_of_one_surrogate_name_do_not_meet(house: House) -> None:
    for number in range(3):  # same patient, series and instance number, other bytes
        fakecores.write_fake(house.source / str(number), "Doe", 1, size=number)
    assert house.run().released == 3
    assert len(house.released()) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"sign_with": b"x" * 32},  # somebody else's signature
        {"policy": "q" * 64},  # a verdict under another policy
        {"verify": lambda _verdict: False},
    ],
)
def test_without_a_fitting_verdict_nothing_is_released_and_it_is_an_integrity_failure(
    house: House, wrong: dict[str, Any]
) -> None:
    fakecores.write_fake(house.source / "a", "Doe", 1)
    counts = house.run(**wrong)
    assert (counts.released, counts.integrity) == (0, 1)
    assert house.state.codes(State.QUARANTINED) == {"WIT-006": 1}
    assert not house.released()


def test_a_busy_dependency_is_waited_for_and_quarantines_nothing(house: House) -> None:
    fakecores.write_fake(house.source / "a", "Doe", 1, "busy")
    counts = house.run()
    assert (counts.waiting, counts.quarantined) == (1, 0)
    assert house.state.counts() == {State.WAITING: 1}


def test_a_second_run_releases_nothing_again(house: House) -> None:
    for number in range(5):
        fakecores.write_fake(house.source / str(number), "Doe", number + 1)
    house.run()
    before = {path: path.stat().st_mtime_ns for path in house.released()}
    counts = house.run(replace(PLAN, resume=True))
    assert (counts.released, counts.resumed) == (0, 5)
    counts = house.run()
    assert (counts.released, counts.resumed) == (0, 5)
    assert {path: path.stat().st_mtime_ns for path in house.released()} == before


def test_unfinished_objects_are_done_again_from_the_source(house: House) -> None:
    fakecores.write_fake(house.source / "a", "Doe", 1)
    house.run()
    record = next(house.state.records())
    house.state.save(record._replace(state=State.WITNESSING, revision=record.revision + 1), record)
    assert recover(house.state) == 1
    assert house.run(replace(PLAN, resume=True)).released == 1  # the same bytes stand there already
    assert len(house.released()) == 1


def test_what_was_admitted_and_has_gone_is_rejected_and_not_forgotten(house: House) -> None:
    fakecores.write_fake(house.source / "a", "Doe", 1)
    house.run()
    record = next(house.state.records())
    house.state.save(record._replace(state=State.ADMITTED, revision=record.revision + 1), record)
    (house.source / "a").unlink()
    house.run(replace(PLAN, resume=True))
    assert refuse_unseen(house.state) == 1
    assert house.state.codes(State.REJECTED) == {"GTW-001": 1}


def test_accepting_for_the_whole_run_takes_up_what_was_held_for_its_pixels(house: House) -> None:
    fakecores.write_fake(house.source / "a", "Doe", 1, "text")
    assert house.run().quarantined == 1
    assert house.run(replace(PLAN, resume=True)).resumed == 1
    counts = house.run(replace(PLAN, resume=True, accept_unchecked_pixels=True))
    assert counts.released == 1
    assert next(house.state.records()).accepted


def test_a_dry_run_writes_no_object(house: House) -> None:
    fakecores.write_fake(house.source / "a", "Doe", 1)
    counts = house.run(replace(PLAN, dry_run=True))
    assert (counts.would_release, counts.released) == (1, 0)
    assert not house.released()


def test_a_stop_finishes_what_is_in_flight_and_the_next_run_the_rest(house: House) -> None:
    for number in range(60):
        fakecores.write_fake(house.source / str(number), "Doe", number + 1, "slow")
    pumps: list[Pump] = []

    def stop_early(counts: RunCounts) -> None:
        if counts.released >= 1:
            pumps[0].stop()

    class Caught(Pump):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            pumps.append(self)

    counts = house.run(replace(PLAN, max_objects_in_flight=10), pump_class=Caught, tick=stop_early)
    assert 1 <= counts.released < 60
    assert set(house.state.counts()) == {State.RELEASED}
    house.run(replace(PLAN, resume=True))
    assert house.state.counts() == {State.RELEASED: 60}
    assert len(house.released()) == 60


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_workers_and_fork_servers_killed_at_random_cost_no_object(house: House, seed: int) -> None:
    for number in range(80):
        fakecores.write_fake(house.source / str(number), "Doe", number + 1, "slow")
    chance = random.Random(seed)
    marks = [chance.randint(1, 8) + 16 * turn for turn in range(4)]

    def strike(counts: RunCounts) -> None:
        # Far enough apart that no object loses two workers in a row: that would be its own fault.
        if not marks or counts.released < marks[0]:
            return
        marks.pop(0)
        pool = chance.choice(house.pools)
        servers = [pool._server._process.pid]
        for pid in chance.choice([pool.pids()[:1], pool.pids(), servers]):
            os.kill(pid, signal.SIGKILL)

    counts = house.run(replace(PLAN, max_objects_in_flight=20, release_batch=4), tick=strike)
    assert not marks, "not all was killed"
    assert (counts.released, counts.quarantined) == (80, 0)
    assert len(house.released()) == len(list(house.state.manifest())) == 80
    assert {path.read_text().splitlines()[2] for path in house.released()} == {f"number={n + 1}" for n in range(80)}


def test_an_object_with_a_second_place_in_an_archive_is_one_object(house: House) -> None:
    """The same basename in two folders, in a zip and in a tar: other bytes are other objects, equal bytes are one."""
    for folder, number in (("a", 1), ("b", 2)):
        fakecores.write_fake(house.source / folder / "IM0001", "Doe", number)
    fakecores.write_fake(house.root / "c" / "IM0001", "Doe", 3)
    with zipfile.ZipFile(house.source / "cd.zip", "w") as archive:
        archive.write(house.source / "a" / "IM0001", "x/IM0001")
        archive.write(house.root / "c" / "IM0001", "y/IM0001")
    fakecores.write_fake(house.root / "d" / "IM0001", "Doe", 4)
    with tarfile.open(house.source / "cd.tar", "w") as archive:
        archive.add(house.root / "d" / "IM0001", "IM0001")
        archive.add(house.root / "c" / "IM0001", "IM0001")
    counts = house.run()
    assert (counts.released, counts.duplicates) == (4, 2)
    assert len({path.read_bytes() for path in house.released()}) == 4
    places: dict[str, set[str]] = {}
    for original, released in house.sealed:
        places.setdefault(released, set()).add(Path(original).relative_to(house.source).as_posix())
    assert sorted(map(sorted, places.values())) == [
        ["a/IM0001", "cd.zip!0"],
        ["b/IM0001"],
        ["cd.tar!0"],
        ["cd.tar!1", "cd.zip!1"],
    ]


def test_a_fault_of_the_configuration_ends_the_run_and_blames_no_object(house: House) -> None:
    fakecores.write_fake(house.source / "a", "Doe", 1)
    with pytest.raises(TarnhelmError) as caught:
        house.run(factory="fakecores:missing")
    assert caught.value.code == "STG-002"
    assert State.QUARANTINED not in house.state.counts()
