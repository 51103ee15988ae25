"""What a gateway as a whole tells: objects by state and code, ages, lag, parts and alarms.

Each process counts what it does itself; this is what no process sees alone. It is the admin service's last measurement,
so that however often Prometheus asks, the state and the broker are asked no more often.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tarnhelm.gateway.board import Condition
from tarnhelm.gateway.fsm import TERMINAL
from tarnhelm.gateway.record import State

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from tarnhelm.gateway.admin.sampling import Status

__all__ = ["ALARMS", "GatewayMetrics"]

ALARMS = ("age", "breaker", "broker", "destination", "down", "lag", "quarantine", "silent")


class GatewayMetrics(Collector):
    """Gauges of the whole gateway, made of its last measurement.

    Parameters
    ----------
    status
        Gives it; :attr:`tarnhelm.gateway.admin.sampling.Sampler.status`.
    clock
        Seconds since 1970.
    registry
        Where they are entered.
    """

    def __init__(
        self, status: Callable[[], Status], clock: Callable[[], float], registry: CollectorRegistry | None = None
    ) -> None:
        self._status = status
        self._clock = clock
        if registry is not None:
            registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; before the first measurement none but its age."""
        status, now = self._status(), self._clock()
        prefix = "tarnhelm_gateway"
        yield GaugeMetricFamily(
            f"{prefix}_measured_age_seconds",
            "How old the last measurement is; -1 before the first.",
            value=max(now - status.measured, 0.0) if status.measured else -1.0,
        )
        if not status.measured:
            return
        objects = GaugeMetricFamily(f"{prefix}_state_objects", "Objects by state and code.", labels=["state", "code"])
        size = GaugeMetricFamily(f"{prefix}_state_bytes", "Bytes of objects by state.", labels=["state"])
        oldest = GaugeMetricFamily(
            f"{prefix}_state_oldest_seconds", "Age of the oldest object of a state that has one.", labels=["state"]
        )
        sizes: dict[State, int] = defaultdict(int)
        since: dict[State, float] = {}
        for one in status.tallies:
            objects.add_metric([one.state.value, one.code], one.objects)
            sizes[one.state] += one.bytes
            if one.oldest > 0 and (one.state not in TERMINAL or one.state is State.QUARANTINED):
                since[one.state] = min(one.oldest, since.get(one.state, now))
        for state, total in sizes.items():
            size.add_metric([state.value], total)
        for state, moment in since.items():
            oldest.add_metric([state.value], max(now - moment, 0.0))
        yield from (objects, size, oldest)
        yield from self._around(status, prefix)

    @staticmethod
    def _around(status: Status, prefix: str) -> Iterator[Metric]:
        """What is around the objects: topics, parts, alarms."""
        lag = GaugeMetricFamily(
            f"{prefix}_topic_lag", "Records of a topic that a group has not done.", labels=["topic", "group"]
        )
        for topic, group, count in status.lags:
            lag.add_metric([topic, group], count)
        parts = GaugeMetricFamily(
            f"{prefix}_parts", "Replicas of a part by their condition.", labels=["kind", "name", "condition"]
        )
        counted: dict[tuple[str, str], dict[Condition, int]] = defaultdict(lambda: dict.fromkeys(Condition, 0))
        for note in status.parts:
            counted[note.kind, note.name][note.condition] += 1
        for (kind, name), conditions in counted.items():
            for condition, count in conditions.items():
                parts.add_metric([kind, name, condition.value], count)
        alarms = GaugeMetricFamily(f"{prefix}_alarms", "Alarms of the status page.", labels=["alarm"])
        for alarm in ALARMS:
            alarms.add_metric([alarm], sum(one.name == alarm for one in status.alarms))
        yield from (lag, parts, alarms)
