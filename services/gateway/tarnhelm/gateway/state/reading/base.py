"""The seam of the read side; one contract suite runs over every implementation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tarnhelm.gateway.record import ObjectRecord, State

if TYPE_CHECKING:
    from tarnhelm.gateway.state.base import Decision

__all__ = ["LAST", "Selection", "StateReading", "Tally", "conditions", "record_of"]

LAST = (1 << 62) - 1
"""Above the number of any line."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The objects of one state and code.

    Attributes
    ----------
    code
        Empty where nothing holds them.
    oldest
        When the oldest was accepted, seconds since 1970; 0 where no record says.
    """

    state: State
    code: str
    objects: int
    bytes: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects; an empty field asks for nothing.

    Attributes
    ----------
    id_prefix
        First digits of the object id.
    received_from, received_until
        Seconds since 1970; from is included, until is not.
    """

    states: frozenset[State] = frozenset()
    codes: frozenset[str] = frozenset()
    door: str = ""
    project: str = ""
    stage: str = ""
    id_prefix: str = ""
    received_from: float = 0.0
    received_until: float = 0.0


class StateReading(Protocol):
    """What pages and commands ask of the state. Safe among threads; sees what other processes have made durable."""

    def tally(self) -> Sequence[Tally]:
        """Count all objects by state and code."""
        ...

    def select(self, selection: Selection, after: str, limit: int) -> Sequence[ObjectRecord]:
        """Return at most ``limit`` records of a selection whose ids come after ``after``, by id."""
        ...

    def count(self, selection: Selection) -> tuple[int, int]:
        """Objects and bytes of a selection."""
        ...

    def decisions_of(self, object_ids: Collection[str]) -> Sequence[Decision]:
        """Decisions on these objects, in their order."""
        ...

    def latest_decisions(self, before: int, limit: int) -> Sequence[tuple[int, Decision]]:
        """Decisions with numbers below ``before``, the newest first."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def conditions(selection: Selection, mark: str) -> tuple[str, list[Any]]:
    """Return the WHERE of a selection, with ``mark`` for each value, and the values."""
    parts: list[str] = []
    values: list[Any] = []
    for column, wanted in (("state", [one.value for one in selection.states]), ("code", list(selection.codes))):
        if wanted:
            parts.append(f"{column} IN ({','.join([mark] * len(wanted))})")
            values += sorted(wanted)
    for column, text in (("door", selection.door), ("project", selection.project), ("stage", selection.stage)):
        if text:
            parts.append(f"{column} = {mark}")
            values.append(text)
    if selection.id_prefix:  # ids are lower-case hex, so that no id with this beginning sorts behind it and a ``g``
        parts.append(f"object_id >= {mark} AND object_id < {mark}")
        values += [selection.id_prefix, f"{selection.id_prefix}g"]
    if selection.received_from:
        parts.append(f"received >= {mark}")
        values.append(selection.received_from)
    if selection.received_until:
        parts.append(f"received < {mark}")
        values.append(selection.received_until)
    return " AND ".join(parts) or "1 = 1", values


def record_of(row: Sequence[Any]) -> ObjectRecord:
    """Return the record of a row of all columns."""
    return ObjectRecord._make((row[0], State(row[1]), *row[2:14], bool(row[14]), *row[15:]))
