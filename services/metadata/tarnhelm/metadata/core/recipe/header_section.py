"""Reading the lines of ``%header``: ACTION attributes [value]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.recipe.attributes import AttributeReader, UnknownNameError
from tarnhelm.metadata.core.recipe.functions import Function, function_names, registry
from tarnhelm.metadata.core.recipe.lines import Cursor, Word, unquote
from tarnhelm.metadata.core.recipe.names import find_by_name
from tarnhelm.metadata.core.recipe.rules import (
    Arguments,
    Condition,
    FunctionCall,
    Literal,
    PseudoCall,
    Rule,
    ValueExpr,
    Variable,
)
from tarnhelm.metadata.core.recipe.selectors import PathSelector, Selector, TagSelector, ValueGroupSelector
from tarnhelm.metadata.core.recipe.vocabulary import CLASS_ALIASES, PROTECTED, SECTION_OF, ActionName

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe.problems import ProblemList
    from tarnhelm.metadata.core.recipe.vocabulary import ClassCatalogue, ClassParameter

__all__ = ["HeaderReader"]

_VALUE_KIND: Final = re.compile(r"(var|func|deid_func)\s*:\s*", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PARAMETER: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_DAYS: Final = re.compile(r"[+-]?\d{1,5}")
_VALUELESS: Final = frozenset({ActionName.BLANK, ActionName.KEEP, ActionName.REMOVE})
_LONGEST_NAME: Final = 12
"""Words of an attribute's long name that are looked at."""


