"""Tag, value representation, keyword and name of PS3.6, without loading a DICOM library.

Importing pydicom costs a worker some 200 ms; this table costs a twentieth of that, and only when asked.
"""

from __future__ import annotations

import re
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from tarnhelm.metadata.core.standard.load import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "DictionaryRow",
    "dictionary_rows",
    "is_known_attribute",
    "is_repeating",
    "keyword_of",
    "known_attributes",
    "tag_of",
    "vr_of",
]

_DIGITS: Final = {False: "F", True: "0"}
_BETWEEN_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z0-9])(?=[A-Z][a-z])")


class DictionaryRow(NamedTuple):
    """One row of PS3.6: a tag ``t`` is meant if ``t & mask == value``.

    The VR is empty where PS3.6 has none, and ``US or SS`` where it leaves the choice.
    """

    value: int
    mask: int
    vr: str
    keyword: str
    name: str


_Entry = tuple[str, str, str]
"""VR, keyword, and the name where it is not the keyword's words (see :func:`_name`)."""


@cache
def _entries() -> tuple[Mapping[int, _Entry], tuple[tuple[int, int, _Entry], ...]]:
    """Single tags, and (mask, value, entry) of the repeating groups."""
    single: dict[int, _Entry] = {}
    repeating: list[tuple[int, int, _Entry]] = []
    for tag, vr, keyword, *name in table("dictionary")["rows"]:
        entry = vr, keyword, name[0] if name else ""
        if "x" in tag:
            mask = int("".join(_DIGITS[digit == "x"] for digit in tag), 16)
            repeating.append((mask, int(tag.replace("x", "0"), 16), entry))
        else:
            single[int(tag, 16)] = entry
    return MappingProxyType(single), tuple(repeating)


def _find(tag: int) -> _Entry | None:
    single, repeating = _entries()
    found = single.get(tag)
    if found is not None:
        return found
    if (tag >> 16) & 1:
        return None
    for mask, value, entry in repeating:
        if tag & mask == value:
            return entry
    return None


def _name(entry: _Entry) -> str:
    """Name of an attribute; four of five are the words of the keyword, and the table leaves those out."""
    return entry[2] or _BETWEEN_WORDS.sub(" ", entry[1])


def dictionary_rows() -> Iterator[DictionaryRow]:
    """Give every row that has a keyword, single tags first."""
    single, repeating = _entries()
    everything = [(tag, 0xFFFF_FFFF, entry) for tag, entry in single.items()]
    everything += [(value, mask, entry) for mask, value, entry in repeating]
    for value, mask, entry in everything:
        if entry[1]:
            yield DictionaryRow(value, mask, "" if entry[0] == "NONE" else entry[0], entry[1], _name(entry))


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
    return {keyword: tag for tag, (_, keyword, _) in _entries()[0].items() if keyword}


def tag_of(keyword: str) -> int | None:
    """Give the tag of a keyword, exact in case; None for unknown keywords and for those of repeating groups."""
    return _tags().get(keyword)
