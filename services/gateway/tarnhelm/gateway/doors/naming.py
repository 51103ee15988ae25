"""The names of doors, which stand in metrics, events and records."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["check_name"]

_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,40}", re.ASCII)


def check_name(name: str) -> None:
    """Raise ValueError where a name is no name of a door."""
    if not _NAME.fullmatch(name):
        raise ValueError("the name of a door has letters, digits and hyphens")
