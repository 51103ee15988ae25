"""Identifiers of a source, and the question whether one of them stands in a value.

A search over compacted bytes proposes; these classes decide. Each knows what counts as evidence of itself: a name
needs a whole word or two parts side by side, a number needs boundaries, a date must be written as a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from tarnhelm.witness.core.dates import dates_in, dates_in_uid
from tarnhelm.witness.core.reading import Place, Reading
from tarnhelm.witness.core.text import vocabulary, weight

__all__ = ["Date", "Id", "Identifier", "Name", "Phrase"]

_GAP: Final = 4
_EMBEDDED: Final = 7
_TITLE_WORDS: Final = "dr doctor prof mr mrs ms miss mme mlle m patient patiente pt name nom surname ddn"
_TITLES: Final = frozenset(_TITLE_WORDS.split())
_WHOLE_NUMBER: Final = 6
_CHANCE_SPACE: Final = 1e7
_UNIT: Final = (
    r"(?!\s?(?:mm|cm|um|ms|sec|s|ml|cc|kv|kvp|ma|mas|hz|khz|mhz|kg|g|px|pixels?|gy|mgy|cgy|hu|bq|mbq|t|deg)\b)"
)


@dataclass(frozen=True, slots=True)
class Name:
    """A person's name.

    Attributes
    ----------
    parts
        Folded words of two letters and more, particles left out, in the order of the source.
    """

    identifier_class: str
    identity: bool
    parts: tuple[str, ...]

    def stands_in(self, reading: Reading, *, surrogate: bool, changed: bool) -> bool:  # noqa: ARG002
        """Tell whether the name, or a part that is evidence by itself, stands in a value."""
        place = reading.place
        if place in {Place.NUMBER, Place.CLOCK, Place.DATE, Place.UID}:
            return False
        for text, words in reading.words:
            if self._full(text, words, place):
                return True
            if surrogate or (place is Place.DEVICE and not self.identity):
                continue
            if self._single(text, words):
                return True
        return False

    def _full(self, text: str, words: tuple[tuple[str, int, int], ...], place: Place) -> bool:
        parts = self.parts
        previous: tuple[str, int] | None = None
        for word, begin, end in words:
            if word in parts:
                if previous is not None and previous[0] != word:
                    gap = text[previous[1] : begin]
                    if (
                        len(gap) <= _GAP
                        and not any(c.isdigit() for c in gap)
                        and self._telling(previous[0], word, gap, place)
                    ):
                        return True
                previous = (word, end)
            elif previous is not None and len(word) > 1:
                # One letter between two parts is an initial; anything longer parts them.
                previous = None
            elif previous is not None:
                previous = (previous[0], end)
        joined = {a + b for a in parts for b in parts if a != b and len(a) + len(b) >= 6}
        if any(word in joined and word not in vocabulary() for word, _, _ in words):
            return True
        return any(not part.isascii() for part in parts) and self._unspaced(text)

    def _unspaced(self, text: str) -> bool:
        """Scripts without spaces: both parts in one text, side by side."""
        wide = [part for part in self.parts if part[0] >= "\u2e80"]
        return any(
            a + b in text.replace(" ", "").replace("^", "").replace("\u3000", "") for a in wide for b in wide if a != b
        )

    @staticmethod
    def _telling(first: str, second: str, gap: str, place: Place) -> bool:
        words = vocabulary()
        if first in words and second in words:
            return place is Place.PERSON or "^" in gap
        if place in {Place.CODE, Place.DEVICE} and weight(first) + weight(second) < 6:
            return "^" in gap
        return True

    def _single(self, text: str, words: tuple[tuple[str, int, int], ...]) -> bool:
        usual = vocabulary()
        strong = [part for part in self.parts if weight(part) >= 4 and part not in usual]
        initials = {part[0] for part in self.parts}
        # JSMITH and SMITHJ; with shorter names such forms are words too often (C. Ross, CROSS).
        long = [part for part in strong if len(part) >= 5]
        coined = {form for part in long for x in initials if part[0] != x for form in (x + part, part + x)} - usual
        for index, (word, _, _) in enumerate(words):
            if word in strong or word in coined:
                return True
            if word in self.parts and index and words[index - 1][0] in _TITLES and len(word) >= 3:
                return True
            if self.identity and word not in usual and any(len(p) >= _EMBEDDED and p in word for p in strong):
                return True
        return any(part[0] >= "\u2e80" and part in text for part in strong)


@dataclass(frozen=True, slots=True)
class Id:
    """A number or code that names a patient, a request, a device.

    Attributes
    ----------
    core
        Folded letters and digits, separators left out.
    split
        The source writes it with separators, so it may be written with others.
    space
        How many values of the same shape there are: the yardstick for chance.
    """

    identifier_class: str
    identity: bool
    core: str
    split: bool
    space: float

    def stands_in(self, reading: Reading, *, surrogate: bool, changed: bool) -> bool:
        """Tell whether the number stands in a value as a number of its own."""
        place, core = reading.place, self.core
        long = len(core) >= _WHOLE_NUMBER
        if surrogate and self.space < _CHANCE_SPACE:
            return False
        if place is Place.NUMBER:
            return (long or changed) and core in reading.components
        if place is Place.CLOCK:
            return (len(core) >= 8 or changed) and core in reading.components
        if place is Place.UID:
            return core.isdigit() and any(self._in_uid(value) for value in reading.components)
        if place is Place.DATE:
            rest = [value for value in reading.components if not dates_in(value, written=False)]
            return any(self._pattern().search(value) for value in rest)
        if place is Place.CODE and core in vocabulary():
            return False
        if place is Place.DEVICE and not (changed or (self.identity and long)):
            return False
        pattern = self._pattern()
        return any(pattern.search(text) for text in reading.texts)

    def _in_uid(self, uid: str) -> bool:
        return self.core in uid.split(".") or (len(self.core) >= 8 and self.core in uid)

    def _pattern(self) -> re.Pattern[str]:
        return _id_pattern(self.core, self.split)


@lru_cache(maxsize=4096)
def _id_pattern(core: str, split: bool) -> re.Pattern[str]:
    long = len(core) >= _WHOLE_NUMBER
    apart = r"[\s\-_./^()]{0,3}" if split else (r"[\s\-_./]?" if long else "")
    pieces = [re.escape(core[0])]
    for before, after in pairwise(core):
        loose = split or (long and (before.isdigit() or after.isdigit())) or before.isdigit() != after.isdigit()
        pieces.append((apart or r"[\s\-_]?" if loose else "") + re.escape(after))
    body = "".join(pieces)
    if long:
        # Eight characters with digits among them are no chance even when letters are glued to them.
        glued = len(core) >= 8 and not core.isalpha()
        ahead = r"(?<!\d)" if core[0].isdigit() else "" if glued else r"(?<![^\W\d_])"
        behind = r"(?!\d)" if core[-1].isdigit() else "" if glued else r"(?![^\W\d_])"
        return re.compile(ahead + body + behind)
    decimal = (r"(?<!\d[.,])", r"(?![.,]\d)" + _UNIT) if core.isdigit() else ("", "")
    return re.compile(r"(?<![^\W_])" + decimal[0] + body + r"(?![^\W_])" + decimal[1])


@dataclass(frozen=True, slots=True)
class Date:
    """A day of the patient's life."""

    identifier_class: str
    identity: bool
    day: tuple[int, int, int]

    def stands_in(self, reading: Reading, *, surrogate: bool, changed: bool) -> bool:  # noqa: ARG002
        """Tell whether the day is written in a value, in any of the usual ways."""
        place = reading.place
        if surrogate or place is Place.CLOCK or (place is Place.DEVICE and not self.identity):
            return False
        if place is Place.UID:
            return any(self.day in dates_in_uid(value) for value in reading.components)
        if place is Place.NUMBER:
            year, month, day = self.day
            return f"{year:04}{month:02}{day:02}" in reading.components
        return any(self.day in dates_in(text, written=True) for text in reading.texts)


@dataclass(frozen=True, slots=True)
class Phrase:
    """An institution, an address, an e-mail address: words that tell as a whole."""

    identifier_class: str
    identity: bool
    core: str

    def stands_in(self, reading: Reading, *, surrogate: bool, changed: bool) -> bool:  # noqa: ARG002
        """Tell whether the whole phrase stands in a value, whatever separates its words."""
        if surrogate or reading.place in {Place.DEVICE, Place.NUMBER, Place.CLOCK, Place.DATE, Place.UID}:
            return False
        return any(self.core in "".join(filter(str.isalnum, text)) for text in reading.texts)


Identifier = Name | Id | Date | Phrase
