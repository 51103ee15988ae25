"""What goes wrong around a run is told with a code and what to do, and nothing is passed over in silence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import fakecores
import pytest


def fill(folder: Path, count: int = 3, patient: str = "Doe^Jane", size: int = 0) -> Path:
    for number in range(count):
        fakecores.write_fake(folder / f"{number}.dcm", patient, number + 1, size=size)
    return folder


def test_a_folder_that_cannot_be_read_is_rejected_and_not_passed_over(
    tarnhelm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fill(tmp_path / "in")
    (source / "Doe^Jane").mkdir()
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("Doe^Jane"):
            raise PermissionError(13, "no", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    done = tarnhelm("clean", source, tmp_path / "out", code=1)
    assert "1  rejected" in done.stdout
    assert "GTW-001" in done.stdout
    assert "Doe" not in done.stdout + done.stderr
    monkeypatch.setattr(os, "scandir", scan)
    fakecores.write_fake(source / "Doe^Jane" / "9.dcm", "Doe^Jane", 9)
    assert "1  released" in tarnhelm("clean", source, tmp_path / "out", "--resume", code=None).stdout


def test_a_link_that_leads_nowhere_is_no_file(tarnhelm: Any, tmp_path: Path) -> None:
    source = fill(tmp_path / "in")
    (source / "gone").symlink_to("nowhere")
    tarnhelm("clean", source, tmp_path / "out")


def test_a_state_directory_that_cannot_be_used_is_told(
    tarnhelm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "file" / "state"))
    assert "RUN-021" in tarnhelm("clean", fill(tmp_path / "in"), tmp_path / "out", code=2).stderr


def test_a_missing_out_is_told_as_that(tarnhelm: Any, tmp_path: Path) -> None:
    assert "RUN-022" in tarnhelm("clean", fill(tmp_path / "in"), code=2).stderr


def test_what_the_system_refuses_is_told_without_a_path(
    tarnhelm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(5, "no", str(tmp_path / "Doe^Jane"))

    monkeypatch.setattr("tarnhelm.cli.run.SourceWalk.count", refuse)
    done = tarnhelm("clean", fill(tmp_path / "in"), tmp_path / "out", code=2)
    assert "RUN-023" in done.stderr
    assert "errno 5" in done.stderr
    assert "Doe" not in done.stderr
    assert "Traceback" not in done.stderr


def test_released_files_that_are_gone_from_out_are_told(tarnhelm: Any, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in"), tmp_path / "out"
    tarnhelm("clean", source, out)
    min(out.rglob("*.dcm")).unlink()
    done = tarnhelm("clean", source, out, "--resume")
    assert "3  done already" in done.stdout
    assert "1  of them no longer in OUT" in done.stdout
    assert "no longer in OUT" not in tarnhelm("clean", source, tmp_path / "b").stdout


def test_a_folder_emptied_and_used_anew_belongs_to_its_last_project(tarnhelm: Any, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in"), tmp_path / "out"
    for label in ("one", "two", "three"):
        tarnhelm("project", "create", label)
        shutil.rmtree(out, ignore_errors=True)
        tarnhelm("clean", source, out, "--project", label)
    assert "RUN-002" in tarnhelm("clean", source, out, "--project", "one", code=2).stderr
    assert "RUN-002" in tarnhelm("clean", source, out, "--project", "two", code=2).stderr
    fill(source, 5)
    tarnhelm("clean", source, out, "--resume")
    head = json.loads((out / "report" / "objects.jsonl").read_text().splitlines()[0])
    assert head["project"] == "three"


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of its own with room for little."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_the_run_and_resume_finishes_it(
    tarnhelm: Any, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import functools

    from tarnhelm.gateway.run.plan import Plan

    monkeypatch.setattr("tarnhelm.cli.run.Plan", functools.partial(Plan, retry_seconds=0.2))
    source = fill(tmp_path / "in", 12, size=30_000)
    done = tarnhelm("clean", source, small_disk / "out", code=None)
    assert done.returncode in (2, 4), done.stdout
    assert "disk" in done.stderr
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    tarnhelm("clean", source, small_disk / "out", "--resume")
    assert len(list((small_disk / "out").rglob("*.dcm"))) == 12
    tarnhelm("report", "verify", small_disk / "out")


@pytest.mark.parametrize(
    "words",
    [
        ["clean", "scans/Doe Jane/1.dcm", "scans/Doe Jane/2.dcm", "out"],
        ["explain", "scans/Doe Jane/1.dcm", "scans/Doe Jane/2.dcm"],
        ["scans/Doe Jane", "out"],
        ["quarantine", "Doe Jane"],
        ["project", "show", "trial", "Doe Jane"],
    ],
)
def test_a_mistaken_command_line_is_not_repeated(tarnhelm: Any, words: list[str]) -> None:
    done = tarnhelm(*words, code=2)
    assert "Doe" not in done.stdout + done.stderr
    assert "RUN-02" in done.stderr
