"""Moving dates: whole days for all dates of a subject, so that order and intervals survive.

Values are of VR DA, TM, DT and AS (PS3.5 section 6.2). What is none of these raises OddValue: a date that cannot be
read cannot be moved, and one that is left in place gives the offset away.
"""

from __future__ import annotations

import hmac
import re
from datetime import date
from typing import Final

from tarnhelm.metadata.core.pseudo.contract import OddValue

__all__ = [
    "OLDEST_AGE",
    "birth_date",
    "cap_age",
    "check_time",
    "shift_date",
    "shift_datetime",
    "shift_pair",
    "time_offset_seconds",
]

OLDEST_AGE: Final = 89
"""Years. Older persons are too few to be told apart by their age."""

_DAY_SECONDS = 86_400
_FIRST_ORDINAL = 366
"""0002-01-01: no date of the year 1 is ever written, because 00010101 stands for *no date* in many systems."""

_TIME = r"([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d|60)(\.\d{1,6})?)?)?"
_TM = re.compile(_TIME, re.ASCII)
_TM_OLD = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d{1,6})?)?", re.ASCII)
_DA_OLD = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)", re.ASCII)
_DT = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(" + _TIME + r")?)?)?([+-](?:0\d|1[0-4])[0-5]\d)?", re.ASCII)
_AS = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)
_MIDDLE_MONTH, _MIDDLE_DAY = 7, 15


def shift_date(value: str, offset_days: int) -> str:
    """Move one value of VR DA by whole days.

    Parameters
    ----------
    value
        ``YYYYMMDD`` or the older ``YYYY.MM.DD``, padding allowed. Empty stays empty.
    offset_days
        Negative into the past.

    Returns
    -------
    str
        ``YYYYMMDD``.

    Raises
    ------
    OddValue
        No date, a range, or a result outside the years 2 to 9999.
    """
    text = value.strip(" \0")
    return _written(_day(text) + offset_days) if text else ""


def _day(text: str) -> int:
    """Proleptic Gregorian ordinal of a DA value."""
    if len(text) != 8:
        old = _DA_OLD.fullmatch(text)
        text = "".join(old.groups()) if old else ""
    if not (text.isascii() and text.isdigit()):
        raise OddValue
    return _ordinal(int(text[:4]), int(text[4:6]), int(text[6:]))


def _ordinal(year: int, month: int, day: int) -> int:
    try:
        return date(year, month, day).toordinal()
    except ValueError:
        raise OddValue from None


def _moved(ordinal: int) -> date:
    if ordinal < _FIRST_ORDINAL:
        raise OddValue
    try:
        return date.fromordinal(ordinal)
    except (ValueError, OverflowError):
        raise OddValue from None


def _written(ordinal: int) -> str:
    moved = _moved(ordinal)
    return f"{moved.year * 10_000 + moved.month * 100 + moved.day:08d}"


def check_time(value: str) -> str:
    """Return a TM value as it is, the older ``HH:MM:SS`` without colons; OddValue for whatever else."""
    text = value.strip(" \0")
    if not text or _TM.fullmatch(text):
        return text
    if _TM_OLD.fullmatch(text):
        return text.replace(":", "")
    raise OddValue


def time_offset_seconds(subject_key: bytes) -> int:
    """Seconds by which a subject's times of day move where a recipe asks for it: −86,399 to −1, by key."""
    material = hmac.digest(subject_key, b"TIME\0shift", "sha256")
    return -1 - int.from_bytes(material[:8]) % (_DAY_SECONDS - 1)


def _shift_time(text: str, offset_seconds: int) -> tuple[int, str]:
    """Days carried and the time moved, in the precision that ``text`` has."""
    match = _TM.fullmatch(text)
    if match is None:
        raise OddValue
    hours, minutes, seconds, fraction = match.groups()
    total = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + offset_seconds
    carry, rest = divmod(total, _DAY_SECONDS)
    moved = f"{rest // 3600:02d}{rest // 60 % 60:02d}{rest % 60:02d}"
    return carry, moved[: 2 + 2 * bool(minutes) + 2 * bool(seconds)] + (fraction or "")


