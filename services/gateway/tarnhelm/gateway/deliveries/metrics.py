"""What is told of deliveries; the only labels are names of the configuration and codes of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from tarnhelm.gateway.deliveries.base import DeliveryStore

__all__ = ["DeliveryMetrics"]


class DeliveryMetrics:
    """Counters of the release role.

    Parameters
    ----------
    registry
        Where they are entered; None: nowhere that is told.
    """

    def __init__(self, registry: CollectorRegistry | None) -> None:
        registry = registry or CollectorRegistry()
        prefix = "tarnhelm_gateway"
        self.deliveries = Counter(
            f"{prefix}_deliveries", "Tries to deliver", ["destination", "outcome"], registry=registry
        )
        self.failures = Counter(f"{prefix}_delivery_failures", "By code", ["destination", "code"], registry=registry)
        self.bytes = Counter(f"{prefix}_delivered_bytes", "Bytes delivered", ["destination"], registry=registry)
        self.seconds = Histogram(
            f"{prefix}_delivery_seconds", "Of one try that succeeded", ["destination"], registry=registry
        )
        self.released = Counter(f"{prefix}_objects_released", "Objects released", registry=registry)
        self.withdrawals = Counter(f"{prefix}_withdrawal_orders", "By outcome", ["outcome"], registry=registry)
        self._queue = Gauge(f"{prefix}_delivery_queue", "By state", ["destination", "state"], registry=registry)
        self._oldest = Gauge(
            f"{prefix}_delivery_oldest_seconds", "Age of the oldest open", ["destination"], registry=registry
        )
        self.paused = Gauge(
            f"{prefix}_destination_paused", "1 while it is left alone", ["destination"], registry=registry
        )

    def look(self, store: DeliveryStore, now: float) -> None:
        """Read the queue's lengths and ages anew."""
        self._queue.clear()
        for (destination, state), count in store.counts().items():
            self._queue.labels(destination, state.value).set(count)
        self._oldest.clear()
        for destination, planned in store.oldest_due().items():
            self._oldest.labels(destination).set(max(0.0, now - planned))
