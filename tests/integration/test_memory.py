"""Ten thousand files cost no more memory than a thousand: nothing in the command grows with the number of objects."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

COMMAND = "import sys; from tarnhelm.cli.main import main; sys.argv[0] = 'tarnhelm'; main()"
ROOT_UID = "1.2.826.0.1.3680043.9.7433.42"
GROWTH_MIB, MOST_MIB = 5, 100


def hospital(folder: Path, count: int, *, slices: int = 50) -> Path:
    """Small chest slices, ``slices`` of each patient; each patient has a name, an ID, a study and texts of his own."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    dataset.BodyPartExamined, dataset.ImageType = "CHEST", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Rows = dataset.Columns = 16
    dataset.PixelData = dataset.PixelData[:512]
    for patient in range(-(-count // slices)):
        dataset.PatientName, dataset.PatientID = f"Quibell{patient:05d}^Orla", f"MRN{patient:07d}"
        dataset.AccessionNumber = f"A{patient:08d}"
        dataset.StudyDescription = f"chest for Quibell{patient:05d}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT_UID}.{patient}.1", f"{ROOT_UID}.{patient}.2"
        dataset.FrameOfReferenceUID = f"{ROOT_UID}.{patient}.3"
        place = folder / f"{patient:05d}"
        place.mkdir(parents=True)
        for number in range(min(slices, count - patient * slices)):
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT_UID}.{patient}.4.{number}"
            dataset.InstanceNumber = number + 1
            made = io.BytesIO()
            dataset.save_as(made)
            (place / f"{number:04d}.dcm").write_bytes(made.getvalue())
    return folder


def resident(process: int) -> dict[int, float]:
    """MiB of a process and all below it, shared pages counted for each."""
    found: dict[int, float] = {}
    waiting = [process]
    while waiting:
        number = waiting.pop()
        try:
            lines = Path(f"/proc/{number}/status").read_text().splitlines()
            waiting += map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split())
        except OSError:
            continue
        found[number] = next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)
    return found


def watch(source: Path, out: Path, state: Path) -> list[tuple[int, dict[int, float]]]:
    """Clean; give (objects released, memory of each process) every now and then."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "TARNHELM_STATE": str(state),
    }
    running = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "clean", str(source), str(out), "-p", "1"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    samples = []
    while running.poll() is None:
        time.sleep(0.25)
        samples.append((sum(len(files) for _, _, files in os.walk(out)), resident(running.pid)))
    assert running.returncode == 0
    return samples


def check(samples: list[tuple[int, dict[int, float]]], count: int) -> None:
    assert samples[-1][0] >= count
    early = next(sizes for done, sizes in samples if done >= count // 10)
    for number, before in early.items():
        last = [sizes[number] for _, sizes in samples if sizes.get(number)]
        assert max(last) <= before + GROWTH_MIB, f"{before:.1f} MiB after a tenth, {max(last):.1f} later"
        assert max(last) <= MOST_MIB


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_files_cost_no_more_memory_than_a_thousand(tmp_path: Path) -> None:
    source = hospital(tmp_path / "in", 10_000)
    check(watch(source, tmp_path / "out", tmp_path / "state"), 10_000)
