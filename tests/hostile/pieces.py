"""Pieces of DICOM files whose lengths may lie, and a small valid chest CT made of them."""

from __future__ import annotations

import struct
from typing import Final

__all__ = [
    "DEFLATED",
    "ITEM_END",
    "JPEG",
    "RLE",
    "SEQUENCE_END",
    "UNDEFINED",
    "el",
    "encapsulated",
    "even",
    "implicit",
    "item",
    "joined",
    "meta",
    "parts",
    "small_file",
    "uid",
    "with_part",
]

EXPLICIT: Final = "1.2.840.10008.1.2.1"
IMPLICIT: Final = "1.2.840.10008.1.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
BIG: Final = "1.2.840.10008.1.2.2"
RLE: Final = "1.2.840.10008.1.2.5"
JPEG: Final = "1.2.840.10008.1.2.4.50"
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
LONG: Final = (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR", b"OF")


def el(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """An element, explicit little endian; the length may lie."""
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return (
        head + (b"\0\0" + struct.pack("<I", size) if vr.encode() in LONG else struct.pack("<H", size & 0xFFFF)) + value
    )


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    """An element, implicit little endian."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, length: int | None = None) -> bytes:
    """A sequence item."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


ITEM_END: Final = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END: Final = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
UNDEFINED: Final = 0xFFFFFFFF


def even(text: str, pad: bytes = b" ") -> bytes:
    """Text of even length."""
    data = text.encode()
    return data + pad * (len(data) % 2)


def uid(text: str) -> bytes:
    """A UID of even length."""
    return even(text, b"\0")


def meta(syntax: str = EXPLICIT, group_length: int | None = None, sop_class: str = CT) -> bytes:
    """Preamble and file meta information."""
    body = el(0x00020001, "OB", b"\0\1") + el(0x00020002, "UI", uid(sop_class)) + el(0x00020003, "UI", uid("1.2.3.4.5"))
    body += el(0x00020010, "UI", uid(syntax)) + el(0x00020012, "UI", uid("1.2.3"))
    length = len(body) if group_length is None else group_length
    return bytes(128) + b"DICM" + el(0x00020000, "UL", struct.pack("<I", length)) + body


Parts = dict[int, bytes]


def parts(rows: int = 4, columns: int = 4, frames: int = 1, stored: int = 12) -> Parts:
    """The elements of a small chest CT by tag."""
    made: Parts = {}
    for tag, vr, value in (
        (0x00080005, "CS", b"ISO_IR 100"), (0x00080008, "CS", even("ORIGINAL\\PRIMARY\\AXIAL")), (0x00080016, "UI", uid(CT)),
        (0x00080018, "UI", uid("1.2.3.4.5")), (0x00080020, "DA", b"20240102"), (0x00080060, "CS", b"CT"), (0x00100010, "PN", b"Quoll^Ada "),
        (0x00100020, "LO", b"77001234"), (0x00180015, "CS", even("CHEST")), (0x00180050, "DS", b"2.5 "), (0x00180060, "DS", b"120 "),
        (0x0020000D, "UI", uid("1.2.3.4")), (0x0020000E, "UI", uid("1.2.3.4.1")), (0x00200013, "IS", b"1 "),
        (0x00200032, "DS", b"0\\0\\0 "), (0x00200037, "DS", b"1\\0\\0\\0\\1\\0 "), (0x00280002, "US", struct.pack("<H", 1)),
        (0x00280004, "CS", even("MONOCHROME2")), (0x00280008, "IS", even(str(frames))), (0x00280010, "US", struct.pack("<H", rows)),
        (0x00280011, "US", struct.pack("<H", columns)), (0x00280030, "DS", b"90\\90 "), (0x00280100, "US", struct.pack("<H", 16)),
        (0x00280101, "US", struct.pack("<H", stored)), (0x00280102, "US", struct.pack("<H", stored - 1)), (0x00280103, "US", struct.pack("<H", 0)),
    ):  # fmt: skip
        made[tag] = el(tag, vr, value)
    made[0x7FE00010] = el(
        0x7FE00010, "OW", bytes(range(rows * columns * 2 % 256)) if rows * columns < 128 else bytes(32)
    )
    return made


def joined(made: Parts) -> bytes:
    """Elements in the order of their tags."""
    return b"".join(made[tag] for tag in sorted(made))


def small_file(**how: int) -> bytes:
    """A valid small chest CT."""
    return meta() + joined(parts(**how))


def with_part(tag: int, data: bytes, syntax: str = EXPLICIT) -> bytes:
    """The small file with one element replaced or added."""
    made = parts()
    made[tag] = data
    return meta(syntax) + joined(made)


def encapsulated(frames: bytes, syntax: str, rows: int = 4, columns: int = 4) -> bytes:
    """The small file with fragments for pixel data."""
    made = parts(rows, columns)
    made[0x7FE00010] = el(0x7FE00010, "OB", frames, UNDEFINED)
    return meta(syntax) + joined(made)
