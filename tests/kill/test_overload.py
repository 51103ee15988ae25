"""More objects than the pumps can do, for long: senders are told to wait, nothing is lost, no process grows.

The long form, ``make fault-test``, keeps it up for two minutes.
"""

from __future__ import annotations

import statistics
import threading
import time

import pytest
from tests.kill.senders import Errand, Senders
from tests.kill.test_faults import say
from tests.kill.test_outages import PlantWithRoom, running
from tests.support.faults import await_true
from tests.support.gateway import children_of, resident_bytes

pytestmark = pytest.mark.timeout(900)

ROOM = {"max_waiting_objects": 20, "check_seconds": 0.1, "retry_seconds": 0.5}
MIB = 1 << 20
GROWTH_BYTES = 24 * MIB
"""What a process may hold more in the second half of the time than in the first: caches that are still filling."""


class Scale:
    """Weighs every process of a plant again and again."""

    def __init__(self, plant):
        self._plant = plant
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.weights = {}
        """Name → (seconds, bytes) of each look; the workers of a service count as it."""

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.25):
            services = {one.child.name: one.pid for one in self._plant.services.supervisor.watched if one.pid}
            for name, pid in {**self._plant.gateway.children(), **services}.items():
                weight = resident_bytes(pid) + sum(map(resident_bytes, children_of(pid)))
                self.weights.setdefault(name, []).append((time.monotonic(), weight))

    def growth(self, begin, end):
        """Name → bytes: the median of the last third over that of the middle third."""
        found = {}
        for name, looks in self.weights.items():
            third = (end - begin) / 3
            middle = [weight for at, weight in looks if begin + third <= at < begin + 2 * third]
            last = [weight for at, weight in looks if begin + 2 * third <= at <= end]
            if middle and last:
                found[name] = statistics.median(last) - statistics.median(middle)
        return found


def seconds_of_one(plant):
    """From handing one object over to its release, with nothing else to do."""
    paths, made = plant.objects(1)
    begun = time.monotonic()
    known = len(plant.gateway.released())
    Senders(plant.front).run([Errand(paths[0], "stow")], threads_each=1)
    await_true(lambda: len(plant.gateway.released()) > known, 60)
    seconds = time.monotonic() - begun
    plant.check(made)
    return seconds


@pytest.mark.parametrize("count", [240, pytest.param(2400, marks=pytest.mark.slow)])
def test_senders_wait_and_memory_stays_flat(tmp_path, count):
    with running(PlantWithRoom(tmp_path, {"doors": {"room": ROOM}})) as plant:
        before = seconds_of_one(plant)
        paths, made = plant.objects(count)
        errands = [Errand(path, ("dicom", "stow")[number % 2]) for number, path in enumerate(paths)]
        senders = Senders(plant.front)
        with Scale(plant) as scale:
            begun = time.monotonic()
            senders.run(errands, threads_each=6)
            ended = time.monotonic()
        plant.check(made)
        drained = time.monotonic() - ended
        growth = scale.growth(begun, ended)
        assert senders.accepted == count
        assert senders.told["dicom", 0xA700] + senders.told["stow", 503, True] > 0
        assert max(growth.values()) < GROWTH_BYTES, growth
        after = seconds_of_one(plant)
        assert after < max(5.0, 5 * before)
        say(
            objects=count,
            seconds=round(ended - begun, 1),
            told_to_wait=sum(senders.told.values()),
            drained_seconds=round(drained, 1),
            one_object_before_and_after=(round(before, 2), round(after, 2)),
            heaviest_mib={name: round(max(w for _, w in looks) / MIB) for name, looks in scale.weights.items()},
            growth_mib={name: round(number / MIB, 1) for name, number in growth.items()},
        )
