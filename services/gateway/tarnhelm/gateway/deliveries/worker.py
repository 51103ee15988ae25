"""One destination's deliveries: takes what is due, sends it, writes down how it went; blocks no other destination."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors, events
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.deliveries.base import DeliveryRecord, DeliveryState
from tarnhelm.gateway.deliveries.breaker import Breaker, back_off
from tarnhelm.gateway.deliveries.release import Job
from tarnhelm.gateway.destinations.base import SharingDestination

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tarnhelm.gateway.deliveries.release import ReleaseDesk
    from tarnhelm.gateway.deliveries.settings import Route
    from tarnhelm.gateway.destinations.base import Parcel

__all__ = ["DestinationWorker"]

_GATHER_SECONDS: Final = 0.01
_AHEAD: Final = 4
"""So many deliveries are in hand for each one that is on its way."""
_SHARED: Final = 16
"""So many go to a destination together that finishes several for little more than one."""


class DestinationWorker:
    """Runs in a thread of its own, and sends in ``rules.workers`` others.

    Parameters
    ----------
    desk
        What all workers of a process share.
    wake
        Set by whoever has work for it.
    chance
        Gives numbers in [0, 1).
    """

    def __init__(self, route: Route, desk: ReleaseDesk, wake: threading.Event, chance: Callable[[], float]) -> None:
        self._route = route
        self._name = route.destination.name
        self._desk = desk
        self._wake = wake
        self._chance = chance
        self._breaker = Breaker(route.rules.retry, chance)
        self._together = _SHARED if isinstance(route.destination, SharingDestination) else 1
        ahead = self._together * 2 if self._together > 1 else _AHEAD
        self._most = min(route.rules.workers * ahead, desk.settings.batch)
        self._offered: deque[Job] = deque()
        self._flying: dict[Future[list[DeliveryRecord]], Sequence[Job]] = {}
        self._ended: list[str] = []
        """Objects that the store has to be told of with what is settled next."""
        self._next_claim = 0.0
        self._troubles = 0
        metrics = desk.metrics  # a label's series is looked up once, not for each object
        self._delivered = metrics.deliveries.labels(self._name, "delivered")
        self._bytes = metrics.bytes.labels(self._name)
        self._seconds = metrics.seconds.labels(self._name)

    @property
    def name(self) -> str:
        """Its destination's."""
        return self._name

    @property
    def is_paused(self) -> bool:
        """Whether the destination counts as away and is left alone for a while."""
        return self._breaker.is_open

    def jobs(self) -> list[Job]:
        """What is claimed; called by other threads too."""
        return [*self._offered, *(job for jobs in list(self._flying.values()) for job in jobs)]

    def in_hand(self) -> list[DeliveryRecord]:
        """Deliveries that are claimed; called by the thread that renews them."""
        return [job.delivery for job in self.jobs()]

    def room(self) -> int:
        """How many more deliveries may be claimed for it."""
        return 0 if self._breaker.is_open else max(0, self._most - len(self.jobs()))

    def offer(self, jobs: Iterable[Job]) -> None:
        """Take deliveries that were claimed for it."""
        self._offered.extend(jobs)
        self._wake.set()

    def look(self) -> None:
        """Look for what is due, without waiting for the time."""
        self._next_claim = 0.0
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop; what is on its way is finished, what is not begun is given back."""
        settings = self._desk.settings
        with ThreadPoolExecutor(self._route.rules.workers, f"tarnhelm-deliver-{self._name}") as pool:
            while not stop.is_set() or self._flying:
                try:
                    begun = 0 if stop.is_set() else self._begin(pool)
                    settled = self._settle()
                    if not begun and not settled:
                        if not self._flying:
                            self._tell_ended()
                        self._wake.wait(settings.poll_seconds)
                        self._wake.clear()
                except TarnhelmError as error:  # the store's: nothing is lost, the leases run out
                    self._troubles += 1
                    self._desk.log(events.RELEASE_BLOCKED, object="", code=error.code)
                    if stop.is_set():
                        return
                    stop.wait(back_off(self._route.rules.retry, self._troubles, self._chance()))
                    continue
                self._troubles = 0
            self._give_back()

    def _begin(self, pool: ThreadPoolExecutor) -> int:
        """Begin what was offered and what is due; returns how many."""
        now = self._desk.clock()
        flying = sum(map(len, self._flying.values()))
        room = self._breaker.room(now, self._most - flying)
        if self._breaker.is_open and self._flying:
            room = 0
        if room > len(self._offered) and time.monotonic() >= self._next_claim:
            wanted = room - len(self._offered)
            claimed = self._desk.deliveries.claim(self._name, now, self._desk.settings.lease_seconds, wanted)
            for _ in claimed:
                self._desk.reached("claimed")
            self._offered.extend(map(Job, claimed))
            if len(claimed) < wanted:  # else there is more
                self._next_claim = time.monotonic() + self._desk.settings.poll_seconds
        begun = 0
        # What goes together waits until a thread is free: meanwhile more of it comes.
        while self._offered and begun < room and (self._together == 1 or len(self._flying) < self._route.rules.workers):
            size = min(self._together, len(self._offered), room - begun)
            jobs = [self._offered.popleft() for _ in range(size)]
            future = pool.submit(self._deliver, jobs)
            self._flying[future] = jobs
            future.add_done_callback(lambda _future: self._wake.set())
            begun += size
        return begun

    def _settle(self) -> int:
        """Write down what has ended; returns how many."""
        done = {future for future in self._flying if future.done()}
        if not done:
            return 0
        if len(done) < len(self._flying):  # what ends in the next moment goes into the same transactions
            done, _ = wait(list(self._flying), timeout=_GATHER_SECONDS)
        ended = [record for future in done for record in future.result()]
        jobs = [job for future in done for job in self._flying[future]]
        self._desk.deliveries.settle(ended, self._ended)
        self._ended = []
        for future in done:
            del self._flying[future]
        self._desk.reached("settled")
        for record in ended:
            self._account(record)
        told = [record.object_id for record in ended if record.state is not DeliveryState.DUE]
        known = {job.delivery.object_id: job.known.record for job in jobs if job.known is not None}
        self._ended = [*self._desk.release(told, known)]
        return len(ended)

    def _tell_ended(self) -> None:
        """Tell what would have been told with the next that is settled."""
        self._desk.deliveries.ended(self._ended)
        self._ended = []

    def _give_back(self) -> None:
        """Let another process have at once what was claimed and not begun."""
        now = self._desk.clock()
        try:
            self._desk.deliveries.settle([replace(job.delivery, due=now) for job in self._offered], self._ended)
        except TarnhelmError as error:  # the leases run out
            self._desk.log(events.RELEASE_BLOCKED, object="", code=error.code)

    def _deliver(self, jobs: Sequence[Job]) -> list[DeliveryRecord]:
        """Send these; returns how each went."""
        destination = self._route.destination
        ended: dict[int, DeliveryRecord] = {}
        sent: list[tuple[int, int, float]] = []

        def parcels() -> Iterator[Parcel]:
            for number, job in enumerate(jobs):
                begun = time.monotonic()
                try:
                    parcel = self._desk.parcels.parcel(job.delivery, job.known)
                except Exception as error:  # noqa: BLE001  # a library's text may hold a value: only its kind is kept
                    ended[number] = self._failed(job.delivery, self._foreseen(job, error))
                    continue
                self._desk.reached("compared")
                sent.append((number, parcel.size, begun))
                yield parcel

        answers: Sequence[TarnhelmError | None]
        try:
            if isinstance(destination, SharingDestination):
                answers = destination.deliver_all(parcels())
            else:
                for parcel in parcels():
                    destination.deliver(parcel)
                answers = [None] * len(sent)
        except Exception as error:  # noqa: BLE001  # as above
            if len(jobs) > 1:  # each alone shows whose fault it is; to send one again does nothing new
                return [record for job in jobs for record in self._deliver([job])]
            return [self._failed(jobs[0].delivery, self._foreseen(jobs[0], error))]
        for (number, size, begun), answer in zip(sent, answers, strict=True):
            delivery = jobs[number].delivery
            if answer is not None:
                ended[number] = self._failed(delivery, answer)
                continue
            self._desk.reached("delivered")
            self._bytes.inc(size)
            self._seconds.observe(time.monotonic() - begun)
            ended[number] = replace(delivery, state=DeliveryState.DELIVERED, code="")
        return [ended[number] for number in range(len(jobs))]

    def _foreseen(self, job: Job, error: Exception) -> TarnhelmError:
        """Return the error, or one of the catalogue for what nobody foresaw."""
        if isinstance(error, TarnhelmError):
            return error
        self._desk.log(events.RELEASE_BLOCKED, object=job.delivery.object_id, code=type(error).__name__)
        return TarnhelmError(errors.PEER_FAULT)

    def _failed(self, record: DeliveryRecord, error: TarnhelmError) -> DeliveryRecord:
        retry = self._route.rules.retry
        doubts = record.doubts + (error.kind is errors.PEER_FAULT)
        # A fault of the set-up is nobody's object's: it waits until it is mended.
        passing = error.disposition in (Disposition.RETRY, Disposition.USAGE)
        held = not passing or doubts >= retry.doubtful_attempts
        return replace(
            record,
            state=DeliveryState.HELD if held else DeliveryState.DUE,
            doubts=doubts,
            due=self._desk.clock() + back_off(retry, max(record.attempts, 1), self._chance()),
            code=error.code,
        )

    def _account(self, record: DeliveryRecord) -> None:
        desk, metrics = self._desk, self._desk.metrics
        fields = {"object": record.object_id, "destination": self._name}
        if record.state is DeliveryState.DELIVERED:
            self._delivered.inc()
            if self._breaker.went_well():
                metrics.paused.labels(self._name).set(0)
                desk.log(events.DESTINATION_BACK, destination=self._name)
            return
        metrics.failures.labels(self._name, record.code).inc()
        if record.state is DeliveryState.HELD:
            metrics.deliveries.labels(self._name, "held").inc()
            desk.log(events.DELIVERY_HELD, **fields, code=record.code, times=record.attempts)
            if record.code == errors.RESULT_CHANGED.code:
                desk.log(events.INTEGRITY_FAILURE, object=record.object_id, code=record.code)
            return
        metrics.deliveries.labels(self._name, "retry").inc()
        desk.log(events.DELIVERY_WAITS, **fields, code=record.code, times=record.attempts)
        if record.code != errors.PEER_FAULT.code:
            pause = self._breaker.failed(desk.clock())
            if pause:
                metrics.paused.labels(self._name).set(1)
                desk.log(events.DESTINATION_PAUSED, destination=self._name, code=record.code, seconds=round(pause))
