"""Where the events of a process go: to its standard error, and to the topic ``events`` for whoever watches from afar.

The topic is a copy. An object never waits for it, and a broker that takes nothing now costs the copy a line; what must not
be lost stands in the state. Lines are numbered events of the catalogue, so that nothing in them identifies anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.common.events import LineSink
    from tarnhelm.gateway.broker import Broker

__all__ = ["EventStream"]

TOPIC: Final = "events"


class EventStream:
    """A text stream for :class:`~tarnhelm.common.events.EventLog` that writes each line twice.

    Parameters
    ----------
    stream
        Standard error.
    instance
        Key of the records: all events of a process stay in order.
    """

    def __init__(self, stream: LineSink, instance: str) -> None:
        self._stream = stream
        self._key = instance.encode()
        self._broker: Broker | None = None
        self.lost = 0
        """Lines that the broker did not take."""

    def publish_to(self, broker: Broker | None) -> None:
        """Copy lines to a broker from now on; None: no more."""
        self._broker = broker

    def write(self, text: str) -> None:
        """Write lines; each is a record of its own."""
        self._stream.write(text)
        broker = self._broker
        if broker is None:
            return
        for line in text.splitlines():
            try:
                broker.publish(TOPIC, self._key, line.encode())
            except TarnhelmError:
                self.lost += 1

    def flush(self) -> None:
        """Flush standard error."""
        self._stream.flush()
