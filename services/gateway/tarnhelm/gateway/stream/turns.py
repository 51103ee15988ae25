"""How much a pump has in hand: bytes, not messages; and one suspect alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Turns"]


class Turns:
    """Lets objects in while their bytes fit; a suspect goes in when all others are out, and nobody beside it.

    Parameters
    ----------
    max_bytes
        In hand at the same time; one object that is larger goes in when nothing else is.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._objects = 0
        self._bytes = 0
        self._alone = False
        self._suspects = 0

    @property
    def bytes(self) -> int:
        """In hand."""
        return self._bytes

    @contextmanager
    def turn(self, size: int, *, alone: bool = False) -> Iterator[None]:
        """Wait for a turn, and have it."""
        with self._changed:
            if alone:
                self._suspects += 1
                self._changed.wait_for(lambda: not self._objects and not self._alone)
                self._suspects -= 1
                self._alone = True
            else:
                self._changed.wait_for(lambda: self._fits(size))
            self._objects += 1
            self._bytes += size
        try:
            yield
        finally:
            with self._changed:
                self._objects -= 1
                self._bytes -= size
                self._alone = self._alone and not alone
                self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        if self._alone or self._suspects:
            return False
        return not self._objects or self._bytes + size <= self._max_bytes
