"""Reading the lines of ``%filter``: LABEL, criteria, coordinates."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.recipe.attributes import AttributeReader, UnknownNameError
from tarnhelm.metadata.core.recipe.filters import FilterLabel, FilterLine, FilterTest, Region
from tarnhelm.metadata.core.recipe.lines import Cursor, Word, unquote
from tarnhelm.metadata.core.recipe.tags import TagPattern
from tarnhelm.metadata.core.recipe.vocabulary import COORDINATE_WORDS, Criterion

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe.problems import ProblemList

__all__ = ["LabelReader"]

_JOINTS: Final = {"+": "and", "||": "or"}
_CRITERIA: Final = "|".join(sorted(Criterion, key=len, reverse=True))
_JOINED: Final = re.compile(rf"(?:(?<=[ \t])|^)(\+|\|\|)[ \t]*(?=(?:{_CRITERIA})(?:[ \t]|$))", re.IGNORECASE)
_STRAY_JOINT: Final = re.compile(r"(?:^|[ \t])(\+|\|\|)(?:[ \t]|$)")
_NUMBERS: Final = re.compile(r"\d{1,6}(?:[ \t]*,[ \t]*\d{1,6}){3}")
_LARGEST: Final = 65535
_ALL: Final = 0xFFFF_FFFF
_VARYING: Final = 0x00FF_0000
_PARITY: Final = 0x0001_0000


@dataclass(slots=True)
class LabelReader:
    """Collects the lines of one LABEL; mistakes go into ``problems``."""

    problems: ProblemList
    attributes: AttributeReader
    name: str
    place: tuple[int, int]
    lines: list[FilterLine] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    broken: bool = False

    def finish(self) -> FilterLabel | None:
        """Give the label; ``None`` if it holds a mistake."""
        if self.broken:
            return None
        if not self.lines and not self.regions:
            self.problems.error(self.place, "a LABEL without criteria fits nothing", "a criterion or coordinates")
            return None
        return FilterLabel(self.name, tuple(self.lines), tuple(self.regions), self.place[0])

    def read(self, cursor: Cursor) -> None:
        """Read one line below the LABEL."""
        known = len(self.problems.errors)
        word = cursor.word()
        if word.text.lower() in COORDINATE_WORDS:
            region = self._region(word.text.lower(), cursor.rest())
            if region is not None:
                self.regions.append(region)
        else:
            cursor.at = 0
            line = self._line(cursor)
            if line is not None:
                self.lines.append(line)
        self.broken = self.broken or len(self.problems.errors) > known

    def _region(self, kind: str, word: Word) -> Region | None:
        keep = "keep" in kind
        text = word.text
        if text.lower() == "all":
            return Region(keep, whole=True)
        if text.lower().startswith("from:") and not kind.startswith("ctp"):
            return self._stored(Word(text[5:].strip(), (word.place[0], word.place[1] + 5)), keep=keep)
        if not _NUMBERS.fullmatch(text):
            expected = (
                "x,y,width,height or all" if kind.startswith("ctp") else "left,top,right,bottom, all or from:Sequence"
            )
            self.problems.error(word.place, f"{kind} takes four numbers", expected)
            return None
        left, top, right, bottom = (int(number) for number in text.split(","))
        if kind.startswith("ctp"):
            right, bottom = left + right, top + bottom
        if right <= left or bottom <= top or max(right, bottom) > 2 * _LARGEST:
            self.problems.error(word.place, "the region holds no pixel", "left < right and top < bottom, in pixels")
            return None
        return Region(keep, ((left, top, right, bottom),))

    def _stored(self, word: Word, *, keep: bool) -> Region | None:
        if not word.text:
            self.problems.error(word.place, "nothing stands after from:", "SequenceOfUltrasoundRegions")
            return None
        names = self._names(word, strict=True)
        return None if names is None else Region(keep, source=names[0])

    def _line(self, cursor: Cursor) -> FilterLine | None:
        text = cursor.text
        joint, begin = "", 0
        lead = re.match(r"(\+|\|\|)[ \t]*", text)
        if lead:
            joint, begin = _JOINTS[lead[1]], lead.end()
        joints, pieces = [], []
        for found in _JOINED.finditer(text, begin):
            if found.start() == begin:
                continue
            pieces.append((begin, found.start()))
            joints.append(_JOINTS[found[1]])
            begin = found.end()
        pieces.append((begin, len(text)))
        tests = [self._test(Cursor(text[:end], cursor.number, cursor.indent, start)) for start, end in pieces]
        good = [test for test in tests if test is not None]
        return FilterLine(joint, tuple(good), tuple(joints)) if len(good) == len(tests) else None

    def _test(self, cursor: Cursor) -> FilterTest | None:
        word = cursor.word()
        criterion = _criterion(word.text)
        if criterion is None:
            words = (*Criterion, *COORDINATE_WORDS)
            near = self.problems.suggest(word.text, words, cutoff=0.5)
            self.problems.error(word.place, f"'{word.text[:60]}' is no criterion", ", ".join(words), near)
            return None
        if cursor.done:
            self.problems.error(cursor.place(), f"{criterion} needs an attribute", "a keyword or a tag")
            return None
        names = self._names(cursor.field(), strict=False)
        value = cursor.rest()
        if names is None:
            return None
        if not criterion.takes_value:
            if value.text:
                self.problems.error(value.place, f"{criterion} takes no value", "the end of the line, + or ||")
            return FilterTest(criterion, names)
        if not value.text:
            self.problems.error(value.place, f"{criterion} needs a value", "what to look for")
            return None
        return self._compared(criterion, names, value)

    def _compared(self, criterion: Criterion, names: tuple[str, ...], value: Word) -> FilterTest | None:
        quoted = unquote(value.text)
        if quoted is None and (stray := _STRAY_JOINT.search(value.text)):
            place = value.place[0], value.place[1] + stray.start(1)
            self.problems.error(place, f"{stray[1]} joins criteria", "a criterion after it, or quotes around the value")
            return None
        if criterion in {Criterion.EQUALS, Criterion.NOTEQUALS}:
            options = [quoted] if quoted is not None else value.text.split("|")
            return FilterTest(criterion, names, options=tuple(option.strip().lower() for option in options))
        word = value if quoted is None else Word(quoted, (value.place[0], value.place[1] + 1))
        pattern = self.attributes.pattern(word)
        return None if pattern is None else FilterTest(criterion, names, pattern)

    def _names(self, word: Word, *, strict: bool) -> tuple[str, ...] | None:
        try:
            pattern = self.attributes.tag(word)
        except UnknownNameError as unknown:
            if strict:
                self.attributes.report(unknown)
                return None
            # Filters of deid ask for attributes with misspelled names: for them such an attribute is absent.
            message = f"'{word.text[:60]}' is no attribute of the dictionary; the filter takes it as absent"
            self.problems.warn(word.place, message, "a keyword or a tag", unknown.suggestion)
            return (word.text,)
        if pattern is None:
            return None
        if not pattern.exact and not strict and (tags := _repeated(pattern)):
            return tags
        if not pattern.exact:
            self.problems.error(
                word.place, "a filter looks at one attribute", "a tag without x, or a repeating group 50xx or 60xx"
            )
            return None
        return (pattern.attribute.keyword if pattern.attribute else str(pattern),)


def _repeated(pattern: TagPattern) -> tuple[str, ...]:
    """Give the tags of the sixteen groups that may repeat (PS3.5 section 7.6), if such a group is meant."""
    if pattern.creator is not None or pattern.mask | _VARYING != _ALL or pattern.mask & _VARYING & ~_PARITY:
        return ()
    first = pattern.value & ~_PARITY
    return tuple(str(TagPattern(first + (0x2_0000 * number))) for number in range(16))


def _criterion(text: str) -> Criterion | None:
    try:
        return Criterion(text.lower())
    except ValueError:
        return None
