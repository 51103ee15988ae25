"""One worker as its parent sees it: a socket, a page to look at, the jobs it holds."""

from __future__ import annotations

import select
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.common.sandbox import frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from tarnhelm.common.sandbox.dispatcher import Dispatcher
    from tarnhelm.common.sandbox.forkserver import Forked

__all__ = ["Hand", "StageFaultError", "Task", "error_named"]


@dataclass(slots=True)
class Task:
    """A job on its way through a pool.

    Attributes
    ----------
    deaths
        Workers that died at this job.
    incidents
        Workers that died while they held it, whether it was to blame or not.
    alone
        It runs with no other job in its worker.
    seconds
        Wall-clock bound of this job where it is narrower than the pool's; 0: the pool's.
    begun
        It was in a worker's hands: from then on it can no longer be cancelled.
    """

    number: int
    job: Any
    size: int
    future: Future[Any]
    deaths: int = 0
    incidents: int = 0
    alone: bool = False
    seconds: float = 0.0
    begun: bool = False

    def begin(self) -> bool:
        """Say that a worker gets it; false if it was cancelled before."""
        if not self.begun:
            self.begun = self.future.set_running_or_notify_cancel()
        return self.begun


@dataclass(slots=True, eq=False)
class Hand:
    """One worker process.

    Attributes
    ----------
    watched, since
        The job whose time is being taken, and when it began.
    ending
        Why the parent kills it.
    asking
        It waits for answers of its parent; meanwhile its time stands still.
    """

    forked: Forked
    tasks: dict[int, Task] = field(default_factory=dict)
    ready: bool = False
    watched: int = -1
    since: float = 0.0
    ending: TarnhelmError | None = None
    asking: bool = False
    _inbox: bytearray = field(default_factory=bytearray)
    _outbox: bytearray = field(default_factory=bytearray)
    _waits: bool = False

    @property
    def pid(self) -> int:
        """Its process."""
        return self.forked.pid

    def at(self) -> int:
        """Return the number of the job it says it is at; -1 between jobs. Not to be trusted for more than blame."""
        return int(frames.SLOT.unpack_from(self.forked.slot, 0)[0])

    def send(self, kind: int, payload: bytes, loop: Dispatcher) -> None:
        """Send a frame; what does not fit goes when there is room."""
        self._outbox += frames.frame(kind, payload)
        self.push(loop)

    def push(self, loop: Dispatcher) -> None:
        """Send what waits."""
        if not self._outbox:
            return
        sock = self.forked.sock
        try:
            sent = sock.send(self._outbox)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # its death arrives as an event of its own
        del self._outbox[:sent]
        if self._waits != bool(self._outbox):
            self._waits = not self._waits
            loop.want_write(sock.fileno(), wanted=self._waits)

    def receive(self, mask: int, buffer: bytearray, loop: Dispatcher) -> bool:
        """Serve an event of its socket; false if the worker has gone."""
        if mask & select.EPOLLOUT:
            self.push(loop)
        if not mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            return True
        try:
            size = self.forked.sock.recv_into(buffer)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._inbox += memoryview(buffer)[:size]
        return size > 0

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield the whole frames that have come in; raises WireError."""
        at = 0
        while found := frames.take_frame(self._inbox, at):
            kind, payload, at = found
            yield kind, payload
        del self._inbox[:at]

    def close(self) -> None:
        """Let its descriptors go."""
        self.forked.sock.close()
        self.forked.slot.close()


class StageFaultError(TarnhelmError):
    """A fault of the stage's own code; ``site`` is the error's class and the line it came from."""

    def __init__(self, site: str) -> None:
        super().__init__(errors.STAGE_FAULT)
        self.site = "".join(letter for letter in site if letter.isalnum() or letter in "._: ")[:200]


def error_named(payload: bytes, otherwise: errors.ErrorCode) -> TarnhelmError:
    """Return the catalogue's error that a worker named; only a known code and integers get through."""
    code, *facts = payload.decode("ascii", "ignore").split(" ")
    kind = CATALOGUE.get(code)
    if kind is None:
        return StageFaultError(code) if otherwise is errors.STAGE_FAULT else TarnhelmError(otherwise)
    pairs = (fact.partition("=") for fact in facts if fact)
    return TarnhelmError(kind, **{name: int(value) for name, _, value in pairs})
