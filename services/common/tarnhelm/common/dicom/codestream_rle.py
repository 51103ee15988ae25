"""Checks an RLE frame and zeroes what stands in it beside its segments (DICOM PS3.5 Annex G)."""

from __future__ import annotations

from itertools import pairwise
from struct import unpack_from
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import BAD_CODESTREAM, TarnhelmError

if TYPE_CHECKING:
    from collections import Counter

    from tarnhelm.common.dicom.codestream_jpeg import Stream

__all__ = ["clean_rle"]

_HEADER_BYTES: Final = 64
_MOST_SEGMENTS: Final = 15


def clean_rle(stream: Stream, plane_bytes: int, removed: Counter[str]) -> Stream:
    """Give the frame with unused header fields and bytes behind each segment's last run set to zero.

    Lengths never change, so no offset has to be rewritten.

    Parameters
    ----------
    stream
        One frame.
    plane_bytes
        Rows x Columns: what one segment decodes to, in bytes. 0 if unknown: then only the header is cleaned.
    removed
        Counts what went: ``rle-header``, ``rle-slack``.

    Returns
    -------
    bytes or memoryview
        The very object ``stream`` if nothing had to go.

    Raises
    ------
    TarnhelmError
        ``BAD_CODESTREAM`` for offsets out of order or a segment that decodes to less than a plane.
    """
    size = len(stream)
    if size < _HEADER_BYTES:
        raise TarnhelmError(BAD_CODESTREAM, offset=size)
    count, *offsets = unpack_from("<16I", stream, 0)
    used = offsets[:count]
    if not 1 <= count <= _MOST_SEGMENTS or used[0] != _HEADER_BYTES or used[-1] >= size:
        raise TarnhelmError(BAD_CODESTREAM, offset=0)
    if any(after <= before for before, after in pairwise(used)):
        raise TarnhelmError(BAD_CODESTREAM, offset=4)
    slack: list[tuple[int, int]] = []
    if any(offsets[count:]):
        removed["rle-header"] += 1
        slack.append((4 + 4 * count, _HEADER_BYTES))
    if plane_bytes:
        data = bytes(stream)
        for start, end in pairwise([*used, size]):
            rest = _end_of_plane(data, start, end, plane_bytes)
            if any(data[rest:end]):
                removed["rle-slack"] += 1
                slack.append((rest, end))
    if not slack:
        return stream
    cleaned = bytearray(stream)
    for start, end in slack:
        cleaned[start:end] = bytes(end - start)
    return bytes(cleaned)


def _end_of_plane(data: bytes, start: int, end: int, wanted: int) -> int:
    """Follow the runs of one segment; give the first position that adds nothing to the plane."""
    position = start
    while wanted > 0:
        if position >= end:
            raise TarnhelmError(BAD_CODESTREAM, offset=position)
        head = data[position]
        if head < 128:
            position += head + 2
            wanted -= head + 1
            if wanted < 0:
                position += wanted
        elif head > 128:
            position += 2
            wanted -= 257 - head
        else:
            position += 1
    if position > end:
        raise TarnhelmError(BAD_CODESTREAM, offset=position)
    return position
