"""Names of attributes: the keywords and names of PS3.6, with repeating groups.

The dictionary is the committed table of the standard. Keywords are found in any case; the long name (``Patient's Name``) and the old
keywords made of it (``PatientsName``) are understood too, because recipes written for other tools use them.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarnhelm.metadata.core.standard import dictionary_rows

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
    return tuple(
        AttributeName(row.value, row.mask | _parity(row.mask), row.keyword, row.name, row.vr[:2] or "UN")
        for row in dictionary_rows()
    )


def _parity(mask: int) -> int:
    """Digit of the group's parity, which a repeating group fixes though the dictionary leaves its digit open."""
    return 0 if mask == 0xFFFF_FFFF else _GROUP_PARITY


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
