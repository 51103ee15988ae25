"""Groups: attributes by ``%fields``, values of the object by ``%values``."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.recipe.attributes import AttributeReader, UnknownNameError
from tarnhelm.metadata.core.recipe.lines import Cursor, unquote
from tarnhelm.metadata.core.recipe.names import attribute_names
from tarnhelm.metadata.core.recipe.selectors import ElementKey, Selector, TagSelector
from tarnhelm.metadata.core.recipe.tags import PathStep
from tarnhelm.metadata.core.recipe.vocabulary import GROUP_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tarnhelm.metadata.core.recipe.problems import ProblemList

__all__ = ["FieldGroup", "GroupReader", "ValueGroup", "ValueSource"]

_SPLIT_PARAMETER: Final = re.compile(r"\s*([A-Za-z]+)\s*=\s*(\"[^\"]*\"|'[^']*'|[^;]*?)\s*(?:;|$)")
_SPLIT_NAMES: Final = {"by": "by", "splitval": "by", "split": "by", "minlength": "minlength"}


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """A ``%fields`` section."""

    name: str
    members: tuple[Selector, ...]

    def canonical(self) -> list[object]:
        """Give the group as JSON for the digest of a recipe."""
        return [self.name, [str(member) for member in self.members]]


@dataclass(frozen=True, slots=True)
class ValueSource:
    """One line of a ``%values`` section.

    Attributes
    ----------
    by
        ``None`` for FIELD, which takes whole values; the text to divide at for SPLIT.
    minlength
        Shorter parts are left out.
    """

    selector: Selector
    by: str | None = None
    minlength: int = 1

    def parts(self, values: Iterable[str]) -> Iterator[str]:
        """Give what the line takes out of the values of one attribute."""
        for value in values:
            for part in [value] if self.by is None else value.split(self.by):
                text = part.strip(" \0")
                if len(text) >= max(1, self.minlength):
                    yield text

    def asked(self) -> tuple[str, ...]:
        """Keywords and tags of the attributes to look at in a data set."""
        return _asked(self.selector)


@functools.lru_cache(maxsize=256)
def _asked(selector: Selector) -> tuple[str, ...]:
    if isinstance(selector, TagSelector) and selector.tag.exact:
        row = selector.tag.attribute
        return (row.keyword if row else str(selector),)
    return tuple(
        row.keyword
        for row in attribute_names()
        if row.exact and row.vr != "SQ" and selector.matches(ElementKey((PathStep(row.value),), row.vr))
    )


@dataclass(frozen=True, slots=True)
class ValueGroup:
    """A ``%values`` section."""

    name: str
    sources: tuple[ValueSource, ...]

    def collect(self, fields: Callable[[str], Sequence[str]]) -> frozenset[str]:
        """Collect from the attributes of the data set itself; ``fields`` gives the values of a keyword or tag."""
        return frozenset(
            part for source in self.sources for keyword in source.asked() for part in source.parts(fields(keyword))
        )

    def collect_from(self, elements: Iterable[tuple[ElementKey, Sequence[str]]]) -> frozenset[str]:
        """Collect from the elements of an object, nested and private ones too."""
        found: set[str] = set()
        for key, values in elements:
            for source in self.sources:
                if source.selector.matches(key):
                    found.update(source.parts(values))
        return frozenset(found)

    def canonical(self) -> list[object]:
        """Give the group as JSON for the digest of a recipe."""
        return [self.name, [[str(source.selector), source.by, source.minlength] for source in self.sources]]


@dataclass(slots=True)
class GroupReader:
    """Reads the lines of ``%fields`` and ``%values``."""

    problems: ProblemList
    attributes: AttributeReader

    def field_member(self, cursor: Cursor) -> Selector | None:
        """Read ``FIELD attributes``."""
        word = cursor.word()
        if word.text.upper() != "FIELD":
            near = (
                "FIELD" if word.text.upper() == "SPLIT" else self.problems.suggest(word.text, GROUP_WORDS, cutoff=0.5)
            )
            self.problems.error(word.place, f"'{word.text[:60]}' cannot stand in a %fields section", "FIELD", near)
            return None
        selector = self._selector(cursor, "FIELD")
        if selector is not None and not self._at_end(cursor, "FIELD"):
            return None
        return selector

    def value_source(self, cursor: Cursor) -> ValueSource | None:
        """Read ``FIELD attributes`` or ``SPLIT attributes [by=text;minlength=number]``."""
        word = cursor.word()
        kind = word.text.upper()
        if kind not in GROUP_WORDS:
            near = self.problems.suggest(word.text, GROUP_WORDS, cutoff=0.5)
            self.problems.error(
                word.place, f"'{word.text[:60]}' cannot stand in a %values section", "FIELD or SPLIT", near
            )
            return None
        selector = self._selector(cursor, kind)
        if selector is None:
            return None
        if kind == "FIELD":
            return ValueSource(selector) if self._at_end(cursor, kind) else None
        return self._split(selector, cursor)

    def _selector(self, cursor: Cursor, kind: str) -> Selector | None:
        if cursor.done:
            self.problems.error(
                cursor.place(), f"{kind} needs an attribute", "a keyword, a tag, or contains: and the like"
            )
            return None
        try:
            return self.attributes.selector(cursor.field())
        except UnknownNameError as unknown:
            self.attributes.report(unknown)
            return None

    def _at_end(self, cursor: Cursor, kind: str) -> bool:
        if cursor.done:
            return True
        self.problems.error(cursor.place(), f"{kind} takes one attribute or expander", "the end of the line")
        return False

    def _split(self, selector: Selector, cursor: Cursor) -> ValueSource | None:
        by, minlength = " ", 1
        while not cursor.done:
            pair = _SPLIT_PARAMETER.match(cursor.text, cursor.at)
            name = _SPLIT_NAMES.get(pair[1].lower()) if pair else None
            if pair is None or name is None:
                near = self.problems.suggest(pair[1] if pair else "", _SPLIT_NAMES, cutoff=0.5) if pair else ""
                self.problems.error(
                    cursor.place(), "SPLIT does not know this parameter", "by='text' or minlength=number", near
                )
                return None
            text = unquote(pair[2])
            text = pair[2] if text is None else text
            if name == "by" and text:
                by = text
            elif name == "minlength" and text.isascii() and text.isdigit() and len(text) <= 4:
                minlength = int(text)
            else:
                place = cursor.place(pair.start(2))
                self.problems.error(
                    place, f"{name} cannot be '{text[:60]}'", "a text" if name == "by" else "a whole number"
                )
                return None
            cursor.at = pair.end()
        return ValueSource(selector, by, minlength)
