"""Every page can be found: all of them stand in the navigation, and nothing stands there that is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


def _pages(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    below = entry.values() if isinstance(entry, dict) else entry
    return [page for one in below for page in _pages(one)]


def test_the_navigation_holds_every_page_once() -> None:
    # The file has no tags of its own; only the navigation is read.
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = _pages(yaml.safe_load("nav:" + text.partition("\nnav:")[2])["nav"])
    there = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(there)
