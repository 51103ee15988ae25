"""What a folder of blobs promises beyond the contract: a full disk, a cut purge, and who may look."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.support.blobs import fresh_name

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.blobs import FolderBlobs, KeyRing, put
from tarnhelm.gateway.blobs.envelope import BLANK_HEAD, HEAD_BYTES, stored_size
from tarnhelm.gateway.blobs.keyring import add_key

MIB = 1024 * 1024


@pytest.fixture
def ring(tmp_path):
    add_key(tmp_path / "ring")
    return KeyRing(tmp_path / "ring")


@pytest.fixture
def store(tmp_path, ring):
    made = FolderBlobs(tmp_path / "blobs", ring)
    made.check()
    return made


def path_of(store, name):
    return store._root / name.area / name.object_id[:2] / name.leaf


def code_of(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.kind


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB; needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small file system: needs root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_a_reason_to_wait_and_leaves_nothing(small_disk, ring):
    store = FolderBlobs(small_disk / "blobs", ring)
    store.check()
    fits, too_much = fresh_name(), fresh_name()
    put(store, fits, [bytes(2 * MIB)])
    with pytest.raises(TarnhelmError) as caught:
        put(store, too_much, (bytes(MIB) for _ in range(9)))
    assert caught.value.kind is errors.BLOB_NO_SPACE
    assert caught.value.disposition is Disposition.RETRY
    assert store.stat(too_much) is None
    assert not list((small_disk / "blobs" / ".incoming").iterdir())
    used = os.statvfs(small_disk)
    assert (used.f_blocks - used.f_bavail) * used.f_frsize < 3 * MIB
    assert put(store, too_much, (bytes(MIB) for _ in range(4))).created


def test_a_disk_that_fills_up_at_the_very_end_leaves_nothing(store, monkeypatch):
    name = fresh_name()

    def full(fd):
        raise OSError(28, "No space left on device", "/a/path/with/a/name")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert code_of(put, store, name, [b"x"]) is errors.BLOB_NO_SPACE
    assert store.stat(name) is None
    assert not list(store._incoming.iterdir())
    assert put(store, name, [b"x"]).created


def test_bytes_and_names_are_on_the_disk_before_success_is_told(store, monkeypatch):
    """The file is synced before it gets its name, each new folder and the name before the commit returns."""
    seen = []
    plain_sync, plain_link = os.fsync, os.link

    def sync(fd):
        seen.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        plain_sync(fd)

    def link(source, target):
        seen.append("link")
        plain_link(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", link)
    name, root = fresh_name(), str(store._root)
    put(store, name, [b"x"])
    shard = f"{root}/raw/{name.object_id[:2]}"
    assert seen[0].startswith(f"{root}/.incoming/")
    assert seen[1:] == [root, f"{root}/raw", "link", shard]
    seen.clear()
    put(store, name, [b"second"])
    assert seen[1:] == ["link", shard], "the winner may not have synced yet when the loser is told that it is there"


def test_a_purge_overwrites_the_head_on_the_disk_first(store):
    name = fresh_name()
    put(store, name, [b"x" * 1000])
    os.link(path_of(store, name), store._root / "another link")
    assert store.delete(name)
    left = (store._root / "another link").read_bytes()
    assert len(left) == stored_size(1000)
    assert left[:HEAD_BYTES] == BLANK_HEAD


def test_a_purge_that_was_cut_short_blocks_no_name(store):
    name = fresh_name()
    put(store, name, [b"once"])
    path = path_of(store, name)
    path.write_bytes(BLANK_HEAD + path.read_bytes()[HEAD_BYTES:])
    assert store.stat(name) is None
    assert put(store, name, [b"again"]).created
    with store.open(name) as reader:
        assert b"".join(reader) == b"again"


def test_a_reader_that_has_a_blob_open_can_read_on_when_it_is_purged(store):
    name = fresh_name()
    data = os.urandom(3 * MIB)
    put(store, name, [data])
    with store.open(name) as reader:
        walk = iter(reader)
        found = next(walk)
        store.delete(name)
        assert found + b"".join(walk) == data


def test_a_rewrap_that_was_cut_short_leaves_a_blob_that_opens_and_is_mended(store, ring, tmp_path, monkeypatch):
    name = fresh_name()
    put(store, name, [b"x"])
    info = store.stat(name)
    age = path_of(store, name).stat().st_mtime_ns
    add_key(tmp_path / "ring")
    writes = []
    plain = os.pwrite

    def dies_after_the_first(fd, data, at):
        if writes:
            raise KeyboardInterrupt
        writes.append(plain(fd, data, at))
        return writes[-1]

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", dies_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            store.rewrap(name)
    assert (store.stat(name).sha256, store.stat(name).created) == (info.sha256, info.created)
    assert store.rewrap(name), "the old wrap goes"
    assert not store.rewrap(name)
    assert path_of(store, name).stat().st_mtime_ns >= age
    (tmp_path / "ring" / "1.key").unlink()
    assert store.stat(name).key_id == 2


def test_what_is_stored_is_for_its_owner_only(store):
    put(store, fresh_name(), [b"x"])
    for path in store._root.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


def test_a_folder_that_is_open_to_others_is_refused(tmp_path, ring):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    assert code_of(FolderBlobs(tmp_path / "open", ring).check) is errors.BLOB_STORE_UNUSABLE
    (tmp_path / "file").write_bytes(b"")
    assert code_of(FolderBlobs(tmp_path / "file", ring).check) is errors.BLOB_STORE_UNUSABLE


def test_a_link_in_a_blobs_place_is_not_followed(store, tmp_path):
    name, secret = fresh_name(), fresh_name()
    put(store, secret, [b"x"])
    path_of(store, name).parent.mkdir(parents=True)
    path_of(store, name).symlink_to(path_of(store, secret))
    assert code_of(store.open, name) is errors.BLOB_STORE_AWAY


def test_a_store_that_went_away_is_a_reason_to_wait(store, tmp_path):
    store._root.rename(tmp_path / "elsewhere")
    assert code_of(put, store, fresh_name(), [b"x"]) is errors.BLOB_STORE_AWAY


@pytest.mark.parametrize("way", ["none", "short", "long", "open to others", "no folder"])
def test_a_ring_that_cannot_be_used_is_refused(tmp_path, way):
    folder = tmp_path / "keys"
    if way != "no folder":
        folder.mkdir()
    if way in ("short", "long", "open to others"):
        key = folder / "1.key"
        key.write_bytes(os.urandom({"short": 31, "long": 33}.get(way, 32)))
        key.chmod(0o644 if way == "open to others" else 0o600)
    assert code_of(KeyRing, folder) is errors.BLOB_RING_UNUSABLE


def test_keys_are_numbered_private_and_never_replaced(tmp_path):
    folder = tmp_path / "keys"
    assert [add_key(folder) for _ in range(3)] == [1, 2, 3]
    assert len({path.read_bytes() for path in folder.iterdir()}) == 3
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    (folder / "2.key").unlink()
    assert add_key(folder) == 4
    assert KeyRing(folder).current == 4
