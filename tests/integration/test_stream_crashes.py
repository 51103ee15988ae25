"""A process that dies between any two steps, and what is left for those that live: nothing lost, nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.support.stream import World, WorldSettings, cleaned, fake, world

from tarnhelm.gateway.record import State
from tarnhelm.gateway.stream import road

ROOT = Path(__file__).parents[2]
ADMISSION = [
    "admit: before the blob",
    "admit: before the record",
    "admit: before the message",
    "admit: before the answer",
]
STAGES = [
    f"{step}: before {place}"
    for step in ("metadata", "ocr", "witness")
    for place in ("the blob", "the record", "the message", "done")
    if (step, place) != ("witness", "the blob")
]
COUNT = 6


def process(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "tests.support.stream", str(folder), "--stages", "metadata,ocr", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def history(one: World, accepted: set[int]) -> None:
    """Check what must be true whatever has died: every accepted object is verified once, with the bytes it must have."""
    one.ended()
    records = {record.object_id: record for record in one.state.records()}
    ids = {one.keys.object_id("p1", hashlib.sha256(fake(number)).digest()): number for number in range(COUNT)}
    assert set(records) <= set(ids)
    assert {ids[object_id] for object_id in records} >= accepted
    for object_id, record in records.items():
        assert record.state is State.VERIFIED, record
        assert one.result(object_id) == cleaned(cleaned(fake(ids[object_id])), "ocr")
        steps = Counter(step.step for step in one.state.steps(object_id))
        assert all(steps[step] == 1 for step in ("admitted", "metadata", "ocr", "witness")), steps
        for stage in ("metadata", "ocr"):
            outcome = one.state.outcome(object_id, stage, one.plan.digest)
            info = one.blobs.stat(road.work_blob(record, stage))
            assert outcome.output_sha256 == info.sha256


@pytest.mark.parametrize(
    ("place", "times"),
    [
        *((place, 1) for place in ADMISSION + STAGES),
        *(pytest.param(place, 4, marks=pytest.mark.slow) for place in (ADMISSION[2], STAGES[1], STAGES[-2])),
    ],
)
def test_a_process_dies_between_two_steps(tmp_path, place, times):
    died = process(tmp_path, "--send", json.dumps(list(range(COUNT))), "--die-at", place, "--times", str(times))
    out, _ = died.communicate(timeout=60)
    assert died.returncode == 9, out
    accepted = {int(line.split()[1]) for line in out.splitlines()}
    with world(tmp_path, WorldSettings(stages=("metadata", "ocr"))) as one:
        one.start(housekeeping=True)
        history(one, accepted)
        for number in range(COUNT):  # a sender that was told nothing sends again
            one.send(fake(number), uid=f"1.2.{number}")
        history(one, set(range(COUNT)))


def test_a_process_that_was_stopped_past_its_session_comes_back_to_work_that_others_did(tmp_path):
    stopped = process(tmp_path)
    try:
        with world(tmp_path, WorldSettings(stages=("metadata", "ocr"), session_seconds=6.0)) as one:
            one.start(housekeeping=True)
            for number in range(3):
                one.send(fake(number, behaviour="slow"))
            time.sleep(1.0)
            stopped.send_signal(signal.SIGSTOP)
            for number in range(3, 60):
                one.send(fake(number, behaviour="slow"))
            one.wait(State.VERIFIED, count=60)
            stopped.send_signal(signal.SIGCONT)
            for number in range(60, 80):
                one.send(fake(number))
            one.wait(State.VERIFIED, count=80)
            for record in one.state.records():
                steps = Counter(step.step for step in one.state.steps(record.object_id))
                assert all(steps[step] == 1 for step in ("admitted", "metadata", "ocr", "witness")), steps
    finally:
        stopped.kill()
        stopped.communicate()


@pytest.mark.slow
def test_two_processes_share_the_work_and_one_is_killed_again_and_again(tmp_path):
    with world(tmp_path, WorldSettings(stages=("metadata", "ocr"))) as one:
        one.start(housekeeping=True)
        for turn in range(3):
            other = process(tmp_path)
            try:
                for number in range(turn * 40, turn * 40 + 40):
                    one.send(fake(number, behaviour="slow"))
                time.sleep(1.0)
            finally:
                other.kill()
                other.communicate()
        one.wait(State.VERIFIED, count=120)
        assert one.state.counts() == {State.VERIFIED: 120}
