"""How long the matches of an expression are, and in how many ways they can be tried: what bounds its time."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.recipe.pattern import PatternError, _Reader

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe.pattern import _Node

__all__ = ["Extent", "extent_of"]

_MANY: Final = 1 << 30
"""More than anybody would allow; sums and products stop here."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Bounds of an expression.

    Attributes
    ----------
    shortest, longest
        Characters of a match.
    ways
        In how many ways the expression can be laid out over a text from one place on. An engine that backtracks tries
        each of them at most once, so this bounds its time (a number with an upper end of 2^30).
    """

    shortest: int
    longest: int
    ways: int


def extent_of(text: str) -> Extent:
    """Measure an expression.

    Raises
    ------
    PatternError
        It is not one that :mod:`tarnhelm.metadata.core.recipe.pattern` understands, or it can go on without end.
    """
    return _measured(_Reader(text).read(), text)


def _measured(node: _Node, text: str) -> Extent:
    if node.kind == "chars":
        return Extent(1, 1, 1)
    parts = [_measured(part, text) for part in node.parts]
    if node.kind == "alt":
        shortest, longest = min(part.shortest for part in parts), max(part.longest for part in parts)
        return Extent(shortest, longest, min(_MANY, sum(part.ways for part in parts)))
    if node.kind == "rep":
        return _repeated(parts[0], node.low, node.high, text)
    ways = min(_MANY, prod(part.ways for part in parts))
    return Extent(sum(part.shortest for part in parts), sum(part.longest for part in parts), ways)


def _repeated(part: Extent, low: int, high: int | None, text: str) -> Extent:
    if high is None:
        raise PatternError(_endless(text), "a repetition without an upper end")
    ways = 0
    for times in range(low, high + 1):
        ways = min(_MANY, ways + min(_MANY, part.ways**times))
    return Extent(part.shortest * low, part.longest * high, ways)


def _endless(text: str) -> int:
    """Place of the first sign that repeats without end."""
    inside = False
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in "[]":
            inside = text[at] == "["
        elif not inside and (text[at] in "*+" or (text[at] == "{" and ",}" in text[at : text.find("}", at) + 1])):
            return at
        at += 1
    return 0
