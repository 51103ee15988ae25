"""The headers of a series as one pattern: bytes that all its files share, and holes where their values differ.

The walk reads nothing of a value but its length, with few exceptions that are never holes here. So where a file shows the
shared bytes of a pattern at their places, it consists of the very elements of the files the pattern was learned from,
and walking it again would say so. A pattern that does not fit says nothing: then the file is walked.
"""

from __future__ import annotations

import mmap
import struct
from collections import OrderedDict
from dataclasses import dataclass
from itertools import count, pairwise
from threading import Lock
from typing import TYPE_CHECKING, Final

from tarnhelm.witness.core.dataset import HIDDEN_ITEM, Walker
from tarnhelm.witness.core.elements import LONG_VRS
from tarnhelm.witness.core.parsed import Buffer, Element, Fault, Parsed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tarnhelm.common.limits import Limits

__all__ = ["PINNED", "Hole", "Match", "Pattern", "Patterns"]

PINNED: Final = frozenset(
    {
        0x00020001, 0x00020002, 0x00020010, 0x00080005, 0x00080016, 0x00080102, 0x00100010, 0x00100020, 0x00120062,
        0x00120063, 0x00120064, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280100,
        0x00280101, 0x00280102, 0x00280103, 0xFFFCFFFC,
    }
)  # fmt: skip
"""Attributes whose values decide how a file is read or judged; a file with another value has another pattern."""
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002)
_MOST_HOLES: Final = 96
_NEAR: Final = 2
_MOST_SERIES: Final = 256
_SERIES: Final = b"\x20\x00\x0e\x00"
_HINT_WITHIN: Final = 64 << 10
_LARGEST_HEAD: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Hole:
    """An element whose value differs from file to file.

    Attributes
    ----------
    width
        Bytes of its length in front of the value; 0 where a length around it keeps it from growing.
    """

    row: Element
    width: int


@dataclass(slots=True)
class Match:
    """A file that fits a pattern.

    Attributes
    ----------
    parsed
        The file as far as the pattern does not know it: bytes, containers, pixel data, fragments.
    spans
        First byte and bytes of the value in each hole.
    """

    pattern: Pattern
    parsed: Parsed
    spans: list[tuple[int, int]]

    def value(self, ordinal: int) -> bytes:
        """Return the value that stands in a hole."""
        start, length = self.spans[ordinal]
        return bytes(self.parsed.buf[start : start + length])

    def piece(self, ordinal: int) -> bytes:
        """Return the value with the bytes of its length, all that differs at this place."""
        start, length = self.spans[ordinal]
        return bytes(self.parsed.buf[start - self.pattern.holes[ordinal].width : start + length])


