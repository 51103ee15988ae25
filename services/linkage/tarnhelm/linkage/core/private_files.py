"""Files of the private state directory: 0700 directories, 0600 files, whole or not there at all."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import KEY_FILE_EXISTS, STATE_UNSAFE, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["erase", "locked", "private_directory", "read_private", "touch_private", "write_private"]

_ERASED_AT_ONCE: Final = 1 << 20


def private_directory(path: Path) -> Path:
    """Make the directory, or check that it is ours alone.

    An existing directory that others can enter is refused and not narrowed: it may be one the user shares.

    Raises
    ------
    TarnhelmError
        LNK-011.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError:
        raise TarnhelmError(STATE_UNSAFE) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise TarnhelmError(STATE_UNSAFE)
    return path


def write_private(path: Path, content: bytes, *, replace: bool) -> None:
    """Write a file whole, with fsync.

    With ``replace`` a temporary beside it is renamed; without, the file itself is made and must be new (no
    link and no rename: a custodian's key may go to a file system that has neither).

    Raises
    ------
    TarnhelmError
        LNK-016 where it exists and ``replace`` is false, LNK-011 where it cannot be written.
    """
    target = path.with_name(f".{path.name}.{os.getpid()}.tmp") if replace else path
    try:
        if replace:
            target.unlink(missing_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise TarnhelmError(KEY_FILE_EXISTS) from None
    except OSError:
        raise TarnhelmError(STATE_UNSAFE) from None
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            target.replace(path)
        _sync_directory(path.parent)
    except OSError:
        target.unlink(missing_ok=True)
        raise TarnhelmError(STATE_UNSAFE) from None


def read_private(path: Path) -> bytes | None:
    """Give the content, or nothing where there is no such file; LNK-011 where others could read it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError:
        raise TarnhelmError(STATE_UNSAFE) from None
    with os.fdopen(handle, "rb") as stream:
        if os.fstat(handle).st_mode & 0o077:
            raise TarnhelmError(STATE_UNSAFE)
        return stream.read()


def touch_private(path: Path) -> None:
    """Make an empty 0600 file where there is none, so that a library that opens it keeps the mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    except OSError:
        raise TarnhelmError(STATE_UNSAFE) from None


def erase(path: Path) -> None:
    """Overwrite and remove a small file. A copy-on-write disk or a backup may still hold the old bytes."""
    try:
        size = path.stat().st_size
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "wb", buffering=0) as stream:
            while (place := stream.tell()) < size:
                stream.write(bytes(min(_ERASED_AT_ONCE, size - place)))
            os.fsync(stream.fileno())
        path.unlink()
        _sync_directory(path.parent)
    except FileNotFoundError:
        return
    except OSError:
        raise TarnhelmError(STATE_UNSAFE) from None


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock against other processes."""
    path = directory / ".lock"
    touch_private(path)
    with path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
