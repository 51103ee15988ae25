"""Lines and words of a recipe, each with its place.

``#`` begins a comment at the start of a line and after a blank, unless it stands in quotes. Quotes count
where a word, a value or a part of a tag begins, so the apostrophe of ``Patient's Name`` is a letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Cursor", "Word", "read_lines", "unquote"]

_OPENERS = " \t(,=:/"


class Word(NamedTuple):
    """A piece of a line and its place (line, column), both from 1."""

    text: str
    place: tuple[int, int]


def _closing_quote(text: str, at: int) -> int:
    """Index of the quote that closes the one at ``at``, or -1 if that is an apostrophe or is never closed."""
    if at and text[at - 1] not in _OPENERS:
        return -1
    return text.find(text[at], at + 1)


def _without_comment(line: str) -> str:
    at, unclosed = 0, set()
    while at < len(line):
        char = line[at]
        if char in "\"'" and char not in unclosed:
            close = _closing_quote(line, at)
            if close >= 0:
                at = close
            elif line.find(char, at + 1) < 0:
                unclosed.add(char)
        elif char == "#" and (at == 0 or line[at - 1] in " \t"):
            return line[:at]
        at += 1
    return line


def unquote(text: str) -> str | None:
    """Return what stands between the quotes if ``text`` is one quoted piece, else ``None``."""
    if len(text) < 2 or text[0] not in "\"'" or text.find(text[0], 1) != len(text) - 1:
        return None
    return text[1:-1]


@dataclass(slots=True)
class Cursor:
    """One line that is read from left to right; ``text`` has neither comment nor outer blanks."""

    text: str
    number: int
    indent: int
    at: int = 0

    def place(self, offset: int | None = None) -> tuple[int, int]:
        """(line, column) of an offset, of the reading position by default."""
        return self.number, self.indent + (self.at if offset is None else offset) + 1

    def skip(self) -> None:
        """Go to the next character that is not blank."""
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    @property
    def done(self) -> bool:
        """Whether nothing but blanks is left."""
        self.skip()
        return self.at >= len(self.text)

    def word(self) -> Word:
        """Read up to the next blank; empty at the end."""
        self.skip()
        return self._take(self._blank_after(self.at))

    def field(self) -> Word:
        """Read up to the next blank outside quotes and parentheses."""
        self.skip()
        end = self._field_end()
        return self._take(end if end >= 0 else self._blank_after(self.at))

    def rest(self) -> Word:
        """Read all that is left."""
        self.skip()
        return self._take(len(self.text))

    def _take(self, end: int) -> Word:
        word = Word(self.text[self.at : end].rstrip(" \t"), self.place())
        self.at = end
        return word

    def _blank_after(self, at: int) -> int:
        while at < len(self.text) and self.text[at] not in " \t":
            at += 1
        return at

    def _field_end(self) -> int:
        """End of the field, or -1 if its parentheses do not close."""
        text, at, depth = self.text, self.at, 0
        unclosed: set[str] = set()
        while at < len(text):
            char = text[at]
            if char in "\"'" and char not in unclosed:
                close = text.find(char, at + 1) if at == self.at else _closing_quote(text, at)
                if close >= 0:
                    at = close
                elif text.find(char, at + 1) < 0:
                    unclosed.add(char)
            elif char == "(":
                depth += 1
            elif char == ")":
                depth = max(0, depth - 1)
            elif char in " \t" and depth == 0:
                return at
            at += 1
        return at if depth == 0 else -1


def read_lines(lines: list[str]) -> list[Cursor]:
    """Give the lines that hold more than blanks and comments."""
    cursors = []
    for number, line in enumerate(lines, start=1):
        content = _without_comment(line).rstrip()
        text = content.lstrip()
        if text:
            cursors.append(Cursor(text, number, len(content) - len(text)))
    return cursors
