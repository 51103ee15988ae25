from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetRegisterRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRegisterResponse(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, lines: _Optional[_Iterable[bytes]] = ...) -> None: ...

class AddRegisterLineRequest(_message.Message):
    __slots__ = ("line",)
    LINE_FIELD_NUMBER: _ClassVar[int]
    line: bytes
    def __init__(self, line: _Optional[bytes] = ...) -> None: ...

class AddRegisterLineResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProjectsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProjectsResponse(_message.Message):
    __slots__ = ("projects",)
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[ProjectName]
    def __init__(self, projects: _Optional[_Iterable[_Union[ProjectName, _Mapping]]] = ...) -> None: ...

class ProjectName(_message.Message):
    __slots__ = ("id", "label")
    ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    id: str
    label: str
    def __init__(self, id: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class OpenCaseRequest(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: bytes
    def __init__(self, document: _Optional[bytes] = ...) -> None: ...

class OpenCaseResponse(_message.Message):
    __slots__ = ("history",)
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    history: CaseHistory
    def __init__(self, history: _Optional[_Union[CaseHistory, _Mapping]] = ...) -> None: ...

class ListCasesRequest(_message.Message):
    __slots__ = ("project",)
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    project: str
    def __init__(self, project: _Optional[str] = ...) -> None: ...

class ListCasesResponse(_message.Message):
    __slots__ = ("history",)
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    history: CaseHistory
    def __init__(self, history: _Optional[_Union[CaseHistory, _Mapping]] = ...) -> None: ...

class GetCaseRequest(_message.Message):
    __slots__ = ("case_id",)
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    def __init__(self, case_id: _Optional[str] = ...) -> None: ...

class GetCaseResponse(_message.Message):
    __slots__ = ("history",)
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    history: CaseHistory
    def __init__(self, history: _Optional[_Union[CaseHistory, _Mapping]] = ...) -> None: ...

class DecideCaseRequest(_message.Message):
    __slots__ = ("case_id", "document")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    document: bytes
    def __init__(self, case_id: _Optional[str] = ..., document: _Optional[bytes] = ...) -> None: ...

class DecideCaseResponse(_message.Message):
    __slots__ = ("history",)
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    history: CaseHistory
    def __init__(self, history: _Optional[_Union[CaseHistory, _Mapping]] = ...) -> None: ...

class CaseHistory(_message.Message):
    __slots__ = ("steps",)
    STEPS_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[CaseStep]
    def __init__(self, steps: _Optional[_Iterable[_Union[CaseStep, _Mapping]]] = ...) -> None: ...

class CaseStep(_message.Message):
    __slots__ = ("case_id", "step", "time", "document", "project", "person", "audit")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    step: str
    time: int
    document: bytes
    project: str
    person: str
    audit: str
    def __init__(self, case_id: _Optional[str] = ..., step: _Optional[str] = ..., time: _Optional[int] = ..., document: _Optional[bytes] = ..., project: _Optional[str] = ..., person: _Optional[str] = ..., audit: _Optional[str] = ...) -> None: ...

class AnswerCaseRequest(_message.Message):
    __slots__ = ("case_id", "document")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    document: bytes
    def __init__(self, case_id: _Optional[str] = ..., document: _Optional[bytes] = ...) -> None: ...

class AnswerCaseResponse(_message.Message):
    __slots__ = ("content", "waits")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    waits: VaultWaits
    def __init__(self, content: _Optional[bytes] = ..., waits: _Optional[_Union[VaultWaits, _Mapping]] = ...) -> None: ...

class VaultWaits(_message.Message):
    __slots__ = ("accessors",)
    ACCESSORS_FIELD_NUMBER: _ClassVar[int]
    accessors: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, accessors: _Optional[_Iterable[str]] = ...) -> None: ...

class LocateRequest(_message.Message):
    __slots__ = ("case_id", "document", "originals")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    ORIGINALS_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    document: bytes
    originals: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, case_id: _Optional[str] = ..., document: _Optional[bytes] = ..., originals: _Optional[_Iterable[str]] = ...) -> None: ...

class LocateResponse(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class ExportMappingRequest(_message.Message):
    __slots__ = ("case_id", "document")
    CASE_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    case_id: str
    document: bytes
    def __init__(self, case_id: _Optional[str] = ..., document: _Optional[bytes] = ...) -> None: ...

class ExportMappingResponse(_message.Message):
    __slots__ = ("content", "waits")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    waits: VaultWaits
    def __init__(self, content: _Optional[bytes] = ..., waits: _Optional[_Union[VaultWaits, _Mapping]] = ...) -> None: ...

class AuditHeadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AuditHeadResponse(_message.Message):
    __slots__ = ("head",)
    HEAD_FIELD_NUMBER: _ClassVar[int]
    head: bytes
    def __init__(self, head: _Optional[bytes] = ...) -> None: ...
