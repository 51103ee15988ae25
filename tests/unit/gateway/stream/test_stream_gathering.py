"""What is handed over within moments is taken together, and each object is settled for what it is."""

from __future__ import annotations

import threading
import time

from tests.support.stream import WorldSettings, fake, world

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import Event
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state import StaleRecordError
from tarnhelm.gateway.stream.gathering import Gathering


def test_all_is_taken_in_order_and_several_at_once():
    taken: list[list[int]] = []
    inside = threading.Event()
    go = threading.Event()

    def take(ones):
        taken.append(ones)
        inside.set()
        go.wait(30)

    gathering: Gathering[int] = Gathering(take, 0.0)
    assert not gathering.running
    gathering.start("gathering")
    assert gathering.running
    gathering.put(0)
    assert inside.wait(30)
    for number in range(1, 200):
        gathering.put(number)
    go.set()
    gathering.close(30)
    assert not gathering.running
    assert [one for ones in taken for one in ones] == list(range(200))
    assert taken[0] == [0]
    assert max(map(len, taken)) == 64


def test_the_first_waits_for_others():
    taken: list[list[int]] = []
    gathering: Gathering[int] = Gathering(taken.append, 0.5)
    gathering.start("gathering")
    began = time.monotonic()
    for number in range(5):
        gathering.put(number)
    gathering.close(30)
    assert taken == [list(range(5))]
    assert time.monotonic() - began >= 0.5


def _gathered(one, count):
    """Let a pump's answers wait until ``count`` of them can be recorded together; returns how many were each time."""
    sizes: list[int] = []
    pump = one.pump("metadata")
    real = pump._settle_all
    waiting: list = []

    def settle_all(ones):
        waiting.extend(ones)
        if len(waiting) < count and not sizes:
            return
        sizes.append(len(waiting))
        real(list(waiting))
        waiting.clear()

    pump._answered._take = settle_all
    return pump, sizes


def _run(one, pump, *states, count):
    stop = threading.Event()
    thread = threading.Thread(target=pump.run, args=(stop,))
    thread.start()
    try:
        one.wait(*states, count=count)
    finally:
        stop.set()
        thread.join(30)


def test_several_objects_share_a_transaction(tmp_path):
    with world(tmp_path, WorldSettings(workers=6)) as one:
        for number in range(6):
            one.send(fake(number, behaviour="text" if number == 3 else "good"))
        pump, sizes = _gathered(one, 6)
        commits = []
        real = one.state._commit

        def commit():
            commits.append(threading.current_thread().name)
            real()

        one.state._commit = commit
        _run(one, pump, State.WITNESSING, State.QUARANTINED, count=6)
        assert sizes == [6]
        assert commits.count("metadata-settles") == 1
        assert one.state.counts() == {State.WITNESSING: 5, State.QUARANTINED: 1}


def test_one_that_somebody_else_stepped_does_not_keep_the_others_back(tmp_path):
    with world(tmp_path, WorldSettings(workers=6)) as one:
        ids = [one.send(fake(number)).object_id for number in range(6)]
        pump, sizes = _gathered(one, 6)
        real = pump._settler.record
        tries = []

        def record(ones):
            tries.append(len(ones))
            if len(tries) == 1:  # a reviewer is faster
                was = one.state.get(ids[2])
                one.state.save(one.life.step(was, Event.REJECT, code=errors.REJECTED_BY_REVIEWER.code), was)
            return real(ones)

        pump._settler.record = record
        _run(one, pump, State.WITNESSING, count=5)
        assert sizes == [6]
        assert tries == [6, 1, 1, 1, 1, 1], "together, then each for itself; the rejected one is not settled again"
        assert one.state.get(ids[2]).state is State.REJECTED


def test_a_fault_with_one_object_holds_that_one_only(tmp_path):
    with world(tmp_path, WorldSettings(workers=6)) as one:
        ids = [one.send(fake(number)).object_id for number in range(6)]
        pump, _ = _gathered(one, 6)
        real = pump._work.settle

        def settle(record, plan, answer):
            if record.object_id == ids[4]:
                raise ZeroDivisionError
            return real(record, plan, answer)

        pump._work.settle = settle
        _run(one, pump, State.WITNESSING, State.QUARANTINED, count=6)
        assert one.state.counts() == {State.WITNESSING: 5, State.QUARANTINED: 1}
        assert one.state.get(ids[4]).code == errors.STAGE_FAULT.code


def test_while_the_state_is_away_all_are_held_and_come_again(tmp_path):
    with world(tmp_path, WorldSettings(workers=6)) as one:
        for number in range(6):
            one.send(fake(number))
        pump, _ = _gathered(one, 6)
        real = pump._settler.record
        away = iter((TarnhelmError(errors.STATE_AWAY), StaleRecordError()))

        def record(ones):
            error = next(away, None)
            if error is not None:
                raise error
            return real(ones)

        pump._settler.record = record
        _run(one, pump, State.WITNESSING, count=6)
        assert one.lines.getvalue().count('"stage-waits"') == 1
        assert all(record.attempts == 0 for record in one.state.records())
