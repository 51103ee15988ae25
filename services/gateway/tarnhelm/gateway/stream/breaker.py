"""Waiting for a dependency that is away, without limit and without losing an object to it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["Breaker", "BreakerSettings"]

_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """How a pump waits.

    Attributes
    ----------
    first_seconds, most_seconds
        Between two looks whether the dependency is back: doubled from the first up to the most.
    trips_of_one_object
        So often may one object meet a dependency that is away while others pass; then it is parked alone, so that a
        failure that is its own does not stop the others.
    """

    first_seconds: float = 0.5
    most_seconds: float = 30.0
    trips_of_one_object: int = 3


class Breaker:
    """Open while the dependency is away; one object at a time looks whether it is back. Safe among threads."""

    def __init__(
        self, settings: BreakerSettings | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings or BreakerSettings()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open = False
        self._probing = False
        self._wait = 0.0
        self._next = 0.0
        self._since = 0.0
        self._passed = 0
        self._trips: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self.code = ""
        """Why it is open."""
        self.failures = 0
        """Since it opened."""

    @property
    def open(self) -> bool:
        """Whether the pump has to wait."""
        return self._open

    def due(self) -> bool:
        """Whether one object may look now; whoever is told so has to report what it met."""
        with self._lock:
            if not self._open or self._probing or self._monotonic() < self._next:
                return False
            self._probing = True
            return True

    def not_now(self) -> None:
        """Take a :meth:`due` back: there was no object to look with."""
        with self._lock:
            self._probing = False

    def failed(self, code: str, name: str = "", *, probe: bool = False) -> bool:
        """Report that the dependency is away; returns whether this opened the breaker."""
        with self._lock:
            self.code = code
            self.failures += 1
            if name:
                at, trips = self._trips.pop(name, (-1, 0))
                self._trips[name] = self._passed, trips + (self._passed > at)
                while len(self._trips) > _REMEMBERED:
                    self._trips.popitem(last=False)
            now = self._monotonic()
            if not self._open:
                self._open, self._since, self.failures = True, now, 1
                self._wait = self._settings.first_seconds
                self._next = now + self._wait
                return True
            if probe:
                self._probing = False
                self._wait = min(self._wait * 2, self._settings.most_seconds)
                self._next = now + self._wait
            return False

    def passed(self, name: str = "", *, probe: bool = False) -> float | None:
        """Report that the dependency answered; returns for how long it was away where this closed the breaker."""
        with self._lock:
            self._passed += 1
            self._trips.pop(name, None)
            if probe:
                self._probing = False
            if not self._open:
                return None
            self._open, self._probing = False, False
            return self._monotonic() - self._since

    def alone_to_blame(self, name: str) -> bool:
        """Whether others passed each time between the failures of this one."""
        with self._lock:
            return self._trips.get(name, (0, 0))[1] >= self._settings.trips_of_one_object
