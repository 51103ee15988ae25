"""The file of a result: new, or one that is written over."""

from __future__ import annotations

import hashlib

import pytest

from tarnhelm.metadata.core.rewriting.target import write_new

PARTS = [b"head", memoryview(bytes(100_000)), b"tail"]
WHOLE = b"".join(PARTS)


def test_a_result_is_written_once_and_hashed(tmp_path):
    assert write_new(tmp_path / "a", PARTS) == hashlib.sha256(WHOLE).hexdigest()
    assert (tmp_path / "a").read_bytes() == WHOLE
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert write_new(tmp_path / "b", PARTS, hashed=False) == ""


def test_what_is_there_already_is_an_error(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", PARTS)


@pytest.mark.parametrize("before", [None, 0, 10, len(WHOLE), 1_000_000])
def test_written_over_it_holds_nothing_of_what_was_there(tmp_path, before):
    if before is not None:
        (tmp_path / "a").write_bytes(b"x" * before)
    assert write_new(tmp_path / "a", PARTS, overwrite=True) == hashlib.sha256(WHOLE).hexdigest()
    assert (tmp_path / "a").read_bytes() == WHOLE


def test_no_link_is_written_through(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"kept")
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="a"):
        write_new(tmp_path / "a", PARTS, overwrite=True)
    assert (tmp_path / "elsewhere").read_bytes() == b"kept"
