"""What PS3.15 Annex E says of attributes (Table E.1-1) and of content items (Table E.3.4-1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.standard.dictionary import keyword_of
from tarnhelm.metadata.core.standard.load import table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CURVES",
    "OVERLAY_COMMENTS",
    "OVERLAY_DATA",
    "PRIVATE",
    "AttributeRule",
    "ContentItemRule",
    "attribute_rule",
    "attribute_rules",
    "content_item_rule",
    "content_item_rules",
    "edition",
    "repeating_rules",
]

CURVES: Final = "50xxxxxx"
OVERLAY_COMMENTS: Final = "60xx4000"
OVERLAY_DATA: Final = "60xx3000"
PRIVATE: Final = "PRIVATE"
_SNOMED_RT: Final = frozenset({"SRT", "SNM3", "99SDM"})
"""Designators of the retired SNOMED-RT style codes, which PS3.15 E.3.4 wants recognised."""


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """One row of Table E.1-1.

    Attributes
    ----------
    tag
        ``group << 16 | element`` of the attribute asked for; of a row for many tags (curves, overlays,
        private attributes) the tag that was asked for, or 0 where the rows are listed.
    pattern
        The tag column as eight hexadecimal digits, ``x`` for any digit, or ``PRIVATE``.
    keyword, name
        As PS3.6 and the table write them.
    basic
        Action code of the Basic Profile: ``X``, ``Z``, ``D``, ``U`` or a compound such as ``X/Z/D``.
    options
        Option (``retain_uids``, ``clean_descriptors`` …) to its code, ``K`` or ``C``; absent where the cell is empty.
    retired, in_standard
        Retired in PS3.6; part of a standard composite IOD of PS3.3.
    """

    tag: int
    pattern: str
    keyword: str
    name: str
    basic: str
    options: Mapping[str, str]
    retired: bool
    in_standard: bool

    @property
    def label(self) -> str:
        """The tag as the table prints it, for example ``(0010,0010)``."""
        return "(odd group)" if self.pattern == PRIVATE else f"({self.pattern[:4]},{self.pattern[4:]})"


@dataclass(frozen=True, slots=True)
class ContentItemRule:
    """One row of Table E.3.4-1: a concept name and the value type for which the row holds."""

    scheme: str
    code: str
    value_type: str
    meaning: str
    basic: str
    options: Mapping[str, str]
    retired: bool


def _options(letters: str, names: tuple[str, ...], known: dict[str, Mapping[str, str]]) -> Mapping[str, str]:
    found = known.get(letters)
    if found is None:
        cells = {name: letter for name, letter in zip(names, letters, strict=True) if letter != "-"}
        found = known[letters] = MappingProxyType(cells)
    return found


def _keyword(name: str) -> str:
    """PS3.6 makes keywords of names this way: needed for attributes newer than the dictionary."""
    words = name.replace("'s ", " ").replace("-", " ").split()
    return "".join(letter for word in words for letter in word[:1].upper() + word[1:] if letter.isalnum())


@cache
def _attributes() -> tuple[Mapping[int, AttributeRule], Mapping[str, AttributeRule]]:
    document = table("attributes")
    columns = tuple(document["options"])
    shared: dict[str, Mapping[str, str]] = {}
    single: dict[int, AttributeRule] = {}
    repeating: dict[str, AttributeRule] = {}
    for pattern, name, basic, letters, flags in document["rows"]:
        options = _options(letters, columns, shared)
        many = pattern == PRIVATE or "x" in pattern
        tag = 0 if many else int(pattern, 16)
        keyword = _keyword(name) if many else keyword_of(tag) or _keyword(name)
        rule = AttributeRule(tag, pattern, keyword, name, basic, options, "R" in flags, "S" in flags)
        if many:
            repeating[pattern] = rule
        else:
            single[tag] = rule
    return MappingProxyType(single), MappingProxyType(repeating)


def edition() -> str:
    """Give the edition of PS3.15 that the tables were made from, for example ``2026d``."""
    return _edition()


@cache
def _edition() -> str:
    return str(table("attributes")["edition"])


def attribute_rules() -> Mapping[int, AttributeRule]:
    """Every row of Table E.1-1 that names one tag."""
    return _attributes()[0]


def repeating_rules() -> Mapping[str, AttributeRule]:
    """Give the rows that name many tags: curves, overlay data, overlay comments, private attributes."""
    return _attributes()[1]


def attribute_rule(tag: int) -> AttributeRule | None:
    """Give the row of Table E.1-1 that covers ``tag``, or None.

    A rule by keyword never meets a repeating group, so groups are matched by number: every even group
    5000 to 50FF is curve data (PS3.5 Section 7.6 only uses 5000 to 501E, older writers used more), the
    overlay rows hold for 6000 to 60FF alike, and an odd group is private whatever its number.
    """
    single, repeating = _attributes()
    found = single.get(tag)
    if found is not None:
        return found
    pattern = _pattern_of(tag)
    row = repeating.get(pattern)
    if row is None:
        return None
    return AttributeRule(tag, row.pattern, row.keyword, row.name, row.basic, row.options, row.retired, row.in_standard)


def _pattern_of(tag: int) -> str:
    group, element = tag >> 16, tag & 0xFFFF
    if group & 1:
        return PRIVATE
    if group >> 8 == 0x50:
        return CURVES
    if group >> 8 == 0x60:
        return f"60xx{element:04X}"
    return ""


@cache
def _content_items() -> tuple[Mapping[tuple[str, str], tuple[ContentItemRule, ...]], Mapping[str, str]]:
    document = table("content_items")
    columns = tuple(document["options"])
    shared: dict[str, Mapping[str, str]] = {}
    found: dict[tuple[str, str], tuple[ContentItemRule, ...]] = {}
    for scheme, code, value_type, meaning, basic, letters, flags in document["rows"]:
        options = _options(letters, columns, shared)
        rule = ContentItemRule(scheme, code, value_type, meaning, basic, options, "R" in flags)
        found[scheme, code] = (*found.get((scheme, code), ()), rule)
    return MappingProxyType(found), MappingProxyType(document["snomed_rt"])


def content_item_rules() -> tuple[ContentItemRule, ...]:
    """Every row of Table E.3.4-1."""
    return tuple(rule for rules in _content_items()[0].values() for rule in rules)


def content_item_rule(scheme: str, code: str, value_type: str | None = None) -> ContentItemRule | None:
    """Give the row for a content item's concept name, or None.

    Seven concepts have a row per value type. Without ``value_type``, or with one that has no row, the row
    that removes is given rather than one that replaces. The SNOMED-RT style code of a listed SNOMED CT
    concept finds the same row (PS3.15 Section E.3.4).
    """
    rules, snomed_rt = _content_items()
    if scheme in _SNOMED_RT:
        scheme, code = "SCT", snomed_rt.get(code, code)
    candidates = rules.get((scheme, code))
    if candidates is None:
        return None
    exact = next((rule for rule in candidates if rule.value_type == value_type), None)
    if exact is not None:
        return exact
    return next((rule for rule in candidates if rule.basic == "X"), candidates[0])
