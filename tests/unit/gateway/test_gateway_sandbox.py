"""What a worker can do to itself, and what it cannot do to anybody else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import poolcores
import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits
from tarnhelm.common.sandbox import Dispatcher, PoolSettings, WorkerPool

LIMITS = Limits(seconds_per_object=1.0, worker_memory_bytes=256 << 20)
Result = tuple[str, str]


def make_pool(
    loop: Dispatcher | None, workers: int = 2, config: dict[str, Any] | None = None, **extra: Any
) -> WorkerPool:
    settings = PoolSettings(
        "poolcores:make_core", config or {"prefix": "did "}, poolcores.Reply, poolcores.Question, workers, LIMITS
    )
    return WorkerPool(
        settings,
        upcall=lambda _job, question: question.text.upper(),
        failed=lambda _job, error: (error.code, getattr(error, "site", "")),
        dispatcher=loop,
        **extra,
    )


@pytest.fixture
def loop() -> Iterator[Dispatcher]:
    made = Dispatcher()
    yield made
    made.stop()


def results(pool: WorkerPool, loop: Dispatcher, jobs: list[str]) -> list[Any]:
    futures = [pool.submit(job) for job in jobs]
    deadline = time.monotonic() + 30
    while not all(future.done() for future in futures):
        loop.run_once()
        assert time.monotonic() < deadline, "jobs did not come back"
    return [future.result() for future in futures]


def test_one_bad_job_of_each_kind_among_good_ones_stops_nothing(loop: Dispatcher) -> None:
    bad = {
        "die": "LIM-007",
        "segfault": "LIM-007",
        "hang": "LIM-006",
        "spin": "LIM-006",
        "eat 1000000000": "LIM-008",
        "fault": "STG-001",
        "refuse": "LIM-002",
        "lie": "STG-001",  # a result of another class than the pool was told
        "forge": "LIM-007",  # bytes that are no message
        "pickle": "LIM-007",
        "huge": "LIM-007",  # claims a message of two gigabytes
    }
    jobs = [job for pair in zip(bad, [f"good {n}" for n in range(len(bad))], strict=True) for job in pair]
    pool = make_pool(loop)
    found = results(pool, loop, jobs)
    pool.close()
    for job, result in zip(jobs, found, strict=True):
        if job in bad:
            assert result[0] == bad[job], job
        else:
            assert result.text == f"did {job}"


def test_a_pickle_from_a_worker_is_never_run(loop: Dispatcher) -> None:
    owned = Path("/tmp/tarnhelm-owned")
    owned.unlink(missing_ok=True)
    pool = make_pool(loop, workers=1)
    assert results(pool, loop, ["pickle"])[0][0] == "LIM-007"
    pool.close()
    assert not owned.exists()


def test_an_unexpected_error_says_where_and_never_what(loop: Dispatcher) -> None:
    pool = make_pool(loop, workers=1)
    code, site = results(pool, loop, ["fault"])[0]
    pool.close()
    assert code == "STG-001"
    assert site.startswith("ValueError")
    assert "JANE" not in site


def test_a_worker_killed_from_outside_costs_no_job(loop: Dispatcher) -> None:
    pool = make_pool(loop, workers=2)
    results(pool, loop, ["good"] * 4)
    futures = [pool.submit(f"good {n}") for n in range(200)]
    for round_number in range(3):
        os.kill(pool.pids()[round_number % 2], signal.SIGKILL)
        for _ in range(5):
            loop.run_once(0.01)
    while not all(future.done() for future in futures):
        loop.run_once()
    pool.close()
    assert [future.result().text for future in futures] == [f"did good {n}" for n in range(200)]


def test_a_job_that_runs_again_is_announced(loop: Dispatcher) -> None:
    again: list[str] = []
    pool = make_pool(loop, workers=1, again=again.append)
    results(pool, loop, ["die"])
    pool.close()
    assert again == ["die"]


def test_workers_have_no_network_no_programs_no_signals_and_few_files(
    loop: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARNHELM_TEST_SECRET", "do not pass on")
    pool = make_pool(loop, workers=1)
    found = results(pool, loop, ["socket", "program", "kill", "files", "environment"])
    confinement = pool.confinement
    pool.close()
    assert [reply.text for reply in found] == [
        "PermissionError",
        "PermissionError",
        "PermissionError",
        "OSError",
        "none",
    ]
    assert confinement in ("seccomp", "audit hook")


def test_an_upcall_is_answered_and_jobs_sent_ahead_wait_for_it(loop: Dispatcher) -> None:
    pool = make_pool(loop, workers=1)
    found = results(pool, loop, [f"ask {n}x" for n in range(50)])
    pool.close()
    assert [reply.text for reply in found] == [f"{n}X" for n in range(50)]


def test_a_core_that_cannot_be_built_fails_every_job_at_once(loop: Dispatcher) -> None:
    pool = make_pool(loop, workers=2, config={"broken": True})
    found = results(pool, loop, ["good", "good"])
    pool.close()
    assert [code for code, _ in found] == ["STG-002", "STG-002"]


def test_with_a_thread_of_its_own_a_pool_serves_other_threads() -> None:
    pool = make_pool(None, workers=2)
    futures = [pool.submit(f"good {n}") for n in range(20)]
    assert [future.result(timeout=20).text for future in futures] == [f"did good {n}" for n in range(20)]
    pool.close()


def test_without_a_translation_the_future_carries_the_error(loop: Dispatcher) -> None:
    pool = WorkerPool(PoolSettings("poolcores:make_core", {}, poolcores.Reply, None, 1, LIMITS), dispatcher=loop)
    future = pool.submit("refuse")
    while not future.done():
        loop.run_once()
    pool.close()
    with pytest.raises(TarnhelmError, match="deeper than 7"):
        future.result()


def test_workers_end_with_their_parent(loop: Dispatcher) -> None:
    pool = make_pool(loop, workers=2)
    results(pool, loop, ["good"])
    pids = pool.pids()
    pool.close()
    _wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def _wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true"
        time.sleep(0.02)
