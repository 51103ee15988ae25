"""Command sets of DIMSE messages (PS3.7 section 6.3 and Annex E): implicit VR little endian, group 0000 only."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["MAX_COMMAND_BYTES", "Command", "CommandField", "Status", "command_of", "request_bytes", "response_bytes"]

MAX_COMMAND_BYTES: Final = 16_384
_NO_DATA_SET: Final = 0x0101
_RESPONSE: Final = 0x8000


class CommandField(IntEnum):
    """The messages that this door takes part in (PS3.7 Table E.1-1)."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    C_CANCEL = 0x0FFF


class Status(IntEnum):
    """Statuses that this door answers with (PS3.4 Table B.2-1, PS3.7 Annex C)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT = 0x0112
    INVALID_INSTANCE = 0x0117
    CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORISED = 0x0124
    UNRECOGNISED_OPERATION = 0x0211
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class Command:
    """The elements of a command set that matter here.

    Attributes
    ----------
    number
        Command Field (0000,0100).
    message
        Message ID, of a response that of its request.
    sop_instance_uid
        Affected or Requested SOP Instance UID: an identifier.
    detail
        Action Type ID or Event Type ID.
    """

    number: int
    message: int
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    has_data_set: bool
    status: int = 0
    detail: int = 0

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return bool(self.number & _RESPONSE)


def command_of(encoded: bytes | bytearray) -> Command:
    """Read a command set; raises DOR-001 where it is none."""
    found, position, end = dict[int, bytes](), 0, len(encoded)
    while position < end:
        if position + 8 > end:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        group, element, length = struct.unpack_from("<HHI", encoded, position)
        position += 8
        if group or position + length > end:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        found[element] = bytes(encoded[position : position + length])
        position += length
    number = _number(found, 0x0100)
    message = _number(found, 0x0120 if number & _RESPONSE or number == CommandField.C_CANCEL else 0x0110)
    return Command(
        number=number,
        message=message,
        sop_class_uid=_text(found, 0x0002, 0x0003),
        sop_instance_uid=_text(found, 0x1000, 0x1001),
        has_data_set=_number(found, 0x0800) != _NO_DATA_SET,
        status=_number(found, 0x0900) if number & _RESPONSE else 0,
        detail=_number(found, 0x1008 if 0x1008 in found else 0x1002) if {0x1008, 0x1002} & set(found) else 0,
    )


def response_bytes(request: Command, status: Status, comment: str = "") -> bytes:
    """Encode the response to ``request``; ``comment`` is a code of the catalogue, never a text with a value."""
    elements = {
        0x0002: _uid(request.sop_class_uid),
        0x0100: _short(request.number | _RESPONSE),
        0x0120: _short(request.message),
        0x0800: _short(_NO_DATA_SET),
        0x0900: _short(status),
    }
    if request.number != CommandField.C_ECHO:
        elements[0x1000] = _uid(request.sop_instance_uid)
    if request.number == CommandField.N_ACTION:
        elements[0x1008] = _short(request.detail)
    if request.number == CommandField.N_EVENT_REPORT:
        elements[0x1002] = _short(request.detail)
    if comment:
        elements[0x0902] = _even(comment.encode("ascii"), b" ")
    return _encoded(elements)


def request_bytes(number: CommandField, message: int, sop_class: str, sop_instance: str, event: int) -> bytes:
    """Encode an N-EVENT-REPORT-RQ with a data set (PS3.7 Table 10.3-1)."""
    return _encoded(
        {
            0x0002: _uid(sop_class),
            0x0100: _short(number),
            0x0110: _short(message),
            0x0800: _short(1),
            0x1000: _uid(sop_instance),
            0x1002: _short(event),
        }
    )


def _encoded(elements: dict[int, bytes]) -> bytes:
    body = b"".join(
        struct.pack("<HHI", 0, element, len(elements[element])) + elements[element] for element in sorted(elements)
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _number(found: dict[int, bytes], element: int) -> int:
    value = found.get(element, b"")
    if len(value) != 2:
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    return int.from_bytes(value, "little")


def _text(found: dict[int, bytes], affected: int, requested: int) -> str:
    value = found.get(affected) or found.get(requested) or b""
    return value[:65].decode("ascii", "replace").rstrip("\x00 ")


def _short(value: int) -> bytes:
    return struct.pack("<H", value)


def _uid(value: str) -> bytes:
    return _even(value.encode("ascii", "replace"), b"\x00")


def _even(value: bytes, filler: bytes) -> bytes:
    return value + filler * (len(value) % 2)
