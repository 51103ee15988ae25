"""The whole command on real DICOM: every file ends with a state and a code, and the rest follows from the bytes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

COMMAND = "import sys; from tarnhelm.cli.main import main; sys.argv[0] = 'tarnhelm'; main()"
PLANTED = ("Tremblay^Marguerite", "Tremblay", "MRN0042007", "19470308")


def environment(state: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "TARNHELM_STATE": str(state),
        "COLUMNS": "200",
    }


@pytest.fixture
def tarnhelm(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
            env=environment(tmp_path / "state"),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def chest_series(folder: Path, count: int, seed: int = 0) -> Path:
    """Slices of an invented patient's chest: real CT header, planted identifiers, no face and no text."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    dataset.BodyPartExamined = "CHEST"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PLANTED[0], PLANTED[2], PLANTED[3]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (
        generate_uid(entropy_srcs=["study", str(seed)]),
        generate_uid(entropy_srcs=["series", str(seed)]),
    )
    noise = random.Random(seed)
    for number in range(count):
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=["slice", str(seed), str(number)])
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = number + 1
        dataset.PixelData = noise.randbytes(len(dataset.PixelData))
        dataset.save_as(folder / f"{PLANTED[0]}-{number}.dcm")
    return folder


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "report" / "objects.jsonl").read_text().splitlines()[1:]]


def test_a_chest_ct_comes_out_clean_consistent_and_readable(tarnhelm: Any, tmp_path: Path) -> None:
    source, out = chest_series(tmp_path / "in", 12), tmp_path / "out"
    done = tarnhelm("clean", source, out)
    assert done.returncode == 0, done.stdout + done.stderr
    found = sorted(out.rglob("*.dcm"))
    assert [path.name for path in found] == [f"{number:04d}.dcm" for number in range(1, 13)]
    datasets = [pydicom.dcmread(path) for path in found]
    originals = {int(one.InstanceNumber): one for one in map(pydicom.dcmread, source.iterdir())}
    assert len({str(one.PatientID) for one in datasets}) == 1
    assert len({one.SeriesInstanceUID for one in datasets}) == 1
    assert len({one.SOPInstanceUID for one in datasets}) == 12
    assert all(one.PixelData == originals[int(one.InstanceNumber)].PixelData for one in datasets)
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    everything += (str(found) + done.stdout + done.stderr).encode()
    for planted in PLANTED:
        assert planted.encode() not in everything
    for line in lines(out):
        assert hashlib.sha256((out / line["path"]).read_bytes()).hexdigest() == line["sha256"]


def test_every_packaged_file_ends_with_a_state_and_none_crashes(tarnhelm: Any, tmp_path: Path) -> None:
    packaged = Path(str(get_testdata_file("CT_small.dcm", download=False))).parent
    out = tmp_path / "out"
    done = tarnhelm("clean", packaged, out, "--accept-unchecked-pixels")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = lines(out)
    assert {line["state"] for line in found} <= {"released", "quarantined", "rejected", "skipped"}
    assert all(line.get("code") for line in found if line["state"] != "released")
    assert len([line for line in found if line["state"] == "released"]) == len(list(out.rglob("*.dcm"))) > 30
    assert not [line for line in found if line.get("code") in ("LIM-006", "LIM-007", "LIM-008")]
    assert not [line["message"] for line in found if line.get("code") == "STG-001"]


def test_the_same_project_gives_the_same_bytes_again_and_another_one_shares_nothing(
    tarnhelm: Any, tmp_path: Path
) -> None:
    source = chest_series(tmp_path / "in", 3)
    for label in ("one", "two"):
        assert tarnhelm("project", "create", label).returncode == 0
    for label, out in (("one", "a"), ("one", "b"), ("two", "c")):
        assert tarnhelm("clean", source, tmp_path / out, "--project", label).returncode == 0
    a, b, c = (
        {path.relative_to(tmp_path / out): path.read_bytes() for path in (tmp_path / out).rglob("*.dcm")}
        for out in "abc"
    )
    assert a == b
    assert not set(a) & set(c)
    uids_a, uids_c = (
        {pydicom.dcmread(tmp_path / out / path).SOPInstanceUID for path in where} for out, where in (("a", a), ("c", c))
    )
    assert not uids_a & uids_c


@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_unverified_is_released(
    tarnhelm: Any, tmp_path: Path, kills: int
) -> None:
    source, out, state = chest_series(tmp_path / "in", 150), tmp_path / "out", tmp_path / "state"
    assert tarnhelm("project", "create", "one").returncode == 0
    whole = tmp_path / "whole"
    assert tarnhelm("clean", source, whole, "--project", "one").returncode == 0
    wanted = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*.dcm")}
    assert len(wanted) == 150
    moments = random.Random(7)
    killed = 0
    for _ in range(kills):
        arguments = ["clean", str(source), str(out), "--project", "one", "--resume"]
        running = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            env=environment(state),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        begun = time.monotonic()
        count = len(list(out.rglob("*.dcm")))
        # Wait until it releases something, then strike a little later.
        while running.poll() is None and len(list(out.rglob("*.dcm"))) == count and time.monotonic() - begun < 20:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        running.send_signal(signal.SIGKILL)
        killed += running.wait() == -signal.SIGKILL
        for path in out.rglob("*"):
            if path.is_file() and "report" not in path.parts:
                assert path.read_bytes() == wanted[path.relative_to(out)], "a file in OUT is not a verified one"
    assert killed
    done = tarnhelm("clean", source, out, "--project", "one", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*.dcm")} == wanted
    assert len([line for line in lines(out) if line["state"] == "released"]) == 150
    assert not list(state.rglob("*.part"))


def test_ctrl_c_drains_says_130_and_resume_finishes(tarnhelm: Any, tmp_path: Path) -> None:
    source, out, state = chest_series(tmp_path / "in", 400), tmp_path / "out", tmp_path / "state"
    running = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "clean", str(source), str(out)],
        env=environment(state),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = time.monotonic()
    while not list(out.rglob("*.dcm")) and running.poll() is None and time.monotonic() - begun < 20:
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130, said
    assert "--resume" in said
    assert (out / "report" / "index.html").exists()
    done = tarnhelm("clean", source, out, "--resume")
    assert done.returncode == 0, done.stderr
    assert len(list(out.rglob("*.dcm"))) == 400
