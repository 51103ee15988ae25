"""Days written in text: in digits, with separators, with English and French months."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tarnhelm.witness.core.text import MONTHS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Day", "dates_in", "dates_in_uid", "spellings"]

Day = tuple[int, int, int]

_MONTH: Final = "(" + "|".join(sorted(MONTHS, key=len, reverse=True)) + ")"
_SEP: Final = r"[\s\-_./,:^\\]{1,2}"
_DIGITS: Final = re.compile(r"(?<!\d)(\d{8})(?=\D|$|\d{2}(?!\d)|\d{4}(?!\d)|\d{6}(?!\d))")
_YEAR_FIRST: Final = re.compile(rf"(?<!\d)(\d{{4}}){_SEP}(\d{{1,2}}){_SEP}(\d{{1,2}})(?!\d)")
_YEAR_LAST: Final = re.compile(rf"(?<!\d)(\d{{1,2}}){_SEP}(\d{{1,2}}){_SEP}(\d{{4}})(?!\d)")
_DAY_MONTH: Final = re.compile(rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|er)?[\s\-_./,^]*{_MONTH}[\s\-_./,^]*(\d{{4}})(?!\d)")
_MONTH_DAY: Final = re.compile(rf"{_MONTH}[\s\-_./,^]*(\d{{1,2}})(?:st|nd|rd|th)?[\s\-_./,^]*(\d{{4}})(?!\d)")
_YEAR_MONTH: Final = re.compile(rf"(?<!\d)(\d{{4}})[\s\-_./,^]*{_MONTH}[\s\-_./,^]*(\d{{1,2}})(?!\d)")
_SHORT: Final = re.compile(r"(?<!\d)(\d{2})([\-/.])(\d{2})\2(\d{2})(?!\d)")
_SIX: Final = re.compile(
    r"(?:dob|d\.o\.b\.?|born|birth\w*|b\.?d\.?|nee?|naissance|ddn|date|on|le|du|of)\W{0,4}(\d{2})(\d{2})(\d{2})(?!\d)"
)


def _days(a: int, b: int, c: int) -> Iterator[Day]:
    """Year and two numbers of unknown order."""
    for year, month, day in ((a, b, c), (a, c, b)):
        if 1 <= month <= 12 and 1 <= day <= 31:
            yield year, month, day


def _short_years(a: int, b: int, c: int) -> Iterator[Day]:
    for year in (a, c):
        rest = (b, c) if year == a else (a, b)
        for century in (1900, 2000):
            yield from _days(century + year, *rest)


@lru_cache(maxsize=1024)
def dates_in(text: str, *, written: bool) -> frozenset[Day]:
    """Return all days that a folded text may mean.

    Parameters
    ----------
    text
        Folded text.
    written
        Also look for the forms that people write; without it only eight digits count (DA, DT).
    """
    found: set[Day] = set()
    for match in _DIGITS.finditer(text):
        run = match[1]
        found.update(_days(int(run[:4]), int(run[4:6]), int(run[6:])))
        if written:
            found.update(_days(int(run[4:]), int(run[2:4]), int(run[:2])))
    if not written:
        return frozenset(found)
    for match in _YEAR_FIRST.finditer(text):
        found.update(_days(int(match[1]), int(match[2]), int(match[3])))
    for match in _YEAR_LAST.finditer(text):
        found.update(_days(int(match[3]), int(match[2]), int(match[1])))
    for match in _DAY_MONTH.finditer(text):
        found.add((int(match[3]), MONTHS[match[2]], int(match[1])))
    for match in _MONTH_DAY.finditer(text):
        found.add((int(match[3]), MONTHS[match[1]], int(match[2])))
    for match in _YEAR_MONTH.finditer(text):
        found.add((int(match[1]), MONTHS[match[2]], int(match[3])))
    for match in _SHORT.finditer(text):
        found.update(_short_years(int(match[1]), int(match[3]), int(match[4])))
    for match in _SIX.finditer(text):
        found.update(_short_years(int(match[1]), int(match[2]), int(match[3])))
    return frozenset(found)


def dates_in_uid(uid: str) -> frozenset[Day]:
    """Return the days with which a component of a UID begins or ends.

    A component of a UUID (37 to 39 digits) holds any eight digits by chance too often; makers' components of date and
    time are no longer than 24 digits.
    """
    found: set[Day] = set()
    for component in uid.split("."):
        if 8 <= len(component) <= 24 and component.isdigit():
            for run in (component[:8], component[-8:]):
                year, month, day = int(run[:4]), int(run[4:6]), int(run[6:])
                if 1 <= month <= 12 and 1 <= day <= 31:
                    found.add((year, month, day))
    return frozenset(found)


def spellings(day: Day) -> Iterator[tuple[bytes, int]]:
    """Yield the compact forms of a day and where in each the least common four bytes begin."""
    year, month, date = day
    y, m, d = f"{year:04}", f"{month:02}", f"{date:02}"
    yield (y + m + d).encode(), 4
    yield (d + m + y).encode(), 0
    yield (m + d + y).encode(), 0
    for short in (y[2:] + m + d, d + m + y[2:], m + d + y[2:]):
        yield short.encode(), 1
    if month < 10 or date < 10:
        bare_m, bare_d = str(month), str(date)
        for form in (y + bare_m + bare_d, bare_d + bare_m + y, bare_m + bare_d + y):
            yield form.encode(), len(form) - 4 if form.startswith(y) else 0
    for name in sorted(name for name, number in MONTHS.items() if number == month):
        for number in {d, str(date)}:
            yield (number + name + y).encode(), 0
            yield (number + ("er" if date == 1 else "th") + name + y).encode(), 0
            yield (name + number + y).encode(), 0
            yield (y + name + number).encode(), 2
    for accented in ("février", "août", "décembre"):
        for encoding in ("latin-1", "utf-8"):
            if MONTHS[{"février": "fevrier", "août": "aout", "décembre": "decembre"}[accented]] == month:
                yield str(date).encode() + accented.encode(encoding) + y.encode(), 0
