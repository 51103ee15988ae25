"""Records that could not be read or taken: kept as they came on the topic ``dead-letter``, with a note of the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tarnhelm.v1 import ingest_pb2

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.base import MAX_ENVELOPE_BYTES, MAX_VALUE_BYTES, size_of

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import Broker, Message

__all__ = ["DEAD_LETTER_HEADER", "DeadLetters"]

DEAD_LETTER_HEADER: Final = "tarnhelm-dead-letter"
_ACKNOWLEDGED_SECONDS: Final = 150.0
_NOTE_BYTES: Final = 2048
"""More than any note has: its words come from the configuration."""


class DeadLetters:
    """Writes dead letters; safe among threads.

    Key, value and headers stay what they were, so that whoever has mended the reason publishes the record again
    without further ado.

    Parameters
    ----------
    clock
        Seconds since 1970.
    """

    def __init__(self, broker: Broker, door: str, clock: Callable[[], float], topic: str = "dead-letter") -> None:
        self._broker = broker
        self._door = door
        self._clock = clock
        self._topic = topic

    def put(self, message: Message, code: str, producer: str = "") -> None:
        """Keep one record; returns when the broker has it durably.

        Raises
        ------
        TarnhelmError
            BRK-…: it is not kept, do not commit it.
        """
        note = self._note(code, producer, len(message.value))
        note.topic = message.topic
        note.partition = message.partition.number
        note.offset = message.offset
        key = message.key
        headers = [one for one in message.headers if one[0] != DEAD_LETTER_HEADER]
        if size_of(key, b"", headers) > MAX_ENVELOPE_BYTES - _NOTE_BYTES:
            note.headers_left_out = True
            headers = []
            key = key[:_NOTE_BYTES]
        self._publish(key, message.value[:MAX_VALUE_BYTES], [*headers, (DEAD_LETTER_HEADER, note.SerializeToString())])

    def note(self, code: str, topic: str, producer: str = "") -> None:
        """Note an object whose records are all gone already: some of its chunks never came."""
        note = self._note(code, producer, 0)
        note.topic = topic
        self._publish(b"", b"", [(DEAD_LETTER_HEADER, note.SerializeToString())])

    def _note(self, code: str, producer: str, size: int) -> ingest_pb2.DeadLetter:
        now = int(self._clock() * 1000)
        return ingest_pb2.DeadLetter(code=code, door=self._door, producer=producer, noted_ms=now, value_size=size)

    def _publish(self, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        try:
            self._broker.publish(self._topic, key, value, headers).result(_ACKNOWLEDGED_SECONDS)
        except TimeoutError:
            raise TarnhelmError(errors.BROKER_AWAY) from None
