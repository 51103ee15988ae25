"""What Prometheus is told: the gauges of a measurement, and that no label can name anybody."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tarnhelm.gateway.admin.sampling import Status, alarms_of
from tarnhelm.gateway.admin.settings import AlarmSettings
from tarnhelm.gateway.board import Condition, PartNote
from tarnhelm.gateway.metrics import GatewayMetrics, StrictRegistry, allowed
from tarnhelm.gateway.metrics.gateway import ALARMS
from tarnhelm.gateway.metrics.labels import LABELS, NAMED
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state.reading import Tally

RULES = Path(__file__).parents[3] / "deploy/prometheus"
IDENTIFIERS = (
    "Doe^Jane", "doe", "jane", "MRN000123", "19571103", "1.2.840.113619.2.55.3", "/pacs/doe/1.dcm", "AX00001", "LIM-0061",
    "PIX-001 Doe", "Praxis Dr. Müller", "a" * 32, "released ", "",
)  # fmt: skip


def status(**changes: object) -> Status:
    note = PartNote("stage", "metadata", "one", said=990.0)
    fields = {
        "measured": 995.0,
        "tallies": (
            Tally(State.QUARANTINED, "PIX-001", 4, 400, 100.0), Tally(State.QUARANTINED, "LIM-006", 1, 9, 50.0),
            Tally(State.WAITING, "STG-005", 2, 20, 970.0), Tally(State.RELEASED, "", 9, 900, 10.0),
        ),
        "lags": (("objects.metadata", "tarnhelm-metadata", 7),),
        "parts": (note, PartNote("stage", "metadata", "two", Condition.OPEN, "STG-005", said=990.0)),
    }  # fmt: skip
    return Status(**(fields | changes))  # type: ignore[arg-type]


def told(registry: CollectorRegistry) -> dict[str, float]:
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_the_gauges_of_a_measurement() -> None:
    registry = StrictRegistry({"metadata"})
    GatewayMetrics(status, lambda: 1000.0, registry)
    found = told(registry)
    assert found["tarnhelm_gateway_measured_age_seconds"] == 5.0
    assert found['tarnhelm_gateway_state_objects{code="PIX-001",state="quarantined"}'] == 4.0
    assert found['tarnhelm_gateway_state_bytes{state="quarantined"}'] == 409.0
    assert found['tarnhelm_gateway_state_oldest_seconds{state="quarantined"}'] == 950.0
    assert found['tarnhelm_gateway_state_oldest_seconds{state="waiting"}'] == 30.0
    assert 'tarnhelm_gateway_state_oldest_seconds{state="released"}' not in found
    assert found['tarnhelm_gateway_topic_lag{group="tarnhelm-metadata",topic="objects.metadata"}'] == 7.0
    assert found['tarnhelm_gateway_parts{condition="open",kind="stage",name="metadata"}'] == 1.0
    assert found['tarnhelm_gateway_alarms{alarm="age"}'] == 0.0


def test_before_the_first_measurement() -> None:
    registry = StrictRegistry()
    GatewayMetrics(lambda: Status(0.0), lambda: 1000.0, registry)
    assert told(registry) == {"tarnhelm_gateway_measured_age_seconds": -1.0}


@pytest.mark.parametrize("text", IDENTIFIERS)
def test_no_label_can_hold_an_identifier(text: str) -> None:
    for label in sorted({*LABELS, *NAMED, "anything", "patient"}):
        if (label, text) in (
            ("code", ""),
            ("le", "19571103"),
            ("le", "1.2.840.113619.2.55.3"),
            ("implementation", text),
        ):
            continue  # no code; the bounds of a histogram and Python's own name are no texts of ours
        assert not allowed(label, text, frozenset({"ct-room-1"})), label


@pytest.mark.parametrize("text", IDENTIFIERS[:-1])
def test_what_somebody_counts_wrongly_is_told_as_other(text: str) -> None:
    registry = StrictRegistry({"ct-room-1"})
    labels = ("stage", "code", "door", "patient")
    counter = Counter("tarnhelm_gateway_things", "Things.", labels, registry=registry)
    gauge = Gauge("tarnhelm_gateway_gauge", "Things.", ("state",), registry=registry)
    seconds = Histogram("tarnhelm_gateway_seconds", "Things.", ("stage",), registry=registry)
    counter.labels("metadata", "PIX-001", "ct-room-1", text).inc(2, exemplar={"trace": "t"})
    counter.labels("metadata", "PIX-001", "ct-room-1", "another").inc(3)
    counter.labels(text, text, text, text).inc()
    gauge.labels(text).set(4)
    seconds.labels(text).observe(0.3)
    for registry_or_part in (registry, registry.restricted_registry(["tarnhelm_gateway_things_total"])):
        page = generate_latest(registry_or_part).decode()  # type: ignore[arg-type]
        assert text not in page
    found = told(registry)
    same = 'code="PIX-001",door="ct-room-1",patient="other",stage="metadata"'
    assert found[f"tarnhelm_gateway_things_total{{{same}}}"] == 5.0
    assert found['tarnhelm_gateway_gauge{state="other"}'] == 4.0
    assert found['tarnhelm_gateway_seconds_count{stage="other"}'] == 1.0


def test_all_that_a_gateway_counts_uses_labels_of_the_list() -> None:
    from tools.build_metrics_reference import collectors

    registry = CollectorRegistry()
    for _, make in collectors():
        make(registry)
    used = {label for collector in registry._collector_to_names for label in getattr(collector, "_labelnames", ())}
    assert used <= {*LABELS, *NAMED}


def test_alarms() -> None:
    limits = AlarmSettings(age_seconds=60.0, lag_records=5, quarantine_share=0.2, silence_seconds=30.0)
    note = PartNote("destination", "pacs", "one", Condition.DOWN, said=990.0)
    tallies = (
        Tally(State.QUARANTINED, "PIX-001", 30, 0, 1.0), Tally(State.RELEASED, "", 90, 0, 1.0),
        Tally(State.WAITING, "", 1, 0, 900.0), Tally(State.ADMITTED, "", 1, 0, 0.0),
    )  # fmt: skip
    parts = (
        note, PartNote("stage", "ocr", "one", Condition.OPEN, said=990.0), PartNote("door", "ct", "one", said=900.0),
        PartNote("blobs", "s3", "one", Condition.DOWN, said=990.0), PartNote("door", "mr", "one", Condition.WAITING, said=990.0),
    )  # fmt: skip
    found = alarms_of(1000.0, tallies, (("objects.ocr", "g", 6), ("clean", "g", 5)), parts, limits)
    assert {(one.name, one.subject) for one in found} == {
        ("age", ""), ("lag", "objects.ocr"), ("quarantine", ""), ("destination", "pacs"), ("breaker", "stage ocr"),
        ("silent", "door ct"), ("down", "blobs s3"),
    }  # fmt: skip
    assert {one.name for one in found} <= set(ALARMS)
    assert alarms_of(1000.0, tallies[:1], (), (), limits) == (), "too few to speak of a share"
    assert alarms_of(1000.0, (), (), (), limits) == ()


@pytest.mark.parametrize("command", [("check", "rules", "rules.yml"), ("test", "rules", "rules.test.yml")])
def test_the_rules_for_prometheus(command: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: install Debian's package prometheus")
    done = subprocess.run([promtool, *command], cwd=RULES, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    import re

    from tools.build_metrics_reference import collectors

    registry = CollectorRegistry()
    for _, make in collectors():
        make(registry)
    names = set(registry._names_to_collectors)
    names |= {f"{metric.name}" for metric in GatewayMetrics(status, lambda: 1000.0).collect()}
    asked = set(re.findall(r"tarnhelm_[a-z_]+", (RULES / "rules.yml").read_text()))
    assert asked <= names, asked - names
