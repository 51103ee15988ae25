"""Progress: a bar with an estimate on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from tarnhelm.cli.console import err

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.gateway.run.plan import RunCounts

__all__ = ["FileProgress", "RunProgress"]

_LINE_SECONDS: Final = 10.0


class FileProgress:
    """Shows how far work over many files is, on stderr; files are counted, bytes make the estimate.

    Parameters
    ----------
    verb
        What is being done, as ``cleaning``.
    files, total_bytes
        What lies before it; archives count as one file, so more may come.
    """

    def __init__(self, verb: str, files: int, total_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._bytes = max(total_bytes, 1)
        self._clock = clock
        self._begun = clock()
        self._next_line = self._begun + _LINE_SECONDS
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            told = TextColumn("{task.fields[files]} files")
            columns = (BarColumn(), told, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            note = TextColumn("{task.fields[note]}")
            self._bar = Progress(TextColumn(verb), *columns, note, console=err(), transient=True)
            self._task = self._bar.add_task(verb, total=self._bytes, files=f"0/{files:,}", note="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int, met: int, done_bytes: int, held: int | None = None) -> None:
        """Take the counts in; cheap enough to be called at every turn of a loop.

        Parameters
        ----------
        done, met
            Files that need nothing more, and those that were met so far.
        held
            Of them held back; None where nothing can be.
        """
        now = self._clock()
        total = max(self._files, met)
        if self._bar is not None:
            note = f"{held} held back" if held else ""
            files = f"{done:,}/{total:,}"
            self._bar.update(
                self._task, completed=done_bytes, total=max(self._bytes, done_bytes), files=files, note=note
            )
        elif now >= self._next_line:
            self._next_line = now + _LINE_SECONDS
            share = min(1.0, done_bytes / self._bytes)
            left = (now - self._begun) * (1 - share) / share if share > 0.01 else 0.0
            estimate = f", about {_duration(left)} left" if left else ""
            back = "" if held is None else f", {held:,} held back"
            print(f"{done:,} of {total:,} files{back}{estimate}", file=sys.stderr, flush=True)


class RunProgress(FileProgress):
    """Shows what a run has done so far."""

    def __init__(self, files: int, total_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("cleaning", files, total_bytes, clock)

    def __call__(self, counts: RunCounts) -> None:
        """Take the counts in."""
        self.show(counts.done, counts.sources, counts.done_bytes, counts.quarantined + counts.rejected)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
