"""Something that the gateway needs is away for a while: nothing is lost, nobody is quarantined for it, then all goes on.

A sealed vault, a pump that stands still, a disk without room. The long forms are ``make fault-test``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from tests.kill.senders import Errand, Senders
from tests.kill.test_faults import say
from tests.support.assign_server import ServerPlace
from tests.support.faults import Plant, await_true
from tests.support.gateway import GatewayUnderTest

pytestmark = pytest.mark.timeout(900)

BREAKER = 'tarnhelm_gateway_breaker_open{stage="metadata"}'
SESSION_SECONDS = 15.0
"""After so long a silence a pump's share goes to others."""


@contextlib.contextmanager
def running(plant):
    try:
        yield plant.start()
    finally:
        plant.close()


# --- the vault ---------------------------------------------------------------------------------------------


def test_objects_wait_for_a_sealed_vault(tmp_path, own_bao, own_postgres):
    """With surrogates out of OpenBao and PostgreSQL; the vault is sealed in the middle and unsealed."""
    (tmp_path / "place").mkdir()
    place = ServerPlace(tmp_path / "place", own_bao, own_postgres.address(database=own_postgres.database()))
    project = place.create("trial")
    place.close()
    plant = Plant(tmp_path, assigner=tuple(place.arguments), changes={"projects": {"trial": {"id": project.id}}})
    with running(plant):
        paths = sorted(plant.sources(12).iterdir())
        plant.sending(paths[:4]).join()
        plant.gateway.await_end(4, 60)
        own_bao.seal()
        plant.sending(paths[4:]).join()  # the doors need no vault
        plant.await_metric(BREAKER, 1.0)
        assert set(plant.gateway.states()) <= {"released", "admitted", "waiting"}
        own_bao.unseal()
        unsealed = time.monotonic()
        assert plant.gateway.await_end(12, 120) == {"released": 12}
        say(sealed_vault_recovered_seconds=round(time.monotonic() - unsealed, 1))
        plant.await_metric(BREAKER, 0.0)
        released = {hashlib.sha256(content).hexdigest() for content in plant.gateway.released().values()}
        assert len(released) == 12
        plant.gateway.stop()
        # Another gateway, before the same services and without a fault, makes the same of them.
        again = GatewayUnderTest(tmp_path / "again", dict(plant.gateway.changes))
        again.changes["keys"] = {"folder": str(plant.gateway.state / "keys")}
        again.changes["destinations"] = {"out": {"folder": {"folder": str(again.out)}}}
        with again:
            Senders(again).run([Errand(path, "stow") for path in paths])
            assert again.await_end(12, 120) == {"released": 12}
        assert {hashlib.sha256(content).hexdigest() for content in again.released().values()} == released


# --- a pump that stands still ------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pump_that_stood_still_past_its_session_does_nothing_twice(tmp_path):
    """Another replica takes its share over; when it goes on, what it had in hand has long been done by the other."""
    with running(Plant(tmp_path)) as plant:
        gateway = plant.gateway
        second = subprocess.Popen(
            [sys.executable, "-m", "tarnhelm.gateway", "metadata", "--config", gateway.state / "run" / "gateway.json"],
            env=gateway.environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            paths, made = plant.objects(40)
            sending = plant.sending(paths, pause=0.05)
            await_true(lambda: gateway.states()["released"] >= 2, 60, gateway.said)
            first = gateway.children()["metadata"]
            os.kill(first, signal.SIGSTOP)
            stopped = time.monotonic()
            sending.join()
            plant.check(made)  # by the other one alone, though the first one lives
            alone = time.monotonic() - stopped
            time.sleep(max(0.0, SESSION_SECONDS + 3 - alone))
            os.kill(first, signal.SIGCONT)
            more, others = plant.objects(8)
            plant.sending(more).join()
            plant.check(others)
            assert gateway.children()["metadata"] == first  # it came back to work, and did not die of it
        finally:
            second.terminate()
            assert second.wait(60) == 0
        say(stopped_seconds=SESSION_SECONDS + 3, done_without_it_after_seconds=round(alone, 1))


# --- a disk without room -----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with room for some objects."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(place)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_makes_senders_wait_and_loses_nothing(tmp_path, small_disk):
    changes = {
        "blobs": {"folder": str(small_disk / "blobs")},
        "doors": {
            "room": {"min_free_bytes": 1 << 20, "max_full_share": 0.95, "check_seconds": 0.2, "retry_seconds": 1.0}
        },
    }
    with running(PlantWithRoom(tmp_path, changes)) as plant:
        paths, made = plant.objects(24)
        sending = plant.sending(paths, doors=("dicom", "stow", "folder"), pause=0.2)
        await_true(lambda: sending.senders.accepted >= 3, 60)
        ballast = small_disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
            while True:  # until not a byte more goes in, not even for objects that are on their road
                stream.write(bytes(4096))
        told = sending.senders.told
        await_true(lambda: told["dicom", 0xA700] and told["stow", 503, True], 60, lambda: str(told))
        assert not any(status == 503 and not retry for _, status, retry in (key for key in told if len(key) == 3))
        assert set(plant.gateway.states()) <= {"admitted", "ready", "verified", "waiting", "released"}
        ballast.unlink()
        emptied = time.monotonic()
        sending.join()
        plant.check(made)
        say(
            full_disk_recovered_seconds=round(time.monotonic() - emptied, 1),
            told_to_wait={" ".join(map(str, key)): number for key, number in told.items()},
        )


class PlantWithRoom(Plant):
    """One whose doors have the usual addresses and other bounds."""

    def __init__(self, folder, changes):
        super().__init__(folder)
        doors = self.gateway.configuration()["doors"]
        self.gateway.changes |= {**changes, "doors": {**doors, **changes["doors"]}}
