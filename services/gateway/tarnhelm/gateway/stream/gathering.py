"""What threads hand over within moments, taken by one thread together.

A transaction, its sync, and the waking of whoever waits cost nearly the same for one object as for ten. So workers do not
end their objects themselves: they hand them over and go on.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

__all__ = ["Gathering"]

One = TypeVar("One")

_MOST: Final = 64
"""Taken at once: a latecomer's wait stays bounded."""


class Gathering(Generic[One]):
    """Hands things on, several at a time and in the order in which they came.

    Parameters
    ----------
    take
        Called in the thread of :meth:`start` with at least one; must not raise.
    seconds
        How long the first one waits for others.
    """

    def __init__(self, take: Callable[[list[One]], None], seconds: float) -> None:
        self._take = take
        self._seconds = seconds
        self._handed: queue.SimpleQueue[One | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether what is put is taken."""
        return self._thread is not None

    def start(self, name: str) -> None:
        """Begin to take."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, one: One) -> None:
        """Hand one over; never waits."""
        self._handed.put(one)

    def close(self, seconds: float) -> None:
        """Take what was put, and end; whoever puts has ended before."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._handed.put(None)
            thread.join(seconds)

    def _run(self) -> None:
        while (one := self._handed.get()) is not None:
            if self._seconds:
                time.sleep(self._seconds)
            ones = [one]
            more: One | None = one
            with suppress(queue.Empty):
                while len(ones) < _MOST and (more := self._handed.get_nowait()) is not None:
                    ones.append(more)
            self._take(ones)
            if more is None:
                return
