"""Health numbers of the Canadian provinces and territories, by format and check digit.

Two check digits are tested: Ontario's (modulus 10, Ministry of Health, *Health Card Validation Reference Manual*) and
British Columbia's (modulus 11, Ministry of Health, *Client Registry*, conformance standards volume 4B). A Québec number
carries a birth date, as RAMQ describes it. All others are known by their length and grouping only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Evidence", "HealthNumber", "find", "is_british_columbia", "is_ontario", "is_quebec"]


class Evidence(IntEnum):
    """How sure it is that the digits are a health number; a higher value is surer."""

    LENGTH = 1
    """As many digits as a health number has, written in one piece."""
    GROUPING = 2
    """Written in the groups of a health card."""
    CHECKED = 3
    """The check digit fits, or the birth date inside does."""
    LABELLED = 4
    """A label such as ``PHN`` or ``carte soleil`` stands before it."""


@dataclass(frozen=True, slots=True)
class HealthNumber:
    """A find: positions in the text, how sure, and whose format it is (``ON``, ``AB``…; several share one)."""

    start: int
    end: int
    evidence: Evidence
    jurisdictions: tuple[str, ...]


_DIGITS: Final = re.compile(r"(?<![^\W_])(?<![0-9]\.)[0-9](?:[ \-\u2013.]?[0-9]){6,}(?![^\W_])(?!\.[0-9])")
_GROUP: Final = re.compile(r"[0-9]+")
_QUEBEC: Final = re.compile(r"(?<![^\W_])([A-Z]{4})[ -]?([0-9]{4})[ -]?([0-9]{4})(?![^\W_])", re.IGNORECASE)
_NORTHWEST: Final = re.compile(r"(?<![^\W_])[NDMT][ -]?[0-9](?:[ -]?[0-9]){6}(?![^\W_])", re.IGNORECASE)
_LABEL: Final = re.compile(
    r"(?:\b(?:PHN|HCN|HIN|HSN|PHIN|OHIP|RAMQ|NAM|ULI|MSI|MCP|AHCIP|MSP)\b"
    r"|health[ -]?(?:card|care|insurance)?[ -]?(?:number|num|no|card|#)"
    r"|medicare|assurance[ -]?maladie|carte[ -]?(?:soleil|sant[eé]))[^0-9\n]{0,12}$",
    re.IGNORECASE,
)
_LABEL_REACH: Final = 40

# Digits → printed groups → where. Written in one piece the number counts for all of its length.
_GROUPS: Final[dict[int, dict[tuple[int, ...], tuple[str, ...]]]] = {
    8: {},
    9: {(3, 3, 3): ("MB", "NB", "NU", "SK", "YT"), (5, 4): ("AB",)},
    10: {(4, 3, 3): ("BC", "NS", "ON")},
    12: {(3, 3, 3, 3): ("NL",)},
}
_PIECES: Final[dict[int, tuple[str, ...]]] = {
    8: ("PE",),
    9: ("AB", "MB", "NB", "NU", "SK", "YT"),
    10: ("NS",),
    12: ("NL",),
}
_BC_WEIGHTS: Final = (2, 4, 8, 5, 10, 9, 7, 3)


def is_ontario(digits: str) -> bool:
    """Say whether ten digits pass Ontario's check: modulus 10, every second digit doubled, from the right."""
    if len(digits) != 10 or not digits.isascii() or not digits.isdigit() or digits[0] == "0":
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_british_columbia(digits: str) -> bool:
    """Say whether ten digits are a BC Personal Health Number: a 9, eight digits, a modulus 11 check digit."""
    if len(digits) != 10 or not digits.isascii() or not digits.isdigit() or digits[0] != "9":
        return False
    rest = sum(int(digit) * weight for digit, weight in zip(digits[1:9], _BC_WEIGHTS, strict=True)) % 11
    return 11 - rest == int(digits[9])


def is_quebec(text: str) -> bool:
    """Say whether four letters and eight digits are a NAM: the digits begin with a birth date, 50 added to a woman's month."""
    match = _QUEBEC.fullmatch(text)
    if match is None:
        return False
    month, day = int(match[2][2:4]), int(match[3][:2])
    return (1 <= month <= 12 or 51 <= month <= 62) and 1 <= day <= 31


def find(text: str, least: Evidence = Evidence.LENGTH) -> list[HealthNumber]:
    """Give the health numbers in ``text``, in order, without overlaps.

    Parameters
    ----------
    text
        Decoded text; full-width digits are not understood.
    least
        Weaker finds are left out.
    """
    finds = [found for found in _candidates(text) if found.evidence >= least]
    finds.sort(key=lambda found: (-found.evidence, found.start, -found.end))
    chosen: list[HealthNumber] = []
    taken = bytearray(len(text) if finds else 0)
    for found in finds:
        if not any(taken[found.start : found.end]):
            taken[found.start : found.end] = b"\x01" * (found.end - found.start)
            chosen.append(found)
    return sorted(chosen, key=lambda found: found.start)


def _candidates(text: str) -> Iterator[HealthNumber]:
    for match in _QUEBEC.finditer(text):
        if is_quebec(match[0]):
            yield HealthNumber(match.start(), match.end(), _labelled(text, match.start(), Evidence.CHECKED), ("QC",))
    for match in _NORTHWEST.finditer(text):
        evidence = _labelled(text, match.start(), Evidence.LENGTH)
        yield HealthNumber(match.start(), match.end(), evidence, ("NT",))
    for match in _DIGITS.finditer(text):
        groups = [(match.start() + g.start(), match.start() + g.end()) for g in _GROUP.finditer(match[0])]
        for first in range(len(groups)):
            for last in range(first, min(first + 4, len(groups))):
                found = _judge(text, groups[first : last + 1])
                if found is not None:
                    yield found


def _judge(text: str, groups: list[tuple[int, int]]) -> HealthNumber | None:
    digits = "".join(text[start:end] for start, end in groups)
    sizes = tuple(end - start for start, end in groups)
    start, end = groups[0][0], groups[-1][1]
    known = _GROUPS.get(len(digits))
    if known is None:
        return None
    checked = tuple(
        name for name, passes in (("BC", is_british_columbia(digits)), ("ON", is_ontario(digits))) if passes
    )
    if checked:
        return HealthNumber(start, end, _labelled(text, start, Evidence.CHECKED), checked)
    if sizes in known:
        return HealthNumber(start, end, _labelled(text, start, Evidence.GROUPING), known[sizes])
    if len(sizes) == 1:
        return HealthNumber(start, end, _labelled(text, start, Evidence.LENGTH), _PIECES[len(digits)])
    evidence = _labelled(text, start, Evidence.LENGTH)
    return HealthNumber(start, end, evidence, _PIECES[len(digits)]) if evidence is Evidence.LABELLED else None


def _labelled(text: str, start: int, otherwise: Evidence) -> Evidence:
    return Evidence.LABELLED if _LABEL.search(text[max(0, start - _LABEL_REACH) : start]) else otherwise
