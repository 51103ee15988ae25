"""Jobs of a batch ask together, and still fail one by one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import poolcores
import pytest
import steppedcores  # noqa: F401  # the workers import it

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import MIB, Limits
from tarnhelm.common.sandbox import Dispatcher, PoolSettings, WorkerPool

LIMITS = Limits(seconds_per_object=2.0, worker_memory_bytes=256 * MIB)


class Watched(WorkerPool):
    """Counts the messages with questions."""

    asked = 0

    def _answer(self, worker: Any, payload: bytes) -> None:
        self.asked += 1
        super()._answer(worker, payload)


@pytest.fixture
def loop() -> Iterator[Dispatcher]:
    made = Dispatcher()
    yield made
    made.stop()


def upcall(_job: str, question: poolcores.Question) -> str:
    if question.text == "refuse":
        raise TarnhelmError(errors.ASSIGN_TWICE)
    return question.text.upper()


def make_pool(loop: Dispatcher, factory: str = "make_asking", **settings: Any) -> Watched:
    made = PoolSettings(
        f"steppedcores:{factory}",
        {},
        poolcores.Reply,
        poolcores.Question,
        settings.pop("workers", 1),
        LIMITS,
        **settings,
    )
    return Watched(made, upcall, lambda _job, error: error.code, loop)


def results(pool: WorkerPool, loop: Dispatcher, jobs: list[str], size: int = 0) -> list[str]:
    futures = [pool.submit(job, size) for job in jobs]
    deadline = time.monotonic() + 30
    while not all(future.done() for future in futures):
        loop.run_once()
        assert time.monotonic() < deadline, "jobs did not come back"
    pool.close()
    return [getattr(future.result(), "text", future.result()) for future in futures]


def test_a_batch_asks_in_one_message(loop: Dispatcher) -> None:
    pool = make_pool(loop, batch=8)
    assert results(pool, loop, [f"job {n}" for n in range(40)]) == [f"JOB {n}" for n in range(40)]
    assert pool.asked == 5


def test_large_objects_go_in_small_batches(loop: Dispatcher) -> None:
    pool = make_pool(loop, batch=8, batch_bytes=2 * MIB)
    results(pool, loop, [f"job {n}" for n in range(8)], size=MIB)
    assert pool.asked == 4


def test_what_goes_wrong_with_one_job_is_no_matter_of_the_others(loop: Dispatcher) -> None:
    bad = {
        "refuse": "STG-004",
        "fault": "STG-001",
        "die before": "LIM-007",
        "die after": "LIM-007",
        "silent": "nothing to ask",
        "twice": "TWICEAGAIN",
    }
    jobs = [job for pair in zip(bad, [f"good {n}" for n in range(len(bad))], strict=True) for job in pair]
    found = dict(zip(jobs, results(make_pool(loop, workers=2), loop, jobs), strict=True))
    assert found == {job: bad.get(job, job.upper()) for job in jobs}


def test_a_core_may_answer_its_batch_itself(loop: Dispatcher) -> None:
    pool = make_pool(loop, "make_counting", batch=8)
    found = results(pool, loop, [f"j{n}" for n in range(24)])
    assert pool.asked == 0
    assert Counter(text.split()[1] for text in found) == {"8": 24}


def test_without_an_answer_every_job_of_the_batch_fails_and_none_of_another(loop: Dispatcher) -> None:
    pool = make_pool(loop, "make_counting", batch=4)
    found = results(pool, loop, ["a", "no answer", "b", "c", "d", "e", "f", "g"])
    assert found == ["STG-001"] * 4 + ["d 4", "e 4", "f 4", "g 4"]
