"""Opens the committed tables, each at its first use and once per process."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

__all__ = ["TABLES", "digest", "table"]

TABLES: Final = ("attributes", "content_items", "dictionary", "iods", "safe_private", "uids")
_DATA: Final = Path(__file__).with_name("data")


def table(name: str) -> dict[str, Any]:
    """One table as ``tools/build_standard.py`` wrote it; the caller keeps its own form of it."""
    document: dict[str, Any] = json.loads(_DATA.joinpath(f"{name}.json").read_bytes())
    return document


@cache
def digest() -> str:
    """Sha256 (hex) over all tables: what a project pins when it pins an edition of the standard."""
    total = sha256()
    for name in TABLES:
        total.update(sha256(_DATA.joinpath(f"{name}.json").read_bytes()).digest())
    return total.hexdigest()
