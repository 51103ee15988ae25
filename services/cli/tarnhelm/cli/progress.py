"""Progress of a run: a bar with an estimate on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tarnhelm.cli.console import err

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.gateway.run.plan import RunCounts

__all__ = ["RunProgress"]

_LINE_SECONDS = 10.0


class RunProgress:
    """Shows what a run has done so far, on stderr.

    Parameters
    ----------
    files, total_bytes
        What lies before it; archives count as one file, so more may come.
    """

    def __init__(self, files: int, total_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._bytes = max(total_bytes, 1)
        self._clock = clock
        self._begun = clock()
        self._next_line = self._begun + _LINE_SECONDS
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("cleaning"),
                BarColumn(),
                MofNCompleteColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=err(),
                transient=True,
            )
            self._task = self._bar.add_task("cleaning", total=files, note="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, counts: RunCounts) -> None:
        """Take the counts in; cheap enough to be called at every turn of the loop."""
        now = self._clock()
        if self._bar is not None:
            held = counts.quarantined + counts.rejected
            note = f"{held} held back" if held else ""
            total = max(self._files, counts.sources)
            self._bar.update(self._task, completed=counts.done, total=total, note=note)
        elif now >= self._next_line:
            self._next_line = now + _LINE_SECONDS
            share = min(1.0, counts.done_bytes / self._bytes)
            left = (now - self._begun) * (1 - share) / share if share > 0.01 else 0.0
            estimate = f", about {_duration(left)} left" if left else ""
            print(
                f"{counts.done:,} of {max(self._files, counts.sources):,} files, "
                f"{counts.quarantined + counts.rejected:,} held back{estimate}",
                file=sys.stderr,
                flush=True,
            )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
