"""Compressed frames without decoding: where the segments are, what they carry, what is picture.

A rewriter may take comments and application segments out of a frame; everything that a decoder needs must stay. So a
frame is reduced to what remains when those segments are gone, and the reductions of source and result are compared.
Three segments tell a decoder the colour space (JFIF, Adobe, the transform of JPEG-LS): of these the fact counts, and
whatever they hold beyond the fact is cargo. What a frame carries besides the picture is handed to the search.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.witness.core.parsed import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Frame", "family_of", "read_frame"]

_JPEG: Final = frozenset(
    f"1.2.840.10008.1.2.4.{number}".encode() for number in (50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 70)
)  # fmt: skip
_JPEG_LS: Final = frozenset({b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.81"})
_J2K: Final = frozenset(f"1.2.840.10008.1.2.4.{number}".encode() for number in (90, 91, 92, 93, 201, 202, 203))
_RLE: Final = b"1.2.840.10008.1.2.5"
_RAW: Final = b"1.2.840.10008.1.2.1.98"

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_NEXT_JPEG: Final = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_NEXT_LS: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_JFIF: Final = b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ADOBE: Final = b"Adobe\x00\x64\x00\x00\x00\x00"
_COMMENT: Final = 0xFE
_JP2: Final = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_SAMPLES: Final = frozenset({b"ihdr", b"bpcc", b"pclr", b"cmap", b"cdef"})
_RLE_HEAD: Final = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """One compressed frame taken apart.

    Attributes
    ----------
    picture
        All that a decoder needs, in order.
    carried
        Contents of comments, application segments and foreign boxes, and whatever follows the end of the code stream.
    headers
        Segments that a decoder needs but that could be longer than they ought to be; searched, too.
    tail
        Bytes after the end of the picture; in a result they must be padding.
    """

    picture: tuple[bytes, ...]
    carried: tuple[bytes, ...] = ()
    headers: tuple[bytes, ...] = ()
    tail: bytes = b""


def family_of(syntax: bytes) -> str:
    """Return ``jpeg``, ``jpeg-ls``, ``j2k``, ``rle``, ``raw``, or nothing for a syntax that cannot be judged."""
    if syntax in _JPEG:
        return "jpeg"
    if syntax in _JPEG_LS:
        return "jpeg-ls"
    if syntax in _J2K:
        return "j2k"
    return {_RLE: "rle", _RAW: "raw"}.get(syntax, "")


def read_frame(data: bytes, family: str, plane_bytes: int = 0) -> Frame:
    """Take a frame apart.

    Parameters
    ----------
    data
        The bytes of all its fragments.
    family
        As :func:`family_of` names it.
    plane_bytes
        Rows times columns: what one segment of RLE decodes to.

    Raises
    ------
    Fault
        The bytes are no whole code stream (PS3.5 A.4; ITU-T T.81 annex B, T.87 annex C, T.800 annexes A and I).
    """
    try:
        if family == "jpeg":
            return _jpeg(data, _NEXT_JPEG)
        if family == "jpeg-ls":
            return _jpeg(data, _NEXT_LS)
        if family == "j2k":
            return _boxed(data) if data.startswith(_JP2) else _j2k(data)
        if family == "rle":
            return _rle(data, plane_bytes)
    except (struct.error, IndexError):
        raise _fault() from None
    return Frame((data,))


def _fault() -> Fault:
    return Fault("codestream", "codestream")


def _worth(tail: bytes) -> tuple[bytes, ...]:
    return (tail,) if tail.strip(b"\0") else ()


# --- JPEG and JPEG-LS -----------------------------------------------------------------------------------------


def _jpeg(data: bytes, entropy_end: re.Pattern[bytes]) -> Frame:
    if data[:2] != _SOI:
        raise _fault()
    picture = [_SOI]
    carried: list[bytes] = []
    headers: list[bytes] = []
    pos, size = 2, len(data)
    while True:
        if data[pos] != 0xFF:
            raise _fault()
        while data[pos + 1] == 0xFF:
            pos += 1
        marker = data[pos + 1]
        if marker == 0xD9:
            pos += 2
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            raise _fault()
        (length,) = struct.unpack_from(">H", data, pos + 2)
        stop = pos + 2 + length
        if length < 2 or stop > size:
            raise _fault()
        body = data[pos + 4 : stop]
        if marker == _COMMENT or 0xE0 <= marker <= 0xEF:
            fact, usual = _colour_fact(marker, body, lossless_ls=entropy_end is _NEXT_LS)
            picture += fact
            carried += [] if usual else [body]
        else:
            picture.append(data[pos:stop])
            headers.append(body)
        pos = stop
        if marker == 0xDA:
            match = entropy_end.search(data, pos)
            if match is None:
                raise _fault()
            picture.append(data[pos : match.start()])
            pos = match.start()
    tail = data[pos:]
    return Frame(tuple(picture), (*carried, *_worth(tail)), tuple(headers), tail)


def _colour_fact(marker: int, body: bytes, *, lossless_ls: bool) -> tuple[list[bytes], bool]:
    """Return what a decoder learns from an application segment, and whether the segment holds nothing else."""
    if marker == 0xE0 and len(body) >= 14 and body.startswith(b"JFIF\0"):
        return [b"JFIF"], body == _JFIF
    if marker == 0xEE and len(body) >= 12 and body.startswith(b"Adobe") and body[11] <= 2:
        return [b"Adobe" + body[11:12]], body == _ADOBE + body[11:12]
    if marker == 0xE8 and lossless_ls and len(body) == 5 and body.startswith(b"mrfx") and body[4] <= 3:
        return [body], True
    return [], False


# --- JPEG 2000 and HTJ2K ----------------------------------------------------------------------------------------


def _j2k(data: bytes) -> Frame:
    if data[:4] != b"\xff\x4f\xff\x51":
        raise _fault()
    picture = [data[:2]]
    carried: list[bytes] = []
    headers: list[bytes] = []
    pos = 2
    while data[pos : pos + 2] != _EOI:
        if data[pos : pos + 2] == b"\xff\x90":
            pos = _tile_part(data, pos, picture, carried, headers)
        else:
            pos = _j2k_segment(data, pos, picture, carried, headers)
    tail = data[pos + 2 :]
    return Frame(tuple(picture), (*carried, *_worth(tail)), tuple(headers), tail)


def _j2k_segment(data: bytes, pos: int, picture: list[bytes], carried: list[bytes], headers: list[bytes]) -> int:
    marker, length = struct.unpack_from(">HH", data, pos)
    stop = int(pos + 2 + length)
    if marker < 0xFF4F or length < 2 or stop > len(data):
        raise _fault()
    if marker == 0xFF64:
        carried.append(data[pos + 6 : stop])
    elif marker == 0xFF55:
        # An index of tile-part lengths: optional, and wrong as soon as a comment is gone.
        carried.append(data[pos + 4 : stop])
    else:
        picture.append(data[pos:stop])
        headers.append(data[pos + 4 : stop])
    return stop


def _tile_part(data: bytes, pos: int, picture: list[bytes], carried: list[bytes], headers: list[bytes]) -> int:
    """SOT … SOD and the packets, whose length Psot tells (0: up to the end of the code stream)."""
    _, length, tile, total, part, parts = struct.unpack_from(">HHHIBB", data, pos)
    first = pos
    if length != 10:
        raise _fault()
    # Psot is left out: it shrinks with a removed comment; it is checked by being walked.
    picture.append(struct.pack(">HBB", tile, part, parts))
    pos += 12
    while data[pos : pos + 2] != b"\xff\x93":
        pos = _j2k_segment(data, pos, picture, carried, headers)
    # Packets hold no marker above FF8F, so the first EOC ends a tile-part that does not tell its length.
    stop = int(first + total) if total else data.find(_EOI, pos + 2)
    if stop < pos + 2 or stop > len(data):
        raise _fault()
    picture.append(data[pos:stop])
    return stop


def _boxes(data: bytes, pos: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while pos < end and not (end - pos == 1 and data[pos] == 0):
        length, kind = struct.unpack_from(">I4s", data, pos)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, pos + 8)
            head = 16
        elif length == 0:
            length = end - pos
        if length < head or length > end - pos:
            raise _fault()
        yield kind, data[pos + head : pos + length]
        pos += length


def _boxed(data: bytes) -> Frame:
    """Take JP2 boxes apart, which DICOM forbids and files hold."""
    picture: list[bytes] = []
    carried: list[bytes] = []
    headers: list[bytes] = []
    tail = b""
    for kind, body in _boxes(data, len(_JP2), len(data)):
        if kind == b"jp2c":
            inner = _j2k(body)
            picture += inner.picture
            carried += inner.carried
            headers += inner.headers
            tail += inner.tail
        elif kind == b"jp2h":
            for name, content in _boxes(body, 0, len(body)):
                if name in _SAMPLES:
                    picture += [name, content]
                    headers.append(content)
                elif name != b"colr" or len(content) != 7 or content[:3] != b"\1\0\0":
                    carried.append(name + content)
        elif kind != b"ftyp" or len(body) != 12 or body[4:] != b"\0\0\0\0" + body[:4]:
            carried.append(kind + body)
    if not picture:
        raise _fault()
    return Frame(tuple(picture), tuple(carried), tuple(headers), tail)


# --- RLE --------------------------------------------------------------------------------------------------------


def _rle(data: bytes, plane_bytes: int) -> Frame:
    """RLE has no comments, but unused fields of its header and room after each segment's last run (PS3.5 annex G)."""
    count, *offsets = struct.unpack_from("<16I", data)
    used = offsets[:count]
    if (
        not plane_bytes
        or not 1 <= count <= 15
        or used[0] != _RLE_HEAD
        or sorted(set(used)) != used
        or used[-1] >= len(data)
    ):
        raise _fault()
    picture = [data[: 4 + 4 * count]]
    slack = [data[4 + 4 * count : _RLE_HEAD]]
    for start, stop in zip(used, [*used[1:], len(data)], strict=True):
        end = _plane_end(data, start, stop, plane_bytes)
        picture.append(data[start:end])
        slack.append(data[end:stop])
    tail = b"".join(slack)
    return Frame(tuple(picture), tuple(part for one in slack for part in _worth(one)), (), tail.strip(b"\0"))


def _plane_end(data: bytes, pos: int, end: int, wanted: int) -> int:
    """Follow the runs of a segment until the plane is full."""
    while wanted > 0:
        if pos >= end:
            raise _fault()
        head = data[pos]
        if head < 128:
            pos += head + 2
            wanted -= head + 1
        elif head > 128:
            pos += 2
            wanted -= 257 - head
        else:
            pos += 1
    if pos > end:
        raise _fault()
    return pos
