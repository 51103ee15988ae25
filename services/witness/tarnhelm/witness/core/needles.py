"""Compiled needles: all spellings of a patient's identifiers, found in one sweep.

A search for three hundred strings one by one costs more than reading the file. So every needle is known by four of its
bytes; the four bytes at each position of the haystack are hashed at once by numpy and looked up in a bit table, and only
the few positions that remain are compared. The cost does not grow with the number of needles.
"""

from __future__ import annotations

import base64
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from tarnhelm.witness.core.charsets import CODECS
from tarnhelm.witness.core.dates import spellings
from tarnhelm.witness.core.harvest import Value, identifiers_of
from tarnhelm.witness.core.identifiers import Date, Id, Identifier, Name, Phrase
from tarnhelm.witness.core.text import compact, fold, vocabulary, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["Hit", "NeedleCache", "Needles", "compile_needles"]

_GRAM: Final = 4
_MIX: Final = np.uint32(2654435761)
_SHIFT: Final = np.uint32(16)
_MIX_INT, _MASK = 2654435761, 0xFFFFFFFF

Spelled = tuple[tuple[Identifier, tuple[tuple[bytes, int, bool], ...]], ...]
Hit = tuple[int, int, int, bytes]
"""Identifier, first byte and bytes in the compact haystack, needle where its bytes are the evidence (else empty)."""


@dataclass(frozen=True, slots=True)
class Needles:
    """Identifiers and the table that finds them."""

    identifiers: tuple[Identifier, ...]
    table: NDArray[np.bool_]
    grams: dict[int, tuple[tuple[bytes, int, int, bool], ...]]

    def search(self, haystack: bytes) -> list[Hit]:
        """Return every hit in a compact haystack; see :func:`tarnhelm.witness.core.text.compact`."""
        count = len(haystack) - _GRAM + 1
        if count < 1 or not self.grams:
            return []
        quads: NDArray[np.uint32] = np.ndarray((count,), "<u4", haystack, 0, (1,))
        mixed = quads * _MIX
        mixed >>= _SHIFT
        hits: list[Hit] = []
        grams = self.grams
        for position in self.table.take(mixed).nonzero()[0].tolist():
            rows = grams.get(int.from_bytes(haystack[position : position + _GRAM], "little"))
            if rows is None:
                continue
            for needle, offset, number, literal in rows:
                if haystack.startswith(needle, max(position - offset, 0)) and position >= offset:
                    hits.append((number, position - offset, len(needle), needle if literal else b""))
        return hits


def compile_needles(values: tuple[Value, ...], spelled: Callable[[Value], Spelled] | None = None) -> Needles:
    """Compile harvested values; ``spelled`` may remember the spellings of single values."""
    identifiers: dict[Identifier, int] = {}
    rows: dict[tuple[bytes, int, int, bool], None] = {}
    for value in values:
        for identifier, needles in (spelled or spell)(value):
            number = identifiers.setdefault(identifier, len(identifiers))
            for needle, offset, literal in needles:
                rows[needle, offset, number, literal] = None
    grams: dict[int, list[tuple[bytes, int, int, bool]]] = {}
    table = np.zeros(1 << 16, np.bool_)
    for row in rows:
        gram = int.from_bytes(row[0][row[1] : row[1] + _GRAM], "little")
        grams.setdefault(gram, []).append(row)
        table[((gram * _MIX_INT) & _MASK) >> 16] = True
    return Needles(tuple(identifiers), table, {gram: tuple(found) for gram, found in grams.items()})


def spell(value: Value) -> Spelled:
    """Return the identifiers of a value, each with (compact needle, where its gram begins, are its bytes evidence)."""
    found = []
    for identifier, texts in identifiers_of(value):
        needles = {
            (needle, max(0, min(offset, len(needle) - _GRAM)), literal): None
            for needle, offset, literal in _spellings(identifier, texts)
            if len(needle) >= _GRAM
        }
        found.append((identifier, tuple(needles)))
    return tuple(found)


def _spellings(identifier: Identifier, texts: tuple[str, ...]) -> Iterator[tuple[bytes, int, bool]]:
    """Yield (compact needle, where its gram begins, are its bytes evidence by themselves)."""
    if isinstance(identifier, Date):
        for form, offset in spellings(identifier.day):
            yield compact(form), offset, False
        return
    if isinstance(identifier, Name):
        yield from _name_spellings(identifier)
    else:
        core = compact(identifier.core.encode())
        yield core, len(core) - _GRAM if isinstance(identifier, Id) else 0, False
        if isinstance(identifier, Phrase):
            yield compact("".join(filter(str.isalnum, texts[0].lower())).encode()) if texts else b"", 0, False
    for text in texts:
        if not text.isascii():
            for needle in _encoded(text):
                yield needle, 0, True
        if identifier.identity:
            for needle in _base64(text):
                yield needle, 0, False


def _name_spellings(name: Name) -> Iterator[tuple[bytes, int, bool]]:
    usual = vocabulary()
    short = {part for part in name.parts if len(part.encode()) < _GRAM or part in usual}
    for part in name.parts:
        yield compact(part.encode()), 0, False
    for first in name.parts:
        for second in name.parts:
            if first != second and (first in short or second in short):
                yield compact((first + second).encode()), max(len(first.encode()) - 2, 0), False
                # An initial may stand between the two: then only the words themselves can be seen.
    for part in short:
        if len(part) == 3:
            for title in ("dr", "mr", "mrs", "ms", "mme", "patient", "pt", "name", "nom"):
                yield (title + part).encode(), 0, False


def _encoded(text: str) -> Iterator[bytes]:
    """Bytes of a text beyond ASCII in every encoding that can write it, in four cases and both normal forms."""
    if weight(fold(text)) < 4 or fold(text) in vocabulary():
        return
    for spelled in dict.fromkeys((text, text.lower(), text.upper(), text.title())):
        for form in ("NFC", "NFD"):
            normal = unicodedata.normalize(form, spelled)
            for codec in CODECS:
                try:
                    needle = normal.encode(codec)
                except UnicodeEncodeError:
                    continue
                yield compact(needle)


def _base64(text: str) -> Iterator[bytes]:
    """Yield the part of a base64 text that does not depend on its neighbours, at each of three alignments."""
    if len(text) < 5:
        return
    for spelled in dict.fromkeys((text, text.lower(), text.upper(), text.title())):
        for codec in ("utf-8",) if text.isascii() else ("utf-8", "utf-16-le", "utf-16-be"):
            plain = spelled.encode(codec)
            for skip in range(3):
                coded = base64.b64encode(b"\0" * skip + plain)
                first = -(-8 * skip // 6)
                last = (8 * (skip + len(plain))) // 6
                yield compact(coded[first:last])


class NeedleCache:
    """The needles of the last patients; the files of a series share all values but their UIDs.

    Bounded, because it holds identifiers: what falls out is gone.
    """

    def __init__(self, size: int = 24) -> None:
        self._size = size
        self._known: OrderedDict[tuple[Value, ...], Needles] = OrderedDict()
        self._lock = Lock()
        # Patients of one hospital share its name, its physicians, its devices and often the day.
        self._spell = lru_cache(maxsize=8 * size)(spell)

    def get(self, values: tuple[Value, ...]) -> Needles:
        """Return the needles of a harvest, compiled at most once while it stays among the last ones."""
        with self._lock:
            known = self._known.get(values)
            if known is not None:
                self._known.move_to_end(values)
                return known
        made = compile_needles(values, self._spell)
        with self._lock:
            self._known[values] = made
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return made
