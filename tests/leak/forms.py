"""The byte forms in which a text can stand in a file, a name, a log or a page; and a scanner for many at once."""

from __future__ import annotations

import html
import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Scanner", "byte_forms"]

LEGACY: Final = (
    "latin-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "tis-620", "cp1251", "cp1253", "cp1256", "koi8-r", "gb18030",
    "euc_kr", "iso2022_kr", "shift_jis", "euc_jp", "iso2022_jp", "big5",
)  # fmt: skip
SHORTEST: Final = 5


def _fold(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _spellings(text: str) -> set[str]:
    if text.isascii():
        return {text}
    cased = {text, text.upper(), text.lower()}
    made = {unicodedata.normalize(form, each) for each in cased for form in ("NFC", "NFD")} | cased
    folded = _fold(text)
    if folded.isascii() and len(folded) > SHORTEST:
        made.add(folded)
    return made


def byte_forms(text: str) -> set[bytes]:
    """All byte strings that mean ``text``, ASCII letters in lower case.

    Unicode encodings, every legacy character set of DICOM that can write it, both normal forms, upper and lower
    case, without accents, and as JSON, HTML, URL and 16-bit swapped words write it.
    """
    made: set[bytes] = set()
    for each in _spellings(text):
        made.update(each.encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be"))
        made.add(json.dumps(each)[1:-1].encode())
        made.add(quote(each).encode())
        made.add(html.escape(each).encode())
        if each.isascii():
            raw = each.encode()
            even = raw[: len(raw) // 2 * 2]
            swapped = bytearray(even)
            swapped[0::2], swapped[1::2] = even[1::2], even[0::2]
            made.add(bytes(swapped))
            continue
        made.add("".join(f"&#{ord(c)};" for c in each).encode())
        made.add("".join(f"&#x{ord(c):x};" for c in each).encode())
        for name in LEGACY:
            try:
                coded = each.encode(name)
            except UnicodeEncodeError:
                continue
            made.add(coded.removesuffix(b"\x1b(B").removeprefix(b"\x1b$)C"))
    return {form.lower() for form in made if len(form) >= SHORTEST}


@dataclass(frozen=True, slots=True)
class _Pattern:
    form: bytes
    index: int
    whole_number: bool


class Scanner:
    """Finds any of many texts in bytes, at about the speed of a few passes over them.

    A table over a hash of four bytes picks candidate positions, a dictionary decides.
    """

    _BITS: Final = 22

    def __init__(self, texts: Iterable[tuple[str, bool]]) -> None:
        """``texts``: (text, is a whole number: not to be found inside a longer one)."""
        self._heads: dict[bytes, list[_Pattern]] = {}
        self._table = np.zeros(1 << self._BITS, dtype=bool)
        for index, (text, whole) in enumerate(texts):
            for form in byte_forms(text):
                self._heads.setdefault(form[:4], []).append(_Pattern(form, index, whole))
        heads = np.frombuffer(b"".join(self._heads), dtype="<u4")
        self._table[self._slots(heads)] = True

    def _slots(self, words: np.ndarray) -> np.ndarray:
        return (words * np.uint32(2654435761)) >> np.uint32(32 - self._BITS)

    def hits(self, data: bytes) -> Iterator[tuple[int, int]]:
        """(index of the text, offset) of every hit."""
        low = data.lower()
        if len(low) < 4:
            return
        wide = np.frombuffer(low, dtype=np.uint8).astype(np.uint32)
        words = wide[:-3] | wide[1:-2] << np.uint32(8) | wide[2:-1] << np.uint32(16) | wide[3:] << np.uint32(24)
        for at in np.flatnonzero(self._table[self._slots(words)]).tolist():
            for pattern in self._heads.get(low[at : at + 4], ()):
                if low.startswith(pattern.form, at) and not (
                    pattern.whole_number and _inside_number(low, at, len(pattern.form))
                ):
                    yield pattern.index, at


def _inside_number(data: bytes, at: int, length: int) -> bool:
    """A digit stands right before or after; bytes of element headers that look like digits do not count.

    Group 0032 is a ``2`` and a zero in little endian, a length of 50 a zero and a ``2`` in big endian.
    """
    end = at + length
    if data[end : end + 1].isdigit():
        next_tag = data[end + 1 : end + 2] == b"\0" and (
            data[end + 4 : end + 6].isalpha() or data[end + 6 : end + 8] == b"\0\0"
        )
        if not next_tag:
            return True
    if data[at - 1 : at].isdigit():
        big_length = data[at - 2 : at - 1] == b"\0" and (
            data[at - 4 : at - 2].isalpha() or data[at - 4 : at - 1] == b"\0\0\0"
        )
        return not big_length
    return False
