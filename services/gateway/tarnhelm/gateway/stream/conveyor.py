"""From a topic to worker threads and back: messages out, positions in, and the patience in between.

A message stays undone, and so holds its partition's position, until its object's next state is durable or somebody else
has taken it further. What is in hand when the process dies is delivered again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker import ConsumerSettings

if TYPE_CHECKING:
    from tarnhelm.gateway.broker import Broker, Consumer, Message, Partition
    from tarnhelm.gateway.stream.breaker import Breaker

__all__ = ["Conveyor", "ConveyorSettings", "Handled"]

_MOST_BYTES: Final = 16 * 1024 * 1024
_POLL_SECONDS: Final = 0.25


class Handled(Enum):
    """What became of a message."""

    DONE = "done"
    HELD = "held"
    """The dependency is away: this message comes again when it is back."""


@dataclass(frozen=True, slots=True)
class ConveyorSettings:
    """How a consumer reads.

    Attributes
    ----------
    workers
        Threads, and so calls at the same time.
    session_seconds
        After so long a silence the partitions go to other members.
    commit_seconds
        How often positions are committed.
    drain_seconds
        How long a stop waits for what is in hand.
    gather_seconds
        Pause after a poll that brought something but not all that it might: messages that come one by one are then
        fetched and committed several at a time.
    """

    workers: int = 8
    session_seconds: float = 15.0
    heartbeat_seconds: float = 1.0
    commit_seconds: float = 1.0
    drain_seconds: float = 30.0
    gather_seconds: float = 0.02


class Conveyor:
    """Reads one topic in one group and hands its messages to threads.

    Parameters
    ----------
    handle
        Called in a worker thread with the message and whether it is the one that looks if the dependency is back;
        must not raise. None: whoever has it now calls :meth:`ended`.
    """

    def __init__(
        self,
        broker: Broker,
        group: str,
        topic: str,
        settings: ConveyorSettings,
        breaker: Breaker,
        handle: Callable[[Message, bool], Handled | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._group = group
        self._topic = topic
        self._settings = settings
        self._breaker = breaker
        self._handle = handle
        self._monotonic = monotonic
        self._tasks: queue.SimpleQueue[tuple[Message, bool] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[Message, Handled]] = queue.SimpleQueue()
        self._free = threading.Event()
        self._held: deque[Message] = deque()
        self._lost: set[Partition] = set()
        self._in_hand = 0
        self._paused: frozenset[Partition] = frozenset()
        self._next_commit = 0.0
        self._next_sign = 0.0

    @property
    def in_hand(self) -> int:
        """Messages that worker threads have or wait for, or that have not ended yet."""
        return self._in_hand

    def ended(self, message: Message, handled: Handled) -> None:
        """Say what became of a message; from any thread."""
        self._ended.put((message, handled))
        self._free.set()

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, and then until what is in hand is done."""
        threads = [
            threading.Thread(target=self._work, name=f"{self._topic}-{number}", daemon=True)
            for number in range(self._settings.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            while not stop.is_set():
                try:
                    with_consumer = self._join()
                except TarnhelmError:  # the broker is away: nothing is lost, nothing comes
                    stop.wait(self._settings.heartbeat_seconds)
                    continue
                self._belong(with_consumer, stop)
        finally:
            for _ in threads:
                self._tasks.put(None)
            for thread in threads:
                thread.join(self._settings.drain_seconds)

    # --- the member ------------------------------------------------------------------------------------

    def _join(self) -> Consumer:
        settings = ConsumerSettings(
            session_seconds=self._settings.session_seconds, heartbeat_seconds=self._settings.heartbeat_seconds
        )
        return self._broker.consumer(self._group, [self._topic], settings, self._changed)

    def _belong(self, consumer: Consumer, stop: threading.Event) -> None:
        """Be a member until the end, or until the broker refuses."""
        self._paused = frozenset()
        try:
            while not stop.is_set():
                try:
                    self._turn(consumer)
                except TarnhelmError:  # away for a while; the membership is taken up again by the next poll
                    stop.wait(min(1.0, self._settings.heartbeat_seconds))
            until = self._monotonic() + self._settings.drain_seconds
            while self._in_hand and self._monotonic() < until:
                self._collect(consumer, wait_seconds=0.05)
            self._collect(consumer)
        finally:
            with suppress(TarnhelmError):  # what is done and not committed is delivered again
                consumer.close()
            self._held.clear()

    def _turn(self, consumer: Consumer) -> None:
        settings = self._settings
        self._collect(consumer)
        self._again(consumer)
        # Each worker may have one waiting behind its own. Not before so many places are free that a poll brings several:
        # one message at a time costs more than the work on it.
        if self._in_hand <= settings.workers and not self._breaker.open:
            self._take(consumer, settings.workers * 2 - self._in_hand, min(settings.commit_seconds, _POLL_SECONDS))
            return
        now = self._monotonic()
        if now >= self._next_sign:
            self._next_sign = now + settings.heartbeat_seconds / 2
            self._pause(consumer)
            # Stays a member. What is paused gives nothing, but a partition that is gained within this call may.
            for message in consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0.0):
                self._hand(message)
        self._free.wait(0.05 if not self._breaker.open else min(0.2, settings.heartbeat_seconds))
        self._free.clear()

    def _take(self, consumer: Consumer, most: int, timeout_seconds: float, *, probe: bool = False) -> bool:
        if self._paused:
            consumer.resume(self._paused)
            self._paused = frozenset()
        messages = consumer.poll(max_records=most, max_bytes=_MOST_BYTES, timeout_seconds=timeout_seconds)
        for message in messages:
            self._hand(message, probe=probe)
        if 0 < len(messages) < most:
            time.sleep(self._settings.gather_seconds)
        return bool(messages)

    def _again(self, consumer: Consumer) -> None:
        """Look whether the dependency is back, with one message; when it is, the others follow."""
        if self._breaker.due():
            if self._held:
                self._hand(self._held.popleft(), probe=True)
            elif not self._take(consumer, 1, 0.0, probe=True):
                self._breaker.not_now()
            self._pause(consumer)
        elif not self._breaker.open:
            while self._held and self._in_hand < self._settings.workers * 2:
                self._hand(self._held.popleft())

    def _pause(self, consumer: Consumer) -> None:
        self._paused |= consumer.assignment()  # what is lost stays in it: it may come back, and is paused then
        consumer.pause(self._paused)

    def _changed(self, gained: frozenset[Partition], lost: frozenset[Partition]) -> None:
        gone = lost - gained
        self._held = deque(message for message in self._held if message.partition not in lost)
        self._lost = (self._lost | gone) - gained

    # --- the workers -----------------------------------------------------------------------------------

    def _hand(self, message: Message, *, probe: bool = False) -> None:
        self._in_hand += 1
        self._tasks.put((message, probe))

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            message, probe = task
            handled = self._handle(message, probe)
            if handled is not None:
                self.ended(message, handled)

    def _collect(self, consumer: Consumer, wait_seconds: float = 0.0) -> None:
        """Take what the workers have ended, and commit now and then."""
        done = 0
        while True:
            try:
                message, handled = self._ended.get(timeout=wait_seconds) if wait_seconds else self._ended.get_nowait()
            except queue.Empty:
                break
            wait_seconds = 0.0
            self._in_hand -= 1
            if handled is Handled.DONE:
                consumer.done(message)
                done += 1
            elif message.partition not in self._lost:
                self._held.append(message)
        now = self._monotonic()
        if now >= self._next_commit:
            self._next_commit = now + self._settings.commit_seconds
            consumer.commit()
