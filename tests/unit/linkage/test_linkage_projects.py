"""A project's pins hold: they are checked, kept whole, and kept from others."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.private_files import private_directory, read_private, write_private
from tarnhelm.linkage.core.projects import ProjectSettings, ProjectStore, RunPins, differences, state_directory

DIGEST = "a" * 64
OTHER = "b" * 64
NOON = datetime(2026, 11, 24, 12, 0, 0, 999, tzinfo=UTC)


@pytest.fixture
def store(state: Path) -> ProjectStore:
    return ProjectStore(state, clock=lambda: NOON)


def code_of(call, *arguments, **named):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments, **named)
    return caught.value.code


def test_a_project_is_read_back_as_it_was_made(store, state):
    settings = ProjectSettings(
        prefix="LUNG-",
        uid_root="1.2.826.0.1.3680043.10",
        whole_weeks=True,
        placeholders=("", "TEST"),
        default_issuer="HOSP",
        custodian_public_key=bytes(range(32)),
    )
    made = store.create("lung-2026", settings)
    assert ProjectStore(state).get("lung-2026") == made
    assert ProjectStore(state).get(made.id) == made
    assert made.created == "2026-11-24T12:00:00+00:00"
    assert re.fullmatch("[0-9a-f]{32}", made.id)
    assert made.settings == settings


def test_the_prefix_is_made_of_the_label(store):
    assert store.create("lung_cancer-2026").prefix == "LUNGCANC-"
    assert store.create("x").prefix == "X-"


@pytest.mark.parametrize(
    "label",
    [
        "",
        "-x",  # would look like an option
        "a/b",  # never a path
        "..",
        "a b",
        "é",
        "a\n",
        "x" * 49,
    ],
)
def test_a_label_that_could_do_harm_is_refused(store, label):
    assert code_of(store.create, label) == "LNK-004"


@pytest.mark.parametrize(
    "settings",
    [
        ProjectSettings(prefix="lower-"),
        ProjectSettings(prefix="A\\B"),  # a backslash separates values
        ProjectSettings(prefix="X" * 17),
        ProjectSettings(uid_root="1.02"),
        ProjectSettings(custodian_public_key=b"short"),
    ],
)
def test_a_setting_that_is_not_valid_is_refused(store, settings):
    assert code_of(store.create, "x", settings) == "LNK-005"


def test_a_label_is_used_once_in_any_case_of_letters(store):
    store.create("Lung")
    assert code_of(store.create, "lung") == "LNK-002"
    assert code_of(store.get, "lung") == "LNK-001"


def test_the_list_is_sorted_by_label(store):
    for label in ("b", "c", "a"):
        store.create(label)
    assert [project.label for project in store.list()] == ["a", "b", "c"]


def test_a_run_without_a_project_gets_one_of_its_own(store):
    first, second = store.create_anonymous(), store.create_anonymous()
    assert re.fullmatch("run-20261124-[0-9a-f]{12}", first.label)
    assert first.label != second.label
    assert first.prefix == "TH-"
    assert first.anonymous
    assert store.get(first.label) == first


def test_the_first_run_pins_and_the_next_must_agree(store):
    store.create("x")
    wanted = RunPins(DIGEST, ("basicProfile", "rtnUIDsOpt"), "2026d", 1, {"ocr": DIGEST})
    pinned = store.pin("x", wanted)
    assert pinned.pins is not None
    assert store.pin("x", RunPins(DIGEST, ("rtnUIDsOpt", "basicProfile"), "2026d", 1)) == pinned  # order, no model
    assert code_of(store.pin, "x", RunPins(OTHER, wanted.profiles, "2026d", 1)) == "LNK-003"
    assert code_of(store.pin, "x", RunPins(DIGEST, ("basicProfile",), "2026d", 1)) == "LNK-003"
    assert code_of(store.pin, "x", RunPins(DIGEST, wanted.profiles, "2027a", 1)) == "LNK-003"
    assert code_of(store.pin, "x", RunPins(DIGEST, wanted.profiles, "2026d", 2)) == "LNK-003"
    assert code_of(store.pin, "x", RunPins(DIGEST, wanted.profiles, "2026d", 1, {"ocr": OTHER})) == "LNK-003"
    assert store.get("x") == pinned


def test_a_model_that_comes_later_is_added(store):
    store.create("x")
    store.pin("x", RunPins(DIGEST))
    store.pin("x", RunPins(DIGEST, model_weights={"face": OTHER}))
    assert store.get("x").pins == RunPins(DIGEST, model_weights={"face": OTHER})


def test_what_differs_has_a_name():
    assert differences(RunPins(DIGEST, ("a",)), RunPins(OTHER, ("b",))) == ("recipe_digest", "profiles")


def test_a_digest_that_is_none_is_not_pinned(store):
    store.create("x")
    assert code_of(store.pin, "x", RunPins("../../etc")) == "LNK-005"


def test_a_destroyed_project_keeps_its_label(store):
    store.create("x")
    store.mark_destroyed("x")
    assert code_of(store.get, "x") == "LNK-009"
    assert code_of(store.pin, "x", RunPins(DIGEST)) == "LNK-009"
    assert code_of(store.create, "x") == "LNK-002"
    assert [project.destroyed for project in store.list()] == [True]


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},  # a newer version's
        {"derivation_version": 2},
        {"surprise": 1},
        {"settings": {}},
        {"label": "../x", "settings": None},
    ],
)
def test_a_file_that_is_not_understood_is_refused(store, state, change):
    project = store.create("x")
    path = state / "projects" / f"{project.id}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert code_of(store.get, "x") == "LNK-013"
    path.write_text("{")
    assert code_of(store.get, "x") == "LNK-013"


def test_one_damaged_file_hinders_no_other_project(store, state):
    kept, lost = store.create("kept"), store.create("lost")
    (state / "projects" / f"{lost.id}.json").write_bytes(b"{half a")
    assert [project.label for project in store.list()] == ["kept"]
    assert store.damaged() == (lost.id,)
    assert store.get("kept") == kept
    assert store.pin("kept", RunPins(DIGEST)).pins is not None
    assert store.create_anonymous().anonymous
    assert store.mark_destroyed("kept").destroyed


def test_what_a_damaged_file_may_be_is_neither_unknown_nor_made_again(store, state):
    lost = store.create("lost")
    (state / "projects" / f"{lost.id}.json").write_bytes(b"")
    for call in (store.get, store.mark_destroyed, store.create):
        assert code_of(call, "lost") == "LNK-013"
    assert code_of(store.get, lost.id) == "LNK-013"


def test_an_interrupted_write_leaves_the_old_file(store, monkeypatch):
    made = store.create("x")

    def fail(*_):
        raise OSError

    monkeypatch.setattr(Path, "replace", fail)
    assert code_of(store.pin, "x", RunPins(DIGEST)) == "LNK-011"
    monkeypatch.undo()
    assert store.get("x") == made


def test_directories_and_files_are_private_whatever_the_umask(state):
    before = os.umask(0)
    try:
        ProjectStore(state).create("x")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in state.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (state, state / "projects")} == {0o700}


def test_a_directory_that_others_can_enter_is_refused(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    assert code_of(ProjectStore, shared) == "LNK-011"
    link = tmp_path / "link"
    (tmp_path / "real").mkdir(mode=0o700)
    link.symlink_to(tmp_path / "real")
    assert code_of(private_directory, link) == "LNK-011"


def test_a_file_that_others_can_read_is_refused(tmp_path):
    write_private(tmp_path / "key", b"x", replace=False)
    assert code_of(write_private, tmp_path / "key", b"y", replace=False) == "LNK-016"
    assert read_private(tmp_path / "key") == b"x"
    (tmp_path / "key").chmod(0o640)
    assert code_of(read_private, tmp_path / "key") == "LNK-011"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/home/u/.local/state/tarnhelm"),
        ({"XDG_STATE_HOME": "/var/s"}, "/var/s/tarnhelm"),
        ({"XDG_STATE_HOME": "relative"}, "/home/u/.local/state/tarnhelm"),
        ({"XDG_STATE_HOME": "/var/s", "TARNHELM_STATE": "/srv/t"}, "/srv/t"),
        ({"TARNHELM_STATE": ""}, "/home/u/.local/state/tarnhelm"),
    ],
)
def test_where_the_state_lies(environ, expected):
    assert state_directory(environ, Path("/home/u")) == Path(expected)
