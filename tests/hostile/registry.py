"""The register of hostile files: a name, bytes, and whether they may be cleaned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["CASES", "MAY_PASS", "case"]

Case = Callable[[], bytes]
CASES: Final[dict[str, Case]] = {}
MAY_PASS: Final[set[str]] = set()
"""Odd, but understood in whole: these may be cleaned. All others must not come out."""


def case(*, may_pass: bool = False) -> Callable[[Case], Case]:
    """Register a hostile file under the name of its function."""

    def register(make: Case) -> Case:
        CASES[make.__name__] = make
        if may_pass:
            MAY_PASS.add(make.__name__)
        return make

    return register
