"""Write the reference of metrics and of log events: ``python -m tools.build_metrics_reference [--check]``.

With ``--check`` nothing is written; the exit code is 1 if a page is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from tarnhelm.common import events
from tarnhelm.common.serve import CallMetrics
from tarnhelm.gateway.admin.sampling import Alarm, Status
from tarnhelm.gateway.board import PartNote
from tarnhelm.gateway.deliveries.metrics import DeliveryMetrics
from tarnhelm.gateway.doors.ingest_metrics import IngestMetrics
from tarnhelm.gateway.doors.metrics import DoorMetrics
from tarnhelm.gateway.metrics import GatewayMetrics
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state.reading import Tally
from tarnhelm.gateway.stream.meters import StreamMeters

REFERENCE = Path(__file__).resolve().parent.parent / "docs/reference"

METRICS_HEAD = """# Metrics

Made by `tools/build_metrics_reference.py` from the code. Every process of a gateway and every service tells its metrics for
Prometheus at the address in its settings; nothing is told without one. A counter's name ends in `_total`, a histogram's in
`_bucket`, `_count` and `_sum`.

No metric names an object or a person. A label holds a word of a closed list (a state, a stage, a code of the
[catalogue](codes.md)) or a name of the configuration (a door, a destination, a topic); whatever else was counted is told as
`other`. `deploy/prometheus/rules.yml` holds alarms for Prometheus, and
[the guide](../guides/operate-the-gateway.md) says what to do about each.
"""

EVENTS_HEAD = """# Log events

Made by `tools/build_metrics_reference.py` from `services/common/tarnhelm/common/events.py`. A log is one JSON object a line,
with `time` (seconds since 1970), `event` (the number), `name`, and the fields of that event. A field holds a number or a
short word of letters, digits and `. _ : -`, never free text and never a value out of a file. A number keeps its meaning for
ever and is never used again.

`object` is an object's opaque id, `code` a code of the [catalogue](codes.md), `subject` who decided or signed in: an opaque
name of an account, not of a person.
"""

FAMILIES = (
    (100, "Runs of the command"),
    (200, "Objects of a run"),
    (300, "Integrity"),
    (400, "The stream"),
    (450, "Stages behind gRPC"),
    (470, "Doors"),
    (500, "Release and withdrawal"),
    (530, "Administration"),
    (540, "The web page"),
    (560, "Ingest topic and producer"),
    (590, "Other"),
)


def main() -> int:
    """Write or compare both pages."""
    stale = 0
    for name, made in (("metrics.md", metrics_page()), ("events.md", events_page())):
        path = REFERENCE / name
        if "--check" not in sys.argv[1:]:
            path.write_text(made, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != made:
            print(f"{name} is out of date: run python -m tools.build_metrics_reference", file=sys.stderr)
            stale = 1
    return stale


def collectors() -> list[tuple[str, Callable[[CollectorRegistry], Any]]]:
    """Return what a gateway's processes count, by who does it."""
    return [
        ("Doors", DoorMetrics),
        ("Ingest topic", lambda registry: IngestMetrics("door", registry)),
        ("Stages, witness, housekeeping", StreamMeters),
        ("Release", DeliveryMetrics),
        ("gRPC servers", CallMetrics),
    ]


def metrics_page() -> str:
    """Return the page of metrics."""
    parts = [METRICS_HEAD, "## The gateway as a whole", "", "Told by the admin process, from its last measurement.", ""]
    parts += _table(
        [
            (one.name, one.type, _labels_of(one), one.documentation)
            for one in GatewayMetrics(_status, lambda: 2.0).collect()
        ]
    )
    for title, make in collectors():
        registry = CollectorRegistry()
        make(registry)
        rows = [
            (f"{one._name}{'_total' if one._type == 'counter' else ''}", one._type, one._labelnames, one._documentation)  # noqa: SLF001
            for one in registry._collector_to_names  # noqa: SLF001 - a metric that nobody has counted has no sample
            if hasattr(one, "_labelnames")
        ]
        parts += ["", f"## {title}", "", *_table(rows)]
    return "\n".join(parts) + "\n"


def events_page() -> str:
    """Return the page of events."""
    lines = [EVENTS_HEAD]
    begins = [begin for begin, _ in FAMILIES] + [1 << 30]
    for (begin, title), end in zip(FAMILIES, begins[1:], strict=True):
        kinds = [kind for number, kind in sorted(events.EVENTS.items()) if begin <= number < end]
        if kinds:
            lines += [f"## {title}", "", "| Event | Name | Fields |", "|---|---|---|"]
            lines += [
                f"| {kind.number} | `{kind.name}` | {', '.join(f'`{one}`' for one in sorted(kind.fields))} |"
                for kind in kinds
            ]
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(rows: list[tuple[str, str, Any, str]]) -> list[str]:
    lines = ["| Metric | Kind | Labels | |", "|---|---|---|---|"]
    for name, kind, labels, text in rows:
        shown = ", ".join(f"`{label}`" for label in labels) or "–"
        lines.append(f"| `{name}` | {kind} | {shown} | {text if text.endswith('.') else text + '.'} |")
    return lines


def _labels_of(metric: Any) -> list[str]:
    return sorted({label for sample in metric.samples for label in sample.labels})


def _status() -> Status:
    """A measurement in which each metric has something to tell."""
    return Status(
        1.0, (Tally(State.WAITING, "", 1, 1, 1.0),), (("objects.metadata", "g", 1),), (PartNote("door", "d", "i"),), (),
        (Alarm("age"),),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
