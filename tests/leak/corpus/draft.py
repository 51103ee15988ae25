"""A file in the making: elements, and beside each planted string the line of the manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from tests.leak.corpus.manifest import DateAt, Expected, FileEntry, Keep, Match, Plant, Reference
from tests.leak.corpus.people import Subject, name_parts
from tests.leak.corpus.wire import El

if TYPE_CHECKING:
    import random

    from tests.leak.corpus.names import Coiner

__all__ = ["Draft", "element", "item"]

DUAL: Final = {"US or SS": "US", "US or OW": "OW", "OB or OW": "OW", "US or SS or OW": "OW"}


def tag_of(name: str | int) -> int:
    """The tag of a keyword; a number is a tag already."""
    if isinstance(name, int):
        return name
    tag = tag_for_keyword(name)
    if tag is None:
        raise KeyError(name)
    return int(tag)


def element(name: str | int, value: Any, vr: str = "", **how: bool) -> El:
    """An element by keyword; numbers may be given bare, texts as text, sequences as lists of items."""
    tag = tag_of(name)
    vr = vr or dictionary_VR(tag)
    vr = DUAL.get(vr, vr)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value) if vr in {"IS", "DS"} else (value,)
    if isinstance(value, date):
        value = value.strftime("%Y%m%d")
    return El(tag, vr, value, **how)


def item(**attributes: Any) -> list[El]:
    """One sequence item by keywords."""
    return [element(name, value) for name, value in attributes.items()]


@dataclass(slots=True)
class Draft:
    """One file before it is written."""

    subject: Subject
    entry: FileEntry
    rng: random.Random
    coin: Coiner
    day: date
    elements: dict[int, El] = field(default_factory=dict)
    meta: dict[int, El] = field(default_factory=dict)
    preamble: bytes | None = b"\0" * 128
    tail: bytes = b""
    frames: list[bytes] = field(default_factory=list)
    encapsulated: bool = False
    group_lengths: bool = False
    with_meta: bool = True
    pieces: int = 1
    with_table: bool = True

    def put(self, name: str | int, value: Any, vr: str = "", **how: bool) -> None:
        """Set an element of the data set."""
        made = element(name, value, vr, **how)
        self.elements[made.tag] = made

    def put_meta(self, tag: int, vr: str, value: Any) -> None:
        """Set an element of the meta information."""
        self.meta[tag] = El(tag, vr, value)

    def add_items(self, name: str | int, *items: list[El], **how: bool) -> str:
        """Append items to a sequence; answers the path of the first of them."""
        tag = tag_of(name)
        found = self.elements.get(tag)
        before = found.value if found and isinstance(found.value, list) else []
        self.put(tag, [*before, *items], "SQ", **how)
        return f"{tag:08X}/{len(before)}"

    def mark(self, kind: str, place: str, text: str, match: Match = Match.BYTES, path: str = "") -> str:
        """Enter a planted string into the manifest; answers it."""
        self.entry.plants.append(Plant(kind, place, text, match, path))
        return text

    def secret(self, place: str, kind: str = "secret") -> str:
        """A new word that stands in this place of this file only: a hit names the place that leaked."""
        return self.mark(kind, place, self.coin.word())

    def number(self, place: str, digits: int = 9, kind: str = "other-id") -> str:
        """A new number for this place."""
        return self.mark(kind, place, self.coin.digits(digits), Match.DIGITS)

    def mark_name(self, name: str, place: str, path: str, kind: str = "name") -> str:
        """Mark the parts of a person name that can be searched, and the whole by its place."""
        hard = kind == "name" and self.subject.hard_name
        for part in () if hard else name_parts(name):
            self.mark(kind, place, part)
        if hard:
            self.mark(kind, place, name, Match.PLACE, path)
        return name

    def keep(self, name: str | int, value: Any, when: str = "always", vr: str = "") -> None:
        """Set an element that has to stay as it is."""
        self.put(name, value, vr)
        self.entry.keeps.append(Keep(f"{tag_of(name):08X}", _shown(value), when))

    def keep_words(self, name: str | int, words: str, planted: str, when: str = "cleanDescOpt") -> None:
        """Set a text whose useful words stay under ``when`` and whose planted rest goes."""
        self.put(name, f"{words} {planted}")
        own = set(self.subject.names[0].replace("^", " ").casefold().split()) if self.subject.key == "eponym" else set()
        for word in words.split():
            if word.casefold() in own:
                continue  # here the eponym is the patient
            self.entry.keeps.append(Keep(f"{tag_of(name):08X}", word, when, words=True))

    def put_date(self, name: str | int, day: date, *, time: str = "") -> None:
        """Set a date or date-time that moves with the patient."""
        text = day.strftime("%Y%m%d") + time
        self.put(name, text)
        self.entry.dates.append(DateAt(f"{tag_of(name):08X}", text))

    def refer(self, path: str, uid: str, kind: str) -> str:
        """Enter a reference; answers the UID."""
        self.entry.references.append(Reference(path, uid, kind))
        return uid

    def odd_date(self, place: str, pattern: str = "%Y-%m-%d") -> str:
        """A date of the 1960s for free text and odd corners, as text: no shifted date can equal it."""
        text = (date(1960, 1, 1) + timedelta(days=self.rng.randrange(3600))).strftime(pattern)
        return self.mark("date", place, text, Match.DIGITS)

    def unmark(self, place: str) -> None:
        """Forget the plants of a place whose attribute is about to be replaced."""
        self.entry.plants[:] = [plant for plant in self.entry.plants if plant.place != place]

    @property
    def released(self) -> bool:
        """The file is an image that can come out."""
        return self.entry.expected in {Expected.RELEASED, Expected.GATED, Expected.EITHER}


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "\\".join(str(part) for part in value)
    return str(value)
