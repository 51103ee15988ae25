"""The few calls that a folder of blobs is made of; errors of the system come out as the catalogue's."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["disk_errors", "is_full", "names_in", "sync_folder", "write_all", "write_at"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(error: OSError) -> bool:
    """Whether it says that there is no room left."""
    return error.errno in _FULL


class disk_errors:  # noqa: N801 - reads as a verb, and costs a fraction of a generator's context
    """Turn the system's errors, whose texts hold paths, into BLB-001 and BLB-002."""

    __slots__ = ("_passing",)

    def __init__(self, passing: tuple[type[OSError], ...] = ()) -> None:
        self._passing = passing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, self._passing):
            raise TarnhelmError(errors.BLOB_NO_SPACE if is_full(error) else errors.BLOB_STORE_AWAY) from None


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of it; write(2) may take less."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_at(fd: int, at: int, *pieces: bytes) -> int:
    """Write all of them, one after the other, from ``at`` on; returns where the last one ends."""
    end = at + sum(map(len, pieces))
    at += os.pwritev(fd, pieces, at)
    if at < end:  # pwritev(2) may take less
        rest = memoryview(b"".join(pieces))
        while at < end:
            at += os.pwrite(fd, rest[at - end :], at)
    return end


def sync_folder(folder: Path | str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def names_in(folder: Path) -> list[str]:
    """Names in a folder, in order; none where there is no such folder."""
    with disk_errors():
        try:
            return sorted(path.name for path in folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
