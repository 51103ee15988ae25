"""The form of what passes between a pool and its workers: frames over a stream socket, items in a frame.

A frame is its length, its kind and its payload. ``RESULTS`` and ``UPCALL`` come from the untrusted side; their
payload is a run of items, each the number of a job, a kind and bytes. ``JOBS`` and ``REPLY`` come from the parent
and are pickles.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from tarnhelm.common.limits import MIB
from tarnhelm.common.sandbox.wire import WireError

__all__ = [
    "BROKEN", "FAILED", "FAULT", "GOOD", "HELLO", "JOBS", "NO_MEMORY", "QUESTION", "REPLY", "RESULTS", "SLOT", "UPCALL",
    "frame", "item", "items_of", "take_frame",
]  # fmt: skip

HELLO: Final = 1
RESULTS: Final = 2
UPCALL: Final = 3
BROKEN: Final = 4
JOBS: Final = 1
REPLY: Final = 2
GOOD: Final = 0
FAILED: Final = 1
NO_MEMORY: Final = 2
FAULT: Final = 3
QUESTION: Final = 4
SLOT: Final = struct.Struct("<q")
"""What a worker writes into its shared page: the number of the job it is at, or -1."""
HEAD: Final = struct.Struct("<IB")
_ITEM: Final = struct.Struct("<IBI")
_MAX_FRAME: Final = 64 * MIB


def frame(kind: int, payload: bytes) -> bytes:
    """Return a whole frame."""
    return HEAD.pack(len(payload), kind) + payload


def item(number: int, kind: int, body: bytes) -> bytes:
    """Return one item of a frame's payload."""
    return _ITEM.pack(number, kind, len(body)) + body


def take_frame(inbox: bytearray, at: int) -> tuple[int, bytes, int] | None:
    """Return kind, payload and end of the frame at ``at``, None until all of it is there; WireError if it is too long."""
    if len(inbox) - at < HEAD.size:
        return None
    size, kind = HEAD.unpack_from(inbox, at)
    if size > _MAX_FRAME:
        raise WireError
    start = at + HEAD.size
    if len(inbox) - start < size:
        return None
    return kind, bytes(memoryview(inbox)[start : start + size]), start + size


def items_of(payload: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, kind and body of each item; raises WireError where the payload is cut."""
    at = 0
    while at < len(payload):
        if len(payload) - at < _ITEM.size:
            raise WireError
        number, kind, size = _ITEM.unpack_from(payload, at)
        at += _ITEM.size + size
        if at > len(payload):
            raise WireError
        yield number, kind, payload[at - size : at]
