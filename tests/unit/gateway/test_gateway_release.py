"""Only the bytes that were judged get a name in OUT, and no name is taken from anybody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.keys import GatewayKeys
from tarnhelm.gateway.release import Delivery, FileMark, candidate_paths, deliver, sha256_of
from tarnhelm.gateway.run.workspace import Workspace


def delivery(tmp_path: Path, name: str = "x.dcm", content: bytes = b"clean") -> Delivery:
    work = tmp_path / "work" / "one.part"
    work.parent.mkdir(exist_ok=True)
    (tmp_path / "out").mkdir(exist_ok=True)
    work.write_bytes(content)
    return Delivery("one", str(work), str(tmp_path / "out" / "s" / name), FileMark.of(work), sha256_of(work))


def test_a_verified_file_gets_its_name(tmp_path: Path) -> None:
    one = delivery(tmp_path)
    assert deliver([one]) == {"one": ""}
    assert Path(one.target).read_bytes() == b"clean"
    assert not Path(one.work).exists()


def test_a_file_touched_after_its_verdict_stays_where_it_is(tmp_path: Path) -> None:
    one = delivery(tmp_path)
    Path(one.work).write_bytes(b"dirty")
    os.utime(one.work, ns=(1, 1))
    assert deliver([one]) == {"one": "changed"}
    assert not Path(one.target).exists()


def test_a_file_swapped_for_a_link_stays_where_it_is(tmp_path: Path) -> None:
    one = delivery(tmp_path)
    Path(one.work).rename(tmp_path / "elsewhere")
    Path(one.work).symlink_to(tmp_path / "elsewhere")
    assert deliver([one]) == {"one": "changed"}


def test_another_file_of_that_name_is_never_overwritten(tmp_path: Path) -> None:
    one = delivery(tmp_path)
    Path(one.target).parent.mkdir()
    Path(one.target).write_bytes(b"somebody's")
    assert deliver([one]) == {"one": "taken"}
    assert Path(one.target).read_bytes() == b"somebody's"


def test_the_same_bytes_of_that_name_are_a_release_that_a_crash_kept_from_being_recorded(tmp_path: Path) -> None:
    one = delivery(tmp_path)
    Path(one.target).parent.mkdir()
    Path(one.target).write_bytes(b"clean")
    assert deliver([one]) == {"one": ""}


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    one = delivery(tmp_path)
    Path(one.target).parent.write_bytes(b"a file where a folder should be")
    assert deliver([one]) == {"one": "space"}


@given(st.text(max_size=80), st.text(max_size=20), st.integers(-5, 10**9))
def test_output_paths_stay_inside_and_the_last_one_is_nobody_elses(subject: str, uid: str, number: int) -> None:
    facts = ObjectFacts(subject_id=subject, study_uid=uid, series_uid=uid, sop_uid=uid, instance_number=number)
    for path in (paths := candidate_paths(facts, "f" * 32)):
        parts = path.split("/")
        assert len(parts) == 4
        assert all(part and part not in (".", "..") and part.isascii() and "\\" not in part for part in parts)
        assert len(path) < 160
    assert "f" * 32 in paths[-1]


def test_work_is_private_empty_and_gone_afterwards(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    first = Workspace(out, tmp_path / "state", "name")
    first.target("one").write_bytes(b"unverified")
    assert first.folder.stat().st_mode & 0o777 == 0o700
    assert not list(out.iterdir())
    second = Workspace(out, tmp_path / "state", "name")  # after a crash
    assert not list(second.folder.iterdir()) or [path.name for path in second.folder.iterdir()] == []
    second.remove()
    assert not second.folder.exists()


def test_an_out_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TarnhelmError) as caught:
        Workspace(tmp_path / "missing", tmp_path / "state", "name")
    assert caught.value.code == "RUN-013"


def test_places_open_only_with_the_key_and_only_for_their_object(tmp_path: Path) -> None:
    keys = GatewayKeys.open(tmp_path / "state")
    sealed = keys.seal_place("/scans/Doe^Jane/1.dcm", "3", "one")
    assert b"Doe" not in sealed
    assert GatewayKeys.open(tmp_path / "state").open_place(sealed, "one") == ("/scans/Doe^Jane/1.dcm", "3")
    for keyring, owner in ((keys, "two"), (GatewayKeys.open(tmp_path / "other"), "one")):
        with pytest.raises(TarnhelmError):
            keyring.open_place(sealed, owner)
    assert (tmp_path / "state" / "gateway.key").stat().st_mode & 0o777 == 0o600
    assert keys.object_id("a", b"x" * 32) != keys.object_id("b", b"x" * 32)
