"""One destination's deliveries: takes what is due, sends it, writes down how it went; blocks no other destination."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors, events
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.deliveries.base import DeliveryRecord, DeliveryState
from tarnhelm.gateway.deliveries.breaker import Breaker, back_off

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from tarnhelm.gateway.deliveries.release import ReleaseDesk
    from tarnhelm.gateway.deliveries.settings import Route

__all__ = ["DestinationWorker"]

_GATHER_SECONDS: Final = 0.01
_AHEAD: Final = 4
"""So many deliveries are claimed for each one that is on its way."""


class DestinationWorker:
    """Runs in a thread of its own, and sends in ``rules.workers`` others.

    Parameters
    ----------
    desk
        What all workers of a process share.
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
        self._flying: dict[Future[DeliveryRecord], DeliveryRecord] = {}
        self._troubles = 0

    @property
    def is_paused(self) -> bool:
        """Whether the destination counts as away and is left alone for a while."""
        return self._breaker.is_open

    def in_hand(self) -> list[DeliveryRecord]:
        """Deliveries that are claimed; called by the thread that renews them."""
        return list(self._flying.values())

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop; what is on its way is finished."""
        settings = self._desk.settings
        with ThreadPoolExecutor(self._route.rules.workers, f"tarnhelm-deliver-{self._name}") as pool:
            while not stop.is_set() or self._flying:
                try:
                    begun = 0 if stop.is_set() else self._begin(pool)
                    settled = self._settle(settings.poll_seconds if self._flying and not begun else 0.0)
                except TarnhelmError as error:  # the store's: nothing is lost, the leases run out
                    self._troubles += 1
                    self._desk.log(events.RELEASE_BLOCKED, object="", code=error.code)
                    if stop.is_set():
                        return
                    stop.wait(back_off(self._route.rules.retry, self._troubles, self._chance()))
                    continue
                self._troubles = 0
                if not begun and not settled and not self._flying:
                    self._wake.wait(settings.poll_seconds)
                    self._wake.clear()

    def _begin(self, pool: ThreadPoolExecutor) -> int:
        rules = self._route.rules
        now = self._desk.clock()
        free = min(rules.workers * _AHEAD, self._desk.settings.batch) - len(self._flying)
        room = self._breaker.room(now, free)
        if self._breaker.is_open and self._flying:
            room = 0
        if room < 1:
            return 0
        claimed = self._desk.deliveries.claim(self._name, now, self._desk.settings.lease_seconds, room)
        for record in claimed:
            self._desk.reached("claimed")
            future = pool.submit(self._deliver, record)
            self._flying[future] = record
        return len(claimed)

    def _settle(self, seconds: float) -> int:
        """Write down what has ended; returns how many."""
        if not self._flying:
            return 0
        done, _ = wait(list(self._flying), timeout=seconds, return_when=FIRST_COMPLETED)
        if not done:
            return 0
        if len(done) < len(self._flying):  # what ends in the next moment goes into the same transactions
            done, _ = wait(list(self._flying), timeout=_GATHER_SECONDS)
        ended = [future.result() for future in done]
        self._desk.deliveries.settle(ended)
        for future in done:
            del self._flying[future]
        self._desk.reached("settled")
        for record in ended:
            self._account(record)
        self._desk.release([record.object_id for record in ended if record.state is not DeliveryState.DUE])
        return len(ended)

    def _deliver(self, record: DeliveryRecord) -> DeliveryRecord:
        begun = time.monotonic()
        try:
            parcel = self._desk.parcels.parcel(record)
            self._desk.reached("compared")
            self._route.destination.deliver(parcel)
        except TarnhelmError as error:
            return self._failed(record, error)
        except Exception as error:  # noqa: BLE001  # a library's text may hold a value: only its kind is kept
            self._desk.log(events.RELEASE_BLOCKED, object=record.object_id, code=type(error).__name__)
            return self._failed(record, TarnhelmError(errors.PEER_FAULT))
        self._desk.reached("delivered")
        metrics = self._desk.metrics
        metrics.bytes.labels(self._name).inc(parcel.size)
        metrics.seconds.labels(self._name).observe(time.monotonic() - begun)
        return replace(record, state=DeliveryState.DELIVERED, code="")

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
            metrics.deliveries.labels(self._name, "delivered").inc()
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
