from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ValueQuestionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_QUESTION_KIND_UNSPECIFIED: _ClassVar[ValueQuestionKind]
    VALUE_QUESTION_KIND_ID_NUMERICAL: _ClassVar[ValueQuestionKind]
    VALUE_QUESTION_KIND_ID_ALPHANUMERICAL: _ClassVar[ValueQuestionKind]
    VALUE_QUESTION_KIND_KEY: _ClassVar[ValueQuestionKind]
VALUE_QUESTION_KIND_UNSPECIFIED: ValueQuestionKind
VALUE_QUESTION_KIND_ID_NUMERICAL: ValueQuestionKind
VALUE_QUESTION_KIND_ID_ALPHANUMERICAL: ValueQuestionKind
VALUE_QUESTION_KIND_KEY: ValueQuestionKind

class AssignRequest(_message.Message):
    __slots__ = ("ticket", "query")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ticket: bytes
    query: bytes
    def __init__(self, ticket: _Optional[bytes] = ..., query: _Optional[bytes] = ...) -> None: ...

class AssignQuery(_message.Message):
    __slots__ = ("patient_id", "issuer", "study_uid", "sex", "uids", "values", "way_back")
    PATIENT_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    STUDY_UID_FIELD_NUMBER: _ClassVar[int]
    SEX_FIELD_NUMBER: _ClassVar[int]
    UIDS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    WAY_BACK_FIELD_NUMBER: _ClassVar[int]
    patient_id: bytes
    issuer: bytes
    study_uid: bytes
    sex: bytes
    uids: _containers.RepeatedScalarFieldContainer[bytes]
    values: _containers.RepeatedCompositeFieldContainer[ValueQuestion]
    way_back: _containers.RepeatedCompositeFieldContainer[WayBackValue]
    def __init__(self, patient_id: _Optional[bytes] = ..., issuer: _Optional[bytes] = ..., study_uid: _Optional[bytes] = ..., sex: _Optional[bytes] = ..., uids: _Optional[_Iterable[bytes]] = ..., values: _Optional[_Iterable[_Union[ValueQuestion, _Mapping]]] = ..., way_back: _Optional[_Iterable[_Union[WayBackValue, _Mapping]]] = ...) -> None: ...

class ValueQuestion(_message.Message):
    __slots__ = ("kind", "domain", "value")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    kind: ValueQuestionKind
    domain: str
    value: bytes
    def __init__(self, kind: _Optional[_Union[ValueQuestionKind, str]] = ..., domain: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class WayBackValue(_message.Message):
    __slots__ = ("kind", "value")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    value: bytes
    def __init__(self, kind: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class AssignResponse(_message.Message):
    __slots__ = ("subject_id", "subject_key", "date_offset_days", "sex", "uids", "values", "issuer", "placeholder_subject", "revision", "flags")
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_KEY_FIELD_NUMBER: _ClassVar[int]
    DATE_OFFSET_DAYS_FIELD_NUMBER: _ClassVar[int]
    SEX_FIELD_NUMBER: _ClassVar[int]
    UIDS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    PLACEHOLDER_SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    subject_id: str
    subject_key: bytes
    date_offset_days: int
    sex: str
    uids: _containers.RepeatedScalarFieldContainer[str]
    values: _containers.RepeatedScalarFieldContainer[bytes]
    issuer: str
    placeholder_subject: bool
    revision: int
    flags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, subject_id: _Optional[str] = ..., subject_key: _Optional[bytes] = ..., date_offset_days: _Optional[int] = ..., sex: _Optional[str] = ..., uids: _Optional[_Iterable[str]] = ..., values: _Optional[_Iterable[bytes]] = ..., issuer: _Optional[str] = ..., placeholder_subject: _Optional[bool] = ..., revision: _Optional[int] = ..., flags: _Optional[_Iterable[str]] = ...) -> None: ...
