"""A log line cannot hold a value out of a file."""

from __future__ import annotations

import io
import json

import pytest

from tarnhelm.common import events
from tarnhelm.common.events import EVENTS, EventLog, event_kind


def test_a_line_has_a_number_a_name_and_its_fields() -> None:
    stream = io.StringIO()
    EventLog(stream, lambda: 12.5)(events.OBJECT_HELD, object="ab12", code="PIX-001", state="quarantined", site="")
    line = json.loads(stream.getvalue())
    assert line == {
        "time": 12.5,
        "event": 200,
        "name": "object-held",
        "object": "ab12",
        "code": "PIX-001",
        "state": "quarantined",
        "site": "",
    }


@pytest.mark.parametrize("value", ["Doe^Jane", "two words", "é", "/scans/1", "x" * 121, "a\nb"])
def test_free_text_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="object"):
        EventLog(io.StringIO(), lambda: 0.0)(events.OBJECT_HELD, object=value)


def test_an_unknown_field_is_refused_even_where_nobody_listens() -> None:
    with pytest.raises(ValueError, match="patient"):
        EventLog(None, lambda: 0.0)(events.OBJECT_HELD, patient="x")


def test_several_lines_are_written_at_one_go_or_none_of_them() -> None:
    stream = io.StringIO()
    log = EventLog(stream, lambda: 12.5)
    log.each(events.OBJECT_RELEASED, ({"object": name, "destinations": 1} for name in ("a", "b")))
    assert [json.loads(line)["object"] for line in stream.getvalue().splitlines()] == ["a", "b"]
    with pytest.raises(ValueError, match="object"):
        log.each(events.OBJECT_RELEASED, [{"object": "c", "destinations": 1}, {"object": "Doe^Jane"}])
    log.each(events.OBJECT_RELEASED, ())
    assert len(stream.getvalue().splitlines()) == 2


def test_a_number_is_given_once() -> None:
    with pytest.raises(ValueError, match="200"):
        event_kind(200, "again")
    assert all(number == kind.number for number, kind in EVENTS.items())
