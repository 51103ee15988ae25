"""The conveyor and its group: what was paused is read on, whatever happens to the assignment meanwhile."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from tarnhelm.gateway.broker import Message, Partition
from tarnhelm.gateway.stream.breaker import Breaker, BreakerSettings
from tarnhelm.gateway.stream.conveyor import Conveyor, ConveyorSettings, Handled

TOPIC = "work"
FIRST, SECOND = Partition(TOPIC, 0), Partition(TOPIC, 1)


class Member:
    """A broker with one consumer: tells moves within ``poll``, and only then hands out, as the real ones do."""

    def __init__(self):
        self.moves = deque()
        self.owned = set()
        self.paused = set()
        self.waiting = deque()
        self.done_ones = []

    def consumer(self, _group, _topics, _settings, changed):
        self.changed = changed
        return self

    def put(self, partition, count):
        self.waiting.extend(
            Message(partition, number, b"", b"", (), 0.0)
            for number in range(len(self.waiting), len(self.waiting) + count)
        )

    def poll(self, *, max_records, max_bytes, timeout_seconds):
        assert max_bytes > 0
        while self.moves:
            gained, lost = self.moves.popleft()
            self.owned = (self.owned - lost) | gained
            self.changed(frozenset(gained), frozenset(lost))
        found = [one for one in self.waiting if one.partition in self.owned - self.paused][:max_records]
        for one in found:
            self.waiting.remove(one)
        if not found:
            time.sleep(min(timeout_seconds, 0.005))
        return found

    def done(self, message):
        self.done_ones.append(message)

    def commit(self):
        return {}

    def pause(self, partitions):
        self.paused |= set(partitions)

    def resume(self, partitions):
        self.paused -= set(partitions)

    def assignment(self):
        return frozenset(self.owned)

    def close(self):
        pass


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def member():
    return Member()


@pytest.fixture
def go_on(member):
    """A conveyor with one worker that ends nothing before this is set."""
    allowed, stop = threading.Event(), threading.Event()

    def handle(_message, _probe):
        allowed.wait(20)
        return Handled.DONE

    conveyor = Conveyor(
        member,
        "group",
        TOPIC,
        ConveyorSettings(workers=1, heartbeat_seconds=0.02, commit_seconds=0.02, gather_seconds=0.0),
        Breaker(BreakerSettings()),
        handle,
    )
    thread = threading.Thread(target=conveyor.run, args=(stop,))
    thread.start()
    yield allowed
    allowed.set()
    stop.set()
    thread.join()


def test_partitions_gained_while_others_are_paused_stop_nobody(member, go_on):
    member.put(FIRST, 5)
    member.put(SECOND, 5)
    member.moves.append(({FIRST}, set()))
    until(lambda: FIRST in member.paused)
    member.moves.append(({SECOND}, set()))
    until(lambda: SECOND in member.paused)
    go_on.set()
    until(lambda: len(member.done_ones) == 10)


def test_a_partition_that_was_lost_while_paused_is_read_when_it_comes_back(member, go_on):
    member.put(FIRST, 5)
    member.moves.append(({FIRST}, set()))
    until(lambda: FIRST in member.paused)
    member.moves.append((set(), {FIRST}))
    until(lambda: not member.owned)
    go_on.set()
    until(lambda: len(member.done_ones) == 2)
    until(lambda: not member.paused)
    member.moves.append(({FIRST}, set()))
    until(lambda: len(member.done_ones) == 5)
