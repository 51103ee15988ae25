"""Names of attributes: the keywords and names of PS3.6, with repeating groups.

The dictionary is pydicom's. Keywords are found in any case; the long name (``Patient's Name``) and the old
keywords made of it (``PatientsName``) are understood too, because recipes written for other tools use them.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AttributeName", "attribute_names", "describe_tag", "dictionary_keywords", "find_by_name", "plain"]

_GROUP_PARITY = 0x0001_0000


@dataclass(frozen=True, slots=True)
class AttributeName:
    """One row of the dictionary.

    Attributes
    ----------
    value, mask
        A tag ``t`` is this attribute if ``t & mask == value``. For a repeating group the mask leaves the
        varying digits out, but not the parity of the group: odd groups are private (PS3.5 section 7.6).
    keyword, name
        As in PS3.6 table 6-1.
    vr
        The first of the VRs that the dictionary allows.
    """

    value: int
    mask: int
    keyword: str
    name: str
    vr: str

    @property
    def exact(self) -> bool:
        """Whether this is one tag and not a repeating group."""
        return self.mask == 0xFFFF_FFFF


def plain(text: str) -> str:
    """Lower case, letters and digits only: the form in which names are compared."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


@functools.cache
def attribute_names() -> tuple[AttributeName, ...]:
    """All rows of the dictionary that have a keyword, single tags first."""
    rows = [
        AttributeName(tag, 0xFFFF_FFFF, keyword, name, vr[:2])
        for tag, (vr, _, name, _, keyword) in DicomDictionary.items()
        if keyword
    ]
    for digits, (vr, _, name, _, keyword) in RepeatersDictionary.items():
        value, mask = _masked(digits)
        rows.append(AttributeName(value, mask, keyword, name, vr[:2]))
    return tuple(rows)


def _masked(digits: str) -> tuple[int, int]:
    value = int(digits.lower().replace("x", "0"), 16)
    mask = int("".join("0" if digit in "xX" else "F" for digit in digits), 16)
    if not mask & _GROUP_PARITY:
        mask |= _GROUP_PARITY
    return value & mask, mask


@functools.cache
def _by_keyword() -> Mapping[str, AttributeName]:
    return {row.keyword.lower(): row for row in reversed(attribute_names())}


@functools.cache
def _by_name() -> Mapping[str, AttributeName]:
    return {plain(row.name): row for row in reversed(attribute_names())}


@functools.cache
def _by_tag() -> Mapping[int, AttributeName]:
    return {row.value: row for row in attribute_names() if row.exact}


@functools.cache
def dictionary_keywords() -> tuple[str, ...]:
    """All keywords, for suggestions."""
    return tuple(row.keyword for row in attribute_names())


def find_by_name(text: str) -> AttributeName | None:
    """Find an attribute by keyword or name, in any case; ``None`` if the dictionary has none."""
    row = _by_keyword().get(text.lower())
    return row if row is not None else _by_name().get(plain(text))


@functools.lru_cache(maxsize=8192)
def describe_tag(tag: int) -> AttributeName | None:
    """Return the dictionary's row for a tag; repeating groups included, ``None`` for private and unknown tags."""
    row = _by_tag().get(tag)
    if row is not None:
        return row
    for candidate in attribute_names():
        if not candidate.exact and tag & candidate.mask == candidate.value:
            return candidate
    return None
