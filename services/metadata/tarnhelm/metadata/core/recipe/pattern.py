r"""Regular expressions whose time is linear in the text, whatever the recipe or the file holds.

A recipe may say ``contains:Physician|Operator`` or ``contains SeriesDescription Dose.*Report``; the values it
is compared with come out of files that nobody vouches for. Python's own engine backtracks, and a pattern such
as ``(a+)+$`` then costs minutes on thirty characters. Here a pattern becomes a small program whose possible
positions are followed all at once (Thompson 1968), with a bounded memo, so each character costs one step.

Understood: literals, ``.``, ``[a-z]``, ``[^a-z]``, ``\d \w \s \D \W \S``, ``\.`` and other escaped marks,
``|``, ``( )``, ``(?: )``, ``* + ? {m} {m,} {m,n}``, ``^`` and ``$``. Case is ignored. Look-around and
back-references are not: they are what makes matching slow.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["Pattern", "PatternError", "compile_pattern"]

_MAX_PROGRAM = 4000
_MAX_DEPTH = 20
_MAX_REPEAT = 200
_MAX_MEMO = 4096
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r"}
_CHAR, _SPLIT, _JUMP, _START, _END, _MATCH = range(6)


class PatternError(ValueError):
    """The expression is not one of those understood; ``offset`` counts characters from 0."""

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Chars:
    """A set of characters: single ones, ranges, and the classes d, w, s in either sense."""

    ranges: tuple[tuple[str, str], ...] = ()
    classes: str = ""
    negated: bool = False

    def has(self, char: str) -> bool:
        inside = any(low <= char <= high for low, high in self.ranges) or any(
            _in_class(name, char) for name in self.classes
        )
        return inside is not self.negated


def _in_class(name: str, char: str) -> bool:
    kind = name.lower()
    inside = char.isdigit() if kind == "d" else char.isspace() if kind == "s" else char.isalnum() or char == "_"
    return inside is not name.isupper()


_ANY: Final = _Chars(negated=True)


class _Node(NamedTuple):
    """A part of an expression: kind is ``chars``, ``cat``, ``alt``, ``rep``, ``start`` or ``end``."""

    kind: str
    parts: tuple[_Node, ...] = ()
    chars: _Chars = _ANY
    low: int = 0
    high: int | None = None


class _Reader:
    """Recursive descent over one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def read(self) -> _Node:
        node = self.alternatives()
        if self.at < len(self.text):
            raise PatternError(self.at, "a closing parenthesis without an opening one")
        return node

    def alternatives(self) -> _Node:
        branches = [self.branch()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.branch())
        return branches[0] if len(branches) == 1 else _Node("alt", tuple(branches))

    def branch(self) -> _Node:
        parts = []
        while (char := self.peek()) and char not in "|)":
            parts.append(self.repeated())
        return parts[0] if len(parts) == 1 else _Node("cat", tuple(parts))

    def repeated(self) -> _Node:
        begin = self.at
        node = self.atom()
        bounds = self.bounds()
        if bounds is None:
            return node
        if node.kind in {"start", "end"}:
            raise PatternError(begin, "an anchor cannot be repeated")
        if self.peek() == "?":
            self.at += 1  # lazy or greedy makes no difference to whether there is a match
        if self.bounds() is not None:
            raise PatternError(self.at - 1, "two repetitions in a row")
        return _Node("rep", (node,), low=bounds[0], high=bounds[1])

    def bounds(self) -> tuple[int, int | None] | None:
        char = self.peek()
        if char and char in "*+?":
            self.at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        if char != "{":
            return None
        close = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : close].partition(",") if close > 0 else ("", "", "")
        if not _is_count(low) or (high and not _is_count(high)):
            return None  # a brace that counts nothing is a brace
        least, most = int(low), int(high) if high else (None if comma else int(low))
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and most < least):
            raise PatternError(self.at, f"a repetition goes from low to high and up to {_MAX_REPEAT}")
        self.at = close + 1
        return least, most

    def atom(self) -> _Node:
        char = self.text[self.at]
        if char == "(":
            return self.group()
        if char in "*+?":
            raise PatternError(self.at, "nothing stands before the repetition")
        self.at += 1
        if char == "^":
            return _Node("start")
        if char == "$":
            return _Node("end")
        if char == ".":
            return _Node("chars", chars=_ANY)
        if char == "[":
            return self.char_class()
        if char == "\\":
            return _Node("chars", chars=self.escape())
        return _literal(char)

    def group(self) -> _Node:
        begin = self.at
        self.at += 1
        if self.text.startswith("?", self.at):
            if not self.text.startswith("?:", self.at):
                raise PatternError(begin, "look-around and other extensions are not understood")
            self.at += 2
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise PatternError(begin, f"more than {_MAX_DEPTH} nested parentheses")
        node = self.alternatives()
        if self.peek() != ")":
            raise PatternError(begin, "a parenthesis is not closed")
        self.at += 1
        self.depth -= 1
        return node

    def escape(self) -> _Chars:
        if self.at >= len(self.text):
            raise PatternError(self.at - 1, "a backslash stands at the end")
        char = self.text[self.at]
        self.at += 1
        if char in "dwsDWS":
            return _Chars(classes=char)
        if char.isalnum() and char not in _ESCAPES:
            raise PatternError(self.at - 2, f"\\{char} is not understood")
        plain = _ESCAPES.get(char, char)
        return _Chars(((plain, plain),))

    def char_class(self) -> _Node:
        begin = self.at - 1
        negated = self.peek() == "^"
        self.at += negated
        ranges: list[tuple[str, str]] = []
        classes = ""
        first = True
        while (char := self.peek()) != "]" or first:
            if not char:
                raise PatternError(begin, "a bracket is not closed")
            low = self.member()
            classes += low.classes
            if low.ranges:
                ranges.extend(self.span(low.ranges[0][0]))
            first = False
        self.at += 1
        return _Node("chars", chars=_Chars(tuple(ranges), classes, negated))

    def member(self) -> _Chars:
        char = self.text[self.at]
        self.at += 1
        return self.escape() if char == "\\" else _Chars(((char, char),))

    def span(self, low: str) -> list[tuple[str, str]]:
        """Read what follows a first character: a range, or nothing. Both cases of letters are entered."""
        high = low
        if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in {"]", ""}:
            self.at += 1
            begin = self.at
            upper = self.member()
            if upper.classes or upper.ranges[0][0] < low:
                raise PatternError(begin, "a range goes from low to high")
            high = upper.ranges[0][0]
        folded = (low.lower(), high.lower())
        return [(low, high), folded] if folded[0] <= folded[1] else [(low, high)]

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _literal(char: str) -> _Node:
    return _Node("chars", chars=_Chars(tuple((folded, folded) for folded in dict.fromkeys(char.lower()))[:1]))