class Pattern:
    """What files have in common with the file given, and where they may differ from it.

    Parameters
    ----------
    number
        Names the pattern as long as the process lives.
    parsed
        A walked file.
    holes
        Which of its elements, counted as in ``parsed.elements``, are holes.
    """

    def __init__(self, number: int, parsed: Parsed, holes: frozenset[int]) -> None:
        self.number = number
        self.rows = tuple(parsed.elements)
        self.numbers = holes
        self.containers = parsed.containers
        self.syntax = parsed.syntax
        self.pixel = parsed.pixel
        self.framed = parsed.fragments is not None
        self.nested = _holds_a_sequence(parsed)
        self.holes = tuple(Hole(self.rows[number], _width(parsed, self.rows[number])) for number in sorted(holes))
        buf = parsed.buf
        end = len(buf) if parsed.pixel is None else parsed.pixel[1]
        self.head = bytes(buf[:end])
        self.tail = b"" if parsed.pixel is None else bytes(buf[end + parsed.pixel[2] :])
        self.bytes = 2 * (len(self.head) + len(self.tail))
        self._explicit = parsed.explicit
        segments, pos = [], 0
        for hole in self.holes:
            start = hole.row[2] - hole.width
            segments.append(self.head[pos:start])
            pos = hole.row[2] + hole.row[3]
        self.shared = (*segments, self.head[pos:])
        self._steps = tuple(
            (segment, len(segment), hole.width, hole.row[3], hole.row[1] == b"UN")
            for segment, hole in zip(segments, self.holes, strict=True)
        )
        last = max((n for n, hole in enumerate(self.holes) if hole.row[4] == 1), default=-1)
        after = sum(self.holes[last].row[2:4]) if last >= 0 else 0
        self._data_start = last, parsed.data_start - after
        held = {(row[0], row[2]) for row in parsed.named}
        spoken = {(row[0], row[2]) for row in parsed.texts}
        self.named = tuple(n for n, hole in enumerate(self.holes) if (hole.row[0], hole.row[2]) in held)
        self.texts = tuple(n for n, hole in enumerate(self.holes) if (hole.row[0], hole.row[2]) in spoken)

    def match(self, buf: Buffer, limits: Limits, *, strict: bool) -> Match | None:
        """Fit a file to the pattern; None where a single shared byte differs, or the walk could say something else."""
        if isinstance(buf, mmap.mmap):
            return None
        pos = 0
        spans: list[tuple[int, int]] = []
        try:
            for segment, size, width, written, opaque in self._steps:
                if not buf.startswith(segment, pos):
                    return None
                pos += size
                length = written
                if width:
                    length = buf[pos] | buf[pos + 1] << 8
                    if width == 4:
                        length |= (buf[pos + 2] | buf[pos + 3] << 8) << 16
                    pos += width
                    if not length or (strict and length & 1):
                        return None
                if opaque and buf.startswith(HIDDEN_ITEM, pos):
                    return None
                spans.append((pos, length))
                pos += length
        except IndexError:
            return None
        if not buf.startswith(self.shared[-1], pos):
            return None
        parsed = Parsed(buf, containers=self.containers, syntax=self.syntax, explicit=self._explicit)
        pos += len(self.shared[-1])
        if self.pixel is not None:
            pos = self._pixels(parsed, pos, limits, strict=strict)
        if pos < 0 or not buf.startswith(self.tail, pos) or pos + len(self.tail) != len(buf):
            return None
        last, distance = self._data_start
        parsed.data_start = distance + (sum(spans[last]) if last >= 0 else 0)
        return Match(self, parsed, spans)

    def _pixels(self, parsed: Parsed, pos: int, limits: Limits, *, strict: bool) -> int:
        tag, _, length = self.pixel or (0, 0, 0)
        if not self.framed:
            parsed.pixel = tag, pos, length
            return pos + length
        try:
            # Fragments differ in every slice: they are stepped through as the walk does.
            return Walker(parsed, limits, strict=strict).fragments(tag, pos, len(parsed.buf))
        except (Fault, struct.error):
            return -1

    def holes_in(self, parsed: Parsed) -> list[Element]:
        """Return the elements of a walked file that are holes of the pattern."""
        return [parsed.elements[number] for number in sorted(self.numbers)]

    def reference(self, number: int) -> bytes:
        """Return the value of an element in the file that the pattern was made of."""
        _, _, start, length, _ = self.rows[number]
        return self.head[start : start + length]


