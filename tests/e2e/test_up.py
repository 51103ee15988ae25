"""``tarnhelm up`` as a user runs it: every door, one object; what dies comes back; a lost broker is no loss."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

import pytest
from tests.integration.test_clean import PLANTED, chest_series
from tests.kill.senders import Errand, Senders
from tests.kill.test_kill import open_embedded
from tests.support.gateway import GatewayUnderTest

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def gateway(tmp_path):
    with GatewayUnderTest(tmp_path / "gateway") as started:
        yield started


def test_the_same_object_by_every_door_is_one_object(gateway, tmp_path):
    source = chest_series(tmp_path / "source", 3)
    objects = sorted(source.iterdir())
    broker = open_embedded(gateway)
    try:
        errands = [Errand(path, door) for path in objects for door in ("dicom", "stow", "folder", "ingest")]
        Senders(gateway, broker).run(errands, threads_each=1)
    finally:
        broker.close()
    deadline = time.monotonic() + 60
    while any(path.suffix == ".dcm" for path in gateway.inbox.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert gateway.await_end(3, 60) == {"released": 3}
    released = gateway.released()
    assert len(released) == 3
    done = gateway.command("clean", source, tmp_path / "clean", "--project", "trial")
    assert done.returncode == 0, done.stderr
    wanted = {hashlib.sha256(path.read_bytes()).digest() for path in (tmp_path / "clean").rglob("*.dcm")}
    assert {hashlib.sha256(content).digest() for content in released.values()} == wanted
    # Nothing that identifies anybody stands in what it wrote outside its blobs and its ingest topic.
    for path in (*gateway.out.rglob("*"), *(gateway.state / "log").iterdir(), *(gateway.state / "manifest").iterdir()):
        if path.is_file():
            content = path.read_bytes()
            assert not any(word.encode() in content for word in PLANTED), path
    state = (gateway.state / "state.sqlite").read_bytes() + (gateway.state / "state.sqlite-wal").read_bytes()
    assert not any(word.encode() in state for word in PLANTED)
    # A second group on the same state is refused, and ending it in order ends everything.
    again = gateway.command("up", "--config", gateway.config_file)
    assert (again.returncode, "CFG-006" in again.stderr) == (2, True)
    children = gateway.children()
    assert set(children) >= {"doors", "metadata", "witness", "release", "housekeeping", "metadata-service"}
    assert gateway.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children.values())


def test_a_broker_that_was_lost_with_all_its_messages_loses_no_object(gateway, tmp_path):
    source = chest_series(tmp_path / "source", 6)
    first, *others = sorted(source.iterdir())
    Senders(gateway).run([Errand(first, "stow")], threads_each=1)
    gateway.await_end(1, 60)
    config = gateway.state / "run" / "gateway.json"
    kept = config.read_bytes()
    # The services are killed first, so that what is accepted now stays unfinished.
    gateway.stop()
    gateway.changes["services"] = {"metadata": {"target": f"unix:{tmp_path}/nobody.sock"}}
    gateway.start()
    Senders(gateway).run([Errand(path, "stow") for path in others], threads_each=2)
    assert gateway.states()["released"] == 1
    gateway.stop()
    shutil.rmtree(gateway.state / "broker")
    config.write_bytes(kept)
    done = gateway.command("recover", "--config", config)
    assert done.returncode == 0, done.stderr
    gateway.changes.clear()
    gateway.start()
    assert gateway.await_end(6, 120) == {"released": 6}
    assert len(gateway.released()) == 6


def test_the_supervisor_dies_and_nobody_stays_behind(gateway, tmp_path):
    children = gateway.children()
    gateway.kill()
    assert not any(Path(f"/proc/{pid}").exists() for pid in children.values())
    source = chest_series(tmp_path / "source", 1)
    gateway.start()
    Senders(gateway).run([Errand(next(source.iterdir()), "dicom")], threads_each=1)
    assert gateway.await_end(1, 60) == {"released": 1}
