"""The folder door: what counts as whole, where files go, what a killed process leaves."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from tests.support.admitting import FullAdmitter, RecordingAdmitter
from tests.support.door_peers import PATIENT, instance, write_image

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.doors.folder import FolderDoor
from tarnhelm.gateway.doors.folder_settings import FolderDoorSettings
from tarnhelm.gateway.intake import Receipt, Reception


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    return made


def door_of(folder, admitter, *, clock=None, log=None, **settings):
    given = {"project": "project-a", "settle_seconds": 5.0, "poll_seconds": 0.05, **settings}
    door = FolderDoor(FolderDoorSettings(folder=folder, **given), admitter, clock=clock or Clock(), log=log)
    door.check()
    return door


def settle(door):
    """Two looks, far enough from each other."""
    door.look()
    door._clock.now += 5.0
    return door.look()


def names(folder):
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_a_file_is_taken_when_it_has_stood_still_and_deleted_after_its_receipt(folder):
    admitter = RecordingAdmitter()
    content = write_image(folder / "a.dcm", 0)
    door = door_of(folder, admitter)
    door.look()
    door._clock.now += 4.0
    door.look()
    assert (len(admitter.objects), names(folder)) == (0, ["a.dcm"])
    door._clock.now += 1.0
    door.look()
    (taken,) = admitter.objects
    assert (taken.content, taken.arrival.size, taken.arrival.sop_instance_uid) == (content, len(content), instance(0))
    assert names(folder) == []


def test_a_file_that_grows_waits_again(folder):
    admitter, path = RecordingAdmitter(), folder / "a"
    door = door_of(folder, admitter)
    path.write_bytes(b"one")
    door.look()
    door._clock.now += 5.0
    path.write_bytes(b"one and two")
    door.look()
    assert not admitter.objects
    door._clock.now += 5.0
    door.look()
    assert [entry.content for entry in admitter.objects] == [b"one and two"]


def test_a_file_that_changes_while_it_is_read_is_not_accepted(folder):
    admitter, path = RecordingAdmitter(), folder / "a"
    path.write_bytes(bytes(3 << 20))

    def change(size):
        admitter.on_write = None
        path.write_bytes(b"another")

    admitter.on_write = change
    door = door_of(folder, admitter)
    settle(door)
    assert (admitter.objects, admitter.open, names(folder)) == ([], 0, ["a"])
    settle(door)
    assert [entry.content for entry in admitter.objects] == [b"another"]


@pytest.mark.parametrize("name", [".hidden", "a.part", "a.DCM.tmp", "b~", ".stversions/a"])
def test_unfinished_and_hidden_files_are_left_alone_until_they_are_renamed(folder, name):
    admitter, path = RecordingAdmitter(), folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    door = door_of(folder, admitter)
    settle(door)
    assert path.exists()
    path.rename(folder / "whole")
    settle(door)
    assert len(admitter.objects) == 1


def test_links_and_pipes_are_left_alone(folder, tmp_path):
    admitter = RecordingAdmitter()
    (tmp_path / "secret").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    settle(door_of(folder, admitter))
    assert not admitter.objects
    assert names(folder) == ["link", "linked", "pipe"]


def test_subfolders_lead_to_projects_by_configuration_only(folder):
    admitter = RecordingAdmitter()
    for name in ("a/x/1", "b/2", "3"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    settle(door_of(folder, admitter, subfolders={"a": "project-b"}))
    assert {entry.content: entry.arrival.project for entry in admitter.objects} == {
        b"a/x/1": "project-b",
        b"b/2": "project-a",
        b"3": "project-a",
    }


def test_without_a_project_of_its_own_a_subfolder_is_refused(folder):
    admitter = RecordingAdmitter()
    (folder / "b").mkdir()
    (folder / "b" / "1").write_bytes(b"x")
    door = door_of(folder, admitter, project="", subfolders={"a": "project-b"})
    settle(door)
    assert not admitter.objects
    assert len(names(door.settings.refused)) == 1


def test_accepted_files_are_moved_under_opaque_names(folder, tmp_path):
    admitter = RecordingAdmitter()
    content = write_image(folder / f"{PATIENT}.dcm", 0)
    settle(door_of(folder, admitter, accepted_folder=tmp_path / "done"))
    (name,) = names(tmp_path / "done")
    assert (len(name), (tmp_path / "done" / name).read_bytes()) == (32, content)
    assert names(folder) == []


@pytest.mark.parametrize("reception", [Reception.DUPLICATE, Reception.KEPT_FIRST, Reception.HELD])
def test_what_admission_keeps_is_taken_away(folder, reception):
    admitter = RecordingAdmitter()
    admitter.answer = Receipt(reception, "id")
    (folder / "a").write_bytes(b"x")
    settle(door_of(folder, admitter))
    assert names(folder) == []


@pytest.mark.parametrize(
    "answer", [Receipt(Reception.REFUSED, code="DCM-001"), TarnhelmError(errors.TOO_LARGE)], ids=["receipt", "error"]
)
def test_refused_files_are_moved_aside_under_opaque_names_and_the_log_names_them_so(folder, answer):
    admitter, stream = RecordingAdmitter(), io.StringIO()
    admitter.answer = answer
    (folder / f"{PATIENT}.zip").write_bytes(b"PK")
    door = door_of(folder, admitter, log=EventLog(stream, time.time))
    settle(door)
    (name,) = names(door.settings.refused)
    assert len(name) == 32
    assert name in stream.getvalue()
    assert PATIENT not in stream.getvalue()
    assert names(folder) == []


@pytest.mark.parametrize(("content", "bound"), [(b"", 10), (b"x" * 11, 10)])
def test_empty_and_large_files_are_refused(folder, content, bound):
    (folder / "a").write_bytes(content)
    door = door_of(folder, RecordingAdmitter(), max_object_bytes=bound)
    settle(door)
    assert len(names(door.settings.refused)) == 1


def test_a_file_that_may_not_be_read_is_refused(folder, monkeypatch):
    (folder / "a").write_bytes(b"x")
    opened = os.open

    def refuse(path, flags, *rest, **keywords):
        if str(path).endswith("/a"):
            raise PermissionError
        return opened(path, flags, *rest, **keywords)

    monkeypatch.setattr(os, "open", refuse)
    door = door_of(folder, RecordingAdmitter())
    settle(door)
    assert len(names(door.settings.refused)) == 1


def test_where_there_is_no_room_files_wait(folder):
    admitter = FullAdmitter(17.0)
    (folder / "a").write_bytes(b"x")
    door = door_of(folder, admitter)
    assert settle(door) == 17.0
    assert names(folder) == ["a"]
    admitter.wait, admitter.begin_error = 0.0, None
    assert door.look() == 0.0
    assert (len(admitter.objects), names(folder)) == (1, [])


@pytest.mark.parametrize("fault", [TarnhelmError(errors.NO_SPACE), OSError(5, "disk"), RuntimeError("bug")])
def test_a_fault_loses_nothing_and_stops_no_other_file(folder, fault):
    admitter = RecordingAdmitter()
    (folder / "a").write_bytes(b"x")
    admitter.answer = fault
    lines = io.StringIO()
    door = door_of(folder, admitter, log=EventLog(lines, lambda: 0.0))
    settle(door)
    for wait in (1, 2, 4, 8, 16, 30):  # looked at as often as one likes, it is tried after a while, then rarer
        assert json.loads(lines.getvalue().splitlines()[-1])["seconds"] == wait
        said = lines.getvalue()
        door._clock.now += wait - 0.5
        door.look()
        assert lines.getvalue() == said
        door._clock.now += 1.0
        door.look()
    assert names(folder) == ["a"]
    admitter.answer = None
    (folder / "b").write_bytes(b"y")
    settle(door)
    assert names(folder) == ["a"]
    door._clock.now += 31.0
    door.look()
    assert names(folder) == []


def test_a_file_that_was_replaced_after_its_receipt_stays(folder):
    admitter, path = RecordingAdmitter(), folder / "a"
    path.write_bytes(b"first")
    door = door_of(folder, admitter)
    taken = admitter.enter

    def enter(recorded):
        (folder / "b.part").write_bytes(b"second")
        (folder / "b.part").rename(path)
        return taken(recorded)

    admitter.enter = enter
    settle(door)
    assert path.read_bytes() == b"second"
    admitter.enter = taken
    settle(door)
    assert [entry.content for entry in admitter.objects] == [b"first", b"second"]


def test_folders_that_are_long_empty_are_removed_but_those_with_a_project(folder):
    for name in ("old", "named", "fresh"):
        (folder / name).mkdir()
    for name in ("old", "named"):
        os.utime(folder / name, (0, 0))
    door_of(folder, RecordingAdmitter(), subfolders={"named": "p"}).look()
    assert names(folder) == ["fresh", "named"]


def test_it_runs_until_it_is_stopped(folder):
    admitter, stop = RecordingAdmitter(), threading.Event()
    settings = FolderDoorSettings(folder=folder, project="p", settle_seconds=0.05, poll_seconds=0.02)
    thread = threading.Thread(target=FolderDoor(settings, admitter).run, args=(stop,))
    thread.start()
    try:
        (folder / "a").write_bytes(b"x")
        deadline = time.monotonic() + 30
        while names(folder):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join(30)
    assert len(admitter.objects) == 1


def test_a_look_that_fails_does_not_end_the_door(folder, monkeypatch):
    monkeypatch.setattr("tarnhelm.gateway.doors.folder._FAULT_SECONDS", 0.01)
    admitter, stop, calls = RecordingAdmitter(), threading.Event(), []

    def room():
        calls.append(1)
        return 1 / 0 if len(calls) == 1 else 0.0

    monkeypatch.setattr(admitter, "room", room)
    (folder / "a").write_bytes(b"x")
    settings = FolderDoorSettings(folder=folder, project="p", settle_seconds=0.01, poll_seconds=0.01)
    thread = threading.Thread(target=FolderDoor(settings, admitter).run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while names(folder):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join(30)
    assert len(admitter.objects) == 1


def test_nothing_is_lost_when_the_process_is_killed_between_receipt_and_removal(folder, tmp_path):
    content, marker = write_image(folder / "a", 0), tmp_path / "committed"
    program = f"""
        import time
        from pathlib import Path
        from tarnhelm.gateway.doors.folder import FolderDoor
        from tarnhelm.gateway.doors.folder_settings import FolderDoorSettings
        from tests.support.admitting import RecordingAdmitter

        class Slow(RecordingAdmitter):
            def enter(self, recorded):
                receipt = super().enter(recorded)
                Path({str(marker)!r}).write_bytes(recorded.content)
                time.sleep(600)
                return receipt

        settings = FolderDoorSettings(folder=Path({str(folder)!r}), project="p", settle_seconds=0.01, poll_seconds=0.01)
        import threading
        FolderDoor(settings, Slow()).run(threading.Event())
    """
    root = Path(__file__).resolve().parents[4]
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    try:
        deadline = time.monotonic() + 60
        while not marker.exists() or marker.stat().st_size < len(content):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert names(folder) == ["a"]
    admitter = RecordingAdmitter()
    admitter.begin_error = None
    settle(door_of(folder, admitter))
    assert [entry.content for entry in admitter.objects] == [content]
    assert names(folder) == []


@pytest.mark.parametrize(
    "bad", [{}, {"project": "p", "settle_seconds": 0}, {"subfolders": {"a/b": "p"}}, {"subfolders": {"..": "p"}}]
)
def test_settings_that_do_not_fit_are_refused(tmp_path, bad):
    with pytest.raises(ValueError, match=r"."):
        FolderDoorSettings(folder=tmp_path, **bad)


def test_files_are_never_moved_within_the_watched_folder(tmp_path):
    with pytest.raises(ValueError, match="moved out"):
        FolderDoorSettings(folder=tmp_path, project="p", accepted_folder=tmp_path / "done")


def test_a_folder_that_is_not_there_keeps_the_door_shut(tmp_path):
    door = FolderDoor(FolderDoorSettings(folder=tmp_path / "none", project="p"), RecordingAdmitter())
    with pytest.raises(TarnhelmError) as caught:
        door.check()
    assert caught.value.code == "DOR-010"
