"""The breaker, the turns and the room: who has to wait, and for how long."""

from __future__ import annotations

import threading
import time

import pytest
from tests.support.stream import DOORS, PROJECT, WorldSettings, fake, world

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.intake import Arrival
from tarnhelm.gateway.record import State
from tarnhelm.gateway.stream.breaker import Breaker, BreakerSettings
from tarnhelm.gateway.stream.room import DiskRoom, RoomSettings
from tarnhelm.gateway.stream.turns import Turns


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_waits_longer_each_time_and_one_object_looks():
    clock = Time()
    breaker = Breaker(BreakerSettings(1.0, 4.0), monotonic=clock)
    assert not breaker.due()
    assert breaker.failed("STG-005", "a")
    assert not breaker.failed("STG-005", "b"), "those that were under way do not count"
    waits = []
    for _ in range(4):
        begun = clock.now
        while not breaker.due():
            clock.now += 0.5
        assert not breaker.due(), "one at a time"
        waits.append(clock.now - begun)
        breaker.failed("STG-005", "a", probe=True)
    assert waits == [1.0, 2.0, 4.0, 4.0]
    assert breaker.open
    clock.now += 4.0
    assert breaker.due()
    breaker.not_now()
    assert breaker.due(), "another object looks at once"
    assert breaker.passed("c", probe=True) == pytest.approx(15.0)
    assert not breaker.open


def test_an_object_that_alone_meets_it_is_to_blame():
    breaker = Breaker(BreakerSettings(0.0, 0.0))
    for _ in range(5):
        breaker.failed("LNK-001", "bad")
    assert not breaker.alone_to_blame("bad"), "nobody passed: the dependency is away for all"
    for _ in range(3):
        breaker.passed("good")
        breaker.failed("LNK-001", "bad")
    assert breaker.alone_to_blame("bad")
    breaker.passed("bad")
    assert not breaker.alone_to_blame("bad")


def test_turns_bound_bytes_and_a_suspect_is_alone():
    turns = Turns(100)
    order: list[str] = []
    inside = threading.Event()
    leave = threading.Event()

    def big() -> None:
        with turns.turn(90):
            inside.set()
            leave.wait(10)

    def enter(name: str, size: int, *, alone: bool = False) -> None:
        with turns.turn(size, alone=alone):
            order.append(name)
            assert turns.bytes == size or not alone

    first = threading.Thread(target=big)
    first.start()
    assert inside.wait(10)
    with turns.turn(10):
        pass
    suspect = threading.Thread(target=enter, args=("suspect", 1), kwargs={"alone": True})
    suspect.start()
    while not turns._suspects:
        time.sleep(0.001)
    small = threading.Thread(target=enter, args=("small", 1))
    small.start()
    time.sleep(0.02)
    assert order == [], "the suspect waits for the big one, and all later ones for the suspect"
    leave.set()
    for thread in (first, suspect, small):
        thread.join(10)
    assert order == ["suspect", "small"]
    with turns.turn(1000):
        assert turns.bytes == 1000, "one that is larger than all goes in alone"


def test_the_doors_close_when_the_disk_is_full_and_open_when_there_is_plainly_room(tmp_path):
    settings = WorldSettings(room=RoomSettings(0.9, 1000, check_seconds=0.0), disk=DiskRoom(5000, 20000))
    with world(tmp_path, settings) as one:
        assert one.admitter.room() == 0.0
        settings.disk = DiskRoom(1900, 20000)
        assert one.admitter.room() == 15.0
        with pytest.raises(TarnhelmError) as caught:
            one.send(fake(1))
        assert caught.value.code == "GTW-020"
        settings.disk = DiskRoom(2100, 20000)
        assert one.admitter.room() == 15.0, "it does not flicker"
        settings.disk = DiskRoom(2500, 20000)
        assert one.admitter.room() == 0.0
        settings.disk = DiskRoom(900, 5000)
        assert one.admitter.room() == 15.0, "below the bytes that must be free"
        assert one.lines.getvalue().count("room-closed") == 2


def test_the_doors_close_on_lag_on_age_and_when_too_much_arrives(tmp_path):
    clock = Time()
    settings = WorldSettings(
        room=RoomSettings(
            1.0, 0, max_waiting_objects=3, max_age_seconds=50.0, max_arriving_objects=2, check_seconds=0.0
        )
    )
    with world(tmp_path, settings) as one:
        one.room._clock = clock
        one.admitter.clock = clock
        for number in range(4):
            assert one.admitter.room() == 0.0
            one.send(fake(number))
        one.broker.flush(10)
        assert one.admitter.room() == 15.0
        assert "lag" in one.lines.getvalue()
        one.start()
        one.ended()
        one.stop()
        one.release()
        assert one.admitter.room() == 0.0
        one.send(fake(9))
        clock.now += 51.0
        assert one.admitter.room() == 15.0
        assert "age" in one.lines.getvalue()
        one.start()
        one.ended()
        one.stop()
        one.release()
        arrival = Arrival(PROJECT, DOORS)
        assert one.admitter.room() == 0.0
        first, second = one.admitter.begin(arrival), one.admitter.begin(arrival)
        with pytest.raises(TarnhelmError, match="no room"):
            one.admitter.begin(arrival)
        first.abort()
        second.abort()
        assert one.admitter.room() == 0.0
        assert one.room.arriving == (0, 0)


def test_a_full_disk_is_waited_for_and_tells_the_sender(tmp_path):
    with world(tmp_path) as one:
        for number in range(5):
            one.send(fake(number))
        begin = one.blobs.begin

        def full(_name, **_known):
            raise TarnhelmError(errors.BLOB_NO_SPACE)

        one.blobs.begin = full
        with pytest.raises(TarnhelmError) as caught:
            one.send(fake(9))
        assert caught.value.disposition is Disposition.RETRY
        assert one.room.arriving == (0, 0)
        one.start()
        until = time.monotonic() + 30
        while "BLB-001" not in one.lines.getvalue():
            assert time.monotonic() < until
            time.sleep(0.01)
        assert one.state.counts() == {State.ADMITTED: 5}
        one.blobs.begin = begin
        one.wait(State.VERIFIED, count=5)


def test_a_state_that_is_away_is_waited_for(tmp_path):
    with world(tmp_path) as one:
        for number in range(5):
            one.send(fake(number))
        together = one.state.together

        def away():
            raise TarnhelmError(errors.STATE_AWAY)

        one.state.together = away
        with pytest.raises(TarnhelmError):
            one.send(fake(9))
        one.start()
        until = time.monotonic() + 30
        while "STA-001" not in one.lines.getvalue():
            assert time.monotonic() < until
            time.sleep(0.01)
        one.state.together = together
        one.wait(State.VERIFIED, count=5)
        assert one.state.counts() == {State.VERIFIED: 5}
