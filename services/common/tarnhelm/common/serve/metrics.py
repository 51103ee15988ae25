"""What a server tells Prometheus: calls by code and how long they took. No identifier, no free text.

Labels are the names of methods and the codes of the catalogue, so their number is bounded.
"""

from __future__ import annotations

from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.process_collector import ProcessCollector

__all__ = ["CallMetrics", "MetricsServer"]

_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class CallMetrics:
    """Counts calls, in a registry to which services add their own.

    Parameters
    ----------
    registry
        Of a process that tells more than its calls; None: one of their own, with memory, CPU time and open files of
        the process.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        if registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
        self.registry = registry
        self._calls = Counter("tarnhelm_calls", "Calls by how they ended.", ("method", "code"), registry=self.registry)
        self._seconds = Histogram(
            "tarnhelm_call_seconds", "How long calls took.", ("method",), buckets=_BUCKETS, registry=self.registry
        )
        # Kept here, because to find a child by its labels costs as much as to count.
        self._counters: dict[tuple[str, str], Any] = {}
        self._histograms: dict[str, Any] = {}

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Count one call; see :data:`~tarnhelm.common.serve.errors.Observer`."""
        counter = self._counters.get((method, code))
        if counter is None:
            counter = self._counters[method, code] = self._calls.labels(method, code)
        histogram = self._histograms.get(method)
        if histogram is None:
            histogram = self._histograms[method] = self._seconds.labels(method)
        counter.inc()
        histogram.observe(seconds)


class MetricsServer:
    """Answers ``GET /metrics`` from a thread of its own.

    Parameters
    ----------
    listen
        ``host:port``; port 0 takes a free one.
    registry
        What is told.

    Raises
    ------
    OSError
        The address cannot be taken.
    """

    def __init__(self, listen: str, registry: CollectorRegistry) -> None:
        host, _, port = listen.rpartition(":")
        self._server, self._thread = start_http_server(int(port), host.strip("[]"), registry=registry)
        self.port = int(self._server.server_port)

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
