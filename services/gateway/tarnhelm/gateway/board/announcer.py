"""Says regularly how the parts of one process are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tarnhelm.common import events
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.board.base import Board, PartNote

__all__ = ["Announcer"]

_LOOK_SECONDS: Final = 1.0


class Announcer:
    """Posts the notes of this process: at once where a condition changes, and every so often to say that it lives.

    A board that cannot be reached stops nothing: what is to be said is said again.

    Parameters
    ----------
    gather
        Gives the notes now, each with this process's instance; must not wait. ``since`` and ``said`` are filled in.
    """

    def __init__(
        self,
        board: Board,
        instance: str,
        gather: Callable[[], Iterable[PartNote]],
        log: EventLog,
        clock: Callable[[], float],
        every_seconds: float = 10.0,
    ) -> None:
        self._board = board
        self._instance = instance
        self._gather = gather
        self._log = log
        self._clock = clock
        self._every = every_seconds
        self._last: dict[tuple[str, str], PartNote] = {}
        self._lost = False

    def say(self) -> bool:
        """Look once; true where something was posted."""
        now = self._clock()
        posted = []
        for note in self._gather():
            key = note.kind, note.name
            last = self._last.get(key)
            changed = last is None or (last.condition, last.code) != (note.condition, note.code)
            if last is not None and not changed and now - last.said < self._every:
                continue
            since = now if last is None or changed else last.since
            posted.append(replace(note, instance=self._instance, since=since, said=now))
        try:
            self._board.post(posted)
        except TarnhelmError as error:
            if not self._lost:
                self._log(events.ADMIN_BOARD_LOST, code=error.code)
            self._lost = True
            return False
        self._lost = False
        self._last.update({(note.kind, note.name): note for note in posted})
        return bool(posted)

    def run(self, stop: threading.Event) -> None:
        """Say it until ``stop``, then take it back."""
        while not stop.wait(min(_LOOK_SECONDS, self._every)):
            self.say()
        try:
            self._board.withdraw(self._instance)
        except TarnhelmError as error:
            self._log(events.ADMIN_BOARD_LOST, code=error.code)
