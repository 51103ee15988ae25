"""Events of a process: on standard error, and copied to the topic ``events``."""

from __future__ import annotations

import io
import json

from tarnhelm.common import events
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.broker import TOPICS
from tarnhelm.gateway.broker.sqlite import SqliteBroker
from tarnhelm.gateway.roles.log import EventStream


def test_each_line_goes_to_both_and_a_broker_that_takes_nothing_costs_only_the_copy(tmp_path):
    broker = SqliteBroker(tmp_path / "broker", TOPICS)
    broker.ensure()
    said = io.StringIO()
    stream = EventStream(said, "host-1")
    log = EventLog(stream, lambda: 5.0)
    log(events.INTEGRITY_FAILURE, object="a", code="WIT-006")
    stream.publish_to(broker)
    log.each(events.INTEGRITY_FAILURE, [{"object": name, "code": "WIT-006"} for name in ("b", "d")])
    broker.flush(20)
    consumer = broker.consumer("watch", ["events"])
    found = []
    while len(found) < 2:
        found += consumer.poll(max_records=10, max_bytes=1 << 20, timeout_seconds=1.0)
    consumer.close()
    assert [(one.key, json.loads(one.value)["object"]) for one in found] == [(b"host-1", "b"), (b"host-1", "d")]
    broker.close()
    log(events.INTEGRITY_FAILURE, object="c", code="WIT-006")
    assert [json.loads(line)["object"] for line in said.getvalue().splitlines()] == ["a", "b", "d", "c"]
    assert stream.lost == 1