class _Key:
    """What two files must share to share a pattern; its hash is kept, because it takes as long as a match."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, parts: Hashable) -> None:
        self._parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._parts == other._parts


class Patterns:
    """The patterns of the last files. Bounded in number and in bytes, because they hold identifiers.

    Parameters
    ----------
    limits
        Bounds on the files.
    strict
        The files are results; see :func:`tarnhelm.witness.core.walk.walk`.
    size
        How many patterns.
    max_bytes
        How many bytes of headers.
    """

    def __init__(self, limits: Limits, *, strict: bool, size: int = 20, max_bytes: int = 4 << 20) -> None:
        self._limits = limits
        self._strict = strict
        self._size = size
        self._max_bytes = max_bytes
        self._known: OrderedDict[_Key, Pattern] = OrderedDict()
        self._numbers = count()
        self._lock = Lock()
        self._held = 0
        self._last: tuple[tuple[_Key, Pattern], ...] = ()
        self._of_series: dict[bytes, tuple[_Key, Pattern]] = {}

    def find(self, buf: Buffer) -> Match | None:
        """Return the file fitted to one of the patterns: the last one of its series first, then the last ones of all."""
        if len(buf) > self._limits.max_object_bytes:
            return None
        series = _hint(buf)
        usual = self._of_series.get(series)
        if usual is not None:
            match = usual[1].match(buf, self._limits, strict=self._strict)
            if match is not None:
                with self._lock:
                    if usual[0] in self._known:
                        self._known.move_to_end(usual[0])
                return match
        for place, (key, pattern) in enumerate(self._last):
            match = pattern.match(buf, self._limits, strict=self._strict)
            if match is not None:
                with self._lock:
                    if place > _NEAR:
                        self._first(key, pattern)
                    if len(self._of_series) >= _MOST_SERIES:
                        self._of_series.clear()
                    self._of_series[series] = key, pattern
                return match
        return None

    def learn(self, parsed: Parsed) -> Pattern | None:
        """Return the pattern of a walked file, widened where the file differs from those before it.

        None for what is not learned: deflated and big endian data sets, giant headers, offset tables.
        """
        if not _learnable(parsed):
            return None
        key, free = _read(parsed)
        buf, rows = parsed.buf, parsed.elements
        with self._lock:
            known = self._known.get(key)
            holes: frozenset[int] = frozenset()
            if known is not None:
                differing = (n for n in free - known.numbers if known.reference(n) != _raw(buf, rows[n]))
                holes = known.numbers | frozenset(differing)
                if holes == known.numbers and known.match(buf, self._limits, strict=self._strict):
                    self._first(key, known)
                    return known
            if len(holes) > _MOST_HOLES:
                holes = frozenset()
            pattern = Pattern(next(self._numbers), parsed, holes)
            self._first(key, pattern)
        return pattern

    def _first(self, key: _Key, pattern: Pattern) -> None:
        known = self._known
        former = known.get(key)
        if former is not pattern:
            self._of_series.clear()  # it keeps no pattern that is dropped here
        self._held += pattern.bytes - (former.bytes if former else 0)
        known[key] = pattern
        known.move_to_end(key)
        while len(known) > 1 and (len(known) > self._size or self._held > self._max_bytes):
            _, dropped = known.popitem(last=False)
            self._held -= dropped.bytes
        self._last = tuple(reversed(known.items()))


def _hint(buf: Buffer) -> bytes:
    """Return what looks like the Series Instance UID of a file. It only says which pattern is tried first."""
    at = buf.find(_SERIES, 0, _HINT_WITHIN)
    head = bytes(buf[at : at + 72]) if at >= 0 else b""
    if len(head) < 8:
        return b""
    return head[8 : 8 + head[6]] if head[4:6] == b"UI" else head[8 : 8 + head[4]]


def _raw(buf: Buffer, row: Element) -> bytes:
    return bytes(buf[row[2] : row[2] + row[3]])


def _learnable(parsed: Parsed) -> bool:
    size = 0 if parsed.pixel is None else parsed.pixel[2]
    return (
        parsed.little
        and not parsed.deflated
        and len(parsed.buf) - size <= _LARGEST_HEAD
        and not isinstance(parsed.buf, mmap.mmap)
        and not any(tag in parsed.top for tag in _OFFSET_TABLES)
    )


def _width(parsed: Parsed, row: Element) -> int:
    """Return how many bytes the length of an element takes, 0 where it cannot change by itself."""
    container = parsed.containers[row[4]]
    if not container.elastic:
        return 0
    explicit = container.explicit if row[4] else parsed.explicit
    return 2 if explicit and row[1] not in LONG_VRS else 4


def _holds_a_sequence(parsed: Parsed) -> bool:
    """Tell whether an opaque value holds a sequence: its bytes are those of the elements after it, holes or not."""
    rows = parsed.elements
    return any(row[3] and after[2] < row[2] + row[3] for row, after in pairwise(rows))


def _read(parsed: Parsed) -> tuple[_Key, frozenset[int]]:
    """Return all that two files must share to share a pattern, and the elements that may be holes of it.

    A hole is a value that neither the walk nor the judgement of form reads. Names, numbers and days of a patient could be
    holes, but each patient and each day is better off with a pattern of its own.
    """
    rows, buf, containers = parsed.elements, parsed.buf, parsed.containers
    end = len(buf) if parsed.pixel is None else parsed.pixel[1]
    telling = {row[2]: row[1] for row in parsed.named if row[1] != b"UI"}
    free: set[int] = set()
    shape: list[Hashable] = []
    for number, row in enumerate(rows):
        tag, vr, start, length, container = row
        token: Hashable = length
        if tag in PINNED:
            token = bytes(buf[start : start + length])
        elif _may_differ(parsed, row, end):
            free.add(number)
            if start in telling:
                token = bytes(buf[start : start + (8 if vr == b"DT" else length)])
            elif containers[container].elastic:
                token = -1
        shape.append((tag, vr, container, token))
    form = None if parsed.pixel is None else (parsed.pixel[0], parsed.fragments is None)
    around = tuple((one.path, one.parent, one.explicit, one.elastic) for one in containers)
    return _Key((tuple(shape), around, form, parsed.explicit)), frozenset(free)


def _may_differ(parsed: Parsed, row: Element, end: int) -> bool:
    tag, vr, start, length, _ = row
    if not length or vr == b"SQ" or start + length > end or (tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF):
        return False
    if vr == b"UN" and parsed.buf[start : start + 4] == HIDDEN_ITEM:
        return False
    width = _width(parsed, row)
    return not width or int.from_bytes(parsed.buf[start - width : start], "little") == length