@dataclass(slots=True)
class HeaderReader:
    """Turns lines into rules; mistakes go into ``problems``."""

    problems: ProblemList
    attributes: AttributeReader
    classes: ClassCatalogue
    source: str

    def read(self, cursor: Cursor) -> Rule | None:
        """Read one line; ``None`` if it holds a mistake."""
        word = cursor.word()
        action = _action(word.text)
        if action is None and (home := SECTION_OF.get(word.text.upper())):
            self.problems.error(word.place, f"{word.text} is no action of %header", f"it in a {home} section")
            return None
        if action is None:
            near = self.problems.suggest(word.text, ActionName, cutoff=0.5)
            self.problems.error(word.place, f"'{word.text[:60]}' is no action", ", ".join(ActionName), near)
            return None
        if cursor.done:
            self.problems.error(
                cursor.place(), f"{action} needs an attribute", "a keyword, a tag, or contains: and the like"
            )
            return None
        known = len(self.problems.errors)
        field = self._field(cursor, action)
        selector = self._selector(field, action)
        group = self._value_group(cursor)
        value, function = self._value(cursor, action)
        if selector is None or len(self.problems.errors) > known:
            return None
        if isinstance(selector, ValueGroupSelector):
            group = selector.name
        condition = Condition(group, function) if group or function else None
        rule = Rule(action, selector, value, condition, cursor.number, " ".join(cursor.text.split()), self.source)
        return rule if self._fits(rule, field) else None

    def _field(self, cursor: Cursor, action: ActionName) -> Word:
        """Read the attributes; a long name with blanks may stand without quotes where it is clear how far it goes."""
        begin = cursor.at
        if action in _VALUELESS or action is ActionName.PSEUDO:
            spaced = self._long_name(cursor, whole=action in _VALUELESS)
            if spaced is not None:
                return spaced
        cursor.at = begin
        field = cursor.field()
        if action in _VALUELESS or find_by_name(field.text) is not None or not field.text.isalpha():
            return field
        after = cursor.at
        cursor.at = begin
        spaced = self._long_name(cursor, whole=False)
        if spaced is None:
            cursor.at = after
        return spaced or field

    @staticmethod
    def _long_name(cursor: Cursor, *, whole: bool) -> Word | None:
        """Read the longest run of two and more words that is the name of an attribute."""
        cursor.skip()
        begin, place = cursor.at, cursor.place()
        ends: list[int] = []
        while not cursor.done and len(ends) < _LONGEST_NAME:
            cursor.word()
            ends.append(cursor.at)
        if whole:
            ends = ends[-1:] if cursor.done else []
        elif len(ends) < 2:
            ends = []
        for end in reversed(ends):
            text = cursor.text[begin:end]
            if (" " in text or "\t" in text) and find_by_name(text) is not None:
                cursor.at = end
                return Word(text, place)
        cursor.at = begin
        return None

    def _selector(self, field: Word, action: ActionName) -> Selector | None:
        try:
            return self.attributes.selector(field)
        except UnknownNameError as unknown:
            # Recipes of deid remove words that are no attributes. That is harmless unless it is a slip of the pen.
            harmless = action in {ActionName.REMOVE, ActionName.BLANK} and self.problems.can_suggest
            if harmless and not unknown.suggestion:
                message = f"'{field.text[:60]}' is no attribute of the dictionary; the line does nothing"
                self.problems.warn(field.place, message)
            else:
                self.attributes.report(unknown)
            return None

    def _value_group(self, cursor: Cursor) -> str | None:
        """Read ``values:name`` behind the attributes, a condition."""
        cursor.skip()
        if cursor.text[cursor.at : cursor.at + 7].lower() != "values:":
            return None
        word = cursor.word()
        name = Word(word.text[7:], (word.place[0], word.place[1] + 7))
        return name.text if self.attributes.knows_value_group(name) else None

    def _value(self, cursor: Cursor, action: ActionName) -> tuple[ValueExpr | None, FunctionCall | None]:
        if action is ActionName.PSEUDO:
            return self._pseudo(cursor), None
        if action in _VALUELESS:
            return None, self._test(cursor, action)
        if cursor.done:
            hint = (
                "a number of days, var: or func:"
                if action is ActionName.JITTER
                else "a value; '' stands for an empty one"
            )
            self.problems.error(cursor.place(), f"{action} needs a value", hint)
            return None, None
        place = cursor.place()
        value = self._expression(cursor)
        if action is ActionName.JITTER:
            self._check_days(value, place)
        return value, None

    def _check_days(self, value: ValueExpr | None, place: tuple[int, int]) -> None:
        if isinstance(value, Literal) and not _DAYS.fullmatch(value.text):
            self.problems.error(place, "JITTER moves by whole days", "a whole number up to five digits, var: or func:")
        if isinstance(value, FunctionCall) and not registry()[value.name].moves_dates:
            moving = ", ".join(dict.fromkeys(known.name for known in registry().values() if known.moves_dates))
            self.problems.error(place, f"{value.name} does not move dates", moving)

    def _test(self, cursor: Cursor, action: ActionName) -> FunctionCall | None:
        """Read what may follow REMOVE, BLANK and KEEP: a question to the value."""
        if cursor.done:
            return None
        begin = cursor.at
        kind = _VALUE_KIND.match(cursor.text, begin)
        if kind is None or kind[1].lower() == "var":
            rest = cursor.rest()
            self.problems.error(
                rest.place, f"{action} takes no value", "the end of the line, values: or func: with a test"
            )
            return None
        cursor.at = kind.end()
        return self._call(cursor, test=True)

    def _expression(self, cursor: Cursor) -> ValueExpr | None:
        cursor.skip()
        kind = _VALUE_KIND.match(cursor.text, cursor.at)
        if kind is None:
            return self._literal(cursor.rest())
        cursor.at = kind.end()
        if kind[1].lower() != "var":
            return self._call(cursor, test=False)
        word = cursor.rest()
        if _VARIABLE.fullmatch(word.text):
            return Variable(word.text)
        self.problems.error(word.place, f"'{word.text[:60]}' is no name of a variable", "letters, digits, _ . -")
        return None

    def _literal(self, word: Word) -> Literal | None:
        text = word.text
        quoted = unquote(text)
        if quoted is not None:
            return Literal(quoted)
        if text[0] in "\"'":
            self.problems.error(
                word.place, "a quoted value is closed once, at the end of the line", f"{text[0]} at the end"
            )
            return None
        return Literal(" ".join(text.split()))

    def _call(self, cursor: Cursor, *, test: bool) -> FunctionCall | None:
        name = cursor.word()
        function = registry().get(name.text) or registry().get(name.text.lower())
        if function is None:
            near = self.problems.suggest(name.text, function_names(), cutoff=0.5)
            message = f"there is no function '{name.text[:60]}'; a recipe brings no code of its own"
            self.problems.error(name.place, message, "a function of the reference page", near)
            return None
        if test is not (function.test is not None):
            hint = "gives a value and answers no question" if test else "answers a question and gives no value"
            self.problems.error(
                name.place, f"{function.name} {hint}", "is_name, hasuid or is_empty" if test else "another function"
            )
            return None
        return FunctionCall(function.name, self._arguments(cursor, function))

    def _arguments(self, cursor: Cursor, function: Function) -> Arguments:
        known = function.parameters or {}
        given = self._named(cursor, known, function.name)
        for name, (text, place) in given.items():
            if not known[name].accepts(text):
                self.problems.error(place, f"{name} cannot be '{text[:60]}'", known[name].expected)
        return Arguments({name: text for name, (text, _) in given.items()})

    def _named(
        self, cursor: Cursor, known: Mapping[str, object] | None, owner: str
    ) -> dict[str, tuple[str, tuple[int, int]]]:
        """Read ``name=value`` pairs up to the end of the line."""
        given: dict[str, tuple[str, tuple[int, int]]] = {}
        while not cursor.done:
            word = cursor.field()
            pair = _PARAMETER.fullmatch(word.text)
            if pair is None:
                self.problems.error(word.place, f"'{word.text[:60]}' is no parameter of {owner}", "name=value")
                continue
            name = pair[1].lower()
            if known is not None and name not in known:
                near = self.problems.suggest(name, known, cutoff=0.5)
                names = ", ".join(known) or "none"
                self.problems.error(
                    word.place, f"{owner} has no parameter '{name[:60]}'", f"of its parameters: {names}", near
                )
            elif name in given:
                self.problems.error(word.place, f"{name} is given twice", "one value")
            else:
                text = unquote(pair[2])
                given[name] = (pair[2] if text is None else text, word.place)
        return given

    def _pseudo(self, cursor: Cursor) -> PseudoCall | None:
        if cursor.done:
            self.problems.error(cursor.place(), "PSEUDO needs a class", ", ".join(self.classes))
            return None
        name = self._class_name(cursor)
        if name is None:
            return None
        allowed = self.classes[name]
        known = None if allowed is None else dict.fromkeys(allowed)
        given = self._named(cursor, known, name)
        if isinstance(allowed, Mapping):
            for key, (text, place) in given.items():
                self._check_parameter(name, key, allowed[key], text, place)
        return PseudoCall(name, Arguments({key: text for key, (text, _) in given.items()}))

    def _check_parameter(
        self, owner: str, key: str, parameter: ClassParameter, text: str, place: tuple[int, int]
    ) -> None:
        if not parameter.accepts(text):
            near = self.problems.suggest(text, parameter.choices, cutoff=0.5)
            expected = " or ".join(parameter.choices) or parameter.expected
            self.problems.error(
                (place[0], place[1] + len(key) + 1), f"{key} of {owner} cannot be '{text[:60]}'", expected, near
            )

    def _class_name(self, cursor: Cursor) -> str | None:
        """Read a class in any case, its words divided by ``_``, ``-`` or blanks."""
        first = cursor.word()
        ends, texts = [cursor.at], [first.text]
        while len(texts) < 4 and not cursor.done:
            texts.append(cursor.word().text)
            ends.append(cursor.at)
        for count in range(len(texts), 0, -1):
            folded = "_".join(texts[:count]).upper().replace("-", "_")
            name = CLASS_ALIASES.get(folded, folded)
            if name in self.classes:
                cursor.at = ends[count - 1]
                return name
        cursor.at = len(cursor.text)
        near = self.problems.suggest(first.text, (*self.classes, *CLASS_ALIASES), cutoff=0.5)
        self.problems.error(first.place, f"'{first.text[:60]}' is no PSEUDO class", ", ".join(self.classes), near)
        return None

    def _fits(self, rule: Rule, field: Word) -> bool:
        """Check what can be known of the value and the attribute before there is an object."""
        selector = rule.selector
        if isinstance(selector, PathSelector) and rule.action is ActionName.ADD:
            self.problems.error(
                field.place, "ADD creates attributes of the data set itself", "REPLACE for a nested attribute"
            )
            return False
        if not isinstance(selector, TagSelector):
            return True
        row = selector.tag.attribute
        if row is not None and row.value in PROTECTED and rule.action is not ActionName.KEEP:
            self.problems.error(
                field.place, f"{row.keyword} is protected: without it there is no image", "KEEP, or nothing"
            )
            return False
        if row is not None and row.vr == "SQ" and not _may_be_sequence(rule):
            self.problems.error(
                field.place, f"{row.keyword} is a sequence and has no value to set", "an attribute inside it"
            )
            return False
        if rule.action in {ActionName.KEEP, ActionName.ADD} and selector.tag.private and selector.tag.creator is None:
            message = "a private tag without its creator may hold another vendor's data in the next file"
            self.problems.warn(field.place, message, '(gggg,"CREATOR",ee)')
        return True


def _may_be_sequence(rule: Rule) -> bool:
    if rule.action in {ActionName.PSEUDO, ActionName.JITTER}:
        return False
    return rule.value is None or rule.value == Literal("")


def _action(text: str) -> ActionName | None:
    try:
        return ActionName(text.upper())
    except ValueError:
        return None
