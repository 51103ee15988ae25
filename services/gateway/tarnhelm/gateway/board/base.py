"""The seam of the board; one contract suite runs over every implementation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

__all__ = ["Board", "Condition", "PartNote", "living", "note_of", "row_of"]

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_NONE: Final[Mapping[str, int]] = MappingProxyType({})


class Condition(StrEnum):
    """How a part is."""

    OK = "ok"
    WAITING = "waiting"
    """It works, and waits for somebody: senders are told to wait, or the next try is due later."""
    OPEN = "open"
    """Its circuit breaker is open: what is behind it is away, and nothing is asked of it for a while."""
    DOWN = "down"
    """It cannot work."""
    DRAINING = "draining"
    """It ends what it has and takes nothing new."""


@dataclass(frozen=True, slots=True)
class PartNote:
    """What one part says of itself.

    All of it is a word of the configuration, of a closed list, or a number; a note with anything else cannot be made,
    so that no value out of an object gets onto a page.

    Attributes
    ----------
    kind
        ``door``, ``stage``, ``destination``, ``broker``, ``blobs``, ``state``, …
    name
        In the configuration.
    instance
        Which process; several may run the same part.
    code
        Stable code of what is wrong; empty where nothing is.
    since, said
        When the condition began and when this was said, seconds since 1970.
    counts
        Word → number, as ``in-flight``.
    """

    kind: str
    name: str
    instance: str
    condition: Condition = Condition.OK
    code: str = ""
    since: float = 0.0
    said: float = 0.0
    counts: Mapping[str, int] = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        words = (self.kind, self.name, self.instance, *self.counts)
        if not all(_WORD.fullmatch(word) for word in words) or (self.code and not _WORD.fullmatch(self.code)):
            raise ValueError("word")


class Board(Protocol):
    """Keeps the last note of each (kind, name, instance). Safe among threads and processes."""

    def post(self, notes: Iterable[PartNote]) -> None:
        """Keep these; each replaces the one of the same part."""
        ...

    def notes(self) -> Sequence[PartNote]:
        """All notes, by kind, name and instance."""
        ...

    def withdraw(self, instance: str) -> None:
        """Remove the notes of a process that ends."""
        ...

    def sweep(self, before: float) -> int:
        """Remove what was said before a time; returns how many."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def living(notes: Iterable[PartNote], now: float, silence_seconds: float) -> list[PartNote]:
    """Return the notes that count: of a part with a replica that still speaks, not those of replicas that do not.

    A process that was killed leaves its notes behind; another one has taken its place under another name.
    """
    notes = list(notes)
    speak = {(note.kind, note.name) for note in notes if now - note.said <= silence_seconds}
    kept: dict[tuple[str, ...], PartNote] = {}
    for note in notes:
        part = note.kind, note.name
        if now - note.said <= silence_seconds:
            kept[(*part, note.instance)] = note
        elif part not in speak and (part not in kept or kept[part].said < note.said):
            kept[part] = note  # of a part that is silent as a whole, the last word
    return sorted(kept.values(), key=lambda note: (note.kind, note.name, note.instance))


def row_of(note: PartNote) -> tuple[str, str, str, str, str, float, float, str]:
    """Return a note as a row."""
    counts = json.dumps(dict(note.counts), sort_keys=True)
    return note.kind, note.name, note.instance, note.condition.value, note.code, note.since, note.said, counts


def note_of(row: Sequence[Any]) -> PartNote:
    """Return the note of a row."""
    kind, name, instance, condition, code, since, said, counts = row
    return PartNote(kind, name, instance, Condition(condition), code, since, said, json.loads(counts))
