"""Which numbers of a description belong to the protocol, and which may be somebody's."""

# ruff: noqa: SIM905 - vocabularies read better as lines of words

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_protocol_token", "number_stays"]

_UNITS: Final = (
    "mm|cm|m|um|nm|µm|μm|ml|cc|dl|l|mg|kg|mcg|ug|g|lbs?|in|ft|kev|mev|kvp?|mv|mas?|gy|cgy|mgy|msv|mci|mbq|gbq|bq|khz|mhz|hz|"
    "t|ms|msec|secs?|s|mins?|hrs?|h|hu|deg|rpm|bpm|mmhg|px|pct|mm2|cm2|cm3|mm3|m2|st|nd|rd|th|er|nde|eme|ieme|ere|e"
)
# Parameters that take numbers of four digits.
_PARAMETERS: Final = frozenset(
    "te tr ti td tau bw fov b bvalue venc dlp ctdi ctdivol hu matrix mtx kev esp etl win wl ww window level width center sfov dfov".split()
)
_FORMS: Final = re.compile(
    "|".join(
        (
            rf"[0-9]{{1,4}}(?:{_UNITS})",  # 3mm, 1000ms, 3t
            rf"[0-9]{{1,4}}(?:x[0-9]{{1,4}}){{1,2}}(?:{_UNITS})?",  # 512x512, 2x2x2mm
            r"(?:[ctls](?:[0-9]|1[0-2])){1,2}",  # vertebrae: t12, l4l5
            r"t[12](?:[wfsc]|fs|star|rho|flair|tse|se|vibe)?[0-9]?",  # t2w
            r"b[0-9]{1,4}",  # b1000
            r"[bhiudqjfe][rvfs]?[0-9]{2}[fshd]?",  # kernels: b31f, br40, i30f
            r"(?:te|tr|ti|tau|bw|fov|venc|etl|b)[0-9]{1,4}",  # te90
            r"[a-z][0-9]{1,2}",  # v1, r2
            r"[0-9]{1,2}[a-z]",  # 3d, 2x
        )
    )
)
_WORD_NUMBER: Final = re.compile(r"([a-zμ]{2,})([0-9]{1,3})")
_NUMBER_WORD: Final = re.compile(r"([0-9]{1,3})([a-zμ]{2,})")
_WORD_NUMBER_WORD: Final = re.compile(r"([a-z]{2,})([0-9]{1,2})([a-z]{1,})")
_UNIT: Final = re.compile(_UNITS)
_JOINING: Final = frozenset(".,xX×/-:+*=")


def is_protocol_token(word: str, words: frozenset[str]) -> bool:
    """Say whether a folded word of letters and digits is of the protocol: ``3mm``, ``t12``, ``b1000``, ``asir40``.

    Five digits never are; a letter with three or four is an ID unless it is a known parameter.
    """
    if sum(map(str.isdigit, word)) > 4 and "x" not in word:
        return False
    if _FORMS.fullmatch(word):
        return True
    match = _WORD_NUMBER.fullmatch(word)
    if match:
        return match[1] in words
    match = _NUMBER_WORD.fullmatch(word)
    if match:
        return match[2] in words
    match = _WORD_NUMBER_WORD.fullmatch(word)
    return match is not None and match[1] in words and match[3] in words


def number_stays(digits: str, before: str, gap: str, after: str, words: frozenset[str]) -> bool:
    """Say whether a bare number stays.

    One or two digits do. Three do beside a word that stays, or as part of a decimal, a range or a product. Four need
    a parameter before or a unit behind: alone they are a year or a house number. More never do.

    Parameters
    ----------
    digits
        ASCII digits.
    before, after
        The folded words beside it that stay; empty if there is none or it goes.
    gap
        What stands between ``before`` and the number.
    words
        The lexicon.
    """
    size = len(digits)
    if size <= 2:
        return True
    if size > 4:
        return False
    if before and (before in _PARAMETERS or before.rstrip("0123456789") in _PARAMETERS):
        return True
    unit = _UNIT.fullmatch(after) is not None and after not in ("e", "in", "m", "s", "t", "l", "g")
    if size == 4:
        return unit
    joined = before[-1:].isdigit() and gap in _JOINING
    return bool(unit or joined or before in words or after in words)
