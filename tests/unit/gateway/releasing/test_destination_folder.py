"""The folder: whole files or none, no name replaced, a full disk waits."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.releasing import World, all_released, route, until

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.destinations import FolderDestinationSettings, Notice, Parcel
from tarnhelm.gateway.destinations import folder as folder_module
from tarnhelm.gateway.destinations.folder import FolderDestination
from tarnhelm.gateway.record import State


def parcel(content=b"bytes", path="TH-1/study/series/0001.dcm", **changes):
    sha256 = hashlib.sha256(content).hexdigest()
    return Parcel("a" * 32, "p", ObjectFacts(), len(content), sha256, path, lambda: iter([content]), **changes)


@pytest.fixture
def folder(tmp_path):
    return FolderDestination("disk", FolderDestinationSettings(tmp_path / "out", delete_withdrawn=True))


def files(folder):
    root = Path(folder._root)
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_it_has_its_name_with_all_its_bytes_and_nothing_else_is_left(folder, tmp_path):
    for _ in range(2):
        folder.deliver(parcel())
    assert files(folder) == ["TH-1/study/series/0001.dcm"]
    assert (tmp_path / "out/TH-1/study/series/0001.dcm").read_bytes() == b"bytes"
    assert not list((tmp_path / "out/.incoming").iterdir())
    assert (tmp_path / "out/TH-1/study/series/0001.dcm").stat().st_nlink == 1


@pytest.mark.parametrize("there", ["file", "link", "folder"])
def test_what_somebody_else_put_there_is_never_replaced(folder, tmp_path, there):
    target = tmp_path / "out/TH-1/study/series/0001.dcm"
    target.parent.mkdir(parents=True)
    if there == "file":
        target.write_bytes(b"other")
    elif there == "link":
        (tmp_path / "elsewhere").write_bytes(b"bytes")
        target.symlink_to(tmp_path / "elsewhere")
    else:
        target.mkdir()
    with pytest.raises(TarnhelmError) as caught:
        folder.deliver(parcel())
    assert caught.value.code == "DLV-012"
    assert there != "file" or target.read_bytes() == b"other"


def test_a_name_that_comes_between_is_not_replaced_either(folder, tmp_path, monkeypatch):
    target = tmp_path / "out/TH-1/study/series/0001.dcm"
    real = FolderDestination._write

    def write(work, one):
        fd = real(work, one)
        target.parent.mkdir(parents=True)
        target.write_bytes(b"other")
        return fd

    monkeypatch.setattr(FolderDestination, "_write", staticmethod(write))
    with pytest.raises(TarnhelmError) as caught:
        folder.deliver(parcel())
    assert caught.value.code == "DLV-012"
    assert target.read_bytes() == b"other"
    assert not list((tmp_path / "out/.incoming").iterdir())


def test_several_at_once_have_an_answer_each(folder, tmp_path):
    taken = tmp_path / "out/TH-1/study/series/0002.dcm"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"other")

    def broken():
        yield b"half"
        raise TarnhelmError(errors_of("GTW-003"))

    folder.deliver(parcel(b"there", "TH-1/study/series/0003.dcm"))
    parcels = [
        parcel(b"one", "TH-1/study/series/0001.dcm"),
        parcel(b"two", "TH-1/study/series/0002.dcm"),
        parcel(b"there", "TH-1/study/series/0003.dcm"),
        replace(parcel(b"four", "TH-1/study/series/0004.dcm"), source=broken),
        parcel(b"five", "TH-2/study/series/0005.dcm"),
    ]
    answers = folder.deliver_all(parcels)
    assert [answer and answer.code for answer in answers] == [None, "DLV-012", None, "GTW-003", None]
    assert files(folder) == [f"TH-1/study/series/000{n}.dcm" for n in (1, 2, 3)] + ["TH-2/study/series/0005.dcm"]
    assert (tmp_path / "out/TH-2/study/series/0005.dcm").read_bytes() == b"five"
    assert not list((tmp_path / "out/.incoming").iterdir())


def test_a_folder_that_cannot_be_synced_counts_as_not_delivered_and_is_synced_the_next_time(folder, monkeypatch):
    real = folder_module._sync
    synced = []

    def refused(_place):
        raise OSError(errno.EIO, "")

    def seen(place):
        synced.append(place)
        real(place)

    monkeypatch.setattr(folder_module, "_sync", refused)
    answers = folder.deliver_all([parcel(), parcel(path="TH-1/study/series/0002.dcm")])
    assert [answer.code for answer in answers] == ["DLV-006", "DLV-006"]
    monkeypatch.setattr(folder_module, "_sync", seen)
    folder.deliver(parcel())
    root = folder._root
    assert set(synced) == {root, f"{root}/TH-1", f"{root}/TH-1/study", f"{root}/TH-1/study/series"}
    synced.clear()
    folder.deliver(parcel(path="TH-1/study/series/0002.dcm"))
    assert synced == [f"{root}/TH-1/study/series"]


def test_the_folder_of_what_is_written_may_be_tidied_away(folder, tmp_path):
    folder.deliver(parcel())
    (tmp_path / "out/.incoming").rmdir()
    folder.deliver(parcel(path="TH-1/study/series/0002.dcm"))
    assert len(files(folder)) == 2


@pytest.mark.parametrize("path", ["../a", "/etc/a", "a/../../b", "", ".incoming/x"])
def test_no_path_leads_out(folder, path):
    with pytest.raises(TarnhelmError) as caught:
        folder.deliver(parcel(path=path))
    assert caught.value.code == "DLV-021"


def test_a_read_that_breaks_leaves_nothing(folder):
    def broken():
        yield b"half"
        raise TarnhelmError(errors_of("BLB-003"))

    one = parcel()
    broken_one = Parcel(one.object_id, "p", one.facts, 5, one.sha256, one.path, broken)
    with pytest.raises(TarnhelmError):
        folder.deliver(broken_one)
    assert files(folder) == []


def errors_of(code):
    from tarnhelm.common.errors import CATALOGUE

    return CATALOGUE[code]


def test_what_a_crash_left_is_removed_an_hour_later(tmp_path):
    incoming = tmp_path / "out/.incoming"
    incoming.mkdir(parents=True)
    (incoming / "1-old").write_bytes(b"x")
    (incoming / "1-new").write_bytes(b"x")
    os.utime(incoming / "1-old", (1, 1))
    FolderDestination("disk", FolderDestinationSettings(tmp_path / "out")).deliver(parcel())
    assert [path.name for path in incoming.iterdir()] == ["1-new"]


def test_a_notice_is_written_once_and_only_our_own_copies_go(folder, tmp_path):
    folder.deliver(parcel())
    folder.deliver(parcel(b"other", "TH-2/study/series/0001.dcm"))
    foreign = tmp_path / "out/TH-1/study/series/0002.dcm"
    foreign.write_bytes(b"somebody's")
    paths = ("TH-1/study/series/0001.dcm", "TH-1/study/series/0002.dcm", "TH-1/study/series/0003.dcm")
    contents = {path: frozenset({hashlib.sha256(b"bytes").hexdigest()}) for path in paths}
    notice = Notice("ab" * 32, "p", ("TH-1",), (), paths, contents, b'{"document":{}}')
    for _ in range(2):
        folder.withdraw(notice)
    assert files(folder) == ["TH-1/study/series/0002.dcm", "TH-2/study/series/0001.dcm", f"withdrawn/{'ab' * 32}.json"]
    foreign.unlink()
    folder.deliver(parcel())
    folder.withdraw(notice)
    assert not (tmp_path / "out/TH-1").exists()


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=False).returncode:
        pytest.skip("mounting a small file system needs root and the right to mount")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_waits_and_loses_nothing(tmp_path, small_disk):
    world = World(tmp_path / "world")
    destination = FolderDestination("disk", FolderDestinationSettings(small_disk / "out"))
    big = small_disk / "big"
    big.write_bytes(b"x" * 56_000)
    contents = {world.verified(number): number for number in range(1, 31)}
    with world.running(route(destination)):
        until(lambda: world.events("destination-paused"))
        assert "GTW-004" in {line["code"] for line in world.events("delivery-waits")}
        assert world.state.counts().get(State.VERIFIED)
        big.unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
        all_released(world, 30)
    assert len(files(destination)) == len(contents)
    world.close()


def test_a_full_disk_has_a_code_of_its_own(folder, monkeypatch):
    def full(_work, _parcel):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(FolderDestination, "_write", staticmethod(full))
    with pytest.raises(TarnhelmError) as caught:
        folder.deliver(parcel())
    assert caught.value.code == "GTW-004"


def test_a_folder_that_is_not_there_waits(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    destination = FolderDestination("disk", FolderDestinationSettings(Path(tmp_path / "file" / "out")))
    for call in (lambda: destination.deliver(parcel()), lambda: destination.withdraw(Notice("a" * 64, "p", (), ()))):
        with pytest.raises(TarnhelmError) as caught:
            call()
        assert caught.value.code == "DLV-006"
