"""What the software may say while it runs: a numbered catalogue, fields from an allow-list, no free text.

A log line is read by people and machines outside the identified zone, so no line may hold a value out of a
file. That is kept by construction: an event has a number and named fields, a field holds an integer or a
short word made of letters, digits and ``. _ : -``, and anything else is an error of the programmer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

__all__ = ["EVENTS", "EventKind", "EventLog", "event_kind"]

_WORD: Final = re.compile(r"[A-Za-z0-9._:-]{0,120}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EventKind:
    """One row of the catalogue.

    Attributes
    ----------
    number
        Stable for ever, never reused.
    fields
        The only fields that a line of this kind may have.
    """

    number: int
    name: str
    fields: frozenset[str]


EVENTS: Final[dict[int, EventKind]] = {}


def event_kind(number: int, name: str, *fields: str) -> EventKind:
    """Enter one row; a number that exists already is a programming error."""
    if number in EVENTS:
        raise ValueError(number)
    EVENTS[number] = kind = EventKind(number, name, frozenset(fields))
    return kind


RUN_STARTED = event_kind(100, "run-started", "run", "project", "plan", "workers")
RUN_ENDED = event_kind(101, "run-ended", "run", "released", "quarantined", "rejected", "skipped", "seconds")
RUN_INTERRUPTED = event_kind(102, "run-interrupted", "run", "in_flight")
OBJECT_HELD = event_kind(200, "object-held", "object", "code", "state", "site")
OBJECT_WAITS = event_kind(201, "object-waits", "object", "code", "times")
INTEGRITY_FAILURE = event_kind(300, "integrity-failure", "object", "code")


class EventLog:
    """Writes events as JSON lines.

    Parameters
    ----------
    stream
        Text stream; None drops all events.
    clock
        Gives seconds since 1970.
    """

    def __init__(self, stream: IO[str] | None, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock

    def __call__(self, kind: EventKind, **fields: int | str) -> None:
        """Write one line; raises ValueError for a field or a value that the catalogue does not allow."""
        for name, value in fields.items():
            if name not in kind.fields:
                raise ValueError(name)
            if not isinstance(value, int) and not _WORD.fullmatch(value):
                raise ValueError(name)
        if self._stream is not None:
            line = {"time": round(self._clock(), 3), "event": kind.number, "name": kind.name, **fields}
            self._stream.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._stream.flush()
