"""Objects onto the topic ``ingest``: whole or in chunks, sealed to the gateway, signed by the producer."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.v1 import ingest_pb2

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.base import MAX_VALUE_BYTES
from tarnhelm.gateway.broker.trace import new_trace, trace_headers
from tarnhelm.gateway.ingest.records import MAX_CHUNKS
from tarnhelm.gateway.ingest.sealing import binding_of, key_id_of, sealed_pieces, sealed_size

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    from tarnhelm.gateway.broker.base import Broker, Headers, Position
    from tarnhelm.gateway.ingest.signing import RecordSigner

__all__ = ["Sender", "SenderSettings", "Sent"]

_AROUND_PAYLOAD: Final = 1024
"""Bytes of a record that are not its payload, and some to spare."""
_RECORD_ID_BYTES: Final = 16
_PREFACE: Final = 132
_DICM: Final = b"DICM"


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """How objects are sent.

    Attributes
    ----------
    project
        The project that they are meant for; the gateway refuses them where it binds the producer to another one. Empty:
        not said.
    payload_bytes
        Of one record at most; larger objects go in chunks.
    acknowledge_seconds
        How long one record may wait for the broker before the sender gives up.
    """

    topic: str = "ingest"
    project: str = ""
    payload_bytes: int = MAX_VALUE_BYTES - _AROUND_PAYLOAD
    acknowledge_seconds: float = 150.0

    def __post_init__(self) -> None:
        if not 1 <= self.payload_bytes <= MAX_VALUE_BYTES - _AROUND_PAYLOAD or self.acknowledge_seconds <= 0:
            raise ValueError("a record has at most 899 KiB of payload, and seconds are more than nothing")


@dataclass(frozen=True, slots=True)
class Sent:
    """One object that was handed over; it is with the gateway when the broker has acknowledged every record.

    Attributes
    ----------
    size
        Bytes of the object, before sealing.
    """

    size: int
    records: tuple[Future[Position], ...]

    def done(self) -> bool:
        """Whether every record is acknowledged, or has failed."""
        return all(one.done() for one in self.records)

    def result(self, timeout_seconds: float) -> None:
        """Wait for all; raises BRK-… where one failed: then send the object again."""
        for one in self.records:
            try:
                one.result(timeout_seconds)
            except TimeoutError:
                raise TarnhelmError(errors.BROKER_AWAY) from None


class Sender:
    """Sends objects; used by one thread.

    Parameters
    ----------
    seal_to
        The gateway's public key; None: objects are not sealed, and whoever runs the broker can read them.
    signer
        None: records are not signed, and the topic itself decides about the project.
    """

    def __init__(
        self,
        broker: Broker,
        settings: SenderSettings,
        *,
        seal_to: X25519PublicKey | None = None,
        signer: RecordSigner | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._broker = broker
        self._settings = settings
        self._seal_to = seal_to
        self._key_id = key_id_of(seal_to.public_bytes_raw()) if seal_to is not None else ""
        self._signer = signer
        self._random = random
        self._waiting: deque[Future[Position]] = deque()

    def send(self, pieces: Iterable[bytes], size: int) -> Sent:
        """Hand one object over; waits while the broker has too much to do.

        Parameters
        ----------
        pieces, size
            The object's bytes, and how many they are.

        Raises
        ------
        TarnhelmError
            ING-020 where they are more or fewer: then the gateway gets nothing whole. BRK-….
        """
        record_id = self._random(_RECORD_ID_BYTES)
        headers = trace_headers(new_trace(self._random))
        source = iter(pieces)
        head = _first(source)
        record = ingest_pb2.IngestRecord(record_id=record_id, project=self._settings.project, kind=_kind(head))
        payload = _whole(_joined(head, source), size)
        total = size
        if self._seal_to is not None:
            record.sealed_to.key_id = self._key_id
            signer = self._signer.key_id if self._signer is not None else ""
            binding = binding_of(self._settings.topic, signer, record_id)
            payload = sealed_pieces(payload, self._seal_to, binding, self._random)
            total = sealed_size(size)
        if total <= self._settings.payload_bytes:
            record.inline.data = b"".join(payload)
            record.inline.sha256 = hashlib.sha256(record.inline.data).digest()
            return Sent(size, (self._publish(record_id, record, headers),))
        return Sent(size, tuple(self._chunks(record, payload, total, headers)))

    def _chunks(
        self, record: ingest_pb2.IngestRecord, payload: Iterator[bytes], total: int, headers: Headers
    ) -> Iterator[Future[Position]]:
        each = self._settings.payload_bytes
        count = -(-total // each)
        if count > MAX_CHUNKS:
            raise TarnhelmError(errors.TOO_LARGE, seen=total, limit=MAX_CHUNKS * each)
        digest = hashlib.sha256()
        for index, data in enumerate(_cut(payload, each)):
            digest.update(data)
            one = ingest_pb2.IngestRecord()  # a message keeps the memory of what was in it before
            one.CopyFrom(record)
            one.chunk.index = index
            one.chunk.count = count
            one.chunk.total_size = total
            one.chunk.data = data
            if index == count - 1:
                one.chunk.sha256 = digest.digest()
            yield self._publish(record.record_id, one, headers)

    def _publish(self, key: bytes, record: ingest_pb2.IngestRecord, headers: Headers) -> Future[Position]:
        value = record.SerializeToString()
        signed = self._signer.headers(self._settings.topic, value) if self._signer is not None else []
        while True:
            try:
                future = self._broker.publish(self._settings.topic, key, value, [*headers, *signed])
            except TarnhelmError as error:
                if error.code != errors.BROKER_BUSY.code:
                    raise
                self._wait_for_one()
                continue
            self._waiting.append(future)
            while self._waiting and self._waiting[0].done():
                self._waiting.popleft()
            return future

    def _wait_for_one(self) -> None:
        if not self._waiting:  # others fill the broker
            self._broker.flush(self._settings.acknowledge_seconds)
            return
        oldest = self._waiting.popleft()
        try:
            oldest.exception(self._settings.acknowledge_seconds)
        except TimeoutError:
            raise TarnhelmError(errors.BROKER_AWAY) from None


def _first(pieces: Iterator[bytes]) -> bytes:
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) >= _PREFACE:
            break
    return bytes(head)


def _kind(head: bytes) -> ingest_pb2.ContentKind:
    if head[128:_PREFACE] == _DICM:
        return ingest_pb2.CONTENT_KIND_DICOM_FILE
    return ingest_pb2.CONTENT_KIND_UNSPECIFIED


def _joined(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def _whole(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Pass on, and raise ING-020 before the last byte has gone where there are more or fewer than announced."""
    seen = 0
    for piece in pieces:
        seen += len(piece)
        if seen > size:
            break
        yield piece
    if seen != size:
        raise TarnhelmError(errors.SEND_CHANGED)


def _cut(pieces: Iterable[bytes], each: int) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > each:  # the last piece goes when the source has ended well
            yield bytes(waiting[:each])
            del waiting[:each]
    if waiting:
        yield bytes(waiting)