def _plain_text(node: _Node) -> str | None:
    """Return the text of a node that is one literal, else ``None``."""
    parts = node.parts if node.kind == "cat" else (node,)
    text = ""
    for part in parts:
        chars = part.chars
        if part.kind != "chars" or chars.classes or chars.negated or len(chars.ranges) != 1:
            return None
        low, high = chars.ranges[0]
        if low != high:
            return None
        text += low.lower()
    return text


class _Assembler:
    """Turns nodes into instructions (operation, chars or target, other target)."""

    def __init__(self) -> None:
        self.program: list[tuple[int, _Chars, int, int]] = []

    def emit(self, operation: int, chars: _Chars = _ANY, first: int = 0, second: int = 0) -> int:
        if len(self.program) >= _MAX_PROGRAM:
            raise PatternError(0, "the expression is too large")
        self.program.append((operation, chars, first, second))
        return len(self.program) - 1

    def patch(self, at: int, first: int, second: int = 0) -> None:
        operation, chars, _, _ = self.program[at]
        self.program[at] = (operation, chars, first, second)

    def add(self, node: _Node) -> None:
        if node.kind == "chars":
            self.emit(_CHAR, node.chars)
        elif node.kind == "cat":
            for part in node.parts:
                self.add(part)
        elif node.kind == "alt":
            self.alternatives(node.parts)
        elif node.kind == "rep":
            self.repetition(node)
        else:
            self.emit(_START if node.kind == "start" else _END)

    def alternatives(self, parts: tuple[_Node, ...]) -> None:
        ends = []
        for part in parts[:-1]:
            split = self.emit(_SPLIT)
            self.add(part)
            ends.append(self.emit(_JUMP))
            self.patch(split, split + 1, len(self.program))
        self.add(parts[-1])
        for end in ends:
            self.patch(end, len(self.program))

    def repetition(self, node: _Node) -> None:
        part = node.parts[0]
        for _ in range(node.low):
            before = len(self.program)
            self.add(part)
            if len(self.program) == before:
                return  # an empty part, however often
        if node.high is None:
            split = self.emit(_SPLIT)
            self.add(part)
            self.emit(_JUMP, first=split)
            self.patch(split, split + 1, len(self.program))
            return
        splits = []
        for _ in range(node.high - node.low):
            splits.append(self.emit(_SPLIT))
            self.add(part)
        for split in splits:
            self.patch(split, split + 1, len(self.program))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled expression; equal if its text and anchors are equal."""

    text: str
    at_start: bool = False
    at_end: bool = False
    _literals: tuple[str, ...] | None = field(default=None, compare=False, repr=False)
    _program: tuple[tuple[int, _Chars, int, int], ...] = field(default=(), compare=False, repr=False)
    _memo: dict[tuple[frozenset[int], str], frozenset[int]] = field(default_factory=dict, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        return (_restored, (self.text, self.at_start, self.at_end))

    def search(self, text: str) -> bool:
        """Tell whether the expression occurs in ``text``; O(len(text)) steps."""
        folded = text.lower()
        if self._literals is None:
            return self._run(folded)
        if self.at_start and self.at_end:
            return folded in self._literals
        if self.at_start:
            return folded.startswith(self._literals)
        if self.at_end:
            return folded.endswith(self._literals)
        return any(literal in folded for literal in self._literals)

    def _run(self, text: str) -> bool:
        last = len(self._program) - 1
        current = self._closure({0}, at_start=True, at_end=False)
        for char in text:
            if last in current:
                return True
            current = self._step(current, char)
        return last in self._closure(current, at_start=not text, at_end=True)

    def _step(self, current: frozenset[int], char: str) -> frozenset[int]:
        key = (current, char)
        known = self._memo.get(key)
        if known is not None:
            return known
        program = self._program
        moved = {at + 1 for at in current if program[at][0] == _CHAR and program[at][1].has(char)}
        if not self.at_start:
            moved.add(0)
        reached = self._closure(moved, at_start=False, at_end=False)
        if len(self._memo) >= _MAX_MEMO:
            self._memo.clear()
        self._memo[key] = reached
        return reached

    def _closure(self, begin: set[int] | frozenset[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        seen: set[int] = set()
        todo = list(begin)
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            operation, _, first, second = self._program[at]
            if operation == _JUMP:
                todo.append(first)
            elif operation == _SPLIT:
                todo += (first, second)
            elif (operation == _START and at_start) or (operation == _END and at_end):
                todo.append(at + 1)
        return frozenset(seen)


@functools.lru_cache(maxsize=1024)
def compile_pattern(text: str, *, at_start: bool = False, at_end: bool = False) -> Pattern:
    """Compile an expression.

    Parameters
    ----------
    text
        The expression.
    at_start, at_end
        The match must begin (end) where the text begins (ends).

    Raises
    ------
    PatternError
        With the offset of what is not understood.
    """
    node = _Reader(text).read()
    branches = node.parts if node.kind == "alt" else (node,)
    literals = [_plain_text(branch) for branch in branches]
    known = tuple(literal for literal in literals if literal is not None)
    if len(known) == len(literals):
        return Pattern(text, at_start, at_end, known)
    assembler = _Assembler()
    assembler.add(node)
    if at_end:
        assembler.emit(_END)
    assembler.emit(_MATCH)
    return Pattern(text, at_start, at_end, None, tuple(assembler.program))


def _restored(text: str, *anchors: bool) -> Pattern:
    return compile_pattern(text, at_start=anchors[0], at_end=anchors[1])
