"""The topic ``clean`` as a destination: whole objects, chunks in order, or references to an export folder."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import TYPE_CHECKING, Final

from tarnhelm.v1 import ingest_pb2

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage_service.convert import facts_message
from tarnhelm.gateway.broker.base import MAX_VALUE_BYTES
from tarnhelm.gateway.destinations.export import ExportFolder

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import Broker, Headers, Position
    from tarnhelm.gateway.destinations.base import Notice, Parcel
    from tarnhelm.gateway.destinations.topic_settings import TopicDestinationSettings

__all__ = ["TopicDestination"]

_TO_SPARE: Final = 1024
_LEAST_PAYLOAD: Final = 64 * 1024
_MOST_PATHS: Final = 2000
"""Of one record of a withdrawal; there may be several of them."""


class TopicDestination:
    """See :class:`tarnhelm.gateway.destinations.base.Destination`; safe among threads.

    An object's records have its id as their key, so they come in order. A delivery that was cut short is made again
    from its first record on, which tells a consumer to begin again.

    Parameters
    ----------
    clock
        Seconds since 1970, for the end of references.
    """

    def __init__(
        self,
        name: str,
        settings: TopicDestinationSettings,
        broker: Broker,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._settings = settings
        self._broker = broker
        self._clock = clock
        self._export: ExportFolder | None = None
        if settings.export_folder is not None:
            self._export = ExportFolder(settings.export_folder, settings.export_seconds, clock)

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    def deliver(self, parcel: Parcel) -> None:
        """Publish one object; returns when the broker has all of it.

        Raises
        ------
        TarnhelmError
            BRK-…, BLB-…, ING-022 (RETRY) where the export folder fails, GTW-003 where the bytes are others.
        """
        record = ingest_pb2.CleanRecord(
            object_id=parcel.object_id,
            project=parcel.project,
            facts=facts_message(parcel.facts),
            size=parcel.size,
            sha256=bytes.fromhex(parcel.sha256),
            verdict=ingest_pb2.VERDICT_VERIFIED,
            path=parcel.path,
            supersedes=parcel.supersedes,
            manifest_line=parcel.manifest_line,
        )
        room = MAX_VALUE_BYTES - record.ByteSize() - _TO_SPARE
        if room < _LEAST_PAYLOAD:
            raise TarnhelmError(errors.MESSAGE_TOO_LARGE, size=record.ByteSize(), limit=MAX_VALUE_BYTES)
        headers = [("traceparent", parcel.trace.encode("ascii"))] if parcel.trace else []
        sending = _Sending(self._broker, self._settings, parcel.object_id.encode("ascii"), headers)
        if self._export is not None and parcel.size > self._settings.max_chunked_bytes:
            record.reference.expires_ms = int(self._export.put(parcel) * 1000)
            record.reference.uri = self._settings.export_prefix + parcel.path
            sending.publish(record)
        elif parcel.size <= room:
            with closing(_cut(parcel.open(), room)) as pieces:
                record.inline.data = b"".join(pieces)
            sending.publish(record)
        else:
            count = -(-parcel.size // room)
            with closing(_cut(parcel.open(), room)) as pieces:
                for index, data in enumerate(pieces):
                    one = ingest_pb2.CleanRecord()  # a message keeps the memory of what was in it before
                    one.CopyFrom(record)
                    one.chunk.index = index
                    one.chunk.count = count
                    one.chunk.data = data
                    sending.publish(one)
                    record.ClearField("manifest_line")
        sending.wait()

    def withdraw(self, notice: Notice) -> None:
        """Publish what consumers are to delete, and delete exported files."""
        if self._export is not None:
            self._export.remove(notice.paths)
        sending = _Sending(self._broker, self._settings, notice.name.encode(), [])
        for at in range(0, max(1, len(notice.paths)), _MOST_PATHS):
            record = ingest_pb2.CleanRecord(project=notice.project)
            record.withdrawal.name = notice.name
            record.withdrawal.patient_ids.extend(notice.patient_ids)
            record.withdrawal.study_uids.extend(notice.studies)
            record.withdrawal.paths.extend(notice.paths[at : at + _MOST_PATHS])
            record.withdrawal.document = notice.document
            sending.publish(record)
        sending.wait()

    def close(self) -> None:
        """Nothing to let go: the broker is the process's."""


class _Sending:
    """Records with one key, in order."""

    def __init__(self, broker: Broker, settings: TopicDestinationSettings, key: bytes, headers: Headers) -> None:
        self._broker = broker
        self._settings = settings
        self._key = key
        self._headers = headers
        self._waiting: deque[Future[Position]] = deque()

    def publish(self, record: ingest_pb2.CleanRecord) -> None:
        """Hand one record over; where the broker has too much to do, wait for those before."""
        value = record.SerializeToString()
        while True:
            try:
                self._waiting.append(self._broker.publish(self._settings.topic, self._key, value, self._headers))
            except TarnhelmError as error:
                if error.code != errors.BROKER_BUSY.code or not self._waiting:
                    raise
                self._wait_for_one()
            else:
                return

    def wait(self) -> None:
        """Wait for all acknowledgements."""
        while self._waiting:
            self._wait_for_one()

    def _wait_for_one(self) -> None:
        try:
            self._waiting.popleft().result(self._settings.acknowledge_seconds)
        except TimeoutError:
            raise TarnhelmError(errors.BROKER_AWAY) from None


def _cut(pieces: Iterator[bytes], each: int) -> Generator[bytes, None, None]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > each:
            yield bytes(waiting[:each])
            del waiting[:each]
    if waiting:
        yield bytes(waiting)
