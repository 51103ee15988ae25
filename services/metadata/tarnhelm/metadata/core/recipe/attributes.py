"""Reading the part of a line that says which attributes are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.recipe.lines import Word, unquote
from tarnhelm.metadata.core.recipe.names import dictionary_keywords, find_by_name
from tarnhelm.metadata.core.recipe.pattern import Pattern, PatternError, compile_pattern
from tarnhelm.metadata.core.recipe.selectors import (
    AllSelector,
    ExceptSelector,
    FieldGroupSelector,
    GroupNumberSelector,
    NameSelector,
    PathSelector,
    Selector,
    TagSelector,
    ValueGroupSelector,
    VrSelector,
)
from tarnhelm.metadata.core.recipe.tags import TagPattern, looks_like_tag, parse_tag
from tarnhelm.metadata.core.recipe.vocabulary import EXPANDERS, VALUE_REPRESENTATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.metadata.core.recipe.problems import ProblemList

__all__ = ["AttributeReader", "UnknownNameError"]

_EXPANDER: Final = re.compile(r"([A-Za-z_]+)\s*:(.*)", re.DOTALL)
_SEPARATOR: Final = re.compile(r"/|__")
_TAG_FORMS: Final = '(gggg,eeee), ggggeeee, (60xx,eeee) or (gggg,"CREATOR",ee)'
_GROUP_NUMBER: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{1,4})")


class UnknownNameError(Exception):
    """The dictionary has no such name."""

    def __init__(self, word: Word, suggestion: str) -> None:
        self.word = word
        self.suggestion = suggestion
        super().__init__(word.text)


@dataclass(slots=True)
class AttributeReader:
    """Turns words into selectors; what it cannot read it enters into ``problems``.

    Attributes
    ----------
    field_groups, value_groups
        What ``fields:`` and ``values:`` may name. A group's own lines are read with the empty mapping, so that
        groups cannot contain each other.
    """

    problems: ProblemList
    field_groups: Mapping[str, tuple[Selector, ...]]
    value_groups: frozenset[str] = frozenset()

    def selector(self, word: Word) -> Selector | None:
        """Read a selector.

        Returns
        -------
        Selector | None
            ``None`` after a mistake, which has been entered.

        Raises
        ------
        UnknownNameError
            For a single name that the dictionary does not have.
        """
        text = word.text
        quoted = unquote(text)
        if quoted is not None:
            return self._single(Word(quoted, word.place))
        if text.upper() in {"ALL", "ALLFIELDS"}:
            return AllSelector()
        expander = _EXPANDER.fullmatch(text)
        if expander:
            offset = expander.start(2)
            argument = Word(expander[2].strip(), (word.place[0], word.place[1] + offset))
            return self._expanded(expander[1], argument, word)
        if len(steps := _path_steps(text)) > 1:
            return self._path(steps, word)
        return self._single(word)

    def _single(self, word: Word) -> Selector | None:
        pattern = self.tag(word)
        return None if pattern is None else TagSelector(pattern)

    def tag(self, word: Word) -> TagPattern | None:
        """Read one tag or name; raises ``UnknownNameError``."""
        text = word.text
        row = find_by_name(text)
        if row is not None:
            return TagPattern(row.value, row.mask)
        pattern = parse_tag(text)
        if pattern is not None:
            return pattern
        if looks_like_tag(text):
            self.problems.error(word.place, f"{_shown(text)} is no tag", _TAG_FORMS)
            return None
        raise UnknownNameError(word, self.problems.suggest(text, dictionary_keywords()))

    def _path(self, steps: list[tuple[str, int]], word: Word) -> Selector | None:
        anchored = steps[0][0] == ""
        read: list[TagPattern | str] = []
        for text, offset in steps[anchored:]:
            place = word.place[0], word.place[1] + offset
            if text.isascii() and text.isdigit() and len(text) < 8:
                self.problems.error(
                    place, "a rule holds for every item, an item number cannot be given", "a path without it"
                )
                return None
            if text in {"*", "**"}:
                read.append(text)
                continue
            step = self.tag(Word(text, place))
            if step is None:
                return None
            read.append(step)
        if not any(isinstance(step, TagPattern) for step in read):
            self.problems.error(word.place, "a path names at least one attribute", "for every attribute: ALL")
            return None
        return PathSelector(tuple(read), anchored)

    def _expanded(self, name: str, argument: Word, word: Word) -> Selector | None:
        kind = name.lower()
        if kind not in EXPANDERS:
            near = self.problems.suggest(name, EXPANDERS, cutoff=0.5)
            self.problems.error(
                word.place, f"{_shown(name)}: is no way to choose attributes", ", ".join(EXPANDERS), near
            )
            return None
        if not argument.text:
            self.problems.error(argument.place, f"nothing stands after {kind}:", _expected_after(kind))
            return None
        if kind == "fields":
            return self._field_group(argument)
        if kind == "values":
            return ValueGroupSelector(argument.text) if self.knows_value_group(argument) else None
        if kind == "select":
            return self._select(argument)
        return self._expression(kind, argument)

    def _field_group(self, word: Word) -> Selector | None:
        members = self.field_groups.get(word.text)
        if members is None:
            near = self.problems.suggest(word.text, self.field_groups, cutoff=0.5)
            self.problems.error(
                word.place, f"there is no group %fields {_shown(word.text)}", "the name of a %fields section", near
            )
            return None
        return FieldGroupSelector(word.text, members)

    def knows_value_group(self, word: Word) -> bool:
        """Whether a ``%values`` section has this name; if not, that is a mistake."""
        if word.text in self.value_groups:
            return True
        near = self.problems.suggest(word.text, self.value_groups, cutoff=0.5)
        self.problems.error(
            word.place, f"there is no group %values {_shown(word.text)}", "the name of a %values section", near
        )
        return False

    def _select(self, word: Word) -> Selector | None:
        prop, _, value = word.text.partition(":")
        place = word.place[0], word.place[1] + len(prop) + 1
        value = value.strip()
        if prop.strip().upper() == "VR":
            if value.upper() in VALUE_REPRESENTATIONS:
                return VrSelector(value.upper())
            near = self.problems.suggest(value, VALUE_REPRESENTATIONS, cutoff=0.5)
            self.problems.error(
                place, f"{_shown(value)} is no value representation", "two letters of PS3.5 table 6.2-1", near
            )
            return None
        if prop.strip().upper() == "GROUP":
            number = _GROUP_NUMBER.fullmatch(value)
            if number:
                return GroupNumberSelector(int(number[1], 16))
            self.problems.error(place, f"{_shown(value)} is no group number", "up to four hexadecimal digits")
            return None
        self.problems.error(
            word.place, f"attributes cannot be selected by {_shown(prop)}", "select:VR: or select:GROUP:"
        )
        return None

    def _expression(self, kind: str, word: Word) -> Selector | None:
        pattern = self.pattern(word, at_start=kind == "startswith", at_end=kind == "endswith")
        if pattern is None:
            return None
        return ExceptSelector(pattern) if kind.endswith("except") else NameSelector(kind, pattern)

    def pattern(self, word: Word, *, at_start: bool = False, at_end: bool = False) -> Pattern | None:
        """Compile an expression, or enter what is wrong with it."""
        try:
            return compile_pattern(word.text, at_start=at_start, at_end=at_end)
        except PatternError as error:
            place = word.place[0], word.place[1] + error.offset
            self.problems.error(
                place, f"the expression cannot be read: {error}", "a regular expression without look-around"
            )
            return None

    def report(self, unknown: UnknownNameError) -> None:
        """Enter an unknown name as a mistake."""
        word = unknown.word
        self.problems.error(
            word.place,
            f"{_shown(word.text)} is no attribute of the dictionary",
            f"a keyword, or {_TAG_FORMS}",
            unknown.suggestion,
        )


def _shown(text: str) -> str:
    short = text if len(text) <= 60 else text[:57] + "..."
    return repr(short) if "'" in short else f"'{short}'"


def _expected_after(kind: str) -> str:
    if kind == "select":
        return "VR: or GROUP:"
    return f"the name of a %{kind} section" if kind in {"fields", "values"} else "an expression"


def _path_steps(text: str) -> list[tuple[str, int]]:
    """Split at ``/`` and ``__`` outside quotes and parentheses; each step with its offset."""
    steps, begin, at, depth, quote = [], 0, 0, 0, ""
    while at < len(text):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and (at == 0 or text[at - 1] in " (,/_"):
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif depth <= 0 and (found := _SEPARATOR.match(text, at)):
            steps.append((text[begin:at], begin))
            at = begin = found.end()
            continue
        at += 1
    return [*steps, (text[begin:], begin)]
