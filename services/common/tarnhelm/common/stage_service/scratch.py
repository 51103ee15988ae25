"""A folder for objects in hand: for this process alone, empty at its start, gone at its end.

A process that was killed leaves its folder behind. Each folder is therefore held by a lock that the kernel lets go of
with the process, and whoever starts beside it removes the folders that nobody holds.

Memory for a new file costs several times what it costs to write over one: the system clears each page, accounts for it,
and takes it back when the file goes. So files of small objects that went well are kept for the next ones, for a second
after they were made; no object lies here for longer than that after its call.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import math
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.common.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SPARE_SECONDS", "Scratch", "write_over"]

SPARE_SECONDS: Final = 1.0
"""A file is used again until this age, counted from its first use."""
_LOCK: Final = "lock"
_SPARES: Final = 32
_LARGEST_SPARE: Final = 8 * MIB
_SPARE_BYTES: Final = 64 * MIB


class Scratch:
    """Names for files in a folder of mode 0700.

    Parameters
    ----------
    place
        Where the folder is made; best in memory, because objects lie in it as they came.
    name
        Of the service; folders of other services are left alone.
    clock
        Seconds that never go back.

    Raises
    ------
    OSError
        The place cannot be used.
    """

    def __init__(self, place: Path, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        prefix = f"tarnhelm-{name}-"
        _sweep(place, prefix)
        self.folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        self._lock = _locked(self.folder)
        self._count = itertools.count()
        self._clock = clock
        self._born: dict[Path, float] = {}
        self._spares: dict[Path, int] = {}
        self._spare_bytes = 0

    def path(self) -> Path:
        """Return a name that nobody else has and that never had a file."""
        return self.folder / f"{next(self._count):x}"

    def taken(self) -> Path:
        """Return a name for a small object: one that was given back, whose file is to be written over, or a new one.

        Whoever takes it gives it back or drops it.
        """
        if self._spares:
            path, size = self._spares.popitem()
            self._spare_bytes -= size
            return path
        path = self.path()
        self._born[path] = self._clock()
        return path

    def give_back(self, path: Path, size: int) -> None:
        """Keep the file of a name that was taken, of ``size`` bytes, for the next object; an old one is removed."""
        kept = (
            size <= _LARGEST_SPARE
            and len(self._spares) < _SPARES
            and self._spare_bytes + size <= _SPARE_BYTES
            and self._clock() < self._born.get(path, -math.inf) + SPARE_SECONDS
        )
        if kept:
            self._spares[path] = size
            self._spare_bytes += size
        else:
            self.drop(path)

    def drop(self, path: Path) -> None:
        """Remove a file, if it is there."""
        self._born.pop(path, None)
        path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove the kept files that are old; for a timer that runs several times in a second."""
        before = self._clock() - SPARE_SECONDS
        for path in [path for path in self._spares if self._born[path] <= before]:
            self._spare_bytes -= self._spares.pop(path)
            self.drop(path)

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        if self._lock >= 0:
            self._spares.clear()
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def write_over(path: Path, data: bytes | memoryview) -> None:
    """Write the file of a name that was :meth:`taken <Scratch.taken>`, which has these bytes and no others then.

    Raises
    ------
    OSError
        There is no room, or what stands there is no file.
    """
    # A worker that was taken over might have put something else there: a link is not followed, a pipe not waited for.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _sweep(place: Path, prefix: str) -> None:
    """Remove what processes left that are gone."""
    for folder in place.glob(prefix + "*"):
        with contextlib.suppress(OSError):
            # A folder without its lock has an owner that is just making it: it is not waited for and not taken.
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
