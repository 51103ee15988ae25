"""What the stream counts, for Prometheus: labels are stages, doors, states and codes, never an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from tarnhelm.gateway.intake import Reception

__all__ = ["StreamMeters"]

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class StreamMeters:
    """The counters of one process.

    Parameters
    ----------
    registry
        Where they are collected; None: in one of their own.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self._received = Counter(
            "tarnhelm_gateway_received", "Objects that senders handed over.", ["door", "reception"], registry=registry
        )
        self._received_bytes = Counter(
            "tarnhelm_gateway_received_bytes", "Bytes that senders handed over.", ["door"], registry=registry
        )
        self.outcomes = Counter(
            "tarnhelm_gateway_outcomes", "Objects that left a step.", ["stage", "status", "code"], registry=registry
        )
        self.seconds = Histogram(
            "tarnhelm_gateway_step_seconds", "Time of one step.", ["stage"], buckets=_SECONDS, registry=registry
        )
        self.stage_bytes = Counter(
            "tarnhelm_gateway_step_bytes", "Bytes that a step has worked on.", ["stage"], registry=registry
        )
        self.in_flight = Gauge("tarnhelm_gateway_in_flight", "Objects in a pump's hands.", ["stage"], registry=registry)
        self.breaker_open = Gauge(
            "tarnhelm_gateway_breaker_open", "1 while a pump waits for its service.", ["stage"], registry=registry
        )
        self.dead_letters = Counter(
            "tarnhelm_gateway_dead_letters", "Messages that could not be read.", ["topic"], registry=registry
        )
        self.objects = Gauge("tarnhelm_gateway_objects", "Objects by state.", ["state"], registry=registry)
        self.oldest = Gauge(
            "tarnhelm_gateway_oldest_seconds", "Age of the oldest object of a state.", ["state"], registry=registry
        )
        self.lag = Gauge("tarnhelm_gateway_lag", "Tasks that nobody has finished.", ["topic"], registry=registry)
        self.swept = Counter("tarnhelm_gateway_swept", "Blobs without an object.", ["area"], registry=registry)
        self.purged = Counter("tarnhelm_gateway_purged", "Objects whose bytes were shredded.", registry=registry)
        self.again = Counter(
            "tarnhelm_gateway_published_again", "Tasks that housekeeping published again.", ["stage"], registry=registry
        )

        self._from: dict[tuple[str, Reception], tuple[Counter, Counter]] = {}
        self._left: dict[tuple[str, str, str], tuple[Counter, Histogram, Counter]] = {}

    def received(self, door: str, reception: Reception, size: int) -> None:
        """Count one object that was handed over."""
        found = self._from.get((door, reception))
        if found is None:  # looked up once, as below
            found = self._from[door, reception] = (
                self._received.labels(door, reception.value),
                self._received_bytes.labels(door),
            )
        found[0].inc()
        found[1].inc(size)

    def left(self, stage: str, status: str, code: str, seconds: float, size: int) -> None:
        """Count one object that left a step."""
        found = self._left.get((stage, status, code))
        if found is None:  # looked up once: the library takes a lock and builds a key for each look
            found = self._left[stage, status, code] = (
                self.outcomes.labels(stage, status, code),
                self.seconds.labels(stage),
                self.stage_bytes.labels(stage),
            )
        found[0].inc()
        found[1].observe(seconds)
        found[2].inc(size)
