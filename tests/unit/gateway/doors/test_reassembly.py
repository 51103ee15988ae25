"""Chunks on their way to a whole: the bound on what is unfinished holds while the store is looked through."""

from __future__ import annotations

import time

import pytest

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import FolderBlobs, KeyRing
from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.doors.ingest_settings import ReassemblySettings
from tarnhelm.gateway.doors.reassembly import Reassembly, Transfer
from tarnhelm.gateway.ingest.records import Chunk


class Busy:
    """A store in which something happens between the names that a listing gives."""

    def __init__(self, blobs):
        self._blobs = blobs
        self.meanwhile = lambda: None

    def __getattr__(self, name):
        return getattr(self._blobs, name)

    def listing(self, area, prefix=""):
        found = list(self._blobs.listing(area, prefix))
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        yield from found


def transfer(number):
    return Transfer(f"{number:032x}", "project-1", "", "", f"record-{number}", 3, 3000, is_dicom=True, sealed_to="")


def chunk(index, size=1000):
    return Chunk(index, 3, 3000, bytes(size), bytes(32) if index == 2 else b"")


@pytest.fixture
def store(tmp_path):
    add_key(tmp_path / "ring")
    blobs = FolderBlobs(tmp_path / "blobs", KeyRing(tmp_path / "ring"))
    blobs.check()
    return Busy(blobs)


def test_what_comes_during_a_look_counts(store):
    door = Reassembly(ReassemblySettings(max_pending_bytes=1500), store, time.time)

    def put():
        door.take(transfer(1), chunk(0))
        door.take(transfer(1), chunk(1))

    store.meanwhile = put
    assert list(door.look()) == []
    with pytest.raises(TarnhelmError) as refused:
        door.take(transfer(2), chunk(0))
    assert refused.value.code == errors.CHUNKS_FULL.code


def test_a_look_forgets_nothing_and_what_ended_makes_room(store):
    door = Reassembly(ReassemblySettings(max_pending_bytes=1500), store, time.time)
    for index in range(2):
        door.take(transfer(1), chunk(index))
    list(door.look())
    assert door.pending_bytes >= 2000
    door.end(transfer(1))
    list(door.look())
    assert door.pending_bytes == 0
    door.take(transfer(2), chunk(0))
