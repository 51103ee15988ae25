"""Waking the next pump: a task on its topic, with the trace of the object's road."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tarnhelm.common import events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.trace import TRACE_PARENT, trace_of
from tarnhelm.gateway.stream import road

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.broker import Broker, Headers, Message, Position
    from tarnhelm.gateway.broker.trace import TraceContext
    from tarnhelm.gateway.record import ObjectRecord

__all__ = ["Publisher", "trace_in"]

_DEAD_LETTERS: Final = "dead-letter"
_BURY_SECONDS: Final = 10.0


class Publisher:
    """Publishes tasks; never waits, never fails an object.

    A task is a wake-up call: the record in the state says what is to be done. So one that is lost costs time only;
    housekeeping finds the object and publishes again.
    """

    def __init__(self, broker: Broker, log: EventLog) -> None:
        self._broker = broker
        self._log = log

    def send(self, record: ObjectRecord, step: str, key: str = "") -> Future[Position] | None:
        """Publish a task for an object, keyed by its id or by ``key``; None where the broker takes nothing now."""
        topic = road.topic_of(step)
        try:
            future = self._broker.publish(
                topic, (key or record.object_id).encode(), road.task_of(record, step), headers_of(record)
            )
        except TarnhelmError as error:
            self._log(events.PUBLISH_FAILED, topic=topic, code=error.code)
            return None
        future.add_done_callback(lambda done: self._told(topic, done))
        return future

    def bury(self, message: Message, code: str) -> bool:
        """Put a message that cannot be read on the topic ``dead-letter``; False where that did not work now."""
        headers = [("code", code.encode()), ("topic", message.topic.encode())]
        try:
            self._broker.publish(_DEAD_LETTERS, b"", message.value, headers).result(_BURY_SECONDS)
        except (TarnhelmError, TimeoutError):
            return False
        return True

    def _told(self, topic: str, done: Future[Position]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            code = error.code if isinstance(error, TarnhelmError) else ""
            self._log(events.PUBLISH_FAILED, topic=topic, code=code)


def headers_of(record: ObjectRecord) -> Headers:
    """Return the headers of a message about an object."""
    return [(TRACE_PARENT, record.trace.encode())] if record.trace else []


def trace_in(record: ObjectRecord) -> TraceContext | None:
    """Return the span that an object's road is recorded under."""
    return trace_of([(TRACE_PARENT, record.trace.encode())]) if record.trace else None
