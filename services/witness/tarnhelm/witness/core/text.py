"""Folding: the one form in which two spellings of an identifier are equal."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

__all__ = ["LETTERS", "MONTHS", "compact", "fold", "vocabulary", "weight"]

_LOWER: Final = bytes(range(256)).lower()
_SEPARATORS: Final = b"\0\t\n\r\f !\"'()*,-./:;<=>?[\\]^_`{|}~"
_LETTERS_APART: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ŋ": "n", "ħ": "h", "ŧ": "t",
     "ƛ": "l", "ə": "e", "ɬ": "l", "ʔ": "", "’": "", "ʼ": "", "ʷ": "w", "ҳ": "x", "ё": "е"}
)  # fmt: skip
LETTERS: Final = re.compile(r"[^\W\d_]+")
MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "jan january janvier janv", "feb february fevrier fevr fev", "mar march mars", "apr april avril avr",
            "may mai", "jun june juin", "jul july juillet juil", "aug august aout", "sep sept september septembre",
            "oct october octobre", "nov november novembre", "dec december decembre",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip


def compact(value: bytes) -> bytes:
    """Lower the ASCII letters and drop separators and NULs, byte by byte.

    Applied to haystack and needle alike it makes one search find ``DOE^JANE``, ``Doe, Jane``, ``doe_jane``, the same in
    UTF-16, ``2019-03-12`` and ``20190312``. It only proposes: each hit is judged in its element afterwards.
    """
    return value.translate(_LOWER, _SEPARATORS)


def fold(text: str) -> str:
    """Fold case, accents, width, ligatures and the letters that have no decomposition."""
    if text.isascii():
        return text.lower()
    return _fold(text)


@lru_cache(maxsize=4096)
def _fold(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.casefold()).translate(_LETTERS_APART)
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", plain)


def weight(text: str) -> int:
    """Count letters and digits; an ideograph or a Hangul syllable says as much as two Latin letters."""
    return sum(2 if letter >= "\u3400" else 1 for letter in text if letter.isalnum())


@cache
def vocabulary() -> frozenset[str]:
    """Words that stand in clean files by themselves."""
    text = (files(__package__) / "data" / "words.txt").read_text(encoding="ascii")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())
