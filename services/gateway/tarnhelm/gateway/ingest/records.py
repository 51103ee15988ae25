"""IngestRecord as the door understands it: protobuf in, frozen dataclasses out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from tarnhelm.v1 import ingest_pb2

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits

__all__ = ["MAX_CHUNKS", "Chunk", "Inline", "Letter", "Reference", "read_record"]

MAX_CHUNKS: Final = 65_536
_SHA256_BYTES: Final = 32
_RECORD_ID: Final = range(8, 65)
_MOST_URI: Final = 2048
_MOST_LABEL: Final = 200


@dataclass(frozen=True, slots=True)
class Inline:
    """A payload in one record; ``sha256`` may be empty."""

    data: bytes = field(repr=False)
    sha256: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One part of a payload.

    Attributes
    ----------
    total_size
        Bytes of the whole payload.
    sha256
        Of the whole payload; in the last chunk only.
    """

    index: int
    count: int
    total_size: int
    data: bytes = field(repr=False)
    sha256: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a payload is; ``expires`` in seconds since 1970."""

    uri: str = field(repr=False)
    size: int
    sha256: bytes = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class Letter:
    """What a record says.

    Attributes
    ----------
    project
        What its producer believes; empty: nothing.
    is_dicom
        Whether it says that the payload is a DICOM file.
    sealed_to
        Number of the key; empty: not sealed.
    """

    record_id: bytes = field(repr=False)
    payload: Inline | Chunk | Reference
    project: str = ""
    is_dicom: bool = False
    sealed_to: str = ""


def read_record(value: bytes, limits: Limits) -> Letter:
    """Read one record.

    Raises
    ------
    TarnhelmError
        ING-002 for what is none, LIM-001 for a payload that is larger than an object may be.
    """
    record = ingest_pb2.IngestRecord()
    try:
        record.ParseFromString(value)
    except (DecodeError, UnicodeDecodeError):
        raise TarnhelmError(errors.RECORD_UNREADABLE) from None
    sealed = record.HasField("sealed_to")
    sound = len(record.record_id) in _RECORD_ID and len(record.project) <= _MOST_LABEL
    sound = sound and bool(record.sealed_to.key_id) == sealed
    sound = sound and record.kind in (ingest_pb2.CONTENT_KIND_UNSPECIFIED, ingest_pb2.CONTENT_KIND_DICOM_FILE)
    payload = _payload(record)
    if not sound or payload is None:
        raise TarnhelmError(errors.RECORD_UNREADABLE)
    size = payload.size if isinstance(payload, Reference) else payload.total_size if isinstance(payload, Chunk) else 0
    if size > limits.max_object_bytes:
        raise TarnhelmError(errors.TOO_LARGE, seen=size, limit=limits.max_object_bytes)
    is_dicom = record.kind == ingest_pb2.CONTENT_KIND_DICOM_FILE
    return Letter(record.record_id, payload, record.project, is_dicom, record.sealed_to.key_id)


def _payload(record: ingest_pb2.IngestRecord) -> Inline | Chunk | Reference | None:
    kind = record.WhichOneof("payload")
    if kind == "inline":
        inline = Inline(record.inline.data, record.inline.sha256)
        return inline if inline.data and len(inline.sha256) in (0, _SHA256_BYTES) else None
    if kind == "chunk":
        found = record.chunk
        chunk = Chunk(found.index, found.count, found.total_size, found.data, found.sha256)
        return chunk if _sound_chunk(chunk) else None
    if kind == "reference":
        there = record.reference
        reference = Reference(there.uri, there.size, there.sha256, there.expires_ms / 1000)
        sound = 0 < len(there.uri) <= _MOST_URI and there.size and len(there.sha256) == _SHA256_BYTES
        return reference if sound else None
    return None


def _sound_chunk(chunk: Chunk) -> bool:
    last = chunk.index == chunk.count - 1
    sound = 1 <= chunk.count <= MAX_CHUNKS and chunk.index < chunk.count
    sound = sound and 0 < len(chunk.data) <= chunk.total_size
    return sound and len(chunk.sha256) == (_SHA256_BYTES if last else 0)
