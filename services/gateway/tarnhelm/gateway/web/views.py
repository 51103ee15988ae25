"""What the overview shows, made of one measurement: groups and sums, no words of the layout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import CATALOGUE
from tarnhelm.gateway.admin.convert import sentence_of
from tarnhelm.gateway.web import words

if TYPE_CHECKING:
    from tarnhelm.v1 import admin_pb2 as pb

__all__ = ["Held", "Overview", "PartRow", "StateRow", "held_by_code", "overview_of"]

_SILENT_SECONDS: Final = 60.0
_STALE_SECONDS: Final = 30.0
_FINISHED: Final = frozenset({"released", "purged", "rejected", "skipped", "quarantined"})


@dataclass(frozen=True, slots=True)
class StateRow:
    """The objects of one state."""

    state: str
    label: str
    tone: str
    objects: int
    bytes: int
    oldest: float


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part, all its replicas together: the worst of them counts."""

    kind: str
    name: str
    condition: str
    tone: str
    code: str
    sentence: str
    since: float
    replicas: int
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Objects in quarantine with one code."""

    code: str
    sentence: str
    remedy: str
    objects: int
    bytes: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Overview:
    """The overview.

    Attributes
    ----------
    stale
        The measurement is so old that nothing on the page need be so any more.
    """

    measured: float
    stale: bool
    states: tuple[StateRow, ...]
    groups: tuple[tuple[str, tuple[PartRow, ...]], ...]
    alarms: tuple[Any, ...]
    charts: tuple[tuple[str, str, words.Chart, str], ...]
    lags: tuple[tuple[str, int], ...]
    oldest: float
    held: tuple[Held, ...]
    minutes: float


def overview_of(status: pb.Status, now: float) -> Overview:
    """Group a measurement for the page; one that is old by ``now`` (seconds since 1970) is said to be."""
    rows: dict[str, list[Any]] = defaultdict(list)
    for tally in status.states:
        rows[tally.state].append(tally)
    states = tuple(
        StateRow(
            state,
            label,
            tone,
            sum(one.objects for one in rows[state]),
            sum(one.bytes for one in rows[state]),
            min((one.oldest for one in rows[state] if one.oldest > 0), default=0.0),
        )
        for state, (label, tone) in words.STATES.items()
        if rows[state]
    )
    samples = list(status.samples)
    underway = sum(row.objects for row in states if row.state not in _FINISHED)
    unfinished = [*(float(one.unfinished) for one in samples), float(underway)]
    waiting = [row.oldest for row in states if row.state not in _FINISHED and row.oldest > 0]
    return Overview(
        measured=status.measured,
        stale=now - status.measured > max(_STALE_SECONDS, 3 * status.sample_seconds),
        states=states,
        groups=_groups(status),
        alarms=tuple(status.alarms),
        charts=(
            ("accepted", "Accepted", words.chart([one.accepted for one in samples]), "objects/s"),
            ("finished", "Finished", words.chart([one.finished for one in samples]), "objects/s"),
            ("bytes", "Bytes finished", words.chart([one.bytes / 1e6 for one in samples]), "MB/s"),
            ("unfinished", "On their road", words.chart(unfinished), "objects"),
        ),
        lags=tuple((one.topic, one.records) for one in status.lags),
        oldest=min(waiting, default=0.0),
        held=held_by_code(status.states),
        minutes=(samples[-1].taken - samples[0].taken) / 60 if len(samples) > 1 else 0.0,
    )


def held_by_code(tallies: Sequence[Any]) -> tuple[Held, ...]:
    """Quarantine by code, the largest group first."""
    found = []
    for one in tallies:
        if one.state == "quarantined":
            kind = CATALOGUE.get(one.code)
            remedy = kind.remedy if kind else ""
            found.append(Held(one.code, sentence_of(one.code), remedy, one.objects, one.bytes, one.oldest))
    return tuple(sorted(found, key=lambda held: (-held.objects, held.code)))


def _groups(status: pb.Status) -> tuple[tuple[str, tuple[PartRow, ...]], ...]:
    parts: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for note in status.parts:
        parts[note.kind, note.name].append(note)
    order = list(words.CONDITIONS)
    rows: dict[str, list[PartRow]] = {label: [] for label in (*words.KINDS.values(), "Stores")}
    for (kind, name), notes in sorted(parts.items()):
        told = [(note, _condition(note, status.measured)) for note in notes]
        worst, condition = max(told, key=lambda pair: order.index(pair[1]) if pair[1] in order else -1)
        label, tone = words.CONDITIONS.get(condition, (condition, "plain"))
        counts: dict[str, int] = defaultdict(int)
        for note in notes:
            for word, number in note.counts.items():
                counts[word] += number
        rows[words.KINDS.get(kind, "Stores")].append(
            PartRow(
                kind,
                name,
                label,
                tone,
                worst.code,
                sentence_of(worst.code),
                worst.since,
                len(notes),
                tuple(sorted(counts.items())),
            )
        )
    return tuple((label, tuple(found)) for label, found in rows.items() if found)


def _condition(note: Any, now: float) -> str:
    return "silent" if now - note.said > _SILENT_SECONDS else str(note.condition)
