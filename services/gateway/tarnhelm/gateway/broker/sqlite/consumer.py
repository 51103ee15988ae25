"""One member of a group on the embedded broker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.progress import Progress
from tarnhelm.gateway.broker.sqlite.files import Files, mapped
from tarnhelm.gateway.broker.sqlite.groups import Groups
from tarnhelm.gateway.broker.sqlite.log import Log

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import Changed, Message, Partition
    from tarnhelm.gateway.broker.sqlite.groups import Member, View
    from tarnhelm.gateway.broker.sqlite.wakeup import Doorbells

__all__ = ["SqliteConsumer"]

_NOTHING: Final[frozenset[Partition]] = frozenset()


class SqliteConsumer:
    """See :class:`tarnhelm.gateway.broker.base.Consumer`.

    Parameters
    ----------
    clock
        Seconds since the epoch, for heartbeats; all members share the machine's.
    monotonic
        Seconds, for time-outs.
    """

    def __init__(
        self,
        files: Files,
        bells: Doorbells,
        member: Member,
        changed: Changed | None,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._bells = bells
        self._member = member
        self._changed = changed
        self._clock = clock
        self._monotonic = monotonic
        self._log = Log(files.log())
        self._groups = Groups(files.groups())
        self._progress = Progress()
        self._epochs: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._order: list[Partition] = []
        self._version = -1
        self._next_heartbeat = 0.0
        self._closed = False
        self._bell = bells.bell(member.name)

    # --- reading -------------------------------------------------------------------------------------------

    def poll(self, *, max_records: int, max_bytes: int, timeout_seconds: float) -> list[Message]:
        """Return the next messages; sleeps in the kernel while there is none."""
        self._check_open()
        until = self._monotonic() + timeout_seconds
        while True:
            self._bell.quiet()  # before the look, so that a call after it is heard
            with mapped():
                self._keep_membership()
                found = self._fetch(max_records, max_bytes)
            now = self._monotonic()
            if found or now >= until:
                return found
            self._bell.wait(max(0.0, min(until, self._next_heartbeat) - now))

    def _fetch(self, max_records: int, max_bytes: int) -> list[Message]:
        found: list[Message] = []
        for partition in self._ready():
            room = min(max_bytes, self._member.settings.max_bytes_in_flight - self._progress.bytes)
            if len(found) >= max_records or (room <= 0 and self._progress.bytes):
                break
            messages = self._log.read(partition, self._progress.next_of(partition), max_records - len(found), room)
            for message in messages:
                # A message that is larger than the room goes out only when it is the first of all.
                if message.size > room and (found or self._progress.bytes):
                    break
                self._progress.hand_out(message)
                found.append(message)
                room -= message.size
                max_bytes -= message.size
            if messages:  # the next look begins behind it: a busy partition starves nobody
                self._order.remove(partition)
                self._order.append(partition)
        return found

    def _ready(self) -> list[Partition]:
        """Return the partitions that have something to read, in turn: one question for all of a topic's."""
        asked = [partition for partition in self._order if partition not in self._paused]
        ends: dict[Partition, tuple[int, int]] = {}
        for topic in {partition.topic for partition in asked}:
            ends |= self._log.bounds(topic)
        return [one for one in asked if ends[one][1] > max(0, self._progress.next_of(one))]

    # --- membership ----------------------------------------------------------------------------------------

    def _keep_membership(self) -> None:
        due = self._monotonic() >= self._next_heartbeat
        if not due:
            version = self._groups.version()
            if version == self._version:
                return
            self._version = version
            if self._groups.stands(self._member, self._epochs):
                return
        gone = self._bells.ring(self._groups.others(self._member)) if due else []
        self._sync(gone)

    def _sync(self, gone: Collection[str]) -> None:
        self.commit()  # what is done shall not be done again by the next owner
        bounds = {one: ends for topic in self._member.topics for one, ends in self._log.bounds(topic).items()}
        self._next_heartbeat = self._monotonic() + self._member.settings.heartbeat_seconds
        view = self._groups.sync(self._member, bounds, gone, self._clock())
        self._version = self._groups.version()
        self._bells.sweep(view.evicted & set(gone))  # one that was only silent may come back, and needs its bell
        self._bells.ring(view.wake)
        self._take(view)

    def _take(self, view: View) -> None:
        lost = frozenset(
            one for one, epoch in self._epochs.items() if one not in view.shares or view.shares[one].epoch != epoch
        )
        self._forget(lost)
        gained = view.shares.keys() - self._epochs.keys()
        for partition in sorted(gained):
            share = view.shares[partition]
            self._epochs[partition] = share.epoch
            self._progress.begin(partition, share.committed)
            self._order.append(partition)
        if self._changed is not None and (gained or lost):
            self._changed(frozenset(gained), lost)

    def _forget(self, lost: Collection[Partition]) -> None:
        self._progress.drop(lost)
        for partition in lost:
            del self._epochs[partition]
            self._order.remove(partition)

    # --- positions -----------------------------------------------------------------------------------------

    def done(self, message: Message) -> None:
        """Mark a message as done."""
        self._progress.done(message)

    def commit(self) -> Mapping[Partition, int]:
        """Commit what is done without a gap."""
        self._check_open()
        positions = self._progress.committable()
        if not positions:
            return {}
        with mapped():
            lost = self._groups.commit(self._member, positions, self._epochs)
        taken = {partition: offset for partition, offset in positions.items() if partition not in lost}
        self._progress.committed(taken)
        if lost:
            self._next_heartbeat = 0.0  # put out: the next poll takes the membership up again
        return taken

    def pause(self, partitions: Collection[Partition]) -> None:
        """Hand out nothing of these."""
        self._paused.update(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """End the pause."""
        self._paused.difference_update(partitions)

    def rewind(self, partitions: Collection[Partition]) -> None:
        """Deliver again from the committed position."""
        self._progress.rewind(partitions)

    def assignment(self) -> frozenset[Partition]:
        """What is owned."""
        return self._progress.partitions()

    def lag(self) -> Mapping[Partition, int]:
        """Records behind the committed position."""
        self._check_open()
        with mapped():
            bounds = {one: ends for topic in self._member.topics for one, ends in self._log.bounds(topic).items()}
        return {
            one: bounds[one][1] - max(bounds[one][0], self._progress.committed_of(one)) for one in self.assignment()
        }

    def bytes_in_flight(self) -> int:
        """Bytes handed out and not done."""
        return self._progress.bytes

    def expired(self) -> int:
        """Records that retention took first."""
        return self._progress.expired

    def close(self) -> None:
        """Commit, leave, tell the others."""
        if self._closed:
            return
        try:
            self.commit()
            with mapped():
                self._bells.ring(self._groups.leave(self._member))
        finally:
            self._closed = True
            self._bell.close()
            self._log.close()
            self._groups.close()

    def _check_open(self) -> None:
        if self._closed:
            raise TarnhelmError(errors.BROKER_CLOSED)
