"""Moving DICOM dates by whole days (JITTER), with no library that guesses formats.

Only the date part of DA (PS3.5: YYYYMMDD) and DT (YYYYMMDDHHMMSS.FFFFFF&ZZXX, to any precision of at least a
day) changes; time of day and offset from UTC stay letter for letter.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

__all__ = ["move_dates"]

_OLD_DATE: Final = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_DATETIME: Final = re.compile(r"(\d{4})(\d{2})(\d{2})((?:\d{2}){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")
_MULTI_VALUED: Final = frozenset({"DA", "DT", "TM", "LO", "SH", "CS", "IS", "UC", ""})


def move_dates(value: str, vr: str, days: int) -> str | None:
    """Move each date of a value.

    Parameters
    ----------
    value
        Decoded; several values are divided by a backslash.
    vr
        DA and DT are moved, TM stays as it is; of any other VR the values are moved that are a whole DA or DT.
    days
        May be negative.

    Returns
    -------
    str | None
        ``None`` if one of the values is no date: then nobody knows what it is, and it must not stay.
    """
    if vr == "TM":
        return value
    parts = value.split("\\") if vr in _MULTI_VALUED else [value]
    moved = [_move(part, days) for part in parts]
    return None if None in moved else "\\".join(part for part in moved if part is not None)


def _move(text: str, days: int) -> str | None:
    stripped = text.strip(" \0")
    if not stripped:
        return ""
    found = _DATETIME.fullmatch(stripped) or _OLD_DATE.fullmatch(stripped)
    if found is None or not stripped.isascii():
        return None
    try:
        shifted = date(int(found[1]), int(found[2]), int(found[3])) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    tail = found[4] if found.re is _DATETIME else ""
    return f"{shifted.year:04d}{shifted.month:02d}{shifted.day:02d}{tail}"
