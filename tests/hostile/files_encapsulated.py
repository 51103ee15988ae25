"""Hostile fragments, offset tables and code streams (PS3.5 §A.4)."""

from __future__ import annotations

import struct

from tests.hostile.pieces import JPEG, SEQUENCE_END, UNDEFINED, el, encapsulated, item, with_part
from tests.hostile.registry import case


@case()
def fragments_without_delimiter() -> bytes:
    """Fragments to the end of the file."""
    return encapsulated(item(b"") + item(b"\xff\xd8\xff\xd9"), JPEG)


@case()
def fragment_longer_than_file() -> bytes:
    """One fragment of 2 GiB."""
    return encapsulated(item(b"") + item(b"\xff\xd8\xff\xd9", 1 << 31) + SEQUENCE_END, JPEG)


@case()
def fragment_odd() -> bytes:
    """A fragment of odd length."""
    return encapsulated(item(b"") + item(b"\xff\xd8\xff\xd9x") + SEQUENCE_END, JPEG)


@case()
def offset_table_lies() -> bytes:
    """Offsets that point outside."""
    return encapsulated(item(struct.pack("<3I", 0, 1 << 30, 7)) + item(b"\xff\xd8\xff\xd9") + SEQUENCE_END, JPEG)


@case()
def no_code_stream() -> bytes:
    """JPEG by name only."""
    return encapsulated(item(b"") + item(b"Quoll^Ada 77001234 ") + SEQUENCE_END, JPEG)


@case()
def jpeg_segment_beyond_end() -> bytes:
    """A comment segment longer than the frame."""
    return encapsulated(item(b"") + item(b"\xff\xd8\xff\xfe\xff\xffQuoll^Ada77001234\0") + SEQUENCE_END, JPEG)


@case()
def encapsulated_without_length() -> bytes:
    """Native pixel data of undefined length in a syntax that has none."""
    return with_part(0x7FE00010, el(0x7FE00010, "OW", item(b"") + item(bytes(32)) + SEQUENCE_END, UNDEFINED))


@case()
def no_fragments() -> bytes:
    """Pixel data of no fragment at all."""
    return encapsulated(SEQUENCE_END, JPEG)
