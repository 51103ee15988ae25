"""One element of the result as the witness reads it: its place, its bytes, its text in several readings."""

from __future__ import annotations

import base64
import binascii
import re
from enum import Enum
from functools import cached_property
from typing import Final

from tarnhelm.witness.core.charsets import decode
from tarnhelm.witness.core.elements import DEVICE_TAGS, NUMBER_VRS, TEXT_VRS
from tarnhelm.witness.core.text import LETTERS, fold

__all__ = ["Place", "Reading", "place_of"]

_RUN: Final = re.compile(rb"[\x20-\x7e]{4,}")
_WIDE: Final = re.compile(rb"(?:[\x20-\x7e]\x00){3,}|(?:\x00[\x20-\x7e]){3,}")
_ENCODED: Final = re.compile(rb"[A-Za-z0-9+/]{8,}={0,2}")
_CAMEL: Final = re.compile(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Þ])")
_SHORT_RUN: Final = 8


class Place(Enum):
    """What kind of content belongs at a position; the rows of the decision table in docs/concepts/witness.md."""

    TEXT = "text"
    PERSON = "person"
    CODE = "code"
    NUMBER = "number"
    CLOCK = "clock"
    DATE = "date"
    UID = "uid"
    DEVICE = "device"
    BINARY = "binary"
    OUTSIDE = "outside"
    """No element at all: preamble, padding, segments of a code stream, bytes after the data set."""


_TEXTUAL: Final = TEXT_VRS | {b"AE", b"UR"}


def place_of(tag: int, vr: bytes, *, standard_code: bool) -> Place:
    """Return the place of an element.

    Parameters
    ----------
    tag, vr
        The element; a private or unknown one is judged by its VR alone.
    standard_code
        The element is a code's value or meaning and its scheme is a published one.
    """
    if standard_code:
        return Place.CODE
    if vr == b"PN":
        return Place.PERSON
    if tag in DEVICE_TAGS:
        return Place.DEVICE
    if vr == b"CS":
        return Place.CODE
    if vr in _TEXTUAL:
        return Place.TEXT
    if vr in {b"DA", b"DT"}:
        return Place.DATE
    if vr in {b"TM", b"AS"}:
        return Place.CLOCK
    if vr == b"UI":
        return Place.UID
    return Place.NUMBER if vr in NUMBER_VRS else Place.BINARY


class Reading:
    """A value in all the readings in which an identifier may stand in it.

    Parameters
    ----------
    raw
        The value's bytes.
    declared
        Raw Specific Character Set that holds for it.
    place
        Binary places are read as runs of printable characters, the others as a whole.
    """

    def __init__(self, raw: bytes, declared: bytes, place: Place) -> None:
        self.raw = raw
        self.declared = declared
        self.place = place

    @cached_property
    def originals(self) -> tuple[str, ...]:
        """Unfolded texts: the value (or its printable runs), its 16-bit runs, its base64 runs decoded."""
        raw = self.raw
        if self.place in {Place.BINARY, Place.OUTSIDE}:
            whole = raw.strip(b"\0 ")
            texts = [run.decode("ascii") for run in _RUN.findall(raw) if len(run) >= _SHORT_RUN or run.strip() == whole]
            texts += [
                run.decode("ascii") for run in _RUN.findall(raw) if 6 <= len(run) < _SHORT_RUN and run.strip() != whole
            ]
            if not raw.isascii():
                texts += _printable(decode(raw, self.declared))
        else:
            texts = [decode(raw, self.declared)]
        texts += [run.replace(b"\0", b"").decode("ascii") for run in _WIDE.findall(raw)]
        for run in _ENCODED.findall(raw):
            texts += _decoded(run)
        return tuple(texts)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The readings folded."""
        return tuple(fold(text) for text in self.originals)

    @cached_property
    def words(self) -> tuple[tuple[str, tuple[tuple[str, int, int], ...]], ...]:
        """Each reading with its words: (word, begin, end). Camel case is read both joined and apart."""
        texts = (t for text in self.originals for t in (fold(text), fold(_CAMEL.sub(" ", text))))
        return tuple(
            (text, tuple((m[0], m.start(), m.end()) for m in LETTERS.finditer(text))) for text in dict.fromkeys(texts)
        )

    @cached_property
    def components(self) -> tuple[str, ...]:
        """The values of a multi-valued element, stripped."""
        return tuple(part.strip(" \0").lower() for part in self.raw.decode("latin-1").split("\\"))


def _printable(text: str) -> list[str]:
    """Return decoded runs that hold letters beyond ASCII (an opaque value may hold text of the data set's charset)."""
    return [run for run in re.findall(r"[^\x00-\x1f\x7f-\x9f\ufffd]{4,}", text) if not run.isascii()][:64]


def _decoded(run: bytes) -> list[str]:
    found = []
    body = run.rstrip(b"=")
    for skip in range(4):
        part = body[skip:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            plain = base64.b64decode(part + b"=" * (-len(part) % 4))
        except binascii.Error:
            continue
        for pattern in (_RUN, _WIDE):
            found += [text.replace(b"\0", b"").decode("ascii") for text in pattern.findall(plain)]
        found += [text for text in _printable(plain.decode("utf-8", "replace")) if len(text) >= 4]
    return found
