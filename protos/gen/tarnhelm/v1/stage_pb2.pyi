from tarnhelm.v1 import object_pb2 as _object_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StageStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_STATUS_UNSPECIFIED: _ClassVar[StageStatus]
    STAGE_STATUS_DONE: _ClassVar[StageStatus]
    STAGE_STATUS_QUARANTINE: _ClassVar[StageStatus]
    STAGE_STATUS_REJECT: _ClassVar[StageStatus]
    STAGE_STATUS_SKIP: _ClassVar[StageStatus]
    STAGE_STATUS_RETRY: _ClassVar[StageStatus]
STAGE_STATUS_UNSPECIFIED: StageStatus
STAGE_STATUS_DONE: StageStatus
STAGE_STATUS_QUARANTINE: StageStatus
STAGE_STATUS_REJECT: StageStatus
STAGE_STATUS_SKIP: StageStatus
STAGE_STATUS_RETRY: StageStatus

class ProcessRequest(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: JobHeader
    chunk: JobChunk
    def __init__(self, header: _Optional[_Union[JobHeader, _Mapping]] = ..., chunk: _Optional[_Union[JobChunk, _Mapping]] = ...) -> None: ...

class JobHeader(_message.Message):
    __slots__ = ("object_id", "project", "ticket", "plan_digest", "config", "config_digest", "parts", "accept_unchecked_pixels", "dry_run", "limits", "facts", "earlier", "stage")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CONFIG_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_UNCHECKED_PIXELS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    EARLIER_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    project: str
    ticket: bytes
    plan_digest: str
    config: bytes
    config_digest: str
    parts: _containers.RepeatedCompositeFieldContainer[JobPart]
    accept_unchecked_pixels: bool
    dry_run: bool
    limits: JobLimits
    facts: _object_pb2.ObjectFacts
    earlier: _containers.RepeatedCompositeFieldContainer[StageResult]
    stage: str
    def __init__(self, object_id: _Optional[str] = ..., project: _Optional[str] = ..., ticket: _Optional[bytes] = ..., plan_digest: _Optional[str] = ..., config: _Optional[bytes] = ..., config_digest: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[JobPart, _Mapping]]] = ..., accept_unchecked_pixels: _Optional[bool] = ..., dry_run: _Optional[bool] = ..., limits: _Optional[_Union[JobLimits, _Mapping]] = ..., facts: _Optional[_Union[_object_pb2.ObjectFacts, _Mapping]] = ..., earlier: _Optional[_Iterable[_Union[StageResult, _Mapping]]] = ..., stage: _Optional[str] = ...) -> None: ...

class JobPart(_message.Message):
    __slots__ = ("id", "size", "sha256")
    ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    id: int
    size: int
    sha256: str
    def __init__(self, id: _Optional[int] = ..., size: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class JobLimits(_message.Message):
    __slots__ = ("max_object_bytes", "seconds")
    MAX_OBJECT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    max_object_bytes: int
    seconds: float
    def __init__(self, max_object_bytes: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class JobChunk(_message.Message):
    __slots__ = ("part", "data")
    PART_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    part: int
    data: bytes
    def __init__(self, part: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class ProcessResponse(_message.Message):
    __slots__ = ("accepted", "chunk", "result")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    accepted: JobAccepted
    chunk: JobChunk
    result: StageResult
    def __init__(self, accepted: _Optional[_Union[JobAccepted, _Mapping]] = ..., chunk: _Optional[_Union[JobChunk, _Mapping]] = ..., result: _Optional[_Union[StageResult, _Mapping]] = ...) -> None: ...

class JobAccepted(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ProcessWholeRequest(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: JobHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[JobHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ProcessWholeResponse(_message.Message):
    __slots__ = ("result", "data")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    result: StageResult
    data: bytes
    def __init__(self, result: _Optional[_Union[StageResult, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class StageResult(_message.Message):
    __slots__ = ("stage", "status", "code", "site", "facts", "source_sha256", "output_sha256", "source_bytes", "output_bytes", "actions", "findings", "methods", "seconds")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_SHA256_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SHA256_FIELD_NUMBER: _ClassVar[int]
    SOURCE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    status: StageStatus
    code: str
    site: str
    facts: _object_pb2.ObjectFacts
    source_sha256: str
    output_sha256: str
    source_bytes: int
    output_bytes: int
    actions: _containers.RepeatedCompositeFieldContainer[AttributeCount]
    findings: _containers.RepeatedCompositeFieldContainer[AttributeCount]
    methods: _containers.RepeatedScalarFieldContainer[str]
    seconds: float
    def __init__(self, stage: _Optional[str] = ..., status: _Optional[_Union[StageStatus, str]] = ..., code: _Optional[str] = ..., site: _Optional[str] = ..., facts: _Optional[_Union[_object_pb2.ObjectFacts, _Mapping]] = ..., source_sha256: _Optional[str] = ..., output_sha256: _Optional[str] = ..., source_bytes: _Optional[int] = ..., output_bytes: _Optional[int] = ..., actions: _Optional[_Iterable[_Union[AttributeCount, _Mapping]]] = ..., findings: _Optional[_Iterable[_Union[AttributeCount, _Mapping]]] = ..., methods: _Optional[_Iterable[str]] = ..., seconds: _Optional[float] = ...) -> None: ...

class AttributeCount(_message.Message):
    __slots__ = ("first", "second", "count")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    first: str
    second: str
    count: int
    def __init__(self, first: _Optional[str] = ..., second: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...
