"""The few calls that a folder of blobs is made of; errors of the system come out as the catalogue's."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["disk_errors", "is_full", "names_in", "sync_folder", "write_all"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(error: OSError) -> bool:
    """Whether it says that there is no room left."""
    return error.errno in _FULL


@contextmanager
def disk_errors(passing: tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """Turn the system's errors, whose texts hold paths, into BLB-001 and BLB-002."""
    try:
        yield
    except passing:
        raise
    except OSError as error:
        raise TarnhelmError(errors.BLOB_NO_SPACE if is_full(error) else errors.BLOB_STORE_AWAY) from None


def write_all(fd: int, data: bytes) -> None:
    """Write all of it; write(2) may take less."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(folder: Path) -> None:
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
