"""The door on the topic ``ingest``: a consumer that commits only what is durable, a dead letter or a chunk in the store.

The consumer's thread polls, commits, pauses; a few workers take records in. A record whose dependency is away comes
again; everything pauses while there is no room, and the topic itself holds what waits.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TYPE_CHECKING, Final, ParamSpec

from tarnhelm.common import errors, events
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS
from tarnhelm.gateway.broker.base import ConsumerSettings
from tarnhelm.gateway.doors.dead_letters import DeadLetters
from tarnhelm.gateway.doors.ingest_intake import IngestIntake, RefusedError
from tarnhelm.gateway.doors.ingest_metrics import IngestMetrics
from tarnhelm.gateway.doors.reassembly import Reassembly
from tarnhelm.gateway.doors.reference_http import addresses_of
from tarnhelm.gateway.doors.references import References

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tarnhelm.common.events import EventLog
    from tarnhelm.common.limits import Limits
    from tarnhelm.gateway.blobs.base import BlobStore
    from tarnhelm.gateway.broker.base import Broker, Consumer, Message, Partition
    from tarnhelm.gateway.doors.ingest_settings import IngestDoorSettings
    from tarnhelm.gateway.doors.reference_http import Resolve
    from tarnhelm.gateway.intake import Admitter
    from tarnhelm.gateway.keys import GatewayKeys

__all__ = ["IngestDoor"]

P = ParamSpec("P")

_POLL_BYTES: Final = 8 << 20
_TURN_SECONDS: Final = 0.1
_IDLE_SECONDS: Final = 0.5
_MOST_WAIT_SECONDS: Final = 30.0
_MOST_FAILURES: Final = 3
_WAITS_ALONE: Final = frozenset(
    {errors.REFERENCE_AWAY.code, errors.CHUNKS_FULL.code, errors.RECORD_FAILED.code, errors.NO_PLAN.code}
)
"""These wait for something of their own; any other dependency that is away is everybody's."""
_WAITING: Final = frozenset({Disposition.RETRY, Disposition.USAGE})
"""What is wrong with the gateway, its configuration included, is no reason to throw a record away."""


