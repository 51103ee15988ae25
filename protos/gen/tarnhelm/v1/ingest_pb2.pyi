from tarnhelm.v1 import object_pb2 as _object_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContentKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTENT_KIND_UNSPECIFIED: _ClassVar[ContentKind]
    CONTENT_KIND_DICOM_FILE: _ClassVar[ContentKind]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_VERIFIED: _ClassVar[Verdict]
CONTENT_KIND_UNSPECIFIED: ContentKind
CONTENT_KIND_DICOM_FILE: ContentKind
VERDICT_UNSPECIFIED: Verdict
VERDICT_VERIFIED: Verdict

class IngestRecord(_message.Message):
    __slots__ = ("record_id", "kind", "project", "sealed_to", "inline", "chunk", "reference")
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    SEALED_TO_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    record_id: bytes
    kind: ContentKind
    project: str
    sealed_to: SealedTo
    inline: InlinePayload
    chunk: ChunkPayload
    reference: ReferencePayload
    def __init__(self, record_id: _Optional[bytes] = ..., kind: _Optional[_Union[ContentKind, str]] = ..., project: _Optional[str] = ..., sealed_to: _Optional[_Union[SealedTo, _Mapping]] = ..., inline: _Optional[_Union[InlinePayload, _Mapping]] = ..., chunk: _Optional[_Union[ChunkPayload, _Mapping]] = ..., reference: _Optional[_Union[ReferencePayload, _Mapping]] = ...) -> None: ...

class SealedTo(_message.Message):
    __slots__ = ("key_id",)
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    def __init__(self, key_id: _Optional[str] = ...) -> None: ...

class InlinePayload(_message.Message):
    __slots__ = ("data", "sha256")
    DATA_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    sha256: bytes
    def __init__(self, data: _Optional[bytes] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class ChunkPayload(_message.Message):
    __slots__ = ("index", "count", "total_size", "data", "sha256")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    index: int
    count: int
    total_size: int
    data: bytes
    sha256: bytes
    def __init__(self, index: _Optional[int] = ..., count: _Optional[int] = ..., total_size: _Optional[int] = ..., data: _Optional[bytes] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class ReferencePayload(_message.Message):
    __slots__ = ("uri", "size", "sha256", "expires_ms")
    URI_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    uri: str
    size: int
    sha256: bytes
    expires_ms: int
    def __init__(self, uri: _Optional[str] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class CleanRecord(_message.Message):
    __slots__ = ("object_id", "project", "facts", "size", "sha256", "verdict", "path", "supersedes", "manifest_line", "inline", "chunk", "reference", "withdrawal")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDES_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_LINE_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWAL_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    project: str
    facts: _object_pb2.ObjectFacts
    size: int
    sha256: bytes
    verdict: Verdict
    path: str
    supersedes: str
    manifest_line: bytes
    inline: CleanInline
    chunk: CleanChunk
    reference: CleanReference
    withdrawal: CleanWithdrawal
    def __init__(self, object_id: _Optional[str] = ..., project: _Optional[str] = ..., facts: _Optional[_Union[_object_pb2.ObjectFacts, _Mapping]] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., path: _Optional[str] = ..., supersedes: _Optional[str] = ..., manifest_line: _Optional[bytes] = ..., inline: _Optional[_Union[CleanInline, _Mapping]] = ..., chunk: _Optional[_Union[CleanChunk, _Mapping]] = ..., reference: _Optional[_Union[CleanReference, _Mapping]] = ..., withdrawal: _Optional[_Union[CleanWithdrawal, _Mapping]] = ...) -> None: ...

class CleanInline(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class CleanChunk(_message.Message):
    __slots__ = ("index", "count", "data")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    index: int
    count: int
    data: bytes
    def __init__(self, index: _Optional[int] = ..., count: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class CleanReference(_message.Message):
    __slots__ = ("uri", "expires_ms")
    URI_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    uri: str
    expires_ms: int
    def __init__(self, uri: _Optional[str] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class CleanWithdrawal(_message.Message):
    __slots__ = ("name", "patient_ids", "study_uids", "paths", "document")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATIENT_IDS_FIELD_NUMBER: _ClassVar[int]
    STUDY_UIDS_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    patient_ids: _containers.RepeatedScalarFieldContainer[str]
    study_uids: _containers.RepeatedScalarFieldContainer[str]
    paths: _containers.RepeatedScalarFieldContainer[str]
    document: bytes
    def __init__(self, name: _Optional[str] = ..., patient_ids: _Optional[_Iterable[str]] = ..., study_uids: _Optional[_Iterable[str]] = ..., paths: _Optional[_Iterable[str]] = ..., document: _Optional[bytes] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("code", "door", "topic", "partition", "offset", "producer", "noted_ms", "value_size", "headers_left_out")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    NOTED_MS_FIELD_NUMBER: _ClassVar[int]
    VALUE_SIZE_FIELD_NUMBER: _ClassVar[int]
    HEADERS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    code: str
    door: str
    topic: str
    partition: int
    offset: int
    producer: str
    noted_ms: int
    value_size: int
    headers_left_out: bool
    def __init__(self, code: _Optional[str] = ..., door: _Optional[str] = ..., topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., producer: _Optional[str] = ..., noted_ms: _Optional[int] = ..., value_size: _Optional[int] = ..., headers_left_out: _Optional[bool] = ...) -> None: ...
