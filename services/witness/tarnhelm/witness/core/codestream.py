"""Compressed frames without decoding: where the segments are, what they carry, what is picture.

A rewriter may take comments and application segments out of a frame; everything that a decoder needs must stay. So a
frame is reduced to what remains when those segments are gone, and the reductions of source and result are compared.
What the frame carries besides the picture is handed to the search.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from tarnhelm.witness.core.walk import Fault

__all__ = ["Frame", "family_of", "read_frame"]

_JPEG: Final = frozenset(
    f"1.2.840.10008.1.2.4.{number}".encode() for number in (50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 70)
)  # fmt: skip
_JPEG_LS: Final = frozenset({b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.81"})
_J2K: Final = frozenset(
    f"1.2.840.10008.1.2.4.{number}".encode() for number in (90, 91, 92, 93, 201, 202, 203)
)
_RLE: Final = b"1.2.840.10008.1.2.5"
_RAW: Final = b"1.2.840.10008.1.2.1.98"

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_NEXT_JPEG: Final = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_NEXT_LS: Final = re.compile(rb"\xff[\x80-\xfe]")
_ADOBE: Final = b"Adobe"
_COMMENT: Final = 0xFE
_RLE_TAIL: Final = 512


@dataclass(frozen=True, slots=True)
class Frame:
    """One compressed frame taken apart.

    Attributes
    ----------
    picture
        All bytes that a decoder needs, in order.
    carried
        Contents of comment and application segments and whatever follows the end of the code stream.
    tail
        Bytes after the end of the code stream; more than one zero byte of padding is refused in a result.
    """

    picture: tuple[bytes, ...]
    carried: tuple[bytes, ...]
    tail: bytes


def family_of(syntax: bytes) -> str:
    """Return ``jpeg``, ``jpeg-ls``, ``j2k``, ``rle``, ``raw``, or nothing for a syntax that cannot be judged."""
    if syntax in _JPEG:
        return "jpeg"
    if syntax in _JPEG_LS:
        return "jpeg-ls"
    if syntax in _J2K:
        return "j2k"
    return {_RLE: "rle", _RAW: "raw"}.get(syntax, "")


def read_frame(data: bytes, family: str) -> Frame:
    """Take a frame apart.

    Parameters
    ----------
    data
        The bytes of all its fragments.
    family
        As :func:`family_of` names it.

    Raises
    ------
    Fault
        The bytes are no whole code stream (PS3.5 A.4; ITU-T T.81 annex B, T.87 annex C, T.800 annex A).
    """
    try:
        if family == "jpeg":
            return _jpeg(data, _NEXT_JPEG)
        if family == "jpeg-ls":
            return _jpeg(data, _NEXT_LS)
        if family == "j2k":
            return _j2k(data)
        if family == "rle":
            return _rle(data)
    except (struct.error, IndexError):
        raise Fault("codestream", "codestream") from None
    return Frame((data,), (), b"")


def _jpeg(data: bytes, entropy_end: re.Pattern[bytes]) -> Frame:
    if data[:2] != _SOI:
        raise Fault("codestream", "codestream")
    picture, carried = [_SOI], []
    pos, size = 2, len(data)
    while True:
        if pos + 2 > size or data[pos] != 0xFF:
            raise Fault("codestream", "codestream")
        while data[pos + 1] == 0xFF:
            pos += 1
        marker = data[pos + 1]
        if marker == 0xD9:
            picture.append(_EOI)
            pos += 2
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            raise Fault("codestream", "codestream")
        (length,) = struct.unpack_from(">H", data, pos + 2)
        stop = pos + 2 + length
        if length < 2 or stop > size:
            raise Fault("codestream", "codestream")
        body = data[pos + 4 : stop]
        removable = marker == _COMMENT or (0xE0 <= marker <= 0xEF and marker != 0xE8 or marker == 0xE8 and not body.startswith(b"mrfx"))
        if marker == 0xEE and body.startswith(_ADOBE) and len(body) == 12:
            removable = False  # it names the colour transform: the picture depends on it
        if removable:
            carried.append(body)
        else:
            picture.append(data[pos:stop])
        pos = stop
        if marker == 0xDA:
            match = entropy_end.search(data, pos)
            if match is None:
                raise Fault("codestream", "codestream")
            picture.append(data[pos : match.start()])
            pos = match.start()
    tail = data[pos:]
    return Frame(tuple(picture), (*carried, *_worth(tail)), tail)


def _worth(tail: bytes) -> tuple[bytes, ...]:
    return (tail,) if tail.strip(b"\0") else ()


def _j2k(data: bytes) -> Frame:
    if data[:4] != b"\xff\x4f\xff\x51":
        raise Fault("codestream", "codestream")
    picture, carried = [data[:2]], []
    pos, size = 2, len(data)
    while True:
        marker = data[pos : pos + 2]
        if marker == _EOI:
            pos += 2
            break
        if marker == b"\xff\x90":
            pos = _tile_part(data, pos, picture, carried)
            continue
        pos = _j2k_segment(data, pos, picture, carried)
        if pos > size:
            raise Fault("codestream", "codestream")
    picture.append(_EOI)
    tail = data[pos:]
    return Frame(tuple(picture), (*carried, *_worth(tail)), tail)


def _j2k_segment(data: bytes, pos: int, picture: list[bytes], carried: list[bytes]) -> int:
    marker, length = struct.unpack_from(">HH", data, pos)
    stop = pos + 2 + length
    if marker < 0xFF4F or length < 2 or stop > len(data):
        raise Fault("codestream", "codestream")
    if marker == 0xFF64:
        carried.append(data[pos + 6 : stop])
    else:
        picture.append(data[pos:stop])
        if marker == 0xFF63 or marker < 0xFF4F:
            carried.append(data[pos + 4 : stop])
    return stop


def _tile_part(data: bytes, pos: int, picture: list[bytes], carried: list[bytes]) -> int:
    """SOT … SOD and the packets, whose length Psot tells (0: up to the end of the code stream)."""
    _, length, tile, total, part, parts = struct.unpack_from(">HHHIBB", data, pos)
    if length != 10:
        raise Fault("codestream", "codestream")
    stop = pos + total if total else data.rfind(_EOI)
    if stop <= pos or stop > len(data):
        raise Fault("codestream", "codestream")
    # Psot is left out: it shrinks with a removed comment; it is checked by being walked.
    picture.append(struct.pack(">HBB", tile, part, parts))
    pos += 12
    while data[pos : pos + 2] != b"\xff\x93":
        pos = _j2k_segment(data, pos, picture, carried)
        if pos >= stop:
            raise Fault("codestream", "codestream")
    picture.append(data[pos:stop])
    return stop


def _rle(data: bytes) -> Frame:
    """RLE has no comments; only its header and what follows the last run can carry anything (PS3.5 annex G)."""
    count, *offsets = struct.unpack_from("<16I", data)
    used = offsets[:count]
    if not 1 <= count <= 15 or used[0] != 64 or sorted(used) != used or used[-1] > len(data) or any(offsets[count:]):
        raise Fault("codestream", "codestream")
    return Frame((data,), (data[-_RLE_TAIL:],), b"")
