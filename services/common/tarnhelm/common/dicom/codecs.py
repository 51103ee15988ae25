"""Cleans compressed pixel data without decoding a pixel: comments, application segments, boxes, slack.

A compressed frame may carry a name in a comment, a camera's EXIF block, or a whole second image behind its
end. What a decoder shows is not changed by taking those out; that is tested on decoded samples. Syntaxes
whose streams carry data that cannot be told from pictures (video, JPEG XL) are refused.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from struct import pack

from tarnhelm.common.dicom.codestream_j2k import clean_jpeg2000
from tarnhelm.common.dicom.codestream_jpeg import Stream, clean_jpeg, tail_is_clean
from tarnhelm.common.dicom.codestream_rle import clean_rle
from tarnhelm.common.dicom.frames import Buffer, ExtendedOffsets, group_frames, index_fragments
from tarnhelm.common.errors import BAD_CODESTREAM, KIND_NOT_COVERED, UNKNOWN_SYNTAX, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits

__all__ = ["EncapsulatedResult", "Family", "clean_codestream", "clean_encapsulated", "family_of"]

_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_LARGEST_OFFSET = 0xFFFFFFFF


class Family(Enum):
    """What kind of code stream a transfer syntax puts into a frame."""

    JPEG = "JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    RLE = "RLE"
    DEFLATED = "deflated frame"
    NATIVE = "uncompressed frame"
    OPAQUE = "not cleanable"


_ROOT = "1.2.840.10008.1.2."
_FAMILIES = (
    (Family.JPEG, [f"4.{n}" for n in (*range(50, 67), 70)]),
    (Family.JPEG_LS, ["4.80", "4.81"]),
    (Family.JPEG_2000, ["4.90", "4.91", "4.92", "4.93", "4.201", "4.202", "4.203"]),
    (Family.RLE, ["5"]),
    (Family.NATIVE, ["1.98"]),
    (Family.DEFLATED, ["8.1"]),
    # MPEG-2, MPEG-4, HEVC, their fragmentable forms, JPEG XL, JPIP, SMPTE streams
    (Family.OPAQUE, [f"4.{n}" for n in (94, 95, *range(100, 113), 204, 205)]),
    (Family.OPAQUE, [f"4.{n}.1" for n in range(100, 109)]),
    (Family.OPAQUE, ["7.1", "7.2", "7.3"]),
)


@cache
def family_of(transfer_syntax_uid: str) -> Family:
    """Give the family of an encapsulated transfer syntax (PS3.6 Annex A); raises ``UNKNOWN_SYNTAX``."""
    for family, endings in _FAMILIES:
        if transfer_syntax_uid in [_ROOT + ending for ending in endings]:
            return family
    raise TarnhelmError(UNKNOWN_SYNTAX)


@dataclass(frozen=True, slots=True)
class EncapsulatedResult:
    """Encapsulated pixel data, cleaned.

    Attributes
    ----------
    parts
        What to write behind the Pixel Data element's header: first item tag to sequence delimiter. Slices of
        the original wherever nothing changed.
    removed
        What went: ``com``, ``app``, ``box``, ``tlm``, ``trailing``, ``rle-header``, ``rle-slack`` → count.
    end
        Position in the original behind the sequence delimiter.
    changed
        False if ``parts`` equals the original bytes.
    extended_offsets
        The Extended Offset Table to write instead of the original's; None if that one stays or there is none.
    """

    parts: list[Stream]
    removed: Counter[str]
    end: int
    changed: bool
    extended_offsets: ExtendedOffsets | None = None
    frames: int = field(default=0)


def clean_codestream(
    stream: Stream, transfer_syntax_uid: str, *, plane_bytes: int = 0, limits: Limits = DEFAULT_LIMITS
) -> tuple[Stream, Counter[str]]:
    """Clean one compressed frame.

    Parameters
    ----------
    stream
        All fragments of the frame, joined.
    transfer_syntax_uid
        Says how to read it.
    plane_bytes
        Rows x Columns, in bytes; lets the slack of RLE segments be found.
    limits
        ``max_inflated_bytes`` bounds a deflated frame.

    Returns
    -------
    tuple
        The cleaned stream, without padding (the very object ``stream`` if nothing had to go), and the counts
        of what went.

    Raises
    ------
    TarnhelmError
        ``BAD_CODESTREAM``; ``KIND_NOT_COVERED`` for video and JPEG XL; ``UNKNOWN_SYNTAX``.
    """
    removed: Counter[str] = Counter()
    return _clean(stream, family_of(transfer_syntax_uid), plane_bytes, limits, removed), removed


def _clean(stream: Stream, family: Family, plane_bytes: int, limits: Limits, removed: Counter[str]) -> Stream:
    if family is Family.JPEG or family is Family.JPEG_LS:
        return clean_jpeg(stream, lossless_ls=family is Family.JPEG_LS, removed=removed)
    if family is Family.JPEG_2000:
        return clean_jpeg2000(stream, removed)
    if family is Family.RLE:
        return clean_rle(stream, plane_bytes, removed)
    if family is Family.NATIVE:
        return stream
    if family is Family.DEFLATED:
        return _clean_deflated(stream, limits, removed)
    raise TarnhelmError(KIND_NOT_COVERED)


def _clean_deflated(stream: Stream, limits: Limits, removed: Counter[str]) -> Stream:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated, rest = 0, bytes(stream)
    try:
        while rest and not inflater.eof:
            inflated += len(inflater.decompress(rest, 1 << 20))
            rest = inflater.unconsumed_tail
            if inflated > limits.max_inflated_bytes:
                raise TarnhelmError(BAD_CODESTREAM, offset=0)
    except zlib.error:
        raise TarnhelmError(BAD_CODESTREAM, offset=0) from None
    end = len(stream) - len(inflater.unused_data)
    if not inflater.eof:
        raise TarnhelmError(BAD_CODESTREAM, offset=end)
    if tail_is_clean(stream, end):
        return stream
    removed["trailing"] += 1
    return stream[:end]


def clean_encapsulated(
    buffer: Buffer,
    start: int,
    syntax_uid: str,
    number_of_frames: int,
    limits: Limits = DEFAULT_LIMITS,
    extended_offsets: ExtendedOffsets | None = None,
    *,
    plane_bytes: int = 0,
    end_limit: int | None = None,
) -> EncapsulatedResult:
    """Clean all frames of an encapsulated Pixel Data element.

    Parameters
    ----------
    buffer
        Holds the object.
    start
        Position of the first item tag, in bytes.
    syntax_uid
        Transfer syntax of the object.
    number_of_frames
        (0028,0008), 1 if absent.
    limits
        Bounds on fragments and on inflated bytes.
    extended_offsets
        (7FE0,0001) and (7FE0,0002) decoded, if the object has them.
    plane_bytes
        Rows x Columns, in bytes; lets the slack of RLE segments be found.
    end_limit
        Position that no item may reach beyond; the end of the buffer if None.

    Raises
    ------
    TarnhelmError
        ``BAD_FRAGMENTS``, ``TOO_MANY_FRAMES``, ``BAD_CODESTREAM``, ``KIND_NOT_COVERED``, ``UNKNOWN_SYNTAX``.
    """
    family = family_of(syntax_uid)
    if family is Family.OPAQUE:
        raise TarnhelmError(KIND_NOT_COVERED)
    view = memoryview(buffer)
    index = index_fragments(view, start, len(view) if end_limit is None else end_limit, limits)
    spans = group_frames(view, index, number_of_frames, extended_offsets)
    removed: Counter[str] = Counter()
    cleaned: list[Stream | None] = []
    for span in spans:
        pieces = [view[at : at + length] for at, length in index.fragments[span.first : span.stop]]
        frame: Stream = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        result = _clean(frame, family, plane_bytes, limits, removed)
        cleaned.append(None if result is frame else result)
    if not any(frame is not None for frame in cleaned):
        return EncapsulatedResult([view[start : index.end]], removed, index.end, changed=False, frames=len(spans))
    bodies = [
        _fragment(frame)
        if frame is not None
        else view[index.fragments[span.first][0] - 8 : sum(index.fragments[span.stop - 1])]
        for span, frame in zip(spans, cleaned, strict=True)
    ]
    offsets = _offsets(bodies)
    table = b""
    if index.table and offsets[-1] <= _LARGEST_OFFSET:
        table = pack(f"<{len(offsets)}I", *offsets)
    extended = None
    if extended_offsets is not None:
        extended = ExtendedOffsets(offsets, _lengths(cleaned, extended_offsets))
    head = _ITEM + pack("<I", len(table)) + table
    parts: list[Stream] = [head, *bodies, _DELIMITER]
    return EncapsulatedResult(parts, removed, index.end, changed=True, extended_offsets=extended, frames=len(spans))


def _fragment(frame: Stream) -> bytes:
    padding = b"\x00" * (len(frame) & 1)
    return b"".join((_ITEM, pack("<I", len(frame) + len(padding)), frame, padding))


def _offsets(bodies: list[Stream]) -> tuple[int, ...]:
    offsets, position = [], 0
    for body in bodies:
        offsets.append(position)
        position += len(body)
    return tuple(offsets)


def _lengths(cleaned: list[Stream | None], original: ExtendedOffsets) -> tuple[int, ...]:
    """Bytes of each frame without padding; with an extended table a frame is one fragment (PS3.5 A.4)."""
    return tuple(
        length if frame is None else len(frame) for frame, length in zip(cleaned, original.lengths, strict=True)
    )
