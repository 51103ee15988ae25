from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WitnessPart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WITNESS_PART_UNSPECIFIED: _ClassVar[WitnessPart]
    WITNESS_PART_SOURCE: _ClassVar[WitnessPart]
    WITNESS_PART_RESULT: _ClassVar[WitnessPart]
WITNESS_PART_UNSPECIFIED: WitnessPart
WITNESS_PART_SOURCE: WitnessPart
WITNESS_PART_RESULT: WitnessPart

class JudgeRequest(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: JudgeHeader
    chunk: JudgeChunk
    def __init__(self, header: _Optional[_Union[JudgeHeader, _Mapping]] = ..., chunk: _Optional[_Union[JudgeChunk, _Mapping]] = ...) -> None: ...

class JudgeWholeRequest(_message.Message):
    __slots__ = ("header", "source", "result")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    header: JudgeHeader
    source: bytes
    result: bytes
    def __init__(self, header: _Optional[_Union[JudgeHeader, _Mapping]] = ..., source: _Optional[bytes] = ..., result: _Optional[bytes] = ...) -> None: ...

class JudgeWholeResponse(_message.Message):
    __slots__ = ("verdict",)
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    verdict: JudgeResponse
    def __init__(self, verdict: _Optional[_Union[JudgeResponse, _Mapping]] = ...) -> None: ...

class JudgeHeader(_message.Message):
    __slots__ = ("object_id", "policy", "policy_digest", "source_bytes", "result_bytes", "source_sha256", "result_sha256", "masks")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SOURCE_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESULT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_SHA256_FIELD_NUMBER: _ClassVar[int]
    RESULT_SHA256_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    policy: bytes
    policy_digest: str
    source_bytes: int
    result_bytes: int
    source_sha256: str
    result_sha256: str
    masks: _containers.RepeatedCompositeFieldContainer[WitnessMask]
    def __init__(self, object_id: _Optional[str] = ..., policy: _Optional[bytes] = ..., policy_digest: _Optional[str] = ..., source_bytes: _Optional[int] = ..., result_bytes: _Optional[int] = ..., source_sha256: _Optional[str] = ..., result_sha256: _Optional[str] = ..., masks: _Optional[_Iterable[_Union[WitnessMask, _Mapping]]] = ...) -> None: ...

class WitnessMask(_message.Message):
    __slots__ = ("frame", "left", "top", "width", "height")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    frame: int
    left: int
    top: int
    width: int
    height: int
    def __init__(self, frame: _Optional[int] = ..., left: _Optional[int] = ..., top: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class JudgeChunk(_message.Message):
    __slots__ = ("part", "data")
    PART_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    part: WitnessPart
    data: bytes
    def __init__(self, part: _Optional[_Union[WitnessPart, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class JudgeResponse(_message.Message):
    __slots__ = ("object_id", "clean", "code", "findings", "policy_digest", "output_sha256", "output_bytes", "signature")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CLEAN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SHA256_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    clean: bool
    code: str
    findings: _containers.RepeatedCompositeFieldContainer[WitnessFinding]
    policy_digest: str
    output_sha256: str
    output_bytes: int
    signature: bytes
    def __init__(self, object_id: _Optional[str] = ..., clean: _Optional[bool] = ..., code: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[WitnessFinding, _Mapping]]] = ..., policy_digest: _Optional[str] = ..., output_sha256: _Optional[str] = ..., output_bytes: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class WitnessFinding(_message.Message):
    __slots__ = ("code", "position", "identifier_class", "count")
    CODE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_CLASS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    code: str
    position: str
    identifier_class: str
    count: int
    def __init__(self, code: _Optional[str] = ..., position: _Optional[str] = ..., identifier_class: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...
