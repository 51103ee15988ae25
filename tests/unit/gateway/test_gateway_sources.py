"""What is found in IN, and what an archive cannot do."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from tarnhelm.common.limits import Limits
from tarnhelm.gateway.sources import Source, SourceWalk, is_archive


def walk(root: Path, spool: Path, **limits: int) -> list[Source]:
    spool.mkdir(exist_ok=True)
    return list(SourceWalk((root,), spool, Limits(**limits)))


def make_zip(path: Path, entries: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def make_tar(path: Path, entries: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


def test_folders_are_walked_in_a_stable_order_without_circles_pipes_and_devices(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in ("b/2", "a/1", "a/c/3", "0"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * 3)
    os.mkfifo(root / "pipe")
    (root / "circle").symlink_to(root, target_is_directory=True)
    found = walk(root, tmp_path / "spool")
    assert [source.path.relative_to(root).as_posix() for source in found] == ["0", "a/1", "a/c/3", "b/2"]
    assert SourceWalk((root,), tmp_path / "spool").count() == (4, 12)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_entries_of_archives_become_numbered_files_whatever_their_names(make: object, tmp_path: Path) -> None:
    root, spool = tmp_path / "in", tmp_path / "spool"
    root.mkdir()
    suffix = ".zip" if make is make_zip else ".tar.gz"
    make(root / f"cd{suffix}", {"../../evil": b"one", "/etc/cron.d/evil": b"two", "Doe^Jane/1.dcm": b"three"})  # type: ignore[operator]
    found = walk(root, spool)
    assert [source.path.read_bytes() for source in found] == [b"one", b"two", b"three"]
    assert all(source.path.parent == spool and source.path.name.startswith("raw-") for source in found)
    assert all(source.temporary and source.member.isdigit() for source in found)
    assert not (tmp_path / "evil").exists()


def test_an_archive_in_an_archive_is_opened_and_found_again_by_its_place(tmp_path: Path) -> None:
    inner = tmp_path / "inner.zip"
    make_zip(inner, {"a": b"deep"})
    root = tmp_path / "in"
    root.mkdir()
    make_zip(root / "outer.zip", {"x": b"flat", "inner.zip": inner.read_bytes()})
    found = walk(root, tmp_path / "spool")
    assert [source.member for source in found] == ["0", "1/0"]
    assert found[1].path.read_bytes() == b"deep"
    again = SourceWalk((root,), tmp_path / "spool").find(found[1].place, "1/0")
    assert again is not None
    assert again.path.read_bytes() == b"deep"


def test_a_zip_bomb_ends_with_a_code_and_leaves_nothing_large(tmp_path: Path) -> None:
    root, spool = tmp_path / "in", tmp_path / "spool"
    root.mkdir()
    make_zip(root / "bomb.zip", {"zeros": bytes(300 << 20)})
    found = walk(root, spool)
    assert [source.error.code for source in found if source.error] == ["LIM-011"]
    assert sum(path.stat().st_size for path in spool.iterdir()) == 0


def test_too_many_entries_and_too_large_an_entry_end_with_a_code(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    make_zip(root / "many.zip", {str(n): b"" for n in range(20)})
    found = walk(root, tmp_path / "spool", max_archive_entries=10)
    assert found[-1].error is not None
    assert found[-1].error.code == "LIM-011"
    make_zip(root / "many.zip", {"large": os.urandom(1 << 16)})
    found = walk(root, tmp_path / "spool", max_object_bytes=1 << 15)
    assert found[-1].error is not None
    assert found[-1].error.code == "LIM-001"


def test_damaged_and_cut_archives_end_with_a_code(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    make_zip(root / "cut.zip", {"a": os.urandom(5000), "b": os.urandom(5000)})
    (root / "cut.zip").write_bytes((root / "cut.zip").read_bytes()[:6000])
    found = walk(root, tmp_path / "spool")
    assert found[-1].error is not None
    assert found[-1].error.code == "GTW-007"


def test_a_dicom_file_that_is_a_zip_too_is_a_dicom_file(tmp_path: Path) -> None:
    polyglot = tmp_path / "image.zip"
    polyglot.write_bytes(b"PK\x03\x04".ljust(128, b"\0") + b"DICM" + bytes(10))
    assert not is_archive(polyglot)
