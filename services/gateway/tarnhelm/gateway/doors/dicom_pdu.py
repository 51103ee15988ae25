"""Protocol data units of the DICOM Upper Layer on one socket, read with bounds on bytes and on time (PS3.8 section 9.3).

The units of an association's beginning are decoded by pynetdicom. Reading them off the socket is done here, because
its reactor takes a unit of any announced length into memory and waits for its bytes without a deadline.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["AbortReason", "Fragment", "PduKind", "PduStream", "abort_pdu", "fragments_of", "message_pdus", "reject_pdu"]

_HEAD: Final = struct.Struct(">BxI")
_PDV: Final = struct.Struct(">IBB")
_HEAD_BYTES: Final = 6
_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
"""Linux. Callers that write command and data set one after the other with Nagle's algorithm on wait for our
acknowledgement of the first: 40 ms for each object. The kernel forgets the option, so it is set again each time."""
MAX_ASSOCIATE_BYTES: Final = 262_144
"""128 presentation contexts with all transfer syntaxes take 180 KB."""

RELEASE_REPLY: Final = b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"


class PduKind(IntEnum):
    """PDU types (PS3.8 Table 9-11 and following)."""

    ASSOCIATE_REQUEST = 1
    ASSOCIATE_ACCEPT = 2
    ASSOCIATE_REJECT = 3
    DATA = 4
    RELEASE_REQUEST = 5
    RELEASE_REPLY = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Reasons of the service provider (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class Fragment(NamedTuple):
    """One presentation data value (PS3.8 section 9.3.5.1 and Annex E.2); ``data`` is good until the next one is read."""

    context: int
    command: bool
    last: bool
    data: memoryview


class PduStream:
    """Reads whole PDUs through one buffer that is as long as the longest one.

    Parameters
    ----------
    connection
        Connected; its time-outs are set here.
    max_pdu_bytes
        Longest variable field of a PDU.
    stall_seconds
        How long it may bring nothing while a PDU is due.
    """

    def __init__(self, connection: socket.socket, max_pdu_bytes: int, stall_seconds: float) -> None:
        self._connection = connection
        self._max = max_pdu_bytes
        self._stall = stall_seconds
        self._buffer = bytearray(max(max_pdu_bytes, MAX_ASSOCIATE_BYTES) + _HEAD_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def next(self, begin_by: float, end_by: float) -> tuple[PduKind, memoryview] | None:
        """Return the next PDU's kind and variable field, None where the peer closed between two.

        Parameters
        ----------
        begin_by, end_by
            When its first byte and its last byte must be here, ``time.monotonic``.

        Raises
        ------
        TarnhelmError
            DOR-001 for what is no PDU or is too long, DOR-002 where time ran out, DOR-005 where it ended in mid-PDU.
        """
        if self._start == self._end:
            self._start = self._end = 0
            if not self._receive(begin_by, begin_by):
                return None
        self._need(_HEAD_BYTES, end_by)
        number, length = _HEAD.unpack_from(self._buffer, self._start)
        bound = self._max if number == PduKind.DATA else MAX_ASSOCIATE_BYTES
        if not 1 <= number <= 7 or length > bound:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        self._need(_HEAD_BYTES + length, end_by)
        first = self._start + _HEAD_BYTES
        self._start = first + length
        return PduKind(number), self._view[first : self._start]

    def release(self) -> None:
        """Let go of the buffer."""
        self._view = memoryview(b"")

    def _need(self, count: int, end_by: float) -> None:
        if self._start + count > len(self._buffer):
            held = self._end - self._start
            self._view[:held] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, held
        while self._end - self._start < count:
            if not self._receive(end_by, time.monotonic() + self._stall):
                raise TarnhelmError(errors.CALLER_LEFT)

    def _receive(self, *deadlines: float) -> bool:
        left = min(deadlines) - time.monotonic()
        if left <= 0:
            raise TarnhelmError(errors.CALLER_SLOW)
        self._connection.settimeout(left)
        try:
            if _QUICK_ACK is not None:
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
            count = self._connection.recv_into(self._view[self._end :])
        except TimeoutError:
            raise TarnhelmError(errors.CALLER_SLOW) from None
        except OSError:
            raise TarnhelmError(errors.CALLER_LEFT) from None
        self._end += count
        return count > 0


def fragments_of(field: memoryview) -> Iterator[Fragment]:
    """Take a P-DATA-TF apart; raises DOR-001 where its lengths do not fit, and where it holds nothing."""
    position, end = 0, len(field)
    if not end:
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    while position < end:
        if position + 6 > end:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        length, context, control = _PDV.unpack_from(field, position)
        following = position + 4 + length
        if length < 2 or following > end:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        yield Fragment(context, bool(control & 1), bool(control & 2), field[position + 6 : following])
        position = following


def message_pdus(context: int, command: bytes, data_set: bytes | None, peer_max_bytes: int) -> Iterator[bytes]:
    """Cut a message into P-DATA-TF PDUs, none of them longer than the peer takes (0: any)."""
    room = max((peer_max_bytes or 65_536) - 6, 2)
    for is_command, whole in ((1, command), (0, data_set)):
        if whole is None:
            continue
        for position in range(0, max(len(whole), 1), room):
            piece = whole[position : position + room]
            control = is_command | (2 if position + room >= len(whole) else 0)
            yield _HEAD.pack(PduKind.DATA, len(piece) + 6) + _PDV.pack(len(piece) + 2, context, control) + piece


def reject_pdu(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
    return _HEAD.pack(PduKind.ASSOCIATE_REJECT, 4) + bytes((0, result, source, reason))


def abort_pdu(reason: AbortReason) -> bytes:
    """A-ABORT of the service provider (PS3.8 section 9.3.8)."""
    return _HEAD.pack(PduKind.ABORT, 4) + bytes((0, 0, 2, reason))
