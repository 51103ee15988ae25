"""What the ingest door counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["IngestMetrics"]


class IngestMetrics:
    """Counters of one door; labels are bounded words of ours.

    Parameters
    ----------
    registry
        None: a registry of its own, which nobody reads.
    """

    def __init__(self, door: str, registry: CollectorRegistry | None) -> None:
        registry = registry if registry is not None else CollectorRegistry()
        self._door = door
        self._records = Counter(
            "tarnhelm_gateway_ingest_records",
            "Records of the topic that were taken in, by what became of them",
            ["door", "outcome"],
            registry=registry,
        )
        self._dead = Counter(
            "tarnhelm_gateway_ingest_dead_letters",
            "Records and objects in chunks that became dead letters, by code",
            ["door", "code"],
            registry=registry,
        )
        self._lost = Counter(
            "tarnhelm_gateway_ingest_expired_records",
            "Records that retention deleted before the door had read them",
            ["door"],
            registry=registry,
        )
        self._pending = Gauge(
            "tarnhelm_gateway_ingest_pending_bytes",
            "Bytes of chunks whose objects are not complete",
            ["door"],
            registry=registry,
        )
        self._in_flight = Gauge(
            "tarnhelm_gateway_ingest_in_flight_bytes", "Bytes of records in hand", ["door"], registry=registry
        )
        self._shut = Gauge(
            "tarnhelm_gateway_ingest_waiting",
            "1 while the door waits for room or for a dependency",
            ["door"],
            registry=registry,
        )

    def taken(self, outcome: str) -> None:
        """Count one record."""
        self._records.labels(self._door, outcome).inc()

    def dead(self, code: str) -> None:
        """Count one dead letter."""
        self._dead.labels(self._door, code).inc()

    def lost(self, count: int) -> None:
        """Count records that retention took."""
        self._lost.labels(self._door).inc(count)

    def pending(self, size: int) -> None:
        """Say how many bytes of chunks wait."""
        self._pending.labels(self._door).set(size)

    def in_flight(self, size: int) -> None:
        """Say how many bytes of records are in hand."""
        self._in_flight.labels(self._door).set(size)

    def shut(self, *, is_shut: bool) -> None:
        """Say whether the door waits."""
        self._shut.labels(self._door).set(int(is_shut))
