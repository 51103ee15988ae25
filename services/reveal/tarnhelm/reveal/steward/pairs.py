"""Who is to be merged with whom: pairs on the command line, and a CSV.

A CSV in UTF-8 with a line of headings; commas, semicolons and tabs separate::

    prior, prior_issuer, surviving, surviving_issuer        the issuers are optional

What a line holds is an identifier: faults name lines, and no value.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import BAD_PAIRS, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Pair", "Patient", "fits", "read_csv"]

_HEADINGS: Final = frozenset({"prior", "prior_issuer", "surviving", "surviving_issuer"})
_SEPARATORS: Final = ",;\t"
_LINES: Final = 100_000
_LINE_BYTES: Final = 4096
_LONGEST: Final = 64


@dataclass(frozen=True, slots=True)
class Patient:
    """A Patient ID and who issued it; the representation shows neither."""

    patient_id: str = field(repr=False)
    issuer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """The patient who is merged, and the one who stays."""

    prior: Patient
    surviving: Patient


def fits(value: str) -> bool:
    """Whether a value can be one of VR LO (PS3.5, 6.2): at most 64 characters, no backslash, no control character."""
    return len(value) <= _LONGEST and "\\" not in value and value.isprintable()


def read_csv(content: Iterable[bytes]) -> tuple[Pair, ...]:
    """Read a list of merges, all of it or nothing.

    Parameters
    ----------
    content
        Lines, for example of a file opened in binary mode.

    Raises
    ------
    TarnhelmError
        STW-003 with the number of the first line that has a fault; the headings are line 1.
    """
    place = [0]
    try:
        return tuple(_pairs(_lines(content, place), place))
    except (UnicodeDecodeError, csv.Error):
        raise TarnhelmError(BAD_PAIRS, line=max(1, place[0])) from None


def _lines(content: Iterable[bytes], place: list[int]) -> Iterator[str]:
    for number, raw in enumerate(content, 1):
        place[0] = number
        if number > _LINES or len(raw) > _LINE_BYTES or b"\x00" in raw:
            raise TarnhelmError(BAD_PAIRS, line=number)
        yield raw.decode("utf-8-sig" if number == 1 else "utf-8")


def _pairs(lines: Iterator[str], place: list[int]) -> Iterator[Pair]:
    first = next(lines, "")
    separator = max(_SEPARATORS, key=first.count)
    headings = [name.strip().casefold() for name in next(csv.reader([first], delimiter=separator, strict=True), [])]
    named = set(headings)
    if len(named) != len(headings) or not {"prior", "surviving"} <= named or not named <= _HEADINGS:
        raise TarnhelmError(BAD_PAIRS, line=1)
    for values in csv.reader(lines, delimiter=separator, strict=True):
        if not any(value.strip() for value in values):
            continue
        row = dict(zip(headings, (value.strip() for value in values), strict=False))
        if len(values) != len(headings) or not all(map(fits, row.values())) or not (row["prior"] and row["surviving"]):
            raise TarnhelmError(BAD_PAIRS, line=place[0])
        yield Pair(
            Patient(row["prior"], row.get("prior_issuer", "")),
            Patient(row["surviving"], row.get("surviving_issuer", "")),
        )
