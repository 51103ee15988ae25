"""``tarnhelm config``: check, schema, publish, keys; and the examples that deployments start from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tarnhelm.cli.main import run
from tarnhelm.cli.services import TarnhelmServices

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tarnhelm(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "user"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments, code=0):
        ended = run([str(argument) for argument in arguments], TarnhelmServices())
        said = capfd.readouterr()
        assert ended == code, said
        return said

    return call


@pytest.mark.parametrize("name", ["compose", "systemd"])
def test_the_examples_of_deployments_can_be_used(tarnhelm, name):
    path = ROOT / "deploy" / name / "gateway.yaml"
    assert "trial-7" in tarnhelm("config", "check", path).out
    schema = json.loads(tarnhelm("config", "schema").out)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_mistakes_are_told_with_their_places_and_a_bad_recipe_with_its_own(tarnhelm, tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text("state_dir: x\nprojects: {lung: {recipe_file: my.recipe}}\ndors: {}\n")
    said = tarnhelm("config", "check", path, code=2).err
    assert "CFG-001" in said
    assert "line 3, column 1: dors: it is no key of this section; did you mean doors?" in said
    path.write_text("state_dir: x\nprojects: {lung: {recipe_file: my.recipe}}\n")
    assert "CFG-002" in tarnhelm("config", "check", path, code=2).err
    (tmp_path / "my.recipe").write_text("FORMAT dicom\n%header\nREMOV PatientName\n")
    assert "REMOVE" in tarnhelm("config", "check", path, code=2).err
    path.write_text("state_dir: x\nprojects: {lung: {}}\ndoors: {folder: [{folder: in, project: other}]}\n")
    assert "CFG-003" in tarnhelm("config", "check", path, code=2).err
    assert "CFG-002" in tarnhelm("config", "check", tmp_path / "none.yaml", code=2).err


def test_a_plan_is_published_once_and_a_changed_recipe_is_a_new_one(tarnhelm, tmp_path):
    tarnhelm("project", "create", "lung")
    path = tmp_path / "gateway.yaml"
    path.write_text("state_dir: state\nprojects: {lung: {}}\n")
    assert "new" in tarnhelm("config", "publish", path).out
    assert "as before" in tarnhelm("config", "publish", path).out
    path.write_text("state_dir: state\nprojects: {lung: {profiles: [basicProfile, rtnPatCharsOpt]}}\n")
    # The project is pinned to what it began with: another recipe is a decision of its own.
    assert "LNK-003" in tarnhelm("config", "publish", path, code=2).err


def test_keys_are_made_once(tarnhelm, tmp_path):
    tarnhelm("config", "keys", tmp_path / "keys")
    before = {path: path.read_bytes() for path in (tmp_path / "keys").rglob("*") if path.is_file()}
    assert len(before) == 10
    assert all(path.stat().st_mode & 0o077 == 0 for path in before if not path.name.endswith(".pub.pem"))
    tarnhelm("config", "keys", tmp_path / "keys")
    assert before == {path: path.read_bytes() for path in (tmp_path / "keys").rglob("*") if path.is_file()}


def test_a_part_that_is_not_installed_is_named_and_no_traceback(tarnhelm, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "grpc" or name.endswith("_pb2_grpc")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert "CFG-007" in tarnhelm("watch", "--once", code=2).err
