"""What the software may say while it runs: a numbered catalogue, fields from an allow-list, no free text.

A log line is read by people and machines outside the identified zone, so no line may hold a value out of a
file. That is kept by construction: an event has a number and named fields, a field holds an integer or a
short word made of letters, digits and ``. _ : -``, and anything else is an error of the programmer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["EVENTS", "EventKind", "EventLog", "LineSink", "event_kind"]

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
DOOR_OPENED = event_kind(470, "door-opened", "door", "port")
DOOR_CLOSED = event_kind(471, "door-closed", "door")
CALLER_REFUSED = event_kind(472, "caller-refused", "door", "address", "code")
ASSOCIATION_ENDED = event_kind(473, "association-ended", "door", "address", "code", "objects", "refused", "seconds")
STORE_REQUEST_ENDED = event_kind(474, "store-request-ended", "door", "status", "code", "objects", "refused", "seconds")
OBJECT_NOT_TAKEN = event_kind(475, "object-not-taken", "door", "code", "status")
FILE_NOT_TAKEN = event_kind(476, "file-not-taken", "door", "code", "file")
DOOR_WAITS = event_kind(477, "door-waits", "door", "code", "seconds")
COMMITMENT_ANSWERED = event_kind(478, "commitment-answered", "door", "instances", "missing")
COMMITMENT_LOST = event_kind(479, "commitment-lost", "door", "code")
DELIVERY_WAITS = event_kind(500, "delivery-waits", "object", "destination", "code", "times")
DELIVERY_HELD = event_kind(501, "delivery-held", "object", "destination", "code", "times")
DESTINATION_PAUSED = event_kind(502, "destination-paused", "destination", "code", "seconds")
DESTINATION_BACK = event_kind(503, "destination-back", "destination")
OBJECT_RELEASED = event_kind(504, "object-released", "object", "destinations")
RELEASE_BLOCKED = event_kind(505, "release-blocked", "object", "code")
WITHDRAWAL_DONE = event_kind(510, "withdrawal-done", "order", "project", "purged", "rejected")
WITHDRAWAL_REFUSED = event_kind(511, "withdrawal-refused", "order", "code")
ORDERS_WAIT = event_kind(512, "orders-wait", "code")
ADMIN_STARTED = event_kind(530, "admin-started", "port")
ADMIN_DECIDED = event_kind(531, "admin-decided", "subject", "decision", "object", "code")
ADMIN_DECIDED_MANY = event_kind(532, "admin-decided-many", "subject", "decision", "done", "refused")
ADMIN_REFUSED = event_kind(533, "admin-refused", "subject", "call", "code")
ADMIN_HEADER_SHOWN = event_kind(534, "admin-header-shown", "subject", "object")
ADMIN_BOARD_LOST = event_kind(535, "admin-board-lost", "code")
WEB_STARTED = event_kind(540, "web-started", "port")
WEB_SIGNED_IN = event_kind(541, "web-signed-in", "subject", "role", "by")
WEB_SIGN_IN_REFUSED = event_kind(542, "web-sign-in-refused", "subject", "code")
WEB_SIGNED_OUT = event_kind(543, "web-signed-out", "subject")
WEB_ACCOUNT_CHANGED = event_kind(544, "web-account-changed", "subject", "change", "by")
WEB_FORM_REFUSED = event_kind(545, "web-form-refused", "subject", "code")
WEB_FAILED = event_kind(546, "web-failed", "site")
INGEST_DEAD_LETTER = event_kind(560, "ingest-dead-letter", "door", "producer", "code", "partition", "offset")
INGEST_WAITS = event_kind(561, "ingest-waits", "door", "code", "seconds")
INGEST_GIVEN_UP = event_kind(562, "ingest-given-up", "door", "code", "chunks", "expected")
INGEST_TRIM_FAILED = event_kind(563, "ingest-trim-failed", "door", "code")
INGEST_RECORDS_LOST = event_kind(564, "ingest-records-lost", "door", "count")
STAGE_ENDED = event_kind(450, "stage-ended", "stage", "status", "code")
STAGE_WAITS = event_kind(400, "stage-waits", "stage", "code", "failures")
STAGE_BACK = event_kind(401, "stage-back", "stage", "seconds")
OBJECT_SUSPECT = event_kind(402, "object-suspect", "object", "stage", "code", "attempts")
OBJECT_AGAIN = event_kind(403, "object-again", "object", "step", "code")
OBJECT_PURGED = event_kind(404, "object-purged", "object", "state")
ORPHANS_SWEPT = event_kind(405, "orphans-swept", "area", "count")
DEAD_LETTER = event_kind(406, "dead-letter", "topic", "code")
AGE_ALARM = event_kind(407, "age-alarm", "state", "seconds")
ROOM_CLOSED = event_kind(408, "room-closed", "reason")
ROOM_OPEN = event_kind(409, "room-open", "seconds")
OBJECT_DECIDED = event_kind(410, "object-decided", "object", "decision", "code")
OBJECT_SUPERSEDED = event_kind(411, "object-superseded", "object", "state")
VOLUME_CLOSED = event_kind(412, "volume-closed", "volume", "members")
PUBLISH_FAILED = event_kind(413, "publish-failed", "topic", "code")
PUMP_FAULT = event_kind(414, "pump-fault", "stage", "site")


class LineSink(Protocol):
    """Takes lines of text, as standard error does."""

    def write(self, text: str, /) -> object:
        """Take one line with its end, or several."""
        ...

    def flush(self) -> None:
        """Hand on what was taken."""
        ...


class EventLog:
    """Writes events as JSON lines.

    Parameters
    ----------
    stream
        Text stream; None drops all events.
    clock
        Gives seconds since 1970.
    """

    def __init__(self, stream: LineSink | None, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock

    def __call__(self, kind: EventKind, **fields: int | str) -> None:
        """Write one line; raises ValueError for a field or a value that the catalogue does not allow."""
        self.each(kind, (fields,))

    def each(self, kind: EventKind, several: Iterable[Mapping[str, int | str]]) -> None:
        """Write a line for each of these fields, all at one go; raises as a call does, and writes nothing then."""
        checked = [_checked(kind, fields) for fields in several]
        if self._stream is None or not checked:
            return
        head = {"time": round(self._clock(), 3), "event": kind.number, "name": kind.name}
        self._stream.write("".join(json.dumps(head | fields, separators=(",", ":")) + "\n" for fields in checked))
        self._stream.flush()


def _checked(kind: EventKind, fields: Mapping[str, int | str]) -> dict[str, int | str]:
    for name, value in fields.items():
        if name not in kind.fields:
            raise ValueError(name)
        if not isinstance(value, int) and not _WORD.fullmatch(value):
            raise ValueError(name)
    return dict(fields)
