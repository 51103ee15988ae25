"""What the doors tell Prometheus; labels are names of doors and codes of the catalogue."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["DoorMetrics"]


class DoorMetrics:
    """Counts what comes in; one for all doors of a process.

    Parameters
    ----------
    registry
        Where the metrics are entered; None: a registry of their own.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.objects = Counter(
            "tarnhelm_gateway_door_objects",
            "Objects that were handed in, by what became of them.",
            ("door", "reception"),
            registry=self.registry,
        )
        self.refused = Counter(
            "tarnhelm_gateway_door_refusals",
            "Objects, associations and requests that were refused or failed, by code.",
            ("door", "code"),
            registry=self.registry,
        )
        self.bytes = Counter(
            "tarnhelm_gateway_door_bytes", "Bytes of objects that were handed in.", ("door",), registry=self.registry
        )
        self.callers = Gauge(
            "tarnhelm_gateway_door_callers",
            "Associations or requests in hand.",
            ("door",),
            registry=self.registry,
        )
        self._taken: dict[tuple[str, str], tuple[Counter, Counter]] = {}

    def taken(self, door: str, reception: str, size: int) -> None:
        """Count one object that was handed in."""
        found = self._taken.get((door, reception))
        if found is None:  # looked up once: the library takes a lock and builds a key for each look
            found = self.objects.labels(door, reception), self.bytes.labels(door)
            self._taken[door, reception] = found
        found[0].inc()
        found[1].inc(size)
