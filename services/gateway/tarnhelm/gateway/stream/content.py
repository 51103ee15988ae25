"""The bytes of one object on their way in: in memory up to a bound, then in a file that has no name; hashed as they come.

What an object *is* does not depend on the door it came by. A PACS that sends it by C-STORE, by STOW-RS and in a folder
writes three different heads before the same data set, so the digest is over the data set behind the head that the
DICOM door gives it (see :func:`tarnhelm.gateway.part10.file_head`): over SOP class, SOP instance, transfer syntax and
data set. Of what came by that door, and of anything that is no DICOM file, it is the digest of all bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tarnhelm.gateway.blobs.disk import disk_errors, write_all
from tarnhelm.gateway.part10 import MOST_BYTES, FileHead, file_head, read_head

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
        self._bytes = bytearray()  # one piece: a sender may cut an object into pieces of one byte
        self._fd = -1
        self._begin = bytearray()
        self._known = False
        self._whole = False
        self._digest = hashlib.sha256()
        self.size = 0
        self.head: FileHead | None = None
        """Of a DICOM file; to be asked after :meth:`finish`."""

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._bytes)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; raises BLB-001 or BLB-002 where the scratch takes no more."""
        self.size += len(data)
        if self._known:
            self._digest.update(data)
        else:
            self._begin += data
            if len(self._begin) >= MOST_BYTES:
                self._know()
        if self._fd < 0 and len(self._bytes) + len(data) <= self._memory_bytes:
            self._bytes += data
            return
        with disk_errors():
            if self._fd < 0:
                self._fd = os.open(self._scratch, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
                write_all(self._fd, self._bytes)
                self._bytes = bytearray()
            write_all(self._fd, data)

    def finish(self) -> bytes:
        """Return the content's sha256, 32 bytes; nothing may be written after it."""
        if not self._known:
            self._know()
        return self._digest.digest()

    @property
    def known_sha256(self) -> bytes:
        """Of all bytes, 32 bytes, where they have been in memory since they were hashed; else nothing."""
        return self._digest.digest() if self._whole and self._fd < 0 else b""

    @property
    def in_memory(self) -> memoryview:
        """All bytes where they are in memory; else nothing."""
        return memoryview(self._bytes)

    def in_scratch(self) -> Iterator[bytes]:
        """Give all bytes where they are in the scratch; else nothing."""
        if self._fd < 0:
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
        self._bytes = bytearray()  # a new one: a view of the old one may still be in somebody's hands
        self._begin = bytearray()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _know(self) -> None:
        """Read the head and begin the digest."""
        self._known = True
        begin, self._begin = self._begin, bytearray()
        self.head = head = read_head(begin)
        if head is None:
            self._whole = True
            self._digest.update(begin)
            return
        usual = file_head(head.sop_class_uid, head.sop_instance_uid, head.transfer_syntax_uid)
        self._whole = begin[: head.content_start] == usual
        self._digest.update(usual)
        self._digest.update(memoryview(begin)[head.content_start :])
