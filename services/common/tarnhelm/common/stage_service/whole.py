"""Objects that travel in one message: how large they may be, and how both sides know it.

A stream costs several times the processor time of one message each way, most of it in threads that hand pieces to one
another. Small objects are many, so they go whole; large ones go in pieces, so that nobody holds one in memory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tarnhelm.common.limits import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message

__all__ = ["ACCEPTED_KEY", "MESSAGE_BYTES", "WHOLE_BYTES", "WHOLE_RESULT_BYTES", "fits", "write_whole"]

ACCEPTED_KEY: Final = "tarnhelm-accepted"
"""Initial metadata: the header is good and there is room; from here on a failure may be the object's."""
WHOLE_BYTES: Final = 4 * MIB
"""Most that a caller sends of objects in one message."""
WHOLE_RESULT_BYTES: Final = 8 * MIB
"""Most that a service answers in one message; a result may be larger than its source."""
MESSAGE_BYTES: Final = 9 * MIB
"""Bound of a message on both sides: the objects, a header with its configuration, and what surrounds them."""
_FRAME_BYTES: Final = 64


def fits(header: Message, size: int, most: int = WHOLE_BYTES) -> bool:
    """Whether ``size`` bytes may go in one message with their header."""
    return size <= most and size + header.ByteSize() + _FRAME_BYTES <= MESSAGE_BYTES


def write_whole(path: Path, data: bytes) -> None:
    """Write a new file for this process alone.

    Raises
    ------
    OSError
        It is there already, or there is no room.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
