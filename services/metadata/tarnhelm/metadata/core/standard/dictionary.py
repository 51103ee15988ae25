"""Tag, value representation and keyword of PS3.6, without loading a DICOM library.

Importing pydicom costs a worker some 200 ms; this table costs a twentieth of that, and only when asked.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.standard.load import table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_known_attribute", "is_repeating", "keyword_of", "known_attributes", "tag_of", "vr_of"]

_DIGITS: Final = {False: "F", True: "0"}


@cache
def _entries() -> tuple[Mapping[int, tuple[str, str]], tuple[tuple[int, int, str, str], ...]]:
    """Single tags, and (mask, value, VR, keyword) of the repeating groups."""
    single: dict[int, tuple[str, str]] = {}
    repeating: list[tuple[int, int, str, str]] = []
    for tag, vr, keyword in table("dictionary")["rows"]:
        if "x" in tag:
            mask = int("".join(_DIGITS[digit == "x"] for digit in tag), 16)
            repeating.append((mask, int(tag.replace("x", "0"), 16), vr, keyword))
        else:
            single[int(tag, 16)] = (vr, keyword)
    return MappingProxyType(single), tuple(repeating)


def _find(tag: int) -> tuple[str, str] | None:
    single, repeating = _entries()
    found = single.get(tag)
    if found is not None:
        return found
    if (tag >> 16) & 1:
        return None
    for mask, value, vr, keyword in repeating:
        if tag & mask == value:
            return vr, keyword
    return None


def is_known_attribute(tag: int) -> bool:
    """Whether PS3.6 defines the tag, retired ones and repeating groups included; private tags never are."""
    return _find(tag) is not None


def known_attributes() -> tuple[int, ...]:
    """Tags of the dictionary, ascending, without the repeating groups."""
    return tuple(sorted(_entries()[0]))


def is_repeating(tag: int) -> bool:
    """Whether PS3.6 defines the tag only through a pattern such as (60xx,3000) or (7Fxx,0010)."""
    return tag not in _entries()[0] and _find(tag) is not None


def vr_of(tag: int) -> str | None:
    """Give the value representation, ``US or SS`` where PS3.6 leaves the choice, None where it has none."""
    found = _find(tag)
    return None if found is None or found[0] == "NONE" else found[0]


def keyword_of(tag: int) -> str | None:
    """Give the keyword, for example ``PatientName``; None for tags that PS3.6 does not define or leaves unnamed."""
    found = _find(tag)
    return found[1] or None if found else None


@cache
def _tags() -> Mapping[str, int]:
    return {keyword: tag for tag, (_, keyword) in _entries()[0].items() if keyword}


def tag_of(keyword: str) -> int | None:
    """Give the tag of a keyword, exact in case; None for unknown keywords and for those of repeating groups."""
    return _tags().get(keyword)
