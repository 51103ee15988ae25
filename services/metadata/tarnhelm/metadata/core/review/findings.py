"""What a review says: findings to look at, and notes that only inform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tarnhelm.metadata.core.rules.attributes import attribute_label

__all__ = ["Finding", "Review", "some"]

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the author of a recipe should look at.

    Attributes
    ----------
    line
        Of the recipe, from 1; 0 for what belongs to no line.
    kind
        ``identity``, ``value``, ``type``, ``class``, ``interval``, ``private``, ``conflict`` or ``remark``.
    message
        One sentence.
    """

    line: int
    kind: str
    message: str

    def __str__(self) -> str:
        """One line: place, kind, sentence."""
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Review:
    """A whole review: ``findings`` in the order of the recipe's lines, and ``notes`` on what the profile does besides."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def some(tags: Sequence[int]) -> str:
    """Name the first few attributes of a list, and count the others."""
    names = ", ".join(attribute_label(tag) for tag in tags[:_SHOWN])
    return names if len(tags) <= _SHOWN else f"{names} and {len(tags) - _SHOWN} more"
