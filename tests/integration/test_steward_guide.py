"""What the steward's guide shows is what the command takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tarnhelm.linkage.vaults.login import AppRole
from tarnhelm.reveal.steward.settings import read_settings
from tarnhelm.reveal.steward.tool.main import build
from tarnhelm.reveal.tool.main import build as build_reveal

GUIDE = Path(__file__).parents[2] / "docs/guides/steward.md"
TEXT = GUIDE.read_text(encoding="utf-8")


def shown() -> list[list[str]]:
    """Every command line of the guide, in words."""
    blocks = re.findall(r"^```console\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ tarnhelm-")]


@pytest.mark.parametrize("words", shown(), ids=" ".join)
def test_every_command_of_the_guide_is_one(words: list[str]) -> None:
    command: Any = get_command(build() if words[0] == "tarnhelm-steward" else build_reveal())
    rest = words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    assert not hasattr(command, "commands"), words
    options = {name for one in command.params for name in one.opts}
    assert [word for word in rest if word.startswith("--") and word not in options] == []


def test_every_command_of_the_steward_that_changes_something_is_in_the_guide() -> None:
    named = {" ".join(words[1:3]) for words in shown()}
    groups = get_command(build()).commands  # type: ignore[attr-defined]
    every = {f"{group} {name}" for group, one in groups.items() for name in one.commands}
    looking = {
        "project list",
        "project show",
        "case list",
        "case show",
        "case deny",
        "case papers",
        "certificate check",
    }
    assert every - named == looking


def test_the_settings_of_the_guide_are_settings(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    path = tmp_path / "steward.toml"
    path.touch(mode=0o600)
    path.write_text(text)
    found = read_settings(path)
    assert found is not None
    assert isinstance(found.login, AppRole)
    assert isinstance(found.backup, AppRole)
    assert found.login != found.backup
    assert found.database_file == Path("/etc/tarnhelm/ledger-owner.address")
