"""The bytes of one object, read once: for the walker, for streaming and for hashing."""

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

__all__ = ["Source", "deflate", "inflate", "open_source"]

#: Objects up to this size are read in one call; larger ones are mapped.
READ_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """An object as bytes.

    Attributes
    ----------
    data
        All bytes, as something whose slices are ``bytes``.
    view
        The same, for streaming.
    """

    data: bytes | mmap.mmap
    view: memoryview

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return len(self.view)

    def sha256(self) -> str:
        """Digest of the raw bytes (hex)."""
        return hashlib.sha256(self.view).hexdigest()


@contextmanager
def open_source(path: Path, limits: Limits) -> Iterator[Source]:
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
        if size <= READ_BYTES:
            data = _read(descriptor, size)
            yield Source(data, memoryview(data))
        else:
            with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
                yield Source(mapped, view)
    finally:
        os.close(descriptor)


def _read(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            raise TarnhelmError(errors.TRUNCATED, tag=0, offset=len(data))
        data += more
    return data


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
