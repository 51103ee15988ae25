"""The bytes of one object, read once: a head for the walker, the rest for streaming and hashing."""

from __future__ import annotations

import hashlib
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits

__all__ = ["ScratchBuffer", "Source", "deflate", "inflate", "open_source"]

HEAD_BYTES: Final = 64 * 1024
#: Objects up to this size are read into one reused buffer; larger ones are mapped.
SCRATCH_BYTES: Final = 32 * 1024 * 1024


class ScratchBuffer:
    """One buffer that a worker uses again and again: allocating half a megabyte a file costs more than reading it."""

    def __init__(self) -> None:
        self._data = bytearray(1024 * 1024)

    def view(self, size: int) -> memoryview:
        """Return a writable view of ``size`` bytes, at most ``SCRATCH_BYTES``."""
        if size > len(self._data):
            self._data = bytearray(size)
        return memoryview(self._data)[:size]


@dataclass(frozen=True, slots=True)
class Source:
    """An object as bytes.

    Attributes
    ----------
    head
        The first bytes, hashable slices for the walker; the whole object where it is small.
    view
        All bytes, for streaming.
    """

    head: bytes | mmap.mmap
    view: memoryview

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return len(self.view)

    def whole(self) -> bytes | mmap.mmap:
        """All bytes as something that slices into ``bytes``, where the head was not enough."""
        return self.head if len(self.head) == len(self.view) else bytes(self.view)

    def sha256(self) -> str:
        """Digest of the raw bytes (hex)."""
        return hashlib.sha256(self.view).hexdigest()


@contextmanager
def open_source(path: Path, scratch: ScratchBuffer, limits: Limits) -> Iterator[Source]:
    """Read a file for one pass.

    Raises
    ------
    TarnhelmError
        ``LIM-001`` where the file is larger than the limit, ``DCM-001`` where it is empty.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size > limits.max_object_bytes:
            raise TarnhelmError(errors.TOO_LARGE, seen=size, limit=limits.max_object_bytes)
        if size == 0:
            raise TarnhelmError(errors.NOT_DICOM)
        if size <= SCRATCH_BYTES:
            view = scratch.view(size)
            got = os.readv(descriptor, [view])
            while got < size:
                more = os.readv(descriptor, [view[got:]])
                if more == 0:
                    raise TarnhelmError(errors.TRUNCATED, tag=0, offset=got)
                got += more
            with view, view.toreadonly() as frozen:
                yield Source(bytes(view[:HEAD_BYTES]), frozen)
        else:
            with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
                yield Source(mapped, view)
    finally:
        os.close(descriptor)


def inflate(deflated: memoryview, limits: Limits) -> bytes:
    """Inflate a deflated data set (PS3.5 A.5) within bounds.

    Raises
    ------
    TarnhelmError
        ``DCM-013`` not deflate, or cut, or followed by something; ``LIM-005`` grows too far.
    """
    most = min(limits.max_inflated_bytes, max(len(deflated) * limits.max_inflate_ratio, 64 * 1024))
    engine = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        data = engine.decompress(deflated, most)
        if engine.unconsumed_tail or (not engine.eof and len(data) >= most):
            raise TarnhelmError(errors.INFLATES_TOO_FAR, limit=most)
        data += engine.flush()
    except zlib.error:
        raise TarnhelmError(errors.BAD_DEFLATE) from None
    rest = engine.unused_data
    # Some writers add the trailer of the gzip format: checksum and length. It says nothing, but is left out.
    trailer = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    if not engine.eof or (rest.strip(b"\0") and rest.rstrip(b"\0") != trailer.rstrip(b"\0")):
        raise TarnhelmError(errors.BAD_DEFLATE)
    return data


def deflate(parts: list[bytes | memoryview]) -> list[bytes]:
    """Deflate a data set again, padded to an even length (PS3.5 A.5)."""
    engine = zlib.compressobj(level=6, wbits=-zlib.MAX_WBITS)
    out = [engine.compress(part) for part in parts]
    out.append(engine.flush())
    if sum(map(len, out)) % 2:
        out.append(b"\0")
    return out
