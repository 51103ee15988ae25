"""What goes out of a text because of its form: addresses, numbers of persons, dates, times of day, ages over 89."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.text import health_numbers
from tarnhelm.metadata.core.text.health_numbers import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["identifying_spans", "own_form_spans"]

_MONTH: Final = (
    "(?:jan(?:uary|vier|v)?|feb(?:ruary)?|f[eé]v(?:rier|r)?|mar(?:ch|s)?|apr(?:il)?|avr(?:il)?|may|mai|june?|juin|july?|juil(?:let)?"
    "|aug(?:ust)?|ao[uû]t|sept?(?:ember|embre)?|oct(?:ober|obre)?|nov(?:ember|embre)?|d[eé]c(?:ember|embre)?)"
)
_GAP: Final = r"[\s./,_\-]{0,3}"

_FORMS: Final[tuple[str, ...]] = (
    # web and mail addresses, paths of Windows shares
    r"(?:https?|ftp|file)://\S+|\bwww\.\S+|[^\s@]{0,64}@[^\s@]+|\\\\\S+",
    # UIDs and network addresses
    r"(?<![0-9.])[0-9]+(?:\.[0-9]+){3,}",
    # dates in numbers: year first, year last
    r"(?<![0-9.])(?:1[89]|20)[0-9]{2}(?:\s?[\-/._]\s?|\s)[0-9]{1,2}(?:\s?[\-/._]\s?|\s)[0-9]{1,2}(?![0-9])",
    r"(?<![0-9.])[0-9]{1,2}\s?[\-/._]\s?[0-9]{1,2}\s?[\-/._]\s?(?:[0-9]{4}|[0-9]{2})(?![0-9.])",
    r"(?<![0-9.])[0-9]{1,2}\s[0-9]{1,2}\s(?:1[89]|20)[0-9]{2}(?![0-9])",
    # dates with the name of a month, before or after the day or the year
    rf"(?<![0-9])[0-9]{{1,4}}(?:st|nd|rd|th|er|e)?{_GAP}(?:of\s|de\s)?{_MONTH}\b\.?(?:{_GAP}[0-9]{{1,4}}(?![0-9]))?",
    rf"(?<![^\W_]){_MONTH}\.?{_GAP}[0-9]{{1,4}}(?:st|nd|rd|th|er)?(?![0-9])(?:{_GAP}[0-9]{{2,4}}(?![0-9]))?",
    # times of day
    r"(?<![0-9])[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?![0-9])(?:\s?[ap]\.?m\b\.?)?",
    r"(?<![0-9])[0-2]?[0-9]\s?h\s?[0-5][0-9](?![0-9])|(?<![0-9])[01]?[0-9]\s?[ap]\.?m\b\.?",
    # telephones
    r"(?<![0-9])(?:\+?1[\s.\-]?)?\(?[0-9]{3}\)?[\s.\-]{0,2}[0-9]{3}[\s.\-]?[0-9]{4}(?![0-9])|(?<![0-9])[0-9]{3}[\-.][0-9]{4}(?![0-9])",
    r"\+[0-9][0-9\s.\-()]{6,}[0-9]",
    # Canadian postal codes
    r"(?<![^\W_])[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z][\s\-]?[0-9][ABCEGHJ-NPRSTV-Z][0-9](?![^\W_])",
    # numbers that a label makes an ID or a place in the house, however short
    r"\b(?:MRN|PHN|HCN|HIN|ULI|NAM|RAMQ|MCP|PHIN|HSN|OHIP|SIN|NAS|DOB|DDN|NDD|ACC(?:ESSION)?|ID|DOSSIER|CHART)\b[\s:#.=\-]{0,4}[A-Z]{0,4}[\-]?[0-9][\w\-/]*",
    r"\b(?:ROOM|RM|BED|WARD|CHAMBRE|LIT|ETAGE|APT|SUITE|BOX|EXT|POSTE)\b[\s:#.=\-]{0,3}[0-9]+[A-Z]?\b",
    # groups of digits that make a long number together
    r"(?<![0-9A-Z])(?<![0-9]\.)[0-9]{2,}(?:\-[0-9]+){1,}(?![0-9A-Z])",
    r"(?<![0-9A-Z])(?<![0-9]\.)[0-9]{2,4}(?:\s[0-9]{2,4}){2,}(?![0-9A-Z])",
    # ages over 89 (PS3.15 and the HIPAA list count them as identifying)
    r"(?<![0-9])(?:9[0-9]|1[0-2][0-9])[\s\-]?(?:y\.?o\b\.?|yrs?\b|years?\b|ans\b|y\b)",
)
_IDENTIFYING: Final = re.compile("|".join(f"(?:{form})" for form in _FORMS), re.IGNORECASE)
#: Every form has one of these; most descriptions have none, and are read in one glance.
_MAY_IDENTIFY: Final = re.compile(r"[0-9@\\]|://|www\.", re.IGNORECASE)
_DIGIT: Final = re.compile("[0-9]")
_LEAST_DIGITS: Final = 6
"""Hyphens and spaces join numbers; only together they make an ID (``0-50`` and ``2 - 4`` do not)."""
_GROUPED: Final = re.compile(r"[0-9]+(?:[\s\-][0-9]+)+")


def identifying_spans(text: str, mrn_patterns: Sequence[re.Pattern[str]]) -> Iterator[tuple[int, int]]:
    """Give the positions of everything identifying by form, a site's record numbers included."""
    yield from own_form_spans(text, mrn_patterns, Evidence.LENGTH)
    if _MAY_IDENTIFY.search(text) is None:
        return
    for match in _IDENTIFYING.finditer(text):
        found = match[0]
        if _GROUPED.fullmatch(found) and sum(map(str.isdigit, found)) < _LEAST_DIGITS:
            continue
        yield match.span()


def own_form_spans(
    text: str, mrn_patterns: Sequence[re.Pattern[str]], least: Evidence = Evidence.GROUPING
) -> Iterator[tuple[int, int]]:
    """Give the positions of health numbers, as sure as ``least``, and of a site's record numbers."""
    if _DIGIT.search(text) is not None:
        for number in health_numbers.find(text, least):
            yield number.start, number.end
    for pattern in mrn_patterns:
        for match in pattern.finditer(text):
            if match.end() > match.start():
                yield match.span()