class IngestDoor:
    """One member of the door's consumer group.

    Parameters
    ----------
    keys
        Names what comes in chunks.
    events, registry
        None: nothing is logged, nothing counted.
    clock, monotonic
        Seconds since 1970; seconds that nobody sets back.
    resolve
        Gives the addresses of a host and port.

    Raises
    ------
    TarnhelmError
        ING-001, BLB-007: the settings name a file that cannot be used.
    """

    def __init__(
        self,
        settings: IngestDoorSettings,
        broker: Broker,
        blobs: BlobStore,
        admitter: Admitter,
        keys: GatewayKeys,
        *,
        events: EventLog | None = None,
        registry: CollectorRegistry | None = None,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        resolve: Resolve = addresses_of,
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._admitter = admitter
        self._events = events
        self._clock = clock
        self._monotonic = monotonic
        self._metrics = IngestMetrics(settings.name, registry)
        self._dead = DeadLetters(broker, settings.name, clock)
        self._reassembly = Reassembly(settings.reassembly, blobs, clock)
        references = References(settings.references, clock, monotonic, resolve)
        self._intake = IngestIntake(settings, admitter, self._reassembly, references, keys, limits)
        self._number = itertools.count()
        self._running: dict[Future[None], Message] = {}
        self._later: list[tuple[float, int, Message]] = []
        self._tries: dict[tuple[Partition, int], tuple[int, float]] = {}
        self._shut_until = 0.0
        self._shut_tries = 0
        self._expired = 0
        self._polled = monotonic()

    def run(self, stop: threading.Event) -> None:
        """Take records in until ``stop`` is set; what is in hand then is finished.

        Raises
        ------
        TarnhelmError
            BRK-003, -006: the topic is not one of the broker's. A broker that is away is waited for.
        """
        consumer = self._joined(stop)
        if consumer is None:
            return
        chores = _Chores(self._trim, self._look, self._settings, self._monotonic)
        with closing(consumer), ThreadPoolExecutor(self._settings.workers + 1, "ingest") as pool:
            while not stop.is_set():
                if not self._tried(self._turn, consumer, pool):
                    stop.wait(1.0)
                chores.start_due(pool)
            while self._running:
                self._tried(self._settle, consumer, _IDLE_SECONDS)
            chores.stop()

    def _joined(self, stop: threading.Event) -> Consumer | None:
        """Join the group; None where the door is stopped before the broker is there."""
        behaviour = ConsumerSettings(
            max_bytes_in_flight=self._settings.max_bytes_in_flight,
            session_seconds=self._settings.session_seconds,
            heartbeat_seconds=min(1.0, self._settings.session_seconds / 4),
        )
        found: list[Consumer] = []

        def join() -> None:
            topics = [self._settings.topic]
            found.append(self._broker.consumer(self._settings.group, topics, behaviour, self._changed))

        while not stop.is_set() and not self._tried(join):
            stop.wait(1.0)
        return found[0] if found else None

    def _tried(self, step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Do one step; False, and an event, where the broker is away."""
        try:
            step(*args, **kwargs)
        except TarnhelmError as error:
            if error.disposition is not Disposition.RETRY:
                raise
            self._say(events.INGEST_WAITS, code=error.code, seconds=1)
            return False
        return True

    # --- one turn of the consumer's thread -----------------------------------------------------------------

    def _turn(self, consumer: Consumer, pool: ThreadPoolExecutor) -> None:
        now = self._monotonic()
        room = self._room(now)
        if room:
            consumer.resume(consumer.assignment())
            while self._later and self._later[0][0] <= now and len(self._running) < 2 * self._settings.workers:
                self._start(heapq.heappop(self._later)[2], pool)
        else:
            consumer.pause(consumer.assignment())
        free = 4 * self._settings.workers - len(self._running)
        if free <= 0 and now - self._polled > self._settings.session_seconds / 4:
            consumer.pause(consumer.assignment())  # a member that does not poll is put out of its group
            room = False
        if free > 0 or not room:
            self._polled = now
            seconds = (
                0.0 if self._running and room else _TURN_SECONDS if self._running or self._later else _IDLE_SECONDS
            )
            for message in consumer.poll(max_records=max(1, free), max_bytes=_POLL_BYTES, timeout_seconds=seconds):
                if room:
                    self._start(message, pool)
                else:
                    self._defer(message, now)
        self._settle(consumer, _TURN_SECONDS)
        self._note_losses(consumer)

    def _room(self, now: float) -> bool:
        if now < self._shut_until:
            return False
        seconds = self._admitter.room()
        if seconds > 0:
            self._shut(now, seconds, "GTW-020")
            return False
        return True

    def _shut(self, now: float, seconds: float, code: str) -> None:
        if now >= self._shut_until:
            self._say(events.INGEST_WAITS, code=code, seconds=round(seconds))
        self._shut_until = max(self._shut_until, now + min(seconds, _MOST_WAIT_SECONDS))
        self._metrics.shut(is_shut=True)

    def _start(self, message: Message, pool: ThreadPoolExecutor) -> None:
        self._running[pool.submit(self._take, message)] = message

    def _settle(self, consumer: Consumer, seconds: float) -> None:
        """Mark what is done and commit; put what has to wait aside."""
        if not self._running:
            return
        finished, _ = wait(self._running, seconds, FIRST_COMPLETED)
        for future in finished:
            message = self._running.pop(future)
            fault = future.exception()
            if fault is None:
                self._tries.pop((message.partition, message.offset), None)
                self._shut_tries = 0
                self._metrics.shut(is_shut=False)
                consumer.done(message)
            elif isinstance(fault, TarnhelmError) and _waits(fault):
                self._put_aside(message, fault)
            else:
                raise fault
        if finished:
            consumer.commit()
            self._metrics.in_flight(consumer.bytes_in_flight())

    def _put_aside(self, message: Message, fault: TarnhelmError) -> None:
        now = self._monotonic()
        place = (message.partition, message.offset)
        tries, first = self._tries.get(place, (0, now))
        self._tries[place] = (tries + 1, first)
        seconds = min(_MOST_WAIT_SECONDS, 0.5 * 2.0 ** min(tries, 8))
        if fault.code not in _WAITS_ALONE:
            seconds = min(_MOST_WAIT_SECONDS, 0.5 * 2.0 ** min(self._shut_tries, 8))
            if now >= self._shut_until:
                self._shut_tries += 1
            self._shut(now, seconds, fault.code)
        else:
            self._say(events.INGEST_WAITS, code=fault.code, seconds=round(seconds))
        self._defer(message, now + seconds)

    def _defer(self, message: Message, due: float) -> None:
        heapq.heappush(self._later, (due, next(self._number), message))

    def _changed(self, _: frozenset[Partition], lost: frozenset[Partition]) -> None:
        """Forget what waits of partitions that others have now: they get it again."""
        self._later = [one for one in self._later if one[2].partition not in lost]
        heapq.heapify(self._later)
        self._tries = {place: tries for place, tries in self._tries.items() if place[0] not in lost}

    def _note_losses(self, consumer: Consumer) -> None:
        expired = consumer.expired()
        if expired > self._expired:
            self._say(events.INGEST_RECORDS_LOST, count=expired - self._expired)
            self._metrics.lost(expired - self._expired)
            self._expired = expired

    # --- on the workers --------------------------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        """Take one record in, or keep it as a dead letter; raises where it has to come again."""
        try:
            self._metrics.taken(self._intake.take(message))
        except RefusedError as refused:
            if _waits(refused) and not self._out_of_patience(message, refused):
                raise
            self._keep(message, refused.code, refused.producer)
            if refused.transfer is not None:
                self._reassembly.end(refused.transfer)
        except Exception:  # noqa: BLE001  # whatever is wrong with one record must not stop the others
            if self._tries.get((message.partition, message.offset), (0, 0.0))[0] + 1 < _MOST_FAILURES:
                raise TarnhelmError(errors.RECORD_FAILED) from None
            self._keep(message, errors.RECORD_FAILED.code, "")

    def _keep(self, message: Message, code: str, producer: str) -> None:
        self._dead.put(message, code, producer)
        self._metrics.dead(code)
        place = {"partition": message.partition.number, "offset": message.offset}
        self._say(events.INGEST_DEAD_LETTER, producer=producer, code=code, **place)

    def _out_of_patience(self, message: Message, refused: RefusedError) -> bool:
        if refused.code != errors.REFERENCE_AWAY.code:
            return False
        _, first = self._tries.get((message.partition, message.offset), (0, self._monotonic()))
        waited = self._monotonic() - first
        return waited > self._settings.references.patience_seconds or self._clock() > refused.waits_until

    def _look(self) -> None:
        """Take in what is complete in the store, and give up what is too old."""
        for standing in self._reassembly.look():
            transfer = standing.transfer
            if standing.complete:
                try:
                    self._metrics.taken(self._intake.finish(standing))
                    continue
                except RefusedError as refused:
                    if _waits(refused):
                        return
                    code = refused.code
            else:
                code = errors.CHUNKS_MISSING.code
            self._dead.note(code, self._settings.topic, transfer.producer)
            self._metrics.dead(code)
            self._say(events.INGEST_GIVEN_UP, code=code, chunks=standing.chunks, expected=transfer.count)
            self._reassembly.end(transfer)
        self._metrics.pending(self._reassembly.pending_bytes)

    def _trim(self) -> None:
        try:
            self._broker.trim(self._settings.topic, [self._settings.group])
        except TarnhelmError as error:
            self._say(events.INGEST_TRIM_FAILED, code=error.code)

    def _say(self, kind: events.EventKind, **fields: int | str) -> None:
        if self._events is not None:
            self._events(kind, door=self._settings.name, **fields)


def _waits(error: TarnhelmError) -> bool:
    return error.disposition in _WAITING or error.code == errors.NO_PLAN.code


class _Chores:
    """What is done now and then beside the records, one run of each at a time."""

    def __init__(
        self,
        trim: Callable[[], None],
        look: Callable[[], None],
        settings: IngestDoorSettings,
        monotonic: Callable[[], float],
    ) -> None:
        self._monotonic = monotonic
        self._chores = [(look, settings.reassembly.look_seconds)]
        if settings.trim_seconds:
            self._chores.append((trim, settings.trim_seconds))
        self._due = [0.0] * len(self._chores)
        self._running: list[Future[None] | None] = [None] * len(self._chores)

    def start_due(self, pool: ThreadPoolExecutor) -> None:
        """Start what is due; a dependency that is away is met again the next time."""
        now = self._monotonic()
        for number, (chore, seconds) in enumerate(self._chores):
            running = self._running[number]
            if running is not None:
                if not running.done():
                    continue
                self._running[number] = None
                self._check(running)
            if now >= self._due[number]:
                self._due[number] = now + seconds
                self._running[number] = pool.submit(chore)

    def stop(self) -> None:
        """Wait for what runs."""
        for running in self._running:
            if running is not None:
                self._check(running)

    @staticmethod
    def _check(running: Future[None]) -> None:
        fault = running.exception()
        if fault is not None and not (isinstance(fault, TarnhelmError) and fault.disposition is Disposition.RETRY):
            raise fault
