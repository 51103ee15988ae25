"""How numbers, times, states and steps read on a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = [
    "ALARMS", "CONDITIONS", "DECISIONS", "KINDS", "STATES", "STEPS", "Chart", "age", "bytes_in_words", "chart",
    "count", "duration", "moment", "percent", "rate",
]  # fmt: skip

STATES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "received": ("Arriving", "calm"),
        "admitted": ("Accepted", "calm"),
        "running": ("In a stage", "calm"),
        "ready": ("Between stages", "calm"),
        "witnessing": ("With the witness", "calm"),
        "verified": ("Verified", "calm"),
        "waiting": ("Waiting", "watch"),
        "quarantined": ("Quarantine", "held"),
        "released": ("Released", "good"),
        "purged": ("Released and purged", "good"),
        "rejected": ("Rejected", "plain"),
        "skipped": ("Skipped", "plain"),
    }
)
"""State → its name on the page and its tone."""
CONDITIONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "ok": ("Works", "good"),
        "waiting": ("Waits", "watch"),
        "open": ("Breaker open", "held"),
        "down": ("Down", "held"),
        "draining": ("Ending", "plain"),
        "silent": ("Silent", "held"),
    }
)
KINDS: Final[Mapping[str, str]] = MappingProxyType({"door": "Doors", "stage": "Stages", "destination": "Destinations"})
"""Kinds of parts that have a group of their own; all others stand together."""
STEPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "admitted": "Accepted by the door",
        "metadata": "Cleaning of the header",
        "ocr": "Text in pixels",
        "imaging": "Faces in the volume",
        "finalise": "Markers",
        "witness": "Comparison by the witness",
        "released": "Released",
        "waiting": "Waits for a service",
        "purged": "Bytes purged",
        "retry": "Sent through the stages again",
        "reject": "Rejected by a reviewer",
        "propose": "Acceptance proposed",
        "accept": "Accepted by two people",
    }
)
DECISIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"retry": "Tried again", "reject": "Rejected", "propose": "Proposed to accept", "accept": "Accepted"}
)
ALARMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "age": "The oldest object on its road is older than it should be.",
        "breaker": "A circuit breaker is open: what is behind it does not answer.",
        "broker": "The broker does not answer; the lag is not known.",
        "destination": "A destination does not take what is released.",
        "down": "A part cannot work.",
        "lag": "More records wait than should.",
        "quarantine": "An unusual share of the objects is in quarantine.",
        "silent": "A part has said nothing for a while.",
    }
)


def count(number: float) -> str:
    """Return ``12,345``."""
    return f"{round(number):,}"


def bytes_in_words(number: float) -> str:
    """Return ``514 KB`` or ``8.7 MB``, with decimal units."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if number >= size:
            value = number / size
            return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
    return f"{number:.0f} B"


def duration(seconds: float) -> str:
    """Return ``3 ms``, ``1.4 s``, ``12 min``, ``3 h 05 min`` or ``4 d``; nothing for what was not kept."""
    if seconds <= 0:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "< 1 ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 86_400:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"
    return f"{seconds / 86_400:.0f} d"


def age(now: float, since: float) -> str:
    """Return how long ago; a dash where it is not known."""
    return (duration(now - since) or "now") if since > 0 else "–"


def moment(seconds: float) -> str:
    """Return date and time of this machine's zone; a dash where it is not known."""
    if not 0 < seconds < 1e11:
        return "–"
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def rate(number: float) -> str:
    """Return ``0``, ``0.4`` or ``152``."""
    return f"{number:.0f}" if number >= 10 or number == 0 else f"{number:.1f}"


def percent(part: float) -> str:
    """Return ``12 %``."""
    return f"{part * 100:.0f} %"


@dataclass(frozen=True, slots=True)
class Chart:
    """Points of a line and of the area under it, in a box of 300 by 60; ``top`` is the value at its upper edge."""

    line: str
    area: str
    top: float
    last: float


def chart(values: Sequence[float], width: int = 300, height: int = 60) -> Chart:
    """Draw values from left to right, from nothing to a round number above the largest."""
    top = _round_up(max(values, default=0.0))
    last = values[-1] if values else 0.0
    if len(values) < 2:
        return Chart("", "", top, last)
    step = width / (len(values) - 1)
    points = [f"{number * step:.1f},{height - value / top * (height - 2):.1f}" for number, value in enumerate(values)]
    line = " ".join(points)
    return Chart(line, f"0,{height} {line} {width},{height}", top, last)


def _round_up(value: float) -> float:
    size = 1.0
    while size * 10 <= value:
        size *= 10
    while 0 < value < size:
        size /= 10
    return next((size * part for part in (1, 2, 5, 10) if size * part >= value), 1.0) if value > 0 else 1.0
