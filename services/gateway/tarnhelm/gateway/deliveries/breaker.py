"""When a failed delivery comes again, and when a destination is left alone for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.gateway.destinations.base import RetrySettings

__all__ = ["Breaker", "back_off"]


def back_off(settings: RetrySettings, failures: int, chance: float) -> float:
    """Seconds until the next try after so many failures; ``chance`` in [0, 1) takes up to half of it away.

    Jitter keeps objects that failed together, and processes that failed together, from coming back together.
    """
    wait = settings.first_seconds * settings.factor ** min(max(failures - 1, 0), 64)
    return min(wait, settings.most_seconds) * (1 - chance / 2)


class Breaker:
    """Opens after some failures in a row that are the peer's; then one delivery at a time tries whether it is back.

    Used by one thread.

    Parameters
    ----------
    chance
        Gives numbers in [0, 1).
    """

    def __init__(self, settings: RetrySettings, chance: Callable[[], float]) -> None:
        self._settings = settings
        self._chance = chance
        self._failures = 0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the destination counts as away."""
        return self._failures >= self._settings.breaker_failures

    def room(self, now: float, wanted: int) -> int:
        """How many deliveries may be begun now."""
        if not self.is_open:
            return wanted
        return min(wanted, 1) if now >= self._until else 0

    def failed(self, now: float) -> float:
        """Count a failure of the peer; returns for how long it is left alone, 0 if it is not."""
        self._failures += 1
        if not self.is_open:
            return 0.0
        wait = back_off(self._settings, self._failures - self._settings.breaker_failures + 1, self._chance())
        self._until = now + wait
        return wait

    def went_well(self) -> bool:
        """Count a success; returns whether the destination is back."""
        was_open = self.is_open
        self._failures = 0
        return was_open
