"""How numbers and texts read on a page, and that the page knows the words that the rest of the house uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tarnhelm.cli.report.words import ACTIONS, FINDINGS
from tarnhelm.gateway.admin import convert
from tarnhelm.gateway.admin.sampling import alarms_of
from tarnhelm.gateway.board import Condition
from tarnhelm.gateway.metrics.gateway import ALARMS
from tarnhelm.gateway.record import State
from tarnhelm.gateway.web import server, words


def test_the_page_knows_all_words() -> None:
    assert set(words.STATES) == {state.value for state in State}
    assert {condition.value for condition in Condition} < set(words.CONDITIONS)
    assert set(words.ALARMS) == set(ALARMS)
    assert set(ACTIONS) == convert._ACTIONS
    assert set(FINDINGS) == convert._FINDINGS
    assert callable(alarms_of)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, ""), (-4, ""), (0.0002, "< 1 ms"), (0.0034, "3 ms"), (1.44, "1.4 s"), (42, "42 s"), (150, "2 min"), (3723, "1 h 02 min"),
     (259_300, "3 d")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (526_336, "526 KB"), (8_650_752, "8.7 MB"), (3.9e9, "3.9 GB"), (2e12, "2.0 TB")],
)
def test_sizes(size: float, text: str) -> None:
    assert words.bytes_in_words(size) == text


def test_moments_that_are_none() -> None:
    assert [words.moment(value) for value in (0.0, -1.0, 1e300, float("nan"))] == ["–"] * 4
    assert words.age(10.0, 0.0) == "–"
    assert words.age(10.0, 10.0) == "now"


@pytest.mark.parametrize(
    ("values", "top"), [([], 1.0), ([0.0], 1.0), ([0.0, 0.04], 0.05), ([3.0, 7.0], 10.0), ([1500.0, 90.0], 2000.0)]
)
def test_a_chart_begins_at_nothing(values: list[float], top: float) -> None:
    made = words.chart(values)
    assert made.top == pytest.approx(top)
    assert made.last == (values[-1] if values else 0.0)
    points = [tuple(map(float, point.split(","))) for point in made.line.split()]
    assert all(0 <= x <= 300 and 0 <= y <= 60 for x, y in points)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PatientName", "PatientName"),
        ("0008103E name", "SeriesDescription name"),
        ("00091001 id", "(0009,1001) id"),
        ("(0019,10xx)", "(0019,10xx)"),
        ('(0019,"Jane Doe",0C)', '(0019,"…",0C)'),
        ("Doe^Jane", "…"),
        ("PatientName Jane", "PatientName …"),
        ("<script>", "…"),
        ("", ""),
    ],
)
def test_attributes_are_named_and_nothing_else_is(text: str, shown: str) -> None:
    assert convert.plain_attribute(text) == shown


def _colours(style: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", style))


def _contrast(one: str, two: str) -> float:
    """WCAG 2.2, contrast ratio."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lights = sorted((light(one), light(two)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_both_schemes(scheme: str) -> None:
    style = (Path(server.__file__).parent / "static/style.css").read_text("utf-8")
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    colours = _colours(light) if scheme == "light" else _colours(dark)
    pairs = [(text, ground) for text in ("ink", "soft", "accent") for ground in ("paper", "card", "faint")]
    pairs += [(tone, f"{tone}-bg") for tone in ("good", "watch", "held", "plain", "calm")]
    pairs += [("ink", f"{tone}-bg") for tone in ("good", "watch", "held")] + [
        ("accent-ink", "accent"),
        ("held", "card"),
    ]
    assert {
        pair: round(_contrast(colours[pair[0]], colours[pair[1]]), 1)
        for pair in pairs
        if _contrast(colours[pair[0]], colours[pair[1]]) < 4.5
    } == {}
