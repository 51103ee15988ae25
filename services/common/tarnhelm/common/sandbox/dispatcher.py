"""One event loop for everything that a parent waits for.

The pump drives it from its own thread (:meth:`Dispatcher.run_once`): then pools, upcalls and state need no
lock and no thread hands work to another, which in CPython costs more than the work itself. For the same reason a
server lets its event loop drive it (:meth:`Dispatcher.attach`); whoever has neither gives it a thread of its own
(:meth:`Dispatcher.start`).
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Dispatcher"]

TICK_SECONDS = 0.1
_EVENTS_AT_ONCE = 256


class Dispatcher:
    """Waits for file descriptors, runs posted functions and periodic checks.

    All callbacks run in the thread that drives the loop; only :meth:`post` may be called from others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._posted: deque[Callable[[], None]] = deque()
        self._checks: list[Callable[[float], None]] = []
        self._next_tick = 0.0
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._owner: int | None = None
        self._host: asyncio.AbstractEventLoop | None = None
        self._host_thread = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, fd: int, handler: Callable[[int], None]) -> None:
        """Call ``handler(events)`` whenever ``fd`` can be read or has hung up."""
        self._handlers[fd] = handler
        self._epoll.register(fd, select.EPOLLIN)

    def want_write(self, fd: int, *, wanted: bool) -> None:
        """Also (or no longer) wake for room to write."""
        self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def forget(self, fd: int) -> None:
        """Stop watching ``fd``; call before it is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def every_tick(self, check: Callable[[float], None]) -> None:
        """Call ``check(now)`` about ten times a second."""
        self._checks.append(check)

    def drop_tick(self, check: Callable[[float], None]) -> None:
        """Stop calling ``check``."""
        if check in self._checks:
            self._checks.remove(check)

    def post(self, call: Callable[[], None]) -> None:
        """Run ``call`` in the loop's thread, soon; safe from every thread and from a signal handler."""
        self._posted.append(call)
        if self._owner != threading.get_ident() or (self._host is not None and len(self._posted) == 1):
            os.eventfd_write(self._wake, 1)

    def run_once(self, timeout_seconds: float = TICK_SECONDS) -> None:
        """Handle what is there; wait at most ``timeout_seconds`` for something."""
        self._owner = threading.get_ident()
        timeout = 0.0 if self._posted else min(timeout_seconds, TICK_SECONDS)
        events = self._epoll.poll(timeout, _EVENTS_AT_ONCE)
        for fd, mask in events:
            if fd == self._wake:
                os.eventfd_read(self._wake)
            else:
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler(mask)
        for _ in range(len(self._posted)):
            self._posted.popleft()()
        now = self._clock()
        if now >= self._next_tick:
            self._next_tick = now + TICK_SECONDS
            for check in tuple(self._checks):
                check(now)

    def start(self, name: str = "dispatcher") -> None:
        """Drive the loop from a daemon thread of its own."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._drive, name=name, daemon=True)
            self._thread.start()

    def attach(self, host: asyncio.AbstractEventLoop) -> None:
        """Let an event loop drive this one; call it, and :meth:`stop` later, in that loop's thread."""
        self._host = host
        self._host_thread = threading.get_ident()
        host.add_reader(self._epoll.fileno(), self.run_once, 0.0)
        self._beat()

    def run_in_host(self, work: Callable[[], None]) -> None:
        """Do work in the thread of the loop that drives this one, and wait for it; at once where that is this thread."""
        host = self._host
        if host is None or threading.get_ident() == self._host_thread:
            work()
            return
        ended = threading.Event()

        def do() -> None:
            try:
                work()
            finally:
                ended.set()

        host.call_soon_threadsafe(do)
        ended.wait()

    def _beat(self) -> None:
        if self._host is not None:
            self._timer = self._host.call_later(TICK_SECONDS, self._beat)
            self.run_once(0.0)

    def stop(self) -> None:
        """Stop the thread, if there is one, and close the descriptors."""
        self._stopping = True
        if self._host is not None and self._wake >= 0:
            self._host.remove_reader(self._epoll.fileno())
            if self._timer is not None:
                self._timer.cancel()
            self._host = None
        if self._thread is not None and self._thread is not threading.current_thread():
            self.post(lambda: None)
            self._thread.join()
        self._thread = None
        if self._wake >= 0:
            self._epoll.close()
            os.close(self._wake)
            self._wake = -1

    @property
    def threaded(self) -> bool:
        """Whether a thread of its own drives it."""
        return self._thread is not None

    def _drive(self) -> None:
        while not self._stopping:
            self.run_once()
