"""The manifest as files: one for each writer and day, appended to from the state, never rewritten.

The state is written first, so a file may lag behind after a crash; the next append brings what is missing. A line
that was torn by a crash is cut off before the next one is written.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import MANIFEST_BROKEN, MANIFEST_UNREADABLE, NO_SPACE, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = ["ManifestFiles", "manifest_files", "read_files"]

_SUFFIX: Final = ".jsonl"
_TAIL_BYTES: Final = 1 << 20
"""Longer than any line."""


class ManifestFiles:
    """Keeps the files of one writer in step with the state.

    Parameters
    ----------
    folder
        Made if it is missing.
    writer
        Whose chain.
    lines_after
        Gives the chain's lines after a number, with their numbers, from the state.

    Raises
    ------
    TarnhelmError
        DLV-032 where the folder cannot be made.
    """

    def __init__(self, folder: Path, writer: str, lines_after: Callable[[int], Iterable[tuple[int, bytes]]]) -> None:
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError:
            raise TarnhelmError(MANIFEST_UNREADABLE) from None
        self._folder = folder
        self._writer = writer
        self._lines_after = lines_after

    def append(self) -> int:
        """Append what is missing, durably; returns how many lines. Safe among processes of one writer.

        Raises
        ------
        TarnhelmError
            GTW-004 where the disk is full or refuses; the state has the lines all the same. DLV-031 where somebody
            else has written into the newest file.
        """
        try:
            lock = os.open(self._folder / f".{self._writer}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                return self._append()
            finally:
                os.close(lock)
        except OSError:
            raise TarnhelmError(NO_SPACE) from None

    def _append(self) -> int:
        count = 0
        day, stream = "", None
        try:
            for _, content in self._lines_after(self._last()):
                time = json.loads(content)["document"]["time"]
                # A clock that was set back must not open an old file again: lines stand in the order of the chain.
                this = max(day or self._newest_day(), dt.datetime.fromtimestamp(time, dt.UTC).strftime("%Y-%m-%d"))
                if this != day or stream is None:
                    self._durable(stream)
                    day = this
                    stream = (self._folder / f"{self._writer}.{day}{_SUFFIX}").open("ab")
                stream.write(content + b"\n")
                count += 1
        finally:
            self._durable(stream)
        if count:
            fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        return count

    @staticmethod
    def _durable(stream: Any) -> None:
        if stream is not None:
            with stream:
                stream.flush()
                os.fsync(stream.fileno())

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._writer}.????-??-??{_SUFFIX}"))

    def _newest_day(self) -> str:
        files = self._files()
        return files[-1].name.removesuffix(_SUFFIX)[-10:] if files else ""

    def _last(self) -> int:
        """Return the number of the last whole line; what a crash left behind it is cut off."""
        for path in reversed(self._files()):
            with path.open("r+b") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - _TAIL_BYTES))
                tail = stream.read()
                whole = tail[: tail.rfind(b"\n") + 1]
                if len(whole) != len(tail):
                    stream.truncate(size - len(tail) + len(whole))
            if whole:
                try:
                    return int(json.loads(whole.rstrip(b"\n").rpartition(b"\n")[2])["document"]["sequence"])
                except (ValueError, KeyError, TypeError):
                    raise TarnhelmError(MANIFEST_BROKEN, line=0) from None
        return 0


def manifest_files(place: Path) -> list[Path]:
    """Return the files of a folder by writer and day, or the one file that is named; raises DLV-032."""
    if place.is_dir():
        found = sorted(place.glob(f"*{_SUFFIX}"))
        if found:
            return found
    elif place.is_file():
        return [place]
    raise TarnhelmError(MANIFEST_UNREADABLE)


def read_files(files: Iterable[Path]) -> Iterator[bytes]:
    """Yield the lines of several files in order; an unfinished last line is a line too. Raises DLV-032."""
    for path in files:
        try:
            with path.open("rb") as stream:
                for line in stream:
                    yield line.removesuffix(b"\n")
        except OSError:
            raise TarnhelmError(MANIFEST_UNREADABLE) from None
