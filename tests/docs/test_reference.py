"""The reference pages that are made by hand say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tarnhelm.cli.report.words import ACTIONS, FINDINGS, action_word
from tarnhelm.cli.report.write import _COLUMNS
from tarnhelm.metadata.core.recipe.vocabulary import ActionName

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/report.md").read_text("utf-8")


def _rows(name: str) -> dict[str, str]:
    table = PAGE.split(f"<!-- {name} -->")[1].split("<!-- end -->")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.MULTILINE))


def test_the_words_of_a_report_are_explained_once() -> None:
    assert _rows("actions") == {word: meaning for word, (_, meaning) in ACTIONS.items()}
    assert _rows("findings") == FINDINGS


def test_every_action_of_a_recipe_has_a_meaning_in_the_report() -> None:
    assert {action_word(str(action)) for action in ActionName} <= set(ACTIONS)


def test_every_finding_of_the_cleaner_has_a_meaning_in_the_report() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "services/metadata").rglob("*.py"))
    named = set(re.findall(r'findings\.append\(\(?"([a-z-]+)"', source))
    named |= set(re.findall(r'findings\["([a-z-]+)"', source))
    named |= set(re.findall(r'flags\.put\(.*, "([a-z-]+)"\)', source))
    streams = "".join(path.read_text("utf-8") for path in (ROOT / "services/common").rglob("codestream_*.py"))
    named |= {f"codestream-{name}" for name in re.findall(r'removed\["([a-z-]+)"\] \+=', streams)}
    assert len(named) >= 8
    assert named <= set(FINDINGS)


def test_the_columns_of_the_table_are_those_of_the_page() -> None:
    section = PAGE.split("## objects.csv")[1].split("## ")[0]
    assert tuple(re.findall(r"`(\w+)`", section)) == _COLUMNS


@pytest.mark.parametrize("name", ["build_cli_reference", "build_catalogue_reference"])
def test_the_generated_pages_are_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.setattr("sys.argv", [name, "--check"])
    assert __import__(name).main() == 0, f"run python tools/{name}.py"
