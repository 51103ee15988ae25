"""The file that a result is written to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["write_new"]

#: At most this many pieces go into one system call.
_PIECES_AT_ONCE: Final = 512


def write_new(
    target: Path, parts: Sequence[bytes | memoryview], *, hashed: bool = True, overwrite: bool = False
) -> str:
    """Write all pieces to a new file, which is removed again where that fails.

    Parameters
    ----------
    overwrite
        A file that is there already is written over and cut to its new length; by default that is an error.

    Returns
    -------
    str
        sha256 (hex) of what was written; empty unless ``hashed``.
    """
    how = os.O_NOFOLLOW if overwrite else os.O_EXCL
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            digest = _write_all(file.fileno(), parts, hashed=hashed)
            if overwrite:
                file.truncate(sum(map(len, parts)))
            return digest
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _write_all(descriptor: int, parts: Sequence[bytes | memoryview], *, hashed: bool) -> str:
    """Write pieces in few system calls and hash them on the way."""
    small: list[bytes | memoryview] = []
    blocks: list[bytes | memoryview] = []
    for part in parts:
        if len(part) < 16_384:
            small.append(part)
            continue
        if small:
            blocks.append(b"".join(small))
            small = []
        blocks.append(part)
    if small:
        blocks.append(b"".join(small))
    digest = hashlib.sha256()
    if hashed:
        for block in blocks:
            digest.update(block)
    for at in range(0, len(blocks), _PIECES_AT_ONCE):
        _write_blocks(descriptor, blocks[at : at + _PIECES_AT_ONCE])
    return digest.hexdigest() if hashed else ""


def _write_blocks(descriptor: int, blocks: list[bytes | memoryview]) -> None:
    wanted = sum(map(len, blocks))
    done = os.writev(descriptor, blocks)
    while done < wanted:
        rest = memoryview(b"".join(blocks))[done:]
        done += os.write(descriptor, rest)
