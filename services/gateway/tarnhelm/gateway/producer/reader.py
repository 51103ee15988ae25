"""Reading released objects from the topic ``clean``: whole, checked, and marked as done only when you have them.

An example to use or to copy. Objects come at least once with identical bytes; whoever keeps them by object id loses
and doubles nothing.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from tarnhelm.v1 import ingest_pb2

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.common.stage_service.convert import MalformedError, facts_of
from tarnhelm.gateway.broker.base import ConsumerSettings

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.base import Consumer, Message

__all__ = ["READER_SETTINGS", "CleanReader", "Released", "Withdrawn"]

READER_SETTINGS: Final = ConsumerSettings(max_bytes_in_flight=16 << 30)
"""For the consumer of a reader: records of an object stay in flight until it is whole, but their bytes are on the disk."""
_MEMORY_BYTES: Final = 4 << 20
_POLL_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Released:
    """One released object.

    Attributes
    ----------
    content
        Its bytes, to be read from the start; empty where ``uri`` says where they are. Close it.
    uri, expires
        For large objects: where they can be read, and until when (seconds since 1970). Compare size and sha256 (hex)
        with what you read.
    manifest_line
        Signed; ``tarnhelm manifest verify`` checks it.
    """

    object_id: str
    project: str
    path: str
    facts: ObjectFacts
    size: int
    sha256: str
    content: IO[bytes] = field(repr=False)
    manifest_line: bytes = field(repr=False)
    supersedes: str = ""
    uri: str = ""
    expires: float = 0.0
    messages: tuple[Message, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What is to be deleted: surrogates only; ``document`` is signed."""

    name: str
    project: str
    patient_ids: tuple[str, ...]
    studies: tuple[str, ...]
    paths: tuple[str, ...]
    document: bytes = field(repr=False)
    messages: tuple[Message, ...] = field(default=(), repr=False)


@dataclass(slots=True)
class _Parts:
    """An object whose chunks come."""

    content: IO[bytes]
    messages: list[Message] = field(default_factory=list)
    manifest_line: bytes = b""
    size: int = 0


class CleanReader:
    """Turns records into objects; used by one thread.

    Objects go to a temporary file above 4 MiB; make the consumer with :data:`READER_SETTINGS`. A record stays not done, and its partition's position where it is, until
    :meth:`done` is called for its object: after a crash the object comes again.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._parts: dict[str, _Parts] = {}

    def read(self, timeout_seconds: float) -> Iterator[Released | Withdrawn]:
        """Yield what came within the time.

        Raises
        ------
        TarnhelmError
            ING-021 where a record is not what it says: nothing of it was marked as done. BRK-….
        """
        for message in self._consumer.poll(max_records=100, max_bytes=_POLL_BYTES, timeout_seconds=timeout_seconds):
            found = self._take(message)
            if found is not None:
                yield found

    def done(self, found: Released | Withdrawn) -> None:
        """Say that you have it, durably; commits."""
        if isinstance(found, Released):
            found.content.close()
        for message in found.messages:
            self._consumer.done(message)
        self._consumer.commit()

    def close(self) -> None:
        """Drop what is not whole; it comes again."""
        for parts in self._parts.values():
            parts.content.close()
        self._parts.clear()

    def _take(self, message: Message) -> Released | Withdrawn | None:
        record = ingest_pb2.CleanRecord()
        try:
            record.ParseFromString(message.value)
            kind = record.WhichOneof("payload")
            if kind == "withdrawal":
                return _withdrawn(record, message)
            facts = facts_of(record.facts)
        except (DecodeError, UnicodeDecodeError, MalformedError):
            raise TarnhelmError(errors.CLEAN_UNREADABLE) from None
        if kind is None or record.verdict != ingest_pb2.VERDICT_VERIFIED:
            raise TarnhelmError(errors.CLEAN_UNREADABLE)
        if kind == "chunk":
            parts = self._chunk(record, message)
            if parts is None:
                return None
        else:
            parts = _Parts(_spool(), [replace(message, value=b"")], record.manifest_line)
            parts.content.write(record.inline.data)
            parts.size = len(record.inline.data)
        if kind != "reference":
            _check(parts, record)
        return Released(
            record.object_id,
            record.project,
            record.path,
            facts,
            record.size,
            record.sha256.hex(),
            parts.content,
            parts.manifest_line,
            record.supersedes,
            record.reference.uri,
            record.reference.expires_ms / 1000,
            tuple(parts.messages),
        )

    def _chunk(self, record: ingest_pb2.CleanRecord, message: Message) -> _Parts | None:
        parts = self._parts.get(record.object_id)
        if record.chunk.index == 0:
            if parts is not None:  # an attempt that was cut short
                self._drop(record.object_id)
            parts = self._parts[record.object_id] = _Parts(_spool(), manifest_line=record.manifest_line)
        if parts is None or record.chunk.index != len(parts.messages):
            self._consumer.done(message)  # of an attempt whose first records are gone: the object comes again
            return None
        parts.messages.append(replace(message, value=b""))
        parts.content.write(record.chunk.data)
        parts.size += len(record.chunk.data)
        if len(parts.messages) < record.chunk.count:
            return None
        return self._parts.pop(record.object_id)

    def _drop(self, object_id: str) -> None:
        parts = self._parts.pop(object_id)
        parts.content.close()
        for message in parts.messages:
            self._consumer.done(message)


def _withdrawn(record: ingest_pb2.CleanRecord, message: Message) -> Withdrawn:
    found = record.withdrawal
    return Withdrawn(
        found.name,
        record.project,
        tuple(found.patient_ids),
        tuple(found.study_uids),
        tuple(found.paths),
        found.document,
        (message,),
    )


def _check(parts: _Parts, record: ingest_pb2.CleanRecord) -> None:
    parts.content.seek(0)
    digest = hashlib.file_digest(parts.content, "sha256").digest()  # type: ignore[arg-type]
    parts.content.seek(0)
    if parts.size != record.size or digest != record.sha256:
        parts.content.close()
        raise TarnhelmError(errors.CLEAN_UNREADABLE)


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(_MEMORY_BYTES)
