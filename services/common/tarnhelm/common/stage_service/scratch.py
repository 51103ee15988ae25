"""A folder for objects in hand: for this process alone, empty at its start, gone at its end.

A process that was killed leaves its folder behind. Each folder is therefore held by a lock that the kernel lets go of
with the process, and whoever starts beside it removes the folders that nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["Scratch"]

_LOCK = "lock"


class Scratch:
    """Names for files in a folder of mode 0700.

    Parameters
    ----------
    place
        Where the folder is made; best in memory, because objects lie in it as they came.
    name
        Of the service; folders of other services are left alone.

    Raises
    ------
    OSError
        The place cannot be used.
    """

    def __init__(self, place: Path, name: str) -> None:
        prefix = f"tarnhelm-{name}-"
        _sweep(place, prefix)
        self.folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        self._lock = _locked(self.folder)
        self._count = itertools.count()

    def path(self) -> Path:
        """Return a name that nobody else has."""
        return self.folder / f"{next(self._count):x}"

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        if self._lock >= 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


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
