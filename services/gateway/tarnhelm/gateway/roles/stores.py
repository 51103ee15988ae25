"""Whether broker, blobs and state answer, for the page and for `tarnhelm watch`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import BlobName
from tarnhelm.gateway.board import Condition, PartNote
from tarnhelm.gateway.stream import road

if TYPE_CHECKING:
    from tarnhelm.gateway.config import GatewayConfig
    from tarnhelm.gateway.config.parts import SharedParts

__all__ = ["StoreWatch"]

_NOBODY: Final = BlobName("raw", "0" * 32)
"""A name that no object has: to ask for it says whether the store answers."""


class StoreWatch:
    """Asks each store every few seconds, in a thread of its own: one that is away may keep its asker waiting.

    Parameters
    ----------
    every_seconds
        Between two rounds.
    """

    def __init__(self, config: GatewayConfig, shared: SharedParts, instance: str, every_seconds: float = 5.0) -> None:
        self._instance = instance
        self._every = every_seconds
        self._asks: dict[tuple[str, str], Callable[[], object]] = {
            ("broker", "kafka" if config.broker.kafka else "embedded"): lambda: shared.broker.lag(
                road.GROUPS["metadata"], [road.topic_of("metadata")]
            ),
            ("blobs", "s3" if config.blobs.s3 else "folder"): lambda: shared.blobs.stat(_NOBODY),
            ("state", "postgres" if config.state.postgres_file else "sqlite"): lambda: shared.state.get("0" * 32),
        }
        self._codes: dict[tuple[str, str], str] = {}

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        while not stop.is_set():
            self.ask()
            stop.wait(self._every)

    def ask(self) -> None:
        """Ask each store once."""
        for part, ask in self._asks.items():
            try:
                ask()
            except TarnhelmError as error:
                self._codes[part] = error.code
            else:
                self._codes[part] = ""

    def notes(self) -> Iterator[PartNote]:
        """Say how each store was when it was asked last; nothing of one that was not asked yet."""
        for (kind, name), code in self._codes.items():
            yield PartNote(kind, name, self._instance, Condition.DOWN if code else Condition.OK, code=code)
