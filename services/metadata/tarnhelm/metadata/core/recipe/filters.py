"""Filters: which objects are set aside or masked, by tests on their header (deid's form of CTP's filters)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from tarnhelm.metadata.core.recipe.vocabulary import Criterion

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe.pattern import Pattern

__all__ = [
    "Box",
    "Filter",
    "FilterLabel",
    "FilterLine",
    "FilterMatch",
    "FilterTest",
    "HeaderView",
    "Region",
    "match_filters",
]

HeaderView = Callable[[str], Sequence[str] | None]
"""Values of an attribute by keyword, tag or path (``Sequence/Attribute``: of all items); ``None`` if absent."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; the last two are the first column and row outside."""

_CORNERS = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")


@dataclass(frozen=True, slots=True)
class Region:
    """Pixels that a label names.

    Attributes
    ----------
    keep
        The region is to be kept and not to be masked.
    boxes
        Empty with ``whole``, and where ``source`` has not been looked up yet.
    whole
        The whole image.
    source
        Path of a sequence that holds the boxes (PS3.3 C.8.5.5), or empty.
    """

    keep: bool = False
    boxes: tuple[Box, ...] = ()
    whole: bool = False
    source: str = ""

    def canonical(self) -> list[object]:
        """Give the region as JSON for the digest of a recipe."""
        return [self.keep, [list(box) for box in self.boxes], self.whole, self.source]

    def resolved(self, fields: HeaderView) -> Region:
        """Look the boxes up that stand in the object."""
        if not self.source:
            return self
        columns = [fields(f"{self.source}/{corner}") or () for corner in _CORNERS]
        boxes = tuple(box for corners in zip(*columns, strict=False) if (box := _box(corners)) is not None)
        return Region(self.keep, boxes)


def _box(corners: Sequence[str]) -> Box | None:
    try:
        left, top, right, bottom = (int(corner) for corner in corners)
    except ValueError:
        return None
    return left, top, right, bottom


@dataclass(frozen=True, slots=True)
class FilterTest:
    """One criterion on one attribute.

    Attributes
    ----------
    names
        Keyword, or ``(gggg,eeee)``; several for a repeating group, whose values are taken together. A name that
        the dictionary does not have is never present.
    pattern
        For ``contains`` and ``notcontains``.
    options
        For ``equals`` and ``notequals``, in lower case: any one will do.
    """

    criterion: Criterion
    names: tuple[str, ...]
    pattern: Pattern | None = None
    options: tuple[str, ...] = ()

    def holds(self, fields: HeaderView) -> bool:
        """Test a header. As in deid an absent attribute contains and equals nothing."""
        values = self._values(fields)
        match self.criterion:
            case Criterion.MISSING:
                return values is None
            case Criterion.PRESENT:
                return values is not None
            case Criterion.EMPTY:
                return values is not None and not any(value.strip(" \0") for value in values)
            case Criterion.NOTEMPTY:
                return values is not None and any(value.strip(" \0") for value in values)
            case Criterion.EQUALS:
                return self._equals(values or ())
            case Criterion.NOTEQUALS:
                return not self._equals(values or ())
            case Criterion.CONTAINS:
                return self._contains(values or ())
        return not self._contains(values or ())

    def _values(self, fields: HeaderView) -> Sequence[str] | None:
        if len(self.names) == 1:
            return fields(self.names[0])
        present = [values for name in self.names if (values := fields(name)) is not None]
        return [value for values in present for value in values] if present else None

    def _contains(self, values: Sequence[str]) -> bool:
        pattern = self.pattern
        return pattern is not None and any(pattern.search(value.strip(" \0")) for value in values)

    def _equals(self, values: Sequence[str]) -> bool:
        found = [value.strip(" \0").lower() for value in values]
        if len(found) > 1:
            found.append("\\".join(found))
        return any(_same(option, value) for option in self.options for value in found)

    def canonical(self) -> list[object]:
        """Give the test as JSON for the digest of a recipe."""
        return [self.criterion.value, list(self.names), self.pattern.text if self.pattern else "", list(self.options)]


def _same(option: str, value: str) -> bool:
    if option == value:
        return True
    number = _number(option)
    return number is not None and number == _number(value)


@functools.lru_cache(maxsize=4096)
def _number(text: str) -> Decimal | None:
    if not text or len(text) > 32 or text[0] not in "+-.0123456789":
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


@dataclass(frozen=True, slots=True)
class FilterLine:
    """One line of a label: tests joined from left to right.

    Attributes
    ----------
    joint
        How the line joins what stands above it: ``and``, ``or``, or empty for a check of its own.
    tests, joints
        ``joints[i]`` stands between ``tests[i]`` and ``tests[i + 1]``.
    """

    joint: str
    tests: tuple[FilterTest, ...]
    joints: tuple[str, ...] = ()

    def holds(self, fields: HeaderView) -> bool:
        """Evaluate from left to right, without precedence, as deid does."""
        result = self.tests[0].holds(fields)
        for joint, test in zip(self.joints, itertools.islice(self.tests, 1, None), strict=True):
            result = (result and test.holds(fields)) if joint == "and" else (result or test.holds(fields))
        return result

    def canonical(self) -> list[object]:
        """Give the line as JSON for the digest of a recipe."""
        return [self.joint, [test.canonical() for test in self.tests], list(self.joints)]


@dataclass(frozen=True, slots=True)
class FilterLabel:
    """A LABEL with its lines and regions. Without lines it fits every object."""

    name: str
    lines: tuple[FilterLine, ...] = ()
    regions: tuple[Region, ...] = ()
    line: int = 0

    def holds(self, fields: HeaderView) -> bool:
        """Tell whether one of the checks holds; a check is a line with the ``+`` and ``||`` lines below it."""
        if not self.lines:
            return True
        result = False
        check: bool | None = None
        for line in self.lines:
            if check is None or not line.joint:
                result = result or bool(check)
                check = line.holds(fields)
            elif line.joint == "and":
                check = check and line.holds(fields)
            else:
                check = check or line.holds(fields)
        return result or bool(check)

    def canonical(self) -> list[object]:
        """Give the label as JSON for the digest of a recipe."""
        return [self.name, [line.canonical() for line in self.lines], [region.canonical() for region in self.regions]]


@dataclass(frozen=True, slots=True)
class Filter:
    """A ``%filter`` section, for example ``graylist``."""

    name: str
    labels: tuple[FilterLabel, ...]

    def canonical(self) -> list[object]:
        """Give the filter as JSON for the digest of a recipe."""
        return [self.name, [label.canonical() for label in self.labels]]


@dataclass(frozen=True, slots=True)
class FilterMatch:
    """An object fits a label.

    Attributes
    ----------
    filter, label
        Their names.
    regions
        With their boxes; what is to be masked and what is to be kept.
    """

    filter: str
    label: str
    regions: tuple[Region, ...] = ()


def match_filters(filters: Sequence[Filter], fields: HeaderView) -> tuple[FilterMatch, ...]:
    """Give every label that an object fits, in the order of the recipe; the first one has the last word."""
    return tuple(
        FilterMatch(section.name, label.name, tuple(region.resolved(fields) for region in label.regions))
        for section in filters
        for label in section.labels
        if label.holds(fields)
    )
