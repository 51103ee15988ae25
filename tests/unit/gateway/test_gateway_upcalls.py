"""Questions of workers that are answered later: nobody else waits, no time runs, and the dead get no answer."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import poolcores
import pytest

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits
from tarnhelm.common.sandbox import Dispatcher, PoolSettings, WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Limits(seconds_per_object=1.0, worker_memory_bytes=256 << 20)


class Late:
    """An upcall that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Future[Any]]] = []

    def __call__(self, _job: str, question: Any) -> Future[Any]:
        self.asked.append((question.text, Future()))
        return self.asked[-1][1]


@pytest.fixture
def loop() -> Iterator[Dispatcher]:
    made = Dispatcher()
    yield made
    made.stop()


@pytest.fixture
def late() -> Late:
    return Late()


def made_pool(loop: Dispatcher, late: Late, workers: int) -> WorkerPool:
    settings = PoolSettings(
        "poolcores:make_core", {"prefix": "did "}, poolcores.Reply, poolcores.Question, workers, LIMITS, batch=1
    )
    return WorkerPool(
        settings, upcall=late, failed=lambda _job, error: (error.code, getattr(error, "site", "")), dispatcher=loop
    )


@pytest.fixture
def pool(loop: Dispatcher, late: Late) -> Iterator[WorkerPool]:
    made = made_pool(loop, late, 2)
    yield made
    made.close(drain=False)


def until(loop: Dispatcher, done: Any) -> None:
    deadline = time.monotonic() + 30
    while not done():
        loop.run_once(0.02)
        assert time.monotonic() < deadline


def test_workers_wait_for_answers_together_and_others_work_on(loop, late, pool):
    one, two = pool.submit("ask one"), pool.submit("ask two")
    until(loop, lambda: len(late.asked) == 2)
    assert not one.done()
    for text, reply in late.asked:
        reply.set_result(text.upper())
    until(loop, lambda: one.done() and two.done())
    assert (one.result().text, two.result().text) == ("ONE", "TWO")


def test_waiting_for_the_parent_is_not_the_time_of_the_job(loop, late, pool):
    asking = pool.submit("ask slow")
    until(loop, lambda: late.asked)
    begun = time.monotonic()
    until(loop, lambda: time.monotonic() - begun > 1.5)
    assert not asking.done()
    late.asked[0][1].set_result("late")
    until(loop, asking.done)
    assert asking.result().text == "late"


def test_a_refusal_and_a_failure_of_the_answer_reach_the_job(loop, late, pool):
    refused, failed = pool.submit("ask a"), pool.submit("ask b")
    until(loop, lambda: len(late.asked) == 2)
    replies = dict(late.asked)
    replies["a"].set_exception(TarnhelmError(errors.ASSIGNER_AWAY))
    replies["b"].set_exception(ValueError("JANE DOE"))
    until(loop, lambda: refused.done() and failed.done())
    assert refused.result()[0] == "LNK-045"
    assert failed.result()[0] == "STG-001"


def test_a_job_whose_worker_died_while_it_waited_asks_again(loop, late):
    pool = made_pool(loop, late, 1)
    asking = pool.submit("ask once")
    until(loop, lambda: late.asked)
    for pid in pool.pids():
        os.kill(pid, signal.SIGKILL)
    until(loop, lambda: len(late.asked) == 2)
    late.asked[0][1].set_result("for the dead")
    loop.run_once(0.05)
    late.asked[1][1].set_result("for the living")
    until(loop, asking.done)
    assert asking.result().text == "for the living"
    pool.close(drain=False)


def test_a_job_that_was_cancelled_before_it_began_is_never_run(loop, late, pool):
    busy = [pool.submit("ask x"), pool.submit("ask y")]
    until(loop, lambda: len(late.asked) == 2)
    waiting, kept = pool.submit("ask never"), pool.submit("good")
    assert waiting.cancel()
    assert not busy[0].cancel()
    for _, reply in late.asked:
        reply.set_result("")
    until(loop, lambda: kept.done() and all(one.done() for one in busy))
    assert len(late.asked) == 2
    assert kept.result().text == "did good"


def test_a_job_may_have_less_time_than_the_pool_gives(loop, pool):
    begun = time.monotonic()
    hanging = pool.submit("hang", seconds=0.2)
    until(loop, hanging.done)
    assert hanging.result()[0] == "LIM-006"
    assert time.monotonic() - begun < 20


def test_a_pool_whose_workers_cannot_start_tries_again(loop):
    settings = PoolSettings(
        "poolcores:make_core", {"broken": True}, poolcores.Reply, None, 1, LIMITS, retry_seconds=0.2
    )
    made = WorkerPool(settings, failed=lambda _job, error: error.code, dispatcher=loop)
    first = made.submit("good")
    until(loop, first.done)
    assert (first.result(), made.serving) == ("STG-002", False)
    pids = set(made.pids())
    until(loop, lambda: set(made.pids()) - pids)
    made.close(drain=False)
