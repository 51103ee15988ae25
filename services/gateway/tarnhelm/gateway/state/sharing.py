"""One sync for the transactions of several threads.

A commit costs a sync of the disk, whatever is in it. So a thread that has made its writes and sees that others wait for
their turn leaves the commit to the last of them, and sleeps until it is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Group", "SharedSync"]

_MOST: Final = 64
"""Units in one commit: a latecomer's wait stays bounded."""


@dataclass(slots=True)
class Group:
    """The units that one commit makes durable.

    Attributes
    ----------
    error
        Why none of them was kept.
    """

    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    units: int = 0


class SharedSync:
    """Lets threads take turns at one connection and commit together."""

    def __init__(self) -> None:
        self._count = threading.Lock()
        self._waiting = 0
        self._owner = 0
        self._group = Group()

    def mine(self) -> bool:
        """Whether the calling thread has its turn."""
        return self._owner == threading.get_ident()

    @contextmanager
    def turn(self, lock: threading.RLock, commit: Callable[[], None]) -> Iterator[Group]:
        """Have a turn; when this ends without an error, everything that was written in it is durable.

        Parameters
        ----------
        lock
            Of the connection; whoever holds it alone may write.
        commit
            Ends the open transaction; what it raises is raised in every thread whose unit was in it.
        """
        with self._count:
            self._waiting += 1
        lock.acquire()
        with self._count:
            self._waiting -= 1
        group = self._group
        self._owner = threading.get_ident()
        try:
            yield group
        finally:
            self._owner = 0
            self._leave(group, commit)
            lock.release()
        group.done.wait()
        if group.error is not None:
            raise group.error

    def _leave(self, group: Group, commit: Callable[[], None]) -> None:
        group.units += 1
        if self._waiting and group.units < _MOST and group.error is None:
            return
        self._group = Group()
        try:
            commit()
        except BaseException as error:  # noqa: BLE001  # raised again in each thread
            group.error = group.error or error
        group.done.set()
