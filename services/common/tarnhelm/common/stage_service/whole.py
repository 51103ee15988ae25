"""Objects that travel in one message: how large they may be, and how both sides know it.

A stream costs several times the processor time of one message each way, most of it in threads that hand pieces to one
another. Small objects are many, so they go whole; large ones go in pieces, so that nobody holds one in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tarnhelm.common.limits import MIB

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = [
    "ACCEPTED_KEY",
    "MESSAGE_BYTES",
    "WHOLE_BYTES",
    "WHOLE_RESULT_BYTES",
    "fits",
    "joined",
    "parted",
]

ACCEPTED_KEY: Final = "tarnhelm-accepted"
"""Initial metadata: the header is good and there is room; from here on a failure may be the object's."""
WHOLE_BYTES: Final = 4 * MIB
"""Most that a caller sends of objects in one message."""
WHOLE_RESULT_BYTES: Final = 8 * MIB
"""Most that a service answers in one message; a result may be larger than its source."""
MESSAGE_BYTES: Final = 9 * MIB
"""Bound of a message on both sides: the objects, a header with its configuration, and what surrounds them."""
_FRAME_BYTES: Final = 64
_LENGTH_DELIMITED: Final = 2
_LAST_FIELD: Final = 15
"""The last number whose tag is one byte."""


def fits(header: Message, size: int, most: int = WHOLE_BYTES) -> bool:
    """Whether ``size`` bytes may go in one message with their header."""
    return size <= most and size + header.ByteSize() + _FRAME_BYTES <= MESSAGE_BYTES


def joined(first: bytes, *data: bytes | memoryview) -> bytes:
    """Write a message whose field 1 is the message ``first``, and whose fields 2, 3, ... are bytes.

    What the generated classes write (Protocol Buffers, Encoding: length-delimited records, in the order of their
    numbers), with one copy of the data where those make three.
    """
    pieces: list[bytes | memoryview] = [b"\x0a", _varint(len(first)), first]
    for number, one in enumerate(data, 2):
        if one:
            pieces += (bytes((number << 3 | _LENGTH_DELIMITED,)), _varint(len(one)), one)
    return b"".join(pieces)


def parted(message: bytes, fields: int) -> list[memoryview] | None:
    """Return the bytes of the fields 1 to ``fields`` of a message of the form that :func:`joined` writes.

    An absent field is empty. None: a message of another form, which the generated classes may read or refuse.
    """
    view = memoryview(message)
    found = [view[:0]] * fields
    at, before, end = 0, 0, len(message)
    while at < end:
        number, kind = message[at] >> 3, message[at] & 7
        if kind != _LENGTH_DELIMITED or not before < number <= min(fields, _LAST_FIELD):
            return None
        size, at = _size_at(message, at + 1)
        if size < 0 or size > end - at:
            return None
        found[number - 1] = view[at : at + size]
        at, before = at + size, number
    return found


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _size_at(message: bytes, at: int) -> tuple[int, int]:
    """Return a length and where it ends; -1 for none, or for one that no message of ours has."""
    size = 0
    for shift in (0, 7, 14, 21):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return size, at
    return -1, at
