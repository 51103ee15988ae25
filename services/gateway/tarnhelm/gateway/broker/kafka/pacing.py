"""The beat of a producer: records that come within moments leave in one request.

A request costs both sides far more than a record in it, and so does every waking of the producer's thread, which the
library wakes for each batch that it begins. So a record that comes after a pause leaves nearly at once, and those that
come after it wait for the next beat. What fills a batch never waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from kafka.net.compat import KafkaNetClient
from kafka.protocol.producer import ProduceRequest

__all__ = ["LINGER_MS", "PacedClient"]

LINGER_MS: Final = 3
"""How long the first record after a pause waits: those that are published together leave together."""


class PacedClient(KafkaNetClient):
    """The network side of one producer; only the producer's own thread polls it.

    While it rests, answers are read and records are taken; what is ready to be sent waits until the rest is over, and
    nobody wakes the producer's thread for it.

    Parameters
    ----------
    beat_seconds
        From one request with records to the next.
    is_full
        Whether so much waits that the next request shall leave now.
    """

    def __init__(
        self,
        *arguments: Any,
        beat_seconds: float,
        is_full: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        self._beat = beat_seconds
        self._is_full = is_full
        self._monotonic = monotonic
        self._rest_until = float("-inf")
        self._resting = False
        super().__init__(*arguments, **options)

    def send(self, node_id: Any, request: Any, **options: Any) -> Any:
        """Send a request; one with records begins a rest."""
        if isinstance(request, ProduceRequest):
            self._rest_until = self._monotonic() + self._beat
        return super().send(node_id, request, **options)

    def poll(self, timeout_ms: float | None = None, future: Any = None) -> Any:
        """Read and write until something came or the time is over; first of all, until the rest is over."""
        now = self._monotonic()
        until = self._rest_until
        if timeout_ms and timeout_ms <= LINGER_MS:  # the first record waits for company
            until = max(until, now + timeout_ms / 1000)
        if future is not None or until <= now or self._is_full():
            return super().poll(timeout_ms, future)
        # The order matters: who appends a record and then sees that this thread rests need not wake it, because the
        # thread looks for records only after it has said that it rests no more.
        self._resting = True
        try:
            while until > now and not self._is_full():
                super().poll((until - now) * 1000)
                now = self._monotonic()
        finally:
            self._resting = False
        return None

    def wakeup(self) -> None:
        """Wake the producer's thread, unless it gets up by itself soon."""
        if not self._resting or self._is_full():
            super().wakeup()