def shift_pair(date_value: str, time_value: str, offset_days: int, offset_seconds: int) -> tuple[str, str]:
    """Move a DA and the TM that belongs to it as one instant, with carry.

    Parameters
    ----------
    date_value, time_value
        One value each. Without a date the time moves alone; without a time the date moves by its days.
    offset_days, offset_seconds
        Both count: an instant moves by their sum.

    Raises
    ------
    OddValue
        One of the two is none, or the result lies outside the years 2 to 9999.
    """
    day, clock = date_value.strip(" \0"), check_time(time_value)
    if not clock:
        return shift_date(day, offset_days), ""
    carry, moved = _shift_time(clock, offset_seconds)
    return (_written(_day(day) + offset_days + carry) if day else ""), moved


def shift_datetime(value: str, offset_days: int, offset_seconds: int = 0) -> str:
    """Move one value of VR DT, keeping its precision, fraction and zone.

    A year or a month alone is moved from its middle and cut again, so that it lands where most of its days land.

    Parameters
    ----------
    value
        ``YYYY[MM[DD[HH[MM[SS[.F]]]]]][±ZZXX]``, padding allowed. Empty stays empty.
    offset_days
        Negative into the past.
    offset_seconds
        For a recipe that moves times of day too; values without an hour move by days alone.

    Raises
    ------
    OddValue
        No date and time, a range, or a result outside the years 2 to 9999.
    """
    text = value.strip(" \0")
    if not text:
        return ""
    match = _DT.fullmatch(text)
    if match is None:
        raise OddValue
    year, month, day, clock, _, _, _, _, zone = match.groups()
    ordinal = _ordinal(int(year), int(month or _MIDDLE_MONTH), int(day or (_MIDDLE_DAY if month else 2))) + offset_days
    if clock and offset_seconds:
        carry, clock = _shift_time(clock, offset_seconds)
        ordinal += carry
    moved = _written(ordinal)[: 4 + 2 * bool(month) + 2 * bool(day)]
    return f"{moved}{clock or ''}{zone or ''}"


def birth_date(value: str, offset_days: int, study_date: str, *, year_only: bool = False) -> str:
    """Move a date of birth with all other dates, and never let an age over 89 be computed from it.

    Who was older than 89 on the day of the study is given the first of January 90 years before the moved study: old
    enough for the group *90 and over*, no more. Two studies of such a person thus give two dates of birth.

    Parameters
    ----------
    value
        One value of VR DA.
    offset_days
        The subject's own, negative.
    study_date
        (0008,0020) as found, not moved.
    year_only
        Write the first of January of the moved year.

    Raises
    ------
    OddValue
        Either is no date. Without the day of the study nobody can say how old the person was.
    """
    text = value.strip(" \0")
    if not text:
        return ""
    born = _day(text)
    study = _day(study_date.strip(" \0"))
    moved = _moved(born + offset_days)
    if _years_between(date.fromordinal(born), date.fromordinal(study)) > OLDEST_AGE:
        capped = _moved(study + offset_days).year - OLDEST_AGE - 1
        return _written(_ordinal(max(capped, 1), 1, 1))
    return _written(_ordinal(moved.year, 1, 1) if year_only else moved.toordinal())


def _years_between(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def cap_age(value: str) -> str:
    """Write an age (VR AS) with ages over 89 years as ``090Y``.

    Empty stays empty; a number of one or two digits gets its zeros; OddValue for what is no age. Days, weeks and
    months cannot reach 90 years in three digits.
    """
    text = value.strip(" \0")
    if not text:
        return ""
    match = _AS.fullmatch(text.upper())
    if match is None:
        raise OddValue
    number, unit = int(match[1]), match[2]
    return f"{min(number, OLDEST_AGE + 1) if unit == 'Y' else number:03d}{unit}"
