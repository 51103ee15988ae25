"""UIDs that the standard defines: they mean the same everywhere, and a file breaks if they are replaced."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from tarnhelm.metadata.core.standard.load import table

__all__ = ["is_standard_uid"]

_CONTEXT_GROUP: Final = re.compile(r"1\.2\.840\.10008\.6\.1\.[1-9][0-9]{0,3}")
"""PS3.6 Table A-3 numbers the context groups of PS3.16 one by one; four digits hold them for long."""


@cache
def _registry() -> frozenset[str]:
    return frozenset(uid for uid, _ in table("uids")["rows"])


def is_standard_uid(uid: str) -> bool:
    """Whether a UID is one of the registry, so that it is kept and never mapped.

    SOP classes, transfer syntaxes, well-known instances and frames of reference (PS3.6 Annex A), coding
    schemes (PS3.6 and PS3.16 Table 8-1) and context groups. Being under NEMA's root is not enough: a
    writer that made its instance UIDs there would carry them through. Padding (NUL, spaces) is ignored.
    """
    plain = uid.rstrip("\0 ")
    return plain in _registry() or _CONTEXT_GROUP.fullmatch(plain) is not None
