"""The reference page says what the classes do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarnhelm.metadata.core.pseudo import describe
from tarnhelm.metadata.core.pseudo.reference import evaluate, reference_markdown, replaced

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "pseudo.md"

EXAMPLES = [(one.name, example) for one in describe() for example in one.examples]


def test_the_page_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert replaced(text) == text, "run: python -m tarnhelm.metadata.core.pseudo.reference docs/reference/pseudo.md"


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{name}-{example.value}" for name, example in EXAMPLES])
def test_every_example_yields_what_the_page_shows(name, example):
    assert evaluate(name, example) == example.result


@pytest.mark.parametrize("one", describe(), ids=lambda one: one.name)
def test_every_class_is_explained(one):
    assert one.examples
    assert one.summary.endswith(".")
    section = reference_markdown().split(f"### {one.name}\n")[1].split("\n### ")[0]
    for parameter in one.parameters:
        assert f"| `{parameter}` |" in section
