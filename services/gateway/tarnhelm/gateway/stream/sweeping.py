"""Blobs that belong to nobody: a process died between its blob and its record, or a result was recorded by another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors, events
from tarnhelm.gateway.fsm import TABLE, Event, Lifecycle
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state import StaleRecordError, Step
from tarnhelm.gateway.stream import road

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.blobs import BlobName, BlobStore
    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.stream.meters import StreamMeters

__all__ = ["Sweeper"]

_AREAS: Final = ("raw", "work")


class Sweeper:
    """Compares blobs with records, both ways."""

    def __init__(
        self,
        state: StreamStore,
        blobs: BlobStore,
        log: EventLog,
        *,
        meters: StreamMeters | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._log = log
        self._meters = meters
        self._clock = clock
        self._life = Lifecycle(lambda _verdict: False)  # decides nothing about verdicts

    def sweep(self, before: float) -> int:
        """Delete the blobs that were written before a moment and belong to no record, or to a purged one.

        Returns how many. What a dead writer left half-written goes too.
        """
        found = 0
        for area in _AREAS:
            count = sum(self._orphan(blob.name) for blob in self._blobs.listing(area) if blob.modified < before)
            if count:
                self._log(events.ORPHANS_SWEPT, area=area, count=count)
                if self._meters is not None:
                    self._meters.swept.labels(area).inc(count)
            found += count
        self._blobs.sweep(max(0.0, self._clock() - before))
        return found

    def missing(self) -> int:
        """Quarantine the unfinished objects whose raw bytes are gone; returns how many. A walk over all of them."""
        count = 0
        for record in self._state.records(State.ADMITTED, State.RUNNING, State.READY, State.WITNESSING, State.WAITING):
            if record.door and self._blobs.stat(road.raw_blob(record.object_id)) is None:
                count += self._fail(record)
        return count

    def _orphan(self, name: BlobName) -> bool:
        """Delete a blob without a record. Admission holds the same key when it meets a blob that it did not write."""
        if not _forgotten(self._state.get(name.object_id)):
            return False
        with self._state.together():
            self._state.hold(name.object_id.encode())
            return _forgotten(self._state.get(name.object_id)) and self._blobs.delete(name)

    def _fail(self, record: ObjectRecord) -> bool:
        if (record.state, Event.FAIL) not in TABLE:
            return False
        code = errors.RAW_MISSING.code
        self._log(events.INTEGRITY_FAILURE, object=record.object_id, code=code)
        try:
            with self._state.together():
                self._state.save(self._life.step(record, Event.FAIL, code=code), record)
                self._state.add_step(record.object_id, Step(self._clock(), "recover", code))
        except StaleRecordError:
            return False
        return True


def _forgotten(record: ObjectRecord | None) -> bool:
    return record is None or record.state is State.PURGED
