from __future__ import annotations

import re
from pathlib import Path

import pytest

from tarnhelm.metadata.core.text import Identifiers, TextCleaner

PAGE = (Path(__file__).parents[4] / "docs/reference/text-cleaning.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)
PATIENT = Identifiers.build(names=["SMITHERS^JOHN"], ids=["MRN00123456"], dates=["19610304"])


def test_the_page_has_examples():
    assert len(EXAMPLES) > 8


@pytest.mark.parametrize(("text", "kept"), EXAMPLES)
def test_examples_of_the_page_hold(text, kept):
    assert TextCleaner().clean(text, PATIENT).text == kept
