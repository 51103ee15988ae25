"""``tarnhelm send`` from files to the door, over the embedded broker and over Apache Kafka."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.support.brokers import Place
from tests.support.ingest_door import World, dicom, signing_pair, wait_until, write_pair

from tarnhelm.cli import send_command
from tarnhelm.cli.main import run
from tarnhelm.cli.services import TarnhelmServices
from tarnhelm.gateway.doors.ingest_settings import IngestProducer

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def say(capsys):
    def said(*arguments):
        code = run(["send", *map(str, arguments)], TarnhelmServices())
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return said


@pytest.fixture(params=["folder", "kafka"])
def world(request, tmp_path):
    if request.param == "folder":
        made = World(Place("sqlite", str(tmp_path / "broker")), tmp_path, topic="ingest")
        made.target = f"folder:{tmp_path / 'broker'}"
    else:
        server = request.getfixturevalue("kafka")
        made = World(Place("kafka", server.address, server.session_seconds), tmp_path)
        made.target = f"kafka://{server.address}/{made.ingest}"
    yield made
    made.close()


@pytest.fixture
def scans(tmp_path):
    """A folder of files, a zip and a tar; and all the objects in them."""
    folder = tmp_path / "scans"
    (folder / "MEIER^ANNA").mkdir(parents=True)
    objects = [dicom(number) for number in range(6)] + [dicom(6, 2_500_000)]
    for number in (0, 1, 6):
        (folder / "MEIER^ANNA" / f"{number}.dcm").write_bytes(objects[number])
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("../../2.dcm", objects[2])
        archive.writestr("3.dcm", objects[3])
    with tarfile.open(folder / "more.tar", "w") as archive:
        for number in (4, 5):
            entry = tarfile.TarInfo(f"/etc/{number}.dcm")
            entry.size = len(objects[number])
            archive.addfile(entry, io.BytesIO(objects[number]))
    return folder, objects


def contents(world):
    return sorted(one.content for one in world.admitter.objects)


def test_a_folder_of_files_and_archives_arrives_sealed_and_signed(world, say, scans, tmp_path, state):
    folder, objects = scans
    gateway, public = write_pair(tmp_path, "gateway")
    ours, known = signing_pair(tmp_path, "scanner")
    code, out, err = say(folder, "--to", world.target, "--seal-to", public, "--sign-with", ours)
    assert (code, err) == (0, "")
    assert "7  acknowledged" in out
    producer = IngestProducer("scanner", "project-7", known)
    world.start(world.settings(project="", producers=(producer,), opening_key_files=(gateway,), unsealed_allowed=False))
    wait_until(lambda: len(world.admitter.objects) == 7)
    world.settled()
    assert contents(world) == sorted(objects)

    code, out, _ = say(folder, "--to", world.target, "--seal-to", public, "--sign-with", ours, "--resume")
    assert (code, "7  sent before" in out, "0  acknowledged" in out) == (0, True, True)
    (folder / "new.dcm").write_bytes(dicom(77))
    code, out, _ = say(folder, "--to", world.target, "--seal-to", public, "--sign-with", ours, "--resume")
    assert (code, "7  sent before" in out, "1  acknowledged" in out) == (0, True, True)
    wait_until(lambda: len(world.admitter.objects) == 8)
    kept = b"".join(path.read_bytes() + bytes(path) for path in (state / "send").rglob("*") if path.is_file())
    assert b"MEIER" not in kept


def test_a_sender_that_is_killed_goes_on_and_all_of_it_arrives(world, say, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    objects = [dicom(number, 20_000) for number in range(400)]
    for number, data in enumerate(objects):
        (folder / f"{number:04}.dcm").write_bytes(data)
    command = [sys.executable, "-m", "tests.support.send_process", str(folder), "--to", world.target]
    process = subprocess.Popen(command, cwd=ROOT)
    journal = tmp_path / "state" / "send"
    wait_until(lambda: process.poll() is not None or sum(p.stat().st_size for p in journal.glob("*.sent")) > 16 * 20)
    process.send_signal(signal.SIGKILL)
    process.wait()
    code, out, _ = say(folder, "--to", world.target, "--resume")
    assert (code, "sent before" in out) == (0, True)
    world.start()
    wait_until(
        lambda: {one.sha256 for one in world.admitter.objects} >= {hashlib.sha256(o).hexdigest() for o in objects}
    )
    world.settled()
    assert world.dead_letters() == []


def test_files_that_cannot_be_read_are_told_and_the_others_go(world, say, scans):
    folder, _ = scans
    (folder / "damaged.zip").write_bytes((folder / "more.zip").read_bytes()[:200])
    code, out, _ = say(folder, "--to", world.target)
    assert (code, "7  acknowledged" in out) == (1, True)
    assert "GTW-007  1 ×" in out
    assert "MEIER" not in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--to", "kafka://kafka.example:9092/ingest"], "ING-018"),
        (["--to", "kafka://kafka.example:9092/ingest", "--unsealed"], "BRK-006"),  # and no TLS either
        (["--to", "kafka://127.0.0.1:9092"], "ING-019"),
        (["--to", "kafka:///ingest"], "ING-019"),
        (["--to", "http://127.0.0.1/ingest"], "ING-019"),
        (["--to", "folder:"], "ING-019"),
        (["--to", "folder:x", "--seal-to", "absent"], "ING-017"),
        (["--to", "folder:x", "--sign-with", "absent"], "ING-017"),
        (["--to", "kafka://127.0.0.1:9092/ingest", "--sasl-user", "me"], "BRK-006"),
    ],
)
def test_settings_that_do_not_fit_end_with_2(say, tmp_path, monkeypatch, arguments, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.dcm").write_bytes(dicom(1))
    ended, _, err = say("one.dcm", *arguments)
    assert (ended, code in err) == (2, True)


def test_a_broker_that_is_away_or_has_no_topic_ends_with_4(say, tmp_path):
    (tmp_path / "one.dcm").write_bytes(dicom(1))
    code, out, err = say(tmp_path / "one.dcm", "--to", f"folder:{tmp_path / 'empty'}")
    assert (code, "BRK-005" in err, "0  acknowledged" in out) == (4, True, True)


def test_progress_counts_files_and_bytes_and_says_how_long(monkeypatch, capsys):
    now = [0.0]
    counts = send_command._Counts()
    with send_command.SendProgress(10, 1000, clock=lambda: now[0]) as progress:
        counts.acknowledged, counts.sent_bytes, counts.skipped, counts.passed_bytes = 3, 200, 1, 50
        progress(counts)
        now[0] = 10.0
        progress(counts)
    assert capsys.readouterr().err == "4 of 10 files, about 30 s left\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with send_command.SendProgress(10, 1000) as progress:
        progress(counts)
        task = progress._bar.tasks[0]
        assert (task.completed, task.total, task.fields["files"]) == (250, 1000, "4/10")


def test_the_help_teaches(say):
    code, out, _ = say("--help")
    assert code == 0
    for word in ("--seal-to", "--resume", "Exit codes", "kafka://"):
        assert word in out


def test_nobody_else_may_read_the_state(say, tmp_path, state):
    (tmp_path / "one.dcm").write_bytes(dicom(1))
    say(tmp_path / "one.dcm", "--to", f"folder:{tmp_path / 'empty'}")
    for path in (state / "send").iterdir():
        assert os.stat(path).st_mode & 0o077 == 0  # noqa: PTH116
