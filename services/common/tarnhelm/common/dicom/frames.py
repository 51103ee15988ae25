"""Where the frames of encapsulated pixel data lie: a bounded index of items, and their grouping into frames.

Encapsulated Pixel Data is a sequence of items: a Basic Offset Table (which may be empty), then fragments,
then a sequence delimiter (DICOM PS3.5 A.4). Nothing here decodes a pixel; lengths are checked against the
buffer before anything is sliced.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from struct import Struct, unpack_from
from typing import TYPE_CHECKING

from tarnhelm.common.errors import BAD_FRAGMENTS, TOO_MANY_FRAMES, TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits

__all__ = ["Buffer", "ExtendedOffsets", "FragmentIndex", "FrameSpan", "group_frames", "index_fragments"]

Buffer = bytes | bytearray | memoryview

_ITEM = 0xE000FFFE
"""(FFFE,E000) as one little-endian 32-bit number; encapsulated syntaxes are always little endian."""
_DELIMITER = 0xE0DDFFFE
_HEADER = Struct("<II")

# The first bytes of a frame in the code streams that may be cut into several fragments.
_STREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")


@dataclass(frozen=True, slots=True)
class FragmentIndex:
    """The items of one encapsulated Pixel Data element.

    Attributes
    ----------
    table
        The entries of the Basic Offset Table: bytes from the first fragment's item tag. Empty if none.
    first
        Position of the first fragment's item tag; offsets count from here.
    fragments
        (position of the value, length in bytes) in the buffer, in order.
    end
        Position behind the sequence delimiter.
    """

    table: tuple[int, ...]
    first: int
    fragments: tuple[tuple[int, int], ...]
    end: int


@dataclass(frozen=True, slots=True)
class ExtendedOffsets:
    """Extended Offset Table (7FE0,0001) and its lengths (7FE0,0002), one entry a frame (PS3.3 C.7.6.3.1.8)."""

    offsets: tuple[int, ...]
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """One frame: its fragments ``first`` up to but not including ``stop`` of the index."""

    first: int
    stop: int


def index_fragments(buffer: Buffer, start: int, end_limit: int, limits: Limits) -> FragmentIndex:
    """Read the item headers of encapsulated Pixel Data.

    Parameters
    ----------
    buffer
        Holds the object.
    start
        Position of the first item tag (the offset table's), in bytes.
    end_limit
        No item may reach beyond this position, in bytes.
    limits
        ``max_frames`` bounds the number of fragments.

    Raises
    ------
    TarnhelmError
        ``BAD_FRAGMENTS`` for anything but whole items of even length and a delimiter of length zero;
        ``TOO_MANY_FRAMES``.
    """
    limit = min(end_limit, len(buffer))
    read = _HEADER.unpack_from
    most = limits.max_frames
    items: list[tuple[int, int]] = []
    position = start
    while True:
        if position < 0 or position + 8 > limit:
            raise TarnhelmError(BAD_FRAGMENTS, offset=position)
        tag, length = read(buffer, position)
        position += 8
        if tag != _ITEM:
            break
        if length & 1 or length > limit - position:
            raise TarnhelmError(BAD_FRAGMENTS, offset=position - 8)
        items.append((position, length))
        if len(items) > most + 1:
            raise TarnhelmError(TOO_MANY_FRAMES, seen=len(items) - 1, limit=most)
        position += length
    if tag != _DELIMITER or length or not items:
        raise TarnhelmError(BAD_FRAGMENTS, offset=position - 8)
    table_position, table_length = items[0]
    if table_length % 4:
        raise TarnhelmError(BAD_FRAGMENTS, offset=table_position)
    if table_length // 4 > most:
        raise TarnhelmError(TOO_MANY_FRAMES, seen=table_length // 4, limit=most)
    table = unpack_from(f"<{table_length // 4}I", buffer, table_position) if table_length else ()
    return FragmentIndex(table, table_position + table_length, tuple(items[1:]), position)


def group_frames(
    buffer: Buffer, index: FragmentIndex, number_of_frames: int, extended: ExtendedOffsets | None = None
) -> list[FrameSpan]:
    """Say which fragments make which frame.

    A table of the object is believed only when every entry points at an item: a wrong table means that
    no reader can tell the frames apart. Without a table, fragments are frames if the numbers agree; else a
    frame begins where a fragment begins with the start of a code stream.

    Parameters
    ----------
    buffer
        Holds the object.
    index
        Of :func:`index_fragments`.
    number_of_frames
        (0028,0008), 1 if absent.
    extended
        The Extended Offset Table, if the object has one; the basic one must be empty then (PS3.5 A.4).

    Raises
    ------
    TarnhelmError
        ``BAD_FRAGMENTS`` when the fragments cannot be told apart into ``number_of_frames`` frames.
    """
    count = len(index.fragments)
    if number_of_frames < 1 or count < number_of_frames:
        raise TarnhelmError(BAD_FRAGMENTS, seen=count, wanted=number_of_frames)
    if extended is not None:
        return _by_extended_table(index, number_of_frames, extended)
    if index.table:
        return _by_starts(_starts_of_table(index, index.table, number_of_frames), count)
    if number_of_frames == 1:
        return [FrameSpan(0, count)]
    if count == number_of_frames:
        return [FrameSpan(at, at + 1) for at in range(count)]
    starts = [
        at
        for at, (position, length) in enumerate(index.fragments)
        if bytes(buffer[position : position + min(length, 8)]).startswith(_STREAM_STARTS)
    ]
    if len(starts) != number_of_frames or starts[0] != 0:
        raise TarnhelmError(BAD_FRAGMENTS, seen=len(starts), wanted=number_of_frames)
    return _by_starts(starts, count)


def _starts_of_table(index: FragmentIndex, table: tuple[int, ...], number_of_frames: int) -> list[int]:
    places = {position - 8 - index.first: at for at, (position, _) in enumerate(index.fragments)}
    starts = [places.get(offset, -1) for offset in table]
    wrong = len(starts) != number_of_frames or starts[0] != 0 or any(b <= a for a, b in pairwise(starts))
    if wrong:
        raise TarnhelmError(BAD_FRAGMENTS, seen=len(starts), wanted=number_of_frames)
    return starts


def _by_starts(starts: list[int], count: int) -> list[FrameSpan]:
    return [FrameSpan(a, b) for a, b in pairwise([*starts, count])]


def _by_extended_table(index: FragmentIndex, number_of_frames: int, extended: ExtendedOffsets) -> list[FrameSpan]:
    agrees = (
        not index.table
        and len(extended.offsets) == len(extended.lengths) == number_of_frames
        and len(index.fragments) == number_of_frames
    )
    if not agrees:
        raise TarnhelmError(BAD_FRAGMENTS, seen=len(index.fragments), wanted=number_of_frames)
    starts = _starts_of_table(index, extended.offsets, number_of_frames)
    for (_, length), claimed in zip(index.fragments, extended.lengths, strict=True):
        if claimed not in (length, length - 1):
            raise TarnhelmError(BAD_FRAGMENTS, seen=length, wanted=claimed)
    return _by_starts(starts, len(index.fragments))
