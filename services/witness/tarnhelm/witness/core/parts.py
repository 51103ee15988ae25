"""Source and result in memory: small files are read whole into rooms that are used again, large ones are mapped.

Fresh memory for every file costs more than reading it: the system clears each page before it is filled.
"""

from __future__ import annotations

import mmap
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tarnhelm.witness.core.parsed import Buffer

__all__ = ["Rooms"]

IN_MEMORY: Final = 64 << 20
_LARGEST_ROOM: Final = 4 << 20
_ROOMS: Final = 4


class Rooms:
    """Rooms for files: a few, each of at most 4 MiB, kept as long as the witness."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._free: list[bytearray] = []

    @contextmanager
    def opened(self, given: Path | bytes) -> Iterator[Buffer]:
        """Give the bytes of a file; they hold until the context ends.

        Raises
        ------
        OSError
            The file cannot be read, or shrinks while it is read.
        """
        if isinstance(given, bytes):
            yield given
            return
        handle = os.open(given, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(handle).st_size
            if size > self._in_memory:
                with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as mapped:
                    yield mapped
                return
            room = self._room(size)
            _fill(handle, room)
        finally:
            os.close(handle)
        try:
            yield room
        finally:
            if size <= _LARGEST_ROOM and len(self._free) < _ROOMS:
                self._free.append(room)

    def _room(self, size: int) -> bytearray:
        """Return a room of exactly this size."""
        try:
            room = self._free.pop()
            if len(room) > size:
                del room[size:]
            elif len(room) < size:
                room.extend(bytes(size - len(room)))
        except (IndexError, BufferError):
            # None is free, or somebody still looks at the one that was.
            return bytearray(size)
        return room


def _fill(handle: int, room: bytearray) -> None:
    with memoryview(room) as view:
        filled = 0
        while filled < len(room):
            with view[filled:] as rest:
                count = os.readv(handle, [rest])
            if not count:
                raise OSError("file")
            filled += count
