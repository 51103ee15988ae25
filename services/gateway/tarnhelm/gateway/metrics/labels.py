"""Which labels a metric may have, and which values: words of closed lists and names of the configuration.

Metrics leave the identified zone. A code that counts cannot know whether a text it was given is a code, so what is told
is looked at once more here, where it leaves: whatever is not on a list is told as ``other``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from tarnhelm.common.errors import CATALOGUE
from tarnhelm.common.stage import Status
from tarnhelm.gateway.board import Condition
from tarnhelm.gateway.broker import TOPICS
from tarnhelm.gateway.intake import Reception
from tarnhelm.gateway.record import State
from tarnhelm.gateway.stream.road import GROUPS, topic_of

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

__all__ = ["LABELS", "OTHER", "StrictRegistry", "allowed"]

OTHER: Final = "other"
_METHOD: Final = re.compile(
    r"/(tarnhelm\.v1|grpc\.health\.v1|grpc\.reflection\.v1(alpha)?)\.[A-Za-z]{1,40}/[A-Za-z]{1,40}"
)
_NUMBER: Final = re.compile(r"\+Inf|[0-9.e+-]{1,24}")
_VERSION: Final = re.compile(r"[A-Za-z0-9.+_-]{1,32}")
_GRPC: Final = frozenset(
    ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "ABORTED",
     "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
     "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]
)  # fmt: skip
_STEPS: Final = frozenset(GROUPS)
_STATUS: Final = frozenset({one.value for one in Status} | {one.value for one in State})
_OUTCOMES: Final = frozenset(
    {one.value for one in Reception}
    | {"delivered", "retry", "held", "refused", "carried-out", "dead", "waiting", "complete", "ended"}
)
_STATES: Final = frozenset({one.value for one in State} | {"due", "delivered", "held", "waived"})
_KINDS: Final = frozenset({"door", "stage", "destination", "broker", "blobs", "state", "process"})
_ALARMS: Final = frozenset({"age", "breaker", "broker", "destination", "down", "lag", "quarantine", "silent"})
_AREAS: Final = frozenset({"raw", "work", "ingest", "result"})
_TOPICS: Final = frozenset({topic.name for topic in TOPICS} | {topic_of(step) for step in GROUPS})

LABELS: Final[Mapping[str, Callable[[str], bool]]] = {
    "alarm": _ALARMS.__contains__,
    "area": _AREAS.__contains__,
    "code": lambda text: not text or text in CATALOGUE or text in _GRPC,
    "condition": frozenset(one.value for one in Condition).__contains__,
    "implementation": lambda text: _VERSION.fullmatch(text) is not None,
    "kind": _KINDS.__contains__,
    "le": lambda text: _NUMBER.fullmatch(text) is not None,
    "method": lambda text: _METHOD.fullmatch(text) is not None,
    "outcome": _OUTCOMES.__contains__,
    "reception": frozenset(one.value for one in Reception).__contains__,
    "stage": _STEPS.__contains__,
    "state": _STATES.__contains__,
    "status": _STATUS.__contains__,
}
"""Label → whether a value is on its list. Those of the configuration are named in :data:`NAMED`."""
NAMED: Final = frozenset({"destination", "door", "group", "name", "topic"})
"""Labels whose values are names of the configuration."""


def allowed(label: str, value: str, names: frozenset[str]) -> bool:
    """Whether a label may have a value."""
    if label in NAMED:
        return value in names or value in _TOPICS or value in GROUPS.values()
    check = LABELS.get(label)
    return check is not None and check(value)


class StrictRegistry(CollectorRegistry):
    """A registry that tells only what is allowed, whoever has entered what.

    Parameters
    ----------
    names
        Of doors, destinations, stages and stores in the configuration, and of topics and groups that it changes.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__(auto_describe=True)
        self._names = frozenset(names)

    def collect(self) -> Iterator[Metric]:
        """Yield what may be told; values that become the same are added."""
        for metric in super().collect():
            yield self._told(metric)

    def restricted_registry(self, names: Iterable[str]) -> Collector:  # type: ignore[override]
        """Return the metrics of these names; a question for some of them gets no more than one for all."""
        wanted = frozenset(names)
        return _Some(self, wanted)

    def _told(self, metric: Metric) -> Metric:
        found: dict[tuple[str, tuple[tuple[str, str], ...]], Sample] = {}
        for sample in metric.samples:
            labels = {
                label: value if allowed(label, value, self._names) else OTHER for label, value in sample.labels.items()
            }
            key = sample.name, tuple(sorted(labels.items()))
            value = sample.value + (found[key].value if key in found else 0.0)
            found[key] = Sample(sample.name, labels, value, sample.timestamp)  # and no exemplar: it would hold a trace
        told = Metric(metric.name, metric.documentation, metric.type, metric.unit)
        told.samples = list(found.values())
        return told


class _Some:
    """Part of a registry."""

    def __init__(self, whole: StrictRegistry, names: frozenset[str]) -> None:
        self._whole = whole
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that hold one of the names."""
        for metric in self._whole.collect():
            samples = [sample for sample in metric.samples if sample.name in self._names]
            if samples:
                metric.samples = samples
                yield metric
