"""The folder that large released objects are put into, for consumers who read them by reference until they expire."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.gateway.destinations.base import Parcel

__all__ = ["ExportFolder"]

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_INCOMING: Final = ".incoming"
_GRACE_SECONDS: Final = 3600.0
_SWEEP_SECONDS: Final = 600.0


class ExportFolder:
    """Released objects under their surrogate paths; safe among threads and processes.

    Parameters
    ----------
    keep_seconds
        How long a reference is valid; the file stays an hour longer.
    """

    def __init__(self, folder: Path, keep_seconds: float, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._next_sweep = 0.0

    def put(self, parcel: Parcel) -> float:
        """Write one object, durably; returns when its reference ends, in seconds since 1970.

        Raises
        ------
        TarnhelmError
            ING-022 (RETRY); GTW-003 and BLB-… from the parcel's own bytes.
        """
        target = self._place(parcel.path)
        incoming = self._folder / _INCOMING / secrets.token_hex(16)
        now = self._clock()
        try:
            incoming.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            with os.fdopen(fd, "wb") as stream:
                for piece in parcel.open():
                    stream.write(piece)
                stream.flush()
                os.fsync(fd)
            os.utime(incoming, (now, now))
            incoming.replace(target)
            _sync(target.parent)
        except OSError:
            raise TarnhelmError(errors.EXPORT_FAILED) from None
        finally:
            with contextlib.suppress(OSError):
                incoming.unlink(missing_ok=True)
        self._sweep(now)
        return now + self._keep_seconds

    def remove(self, paths: Iterable[str]) -> None:
        """Delete what was withdrawn, where it is."""
        try:
            for path in paths:
                self._place(path).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError:
            raise TarnhelmError(errors.EXPORT_FAILED) from None

    def _place(self, path: str) -> Path:
        segments = path.split("/")
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise TarnhelmError(errors.NAME_TAKEN)
        return self._folder.joinpath(*segments)

    def _sweep(self, now: float) -> None:
        """Remove what expired, and what dead writers left behind."""
        with self._lock:
            if now < self._next_sweep:
                return
            self._next_sweep = now + _SWEEP_SECONDS
        oldest = now - self._keep_seconds - _GRACE_SECONDS
        for folder, below, files in os.walk(self._folder, topdown=False):
            for name in files:
                path = Path(folder, name)
                with contextlib.suppress(OSError):
                    if path.lstat().st_mtime < oldest:
                        path.unlink()
            if not files and not below and folder not in (str(self._folder), str(self._folder / _INCOMING)):
                with contextlib.suppress(OSError):  # somebody writes into it
                    Path(folder).rmdir()


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
