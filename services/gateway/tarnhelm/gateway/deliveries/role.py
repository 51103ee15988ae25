"""The release role: a process that plans what is verified, delivers it, and keeps the manifest's files.

Any number of processes may run; each may be killed at any moment.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from tarnhelm.common import events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.deliveries.release import NOWHERE, ReleaseDesk, ReleaseParts, Room
from tarnhelm.gateway.deliveries.worker import DestinationWorker
from tarnhelm.gateway.manifest.files import ManifestFiles
from tarnhelm.gateway.state.base import StaleRecordError
from tarnhelm.gateway.stream.road import GROUPS, RELEASE, read_task, topic_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tarnhelm.gateway.broker.base import Broker, Consumer, Message
    from tarnhelm.gateway.deliveries.settings import ReleaseSettings

__all__ = ["GROUP", "TOPIC", "ReleaseRole"]

TOPIC: Final = topic_of(RELEASE)
GROUP: Final = GROUPS[RELEASE]
_DEAD_LETTERS: Final = "dead-letter"
_POLL_SECONDS: Final = 0.5
_COMMIT_SECONDS: Final = 1.0
_GATHER_SECONDS: Final = 0.1
"""A message that comes alone is taken at once; after it, for so long, messages come together."""
_KEPT: Final = 4
"""Objects in hand take at most so many times the memory that one may take."""
_TROUBLE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 5.0


class ReleaseRole:
    """Runs the threads of one release process.

    Parameters
    ----------
    settings, parts
        See :class:`ReleaseSettings` and :class:`ReleaseParts`.
    broker
        Brings the tasks of :data:`TOPIC`.
    """

    def __init__(self, settings: ReleaseSettings, parts: ReleaseParts, broker: Broker) -> None:
        if any(route.destination.name == NOWHERE for route in parts.routes):
            raise ValueError(NOWHERE)
        self._settings = settings
        self._parts = parts
        self._broker = broker
        self._desk = ReleaseDesk(settings, parts)
        self._next_commit = 0.0
        self._wake = [threading.Event() for _ in parts.routes]
        self._workers = [
            DestinationWorker(route, self._desk, wake, parts.chance)
            for route, wake in zip(parts.routes, self._wake, strict=True)
        ]
        self._files = ManifestFiles(
            settings.manifest_folder, settings.writer, lambda after: parts.deliveries.lines(settings.writer, after)
        )

    def destinations(self) -> dict[str, tuple[bool, int]]:
        """Destination → whether it is left alone now, and how many deliveries to it are in hand."""
        return {
            route.destination.name: (worker.is_paused, len(worker.in_hand()))
            for route, worker in zip(self._parts.routes, self._workers, strict=True)
        }

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; what is on its way is finished first.

        A thread that meets what nobody foresaw ends the role with it: a process that starts anew is better than one
        that delivers to some destinations only.
        """
        ended = threading.Event()
        """Set when the workers have ended: until then what they have in hand is renewed."""
        unforeseen: list[BaseException] = []

        def thread(name: str, work: Callable[..., object], *arguments: object) -> threading.Thread:
            def whole() -> None:
                try:
                    work(*arguments)
                except BaseException as error:  # noqa: BLE001  # told by the thread that waits for this one
                    unforeseen.append(error)
                    stop.set()

            return threading.Thread(target=whole, name=f"tarnhelm-{name}")

        keepers = [
            thread(name, self._regularly, ended, seconds, work)
            for name, seconds, work in (
                ("renew", self._settings.lease_seconds / 4, self._renew),
                ("manifest", _POLL_SECONDS, self._files.append),
                ("reconcile", self._settings.reconcile_seconds, self._desk.reconcile),
                ("look", _LOOK_SECONDS, self._look),
            )
        ]
        finish = threading.Event()
        """Set when nothing is planned any more, so that nothing is handed to a worker that has ended."""
        workers = [thread("destination", worker.run, finish) for worker in self._workers]
        for one in (*keepers, *workers):
            one.start()
        try:
            self._consume(stop)
        finally:
            stop.set()
            finish.set()
            for wake in self._wake:
                wake.set()
            for one in workers:
                one.join()
            ended.set()
            for one in keepers:
                one.join()
            for route in self._parts.routes:
                route.destination.close()
        if unforeseen:
            raise unforeseen[0]

    # --- tasks -----------------------------------------------------------------------------------------

    def _consume(self, stop: threading.Event) -> None:
        consumer = self._broker.consumer(GROUP, [TOPIC])
        try:
            while not stop.is_set():
                try:
                    self._take(consumer)
                except (TarnhelmError, StaleRecordError) as error:
                    code = error.code if isinstance(error, TarnhelmError) else "stale"
                    self._parts.log(events.RELEASE_BLOCKED, object="", code=code)
                    stop.wait(_TROUBLE_SECONDS)
                    consumer.rewind(consumer.assignment())
        finally:
            consumer.close()

    def _take(self, consumer: Consumer) -> None:
        messages = consumer.poll(max_records=self._settings.batch, max_bytes=1 << 20, timeout_seconds=_POLL_SECONDS)
        if messages:
            self._plan(self._objects_of(messages))
        for message in messages:
            consumer.done(message)
        now = time.monotonic()
        if now >= self._next_commit:
            self._next_commit = now + _COMMIT_SECONDS
            consumer.commit()  # without messages too: a rebalance may have kept the last one from being taken
            self._parts.reached("committed")
        if messages and len(messages) < self._settings.batch:
            time.sleep(_GATHER_SECONDS)  # what is verified together is planned in one transaction

    def _plan(self, object_ids: Sequence[str]) -> None:
        """Plan releases, and hand to the workers what they have room for."""
        room = Room(
            {worker.name: worker.room() for worker in self._workers},
            _KEPT * self._settings.memory_bytes - sum(self._kept().values()),
        )
        jobs = self._desk.plan(object_ids, room)
        for worker in self._workers:
            worker.offer(jobs.get(worker.name, ()))
            if room.places[worker.name] <= 0:
                worker.look()

    def _kept(self) -> dict[int, int]:
        """Bytes in memory of each object that is in hand, however many destinations it goes to."""
        jobs = (job for worker in self._workers for job in worker.jobs())
        return {id(job.known): job.known.kept_bytes for job in jobs if job.known is not None}

    def _objects_of(self, messages: Sequence[Message]) -> list[str]:
        found = []
        for message in messages:
            try:
                task = read_task(message.value)
            except TarnhelmError:
                # Read by nobody but people: it is a message that cannot be read, not an object.
                self._broker.publish(_DEAD_LETTERS, message.key, message.value, message.headers).result(30)
                continue
            found.append(task.object_id)
        return found

    # --- what has to be done now and then --------------------------------------------------------------

    def _regularly(self, ended: threading.Event, seconds: float, work: Callable[[], object]) -> None:
        while True:
            last = ended.wait(seconds)
            try:
                work()
            except (TarnhelmError, StaleRecordError) as error:
                code = error.code if isinstance(error, TarnhelmError) else "stale"
                self._parts.log(events.RELEASE_BLOCKED, object="", code=code)
            if last:
                return

    def _renew(self) -> None:
        in_hand = [record for worker in self._workers for record in worker.in_hand()]
        self._parts.deliveries.renew(in_hand, self._parts.clock() + self._settings.lease_seconds)

    def _look(self) -> None:
        self._parts.metrics.look(self._parts.deliveries, self._parts.clock())
