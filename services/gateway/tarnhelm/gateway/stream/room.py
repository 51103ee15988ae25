"""Back-pressure: whether more objects are taken, decided from what already waits and from what is left of the disk.

A sender that is told to wait loses nothing; an object that was accepted and cannot be kept is lost. So the doors close
well before the disk is full or the pumps have more than they can do in a reasonable time, and open again only when
there is plainly room (hysteresis): senders see one long pause, not a flicker.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.common import events
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.broker import Broker
    from tarnhelm.gateway.state import StreamStore

__all__ = ["DiskRoom", "Free", "Room", "RoomSettings", "free_of"]

_GIB: Final = 1024**3
_MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """When the doors close.

    Attributes
    ----------
    max_full_share
        Of the blob store's disk, between 0 and 1.
    min_free_bytes
        On the blob store's disk.
    max_arriving_objects
        On their way in at the same time, in this process.
    max_arriving_bytes
        Of them, in memory; what is larger lies in the scratch.
    max_waiting_objects
        Tasks on the topics of the stages that nobody has finished.
    max_age_seconds
        Of the oldest accepted object that has not come to its end and is not parked; 0: no bound.
    reopen_share
        Doors that were closed by a bound open below this share of it.
    max_broker_away_seconds
        While the broker cannot be asked, objects are still taken: accepted are those whose bytes and record are safe,
        and housekeeping publishes later. After so long the doors close.
    check_seconds
        How old an answer about disk, broker and state may be; 0: each is asked for at once, by whoever wants to know.
    retry_seconds
        What a sender is told to wait.
    """

    max_full_share: float = 0.9
    min_free_bytes: int = 5 * _GIB
    max_arriving_objects: int = 256
    max_arriving_bytes: int = 512 * _MIB
    max_waiting_objects: int = 50_000
    max_age_seconds: float = 6 * 3600.0
    max_broker_away_seconds: float = 300.0
    reopen_share: float = 0.8
    check_seconds: float = 1.0
    retry_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """Free and all bytes of a disk."""

    free: int
    total: int


Free = Callable[[], DiskRoom | None]
"""Tells what is left for blobs; None where nobody knows, as with S3."""


def free_of(folder: Path) -> Free:
    """Return what asks the file system of a folder."""

    def ask() -> DiskRoom | None:
        try:
            found = os.statvfs(folder)
        except OSError:
            return DiskRoom(0, 1)
        return DiskRoom(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)

    return ask


class Room:
    """Answers the doors; safe among threads.

    Parameters
    ----------
    free
        What is left for blobs.
    groups
        Consumer groups and the topics whose lag counts: (group, topic).
    """

    def __init__(
        self,
        settings: RoomSettings,
        state: StreamStore,
        broker: Broker,
        free: Free,
        groups: tuple[tuple[str, str], ...],
        log: EventLog,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._state = state
        self._broker = broker
        self._free = free
        self._groups = groups
        self._log = log
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._checking = threading.Lock()
        self._objects = 0
        self._bytes = 0
        self._checked = float("-inf")
        self._closed = ""
        self._closed_since = 0.0
        self._full = False
        self._broker_seen = monotonic()

    # --- what arrives ----------------------------------------------------------------------------------

    def enter(self) -> bool:
        """Count one object that begins to arrive; False where it must not."""
        if self.wait():
            return False
        with self._lock:
            self._objects += 1
        return True

    def grow(self, size: int) -> None:
        """Count bytes that came into memory; fewer, where they went to the scratch."""
        with self._lock:
            self._bytes += size

    def leave(self, size: int) -> None:
        """Forget an object that has arrived, or will not."""
        with self._lock:
            self._objects -= 1
            self._bytes -= size

    @property
    def arriving(self) -> tuple[int, int]:
        """Objects on their way in, and their bytes in memory."""
        return self._objects, self._bytes

    # --- the answer ------------------------------------------------------------------------------------

    def wait(self) -> float:
        """0.0 where there is room, else the seconds to wait."""
        settings = self._settings
        with self._lock:
            share = settings.reopen_share if self._full else 1.0
            self._full = (
                self._objects >= settings.max_arriving_objects * share
                or self._bytes >= settings.max_arriving_bytes * share
            )
            full = self._full
        if full:
            return min(settings.retry_seconds, 1.0)
        if self._monotonic() - self._checked >= settings.check_seconds and self._checking.acquire(blocking=False):
            if settings.check_seconds:  # a broker that is away answers late, and a sender shall not wait for it
                threading.Thread(target=self._check, name="room", daemon=True).start()
            else:
                self._check()
        return settings.retry_seconds if self._closed else 0.0

    def close(self) -> None:
        """Wait until nothing that this began asks broker or state any more."""
        self._checking.acquire()  # for good: nobody looks again

    def _check(self) -> None:
        """Look at everything once; called with ``_checking`` held, which ends here."""
        try:
            self._look()
        finally:
            self._checked = self._monotonic()
            self._checking.release()

    def _look(self) -> None:
        share = self._settings.reopen_share if self._closed else 1.0
        try:
            reason = self._reason(share)
        except TarnhelmError as error:
            reason = error.code  # a state that is away takes nothing in
        now = self._monotonic()
        if reason and not self._closed:
            self._closed_since = now
            self._log(events.ROOM_CLOSED, reason=reason)
        elif self._closed and not reason:
            self._log(events.ROOM_OPEN, seconds=round(now - self._closed_since))
        self._closed = reason

    def _reason(self, share: float) -> str:
        settings = self._settings
        disk = self._free()
        if disk is not None:
            used = 1.0 - disk.free / max(disk.total, 1)
            if used > settings.max_full_share - (1 - share) * (1 - settings.max_full_share):
                return "disk-full"
            if disk.free < settings.min_free_bytes / share:
                return "disk-low"
        try:
            if self._lag() > settings.max_waiting_objects * share:
                return "lag"
            self._broker_seen = self._monotonic()
        except TarnhelmError as error:
            if self._monotonic() - self._broker_seen > settings.max_broker_away_seconds:
                return error.code
        if settings.max_age_seconds:
            waiting = [received for state, received in self._state.oldest().items() if state != "waiting"]
            if waiting and self._clock() - min(waiting) > settings.max_age_seconds * share:
                return "age"
        return ""

    def _lag(self) -> int:
        return sum(self._broker.waiting(self._groups).values())
