"""A release process is killed between any two steps: every object arrives with its bytes, and has one line."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.releasing import World, all_released, dicom_bytes, route

from tarnhelm.gateway.destinations import FolderDestinationSettings
from tarnhelm.gateway.destinations.folder import FolderDestination

ROOT = Path(__file__).parents[4]
PLACES = ("planned", "committed", "claimed", "compared", "delivered", "settled", "released")


def killed(root, place, times):
    """Run a release process until it kills itself there."""
    description = json.dumps({"root": str(root), "place": place, "times": times})
    command = [sys.executable, "-m", "tests.support.releasing", description]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9, done.stderr[-2000:]


def outcome(world, count):
    """Let one more process finish, and look at everything."""
    root = world.root
    with world.running(route(FolderDestination("disk", FolderDestinationSettings(root / "out")))):
        all_released(world, count)
    assert world.manifest_is_whole() == count
    (file,) = (root / "manifest").glob("*.jsonl")
    assert file.read_bytes().splitlines() == world.lines()
    found = {
        path.relative_to(root / "out").as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (root / "out").rglob("*.dcm")
    }
    documents = [json.loads(line)["document"] for line in world.lines()]
    assert found == {document["path"]: document["sha256"] for document in documents}
    assert sorted(found.values()) == sorted(
        hashlib.sha256(dicom_bytes(number)).hexdigest() for number in range(1, count + 1)
    )
    assert not [path for path in (root / "out" / ".incoming").iterdir() if path.stat().st_nlink > 1 and path.suffix]


@pytest.mark.parametrize("place", PLACES)
def test_killed_between_two_steps(tmp_path, place):
    world = World(tmp_path)
    for number in range(1, 7):
        world.verified(number)
    killed(tmp_path, place, 1)
    outcome(world, 6)
    world.close()


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("times", [2, 3, 5])
def test_killed_again_and_again(tmp_path, place, times):
    world = World(tmp_path)
    for number in range(1, 41):
        world.verified(number)
    for _ in range(3):
        killed(tmp_path, place, times if place not in ("planned", "committed") else 1)
        world.verified(100 + len(list(world.state.records())), dicom_bytes(len(list(world.state.records())) + 1))
    outcome(world, 43)
    world.close()
