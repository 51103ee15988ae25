"""What is wrong with a recipe: every mistake of the file at once, each with its place and a way out.

A recipe is written by the site and holds no patient data, so these texts quote it. They are for the screen
of its author; the text of :class:`RecipeError` itself, which travels to logs, holds a number only.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tarnhelm.common.errors import BAD_RECIPE, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ProblemList", "RecipeError", "RecipeProblem", "render_problems", "split_lines"]

_LONGEST_WORD = 80
"""Longer words are no misspelling of anything: the longest keyword of the dictionary has 63 letters."""
_SUGGESTIONS = 64
"""A file of rubbish shall not cost a search of the dictionary for each of its words."""


@dataclass(frozen=True, slots=True)
class RecipeProblem:
    """One mistake.

    Attributes
    ----------
    line, column
        Both count from 1; the column is in characters.
    message
        What is wrong.
    expected
        What could stand there, or empty.
    suggestion
        The known word that comes nearest, or empty.
    """

    line: int
    column: int
    message: str
    expected: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        """One line: place, message, expectation, suggestion."""
        text = f"line {self.line}, column {self.column}: {self.message}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.suggestion:
            text += f"; did you mean {self.suggestion}?"
        return text


class RecipeError(TarnhelmError):
    """The recipe cannot be used; ``problems`` holds all its mistakes in the order of the file.

    Parameters
    ----------
    problems
        At least one.
    """

    def __init__(self, problems: Iterable[RecipeProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(BAD_RECIPE, seen=len(self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return (RecipeError, (self.problems,))


@dataclass(slots=True)
class ProblemList:
    """Collects mistakes and remarks while a recipe is read."""

    errors: list[RecipeProblem] = field(default_factory=list)
    warnings: list[RecipeProblem] = field(default_factory=list)
    _budget: int = _SUGGESTIONS
    _known: dict[str, str] = field(default_factory=dict)

    def error(self, place: tuple[int, int], message: str, expected: str = "", suggestion: str = "") -> None:
        """Enter a mistake at (line, column)."""
        self.errors.append(RecipeProblem(*place, message, expected, suggestion))

    def warn(self, place: tuple[int, int], message: str, expected: str = "", suggestion: str = "") -> None:
        """Enter a remark: the recipe can be used, but perhaps not as meant."""
        self.warnings.append(RecipeProblem(*place, message, expected, suggestion))

    @property
    def can_suggest(self) -> bool:
        """Whether a search for a suggestion would still be made."""
        return self._budget > 0

    def suggest(self, word: str, vocabulary: Iterable[str], cutoff: float = 0.72) -> str:
        """Return the word of ``vocabulary`` that comes nearest, or the empty string.

        Case is ignored. The number of searches is bounded, so that time stays linear in the text.
        """
        if len(word) > _LONGEST_WORD:
            return ""
        folded = word.lower()
        if folded in self._known:
            return self._known[folded]
        if self._budget <= 0:
            return ""
        self._budget -= 1
        by_folded = {known.lower(): str(known) for known in vocabulary if abs(len(known) - len(word)) <= 4}
        near = difflib.get_close_matches(folded, by_folded, n=1, cutoff=cutoff)
        found = by_folded[near[0]] if near else ""
        self._known[folded] = found
        return found


def split_lines(text: str) -> list[str]:
    """Split at LF, CR LF and CR only; a leading byte order mark is dropped."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def render_problems(text: str, problems: Sequence[RecipeProblem]) -> str:
    """Show each problem under its line, with a caret at the column.

    Parameters
    ----------
    text
        The recipe as it was given to ``parse_recipe``.
    problems
        ``RecipeError.problems`` or ``Recipe.warnings``.
    """
    lines = split_lines(text)
    blocks = []
    for problem in problems:
        line = lines[problem.line - 1] if 0 < problem.line <= len(lines) else ""
        # Tabs stay tabs in the indentation, so that the caret stands under its character.
        indent = "".join("\t" if char == "\t" else " " for char in line[: problem.column - 1])
        blocks.append(f"{problem}\n  | {line}\n  | {indent}^")
    return "\n".join(blocks)
