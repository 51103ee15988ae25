"""A group of processes that is kept running: whatever dies is started again, and all end with the first.

Each child has a process of its own, so that one that is killed by a file, by a bound on its memory or by an operator
takes nothing with it. The supervisor opens no file of a patient and speaks to nobody.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

__all__ = ["Child", "Supervisor", "Watched"]

_FIRST_BACKOFF: Final = 0.2
_LONGEST_BACKOFF: Final = 10.0
_STEADY_SECONDS: Final = 20.0
"""Who ran for so long is not the one that dies at once: its next restart waits no longer than the first."""
_LOG_BYTES: Final = 16 << 20
_PR_SET_PDEATHSIG: Final = 1
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Child:
    """One process of the group.

    Attributes
    ----------
    name
        Letters, digits and hyphens; names its log.
    arguments
        The whole command line; no secret stands in it.
    order
        Children of a lower order start first and end last.
    """

    name: str
    arguments: tuple[str, ...]
    order: int = 0


@dataclass(slots=True)
class Watched:
    """A child and what became of it.

    Attributes
    ----------
    starts
        How often it was started.
    status
        Of the last end: exit status, or minus the signal's number; None before the first.
    """

    child: Child
    process: subprocess.Popen[bytes] | None = None
    log: IO[bytes] | None = None
    starts: int = 0
    status: int | None = None
    started: float = 0.0
    next_start: float = 0.0
    backoff: float = _FIRST_BACKOFF

    @property
    def pid(self) -> int:
        """Process id; 0 while it is not running."""
        return self.process.pid if self.process is not None else 0


@dataclass(slots=True)
class Supervisor:
    """Starts children, starts them again, and ends them in order.

    Attributes
    ----------
    logs
        Folder of their logs (standard output and error), 0600 each; the one before is kept as ``.1``.
    environment
        What children get; nothing else of ours is handed on.
    told
        Called with a child and what happened to it: ``started``, ``ended``, ``stopped``, ``killed``.
    grace_seconds
        How long a child may take to end when it was asked to.
    """

    children: Sequence[Child]
    logs: Path
    environment: Mapping[str, str]
    told: Callable[[Watched, str], None] = lambda _watched, _what: None
    grace_seconds: float = 30.0
    clock: Callable[[], float] = time.monotonic
    watched: list[Watched] = field(default_factory=list)

    def start(self) -> None:
        """Start all, in their order."""
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.watched = [Watched(child) for child in sorted(self.children, key=lambda one: one.order)]
        for one in self.watched:
            self._start(one)

    def look(self) -> None:
        """See who has ended, and start again whose time has come; to be called ten times a second or so."""
        now = self.clock()
        for one in self.watched:
            if one.process is None:
                if now >= one.next_start:
                    self._start(one)
                continue
            status = one.process.poll()
            if status is None:
                continue
            self._ended(one, status)
            if now - one.started >= _STEADY_SECONDS:
                one.backoff = _FIRST_BACKOFF
            one.next_start = now + one.backoff
            one.backoff = min(one.backoff * 2, _LONGEST_BACKOFF)
            self.told(one, "ended")

    def stop(self) -> None:
        """Ask all to end, those of the highest order first, and kill who does not."""
        for order in sorted({one.child.order for one in self.watched}, reverse=True):
            group = [one for one in self.watched if one.child.order == order and one.process is not None]
            for one in group:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGTERM)
            deadline = self.clock() + self.grace_seconds
            for one in group:
                self._await(one, deadline)
        self.watched = []

    def _await(self, one: Watched, deadline: float) -> None:
        process = one.process
        if process is None:
            return
        what = "stopped"
        while process.poll() is None:
            if self.clock() >= deadline:
                process.kill()
                process.wait()
                what = "killed"
                break
            time.sleep(_POLL_SECONDS / 4)
        self._ended(one, process.returncode)
        self.told(one, what)

    def _start(self, one: Watched) -> None:
        one.log = _log(self.logs / f"{one.child.name}.log")
        one.process = subprocess.Popen(  # noqa: S603  # our own programs
            one.child.arguments,
            stdin=subprocess.DEVNULL,
            stdout=one.log,
            stderr=subprocess.STDOUT,
            env=dict(self.environment),
            close_fds=True,
            preexec_fn=_ends_with_its_parent,  # noqa: PLW1509  # the supervisor has one thread
        )
        one.starts += 1
        one.started = self.clock()
        self.told(one, "started")

    @staticmethod
    def _ended(one: Watched, status: int) -> None:
        one.status = status
        one.process = None
        if one.log is not None:
            one.log.close()
            one.log = None


def _ends_with_its_parent() -> None:
    """Have the kernel ask this process to end when the supervisor dies (prctl(2)); nobody stays behind alone."""
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _log(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(fd, "ab", buffering=0)
