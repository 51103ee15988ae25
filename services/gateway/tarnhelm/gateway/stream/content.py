"""The bytes of one object on their way in: in memory up to a bound, then in a file that has no name; hashed as they come.

What an object *is* does not depend on the door it came by. A PACS that sends it by C-STORE, by STOW-RS and in a folder
writes three different heads before the same data set, so the digest is over the transfer syntax and the data set (see
:mod:`tarnhelm.gateway.part10`); of anything that is no DICOM file it is over all bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tarnhelm.gateway.blobs.disk import disk_errors, write_all
from tarnhelm.gateway.part10 import MOST_BYTES, FileHead, read_head

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Content"]

_READ_BYTES: Final = 1024 * 1024


class Content:
    """One object's bytes; used by one thread, and closed by it.

    Parameters
    ----------
    scratch
        A private folder for what does not fit into memory. The file in it never has a name (O_TMPFILE), so it ends
        with the process, whatever ends that.
    memory_bytes
        Above it the bytes go to the file.
    """

    def __init__(self, scratch: Path, memory_bytes: int) -> None:
        self._scratch = scratch
        self._memory_bytes = memory_bytes
        self._pieces: list[bytes] = []
        self.held = 0
        """Bytes in memory."""
        self._fd = -1
        self._begin = bytearray()
        self._known = False
        self._digest = hashlib.sha256()
        self.size = 0
        self.head: FileHead | None = None
        """Of a DICOM file; to be asked after :meth:`finish`."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; raises BLB-001 or BLB-002 where the scratch takes no more."""
        piece = bytes(data)
        self.size += len(piece)
        if self._known:
            self._digest.update(piece)
        else:
            self._begin += piece
            if len(self._begin) >= MOST_BYTES:
                self._know()
        if self._fd < 0 and self.held + len(piece) <= self._memory_bytes:
            self._pieces.append(piece)
            self.held += len(piece)
            return
        with disk_errors():
            if self._fd < 0:
                self._fd = os.open(self._scratch, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
                for earlier in self._pieces:
                    write_all(self._fd, earlier)
                self._pieces.clear()
                self.held = 0
            write_all(self._fd, piece)

    def finish(self) -> bytes:
        """Return the content's sha256, 32 bytes; nothing may be written after it."""
        if not self._known:
            self._know()
        return self._digest.digest()

    def __iter__(self) -> Iterator[bytes]:
        """Give all bytes, from the first on."""
        if self._fd < 0:
            yield from self._pieces
            return
        at = 0
        while at < self.size:
            with disk_errors():
                piece = os.pread(self._fd, _READ_BYTES, at)
            if not piece:
                return
            at += len(piece)
            yield piece

    def close(self) -> None:
        """Let the bytes go."""
        self._pieces.clear()
        self._begin = bytearray()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _know(self) -> None:
        """Read the head and begin the digest."""
        self._known = True
        begin, self._begin = self._begin, bytearray()
        self.head = read_head(begin)
        if self.head is None:
            self._digest.update(begin)
            return
        self._digest.update(self.head.transfer_syntax_uid.encode() + b"\0")
        self._digest.update(memoryview(begin)[self.head.content_start :])
