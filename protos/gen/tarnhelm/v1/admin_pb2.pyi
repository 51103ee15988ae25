from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_RETRY: _ClassVar[Decision]
    DECISION_REJECT: _ClassVar[Decision]
    DECISION_PROPOSE: _ClassVar[Decision]
    DECISION_CONFIRM: _ClassVar[Decision]
DECISION_UNSPECIFIED: Decision
DECISION_RETRY: Decision
DECISION_REJECT: Decision
DECISION_PROPOSE: Decision
DECISION_CONFIRM: Decision

class WhoAmIRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WhoAmIResponse(_message.Message):
    __slots__ = ("subject", "person", "role")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    subject: str
    person: str
    role: str
    def __init__(self, subject: _Optional[str] = ..., person: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class WatchStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("measured", "states", "lags", "parts", "samples", "alarms", "sample_seconds")
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LAGS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    measured: float
    states: _containers.RepeatedCompositeFieldContainer[StateTally]
    lags: _containers.RepeatedCompositeFieldContainer[TopicLag]
    parts: _containers.RepeatedCompositeFieldContainer[PartNote]
    samples: _containers.RepeatedCompositeFieldContainer[Sample]
    alarms: _containers.RepeatedCompositeFieldContainer[Alarm]
    sample_seconds: float
    def __init__(self, measured: _Optional[float] = ..., states: _Optional[_Iterable[_Union[StateTally, _Mapping]]] = ..., lags: _Optional[_Iterable[_Union[TopicLag, _Mapping]]] = ..., parts: _Optional[_Iterable[_Union[PartNote, _Mapping]]] = ..., samples: _Optional[_Iterable[_Union[Sample, _Mapping]]] = ..., alarms: _Optional[_Iterable[_Union[Alarm, _Mapping]]] = ..., sample_seconds: _Optional[float] = ...) -> None: ...

class StateTally(_message.Message):
    __slots__ = ("state", "code", "objects", "bytes", "oldest")
    STATE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    state: str
    code: str
    objects: int
    bytes: int
    oldest: float
    def __init__(self, state: _Optional[str] = ..., code: _Optional[str] = ..., objects: _Optional[int] = ..., bytes: _Optional[int] = ..., oldest: _Optional[float] = ...) -> None: ...

class TopicLag(_message.Message):
    __slots__ = ("topic", "group", "records")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    topic: str
    group: str
    records: int
    def __init__(self, topic: _Optional[str] = ..., group: _Optional[str] = ..., records: _Optional[int] = ...) -> None: ...

class PartNote(_message.Message):
    __slots__ = ("kind", "name", "instance", "condition", "code", "since", "said", "counts")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    SAID_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    instance: str
    condition: str
    code: str
    since: float
    said: float
    counts: _containers.ScalarMap[str, int]
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., instance: _Optional[str] = ..., condition: _Optional[str] = ..., code: _Optional[str] = ..., since: _Optional[float] = ..., said: _Optional[float] = ..., counts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("taken", "accepted", "finished", "bytes", "unfinished", "lag")
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    taken: float
    accepted: float
    finished: float
    bytes: float
    unfinished: int
    lag: int
    def __init__(self, taken: _Optional[float] = ..., accepted: _Optional[float] = ..., finished: _Optional[float] = ..., bytes: _Optional[float] = ..., unfinished: _Optional[int] = ..., lag: _Optional[int] = ...) -> None: ...

class Alarm(_message.Message):
    __slots__ = ("name", "subject", "value", "limit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    subject: str
    value: float
    limit: float
    def __init__(self, name: _Optional[str] = ..., subject: _Optional[str] = ..., value: _Optional[float] = ..., limit: _Optional[float] = ...) -> None: ...

class ObjectFilter(_message.Message):
    __slots__ = ("states", "codes", "door", "project", "stage", "id_prefix", "received_from", "received_until")
    STATES_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FROM_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[str]
    codes: _containers.RepeatedScalarFieldContainer[str]
    door: str
    project: str
    stage: str
    id_prefix: str
    received_from: float
    received_until: float
    def __init__(self, states: _Optional[_Iterable[str]] = ..., codes: _Optional[_Iterable[str]] = ..., door: _Optional[str] = ..., project: _Optional[str] = ..., stage: _Optional[str] = ..., id_prefix: _Optional[str] = ..., received_from: _Optional[float] = ..., received_until: _Optional[float] = ...) -> None: ...

class ListObjectsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: ObjectFilter
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[ObjectFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListObjectsResponse(_message.Message):
    __slots__ = ("objects", "next_page_token")
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    objects: _containers.RepeatedCompositeFieldContainer[ObjectRow]
    next_page_token: str
    def __init__(self, objects: _Optional[_Iterable[_Union[ObjectRow, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ObjectRow(_message.Message):
    __slots__ = ("object_id", "state", "stage", "code", "project", "door", "received", "size", "attempts", "acceptable", "proposed_by")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTABLE_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_BY_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    state: str
    stage: str
    code: str
    project: str
    door: str
    received: float
    size: int
    attempts: int
    acceptable: bool
    proposed_by: str
    def __init__(self, object_id: _Optional[str] = ..., state: _Optional[str] = ..., stage: _Optional[str] = ..., code: _Optional[str] = ..., project: _Optional[str] = ..., door: _Optional[str] = ..., received: _Optional[float] = ..., size: _Optional[int] = ..., attempts: _Optional[int] = ..., acceptable: _Optional[bool] = ..., proposed_by: _Optional[str] = ...) -> None: ...

class ShowObjectRequest(_message.Message):
    __slots__ = ("object_id",)
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    def __init__(self, object_id: _Optional[str] = ...) -> None: ...

class ShowObjectResponse(_message.Message):
    __slots__ = ("object", "message", "remedy", "road", "findings", "decisions", "plan_digest", "policy_digest", "output_sha256", "trace", "accepted_pixels", "has_header", "proposed_by_caller")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    ROAD_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SHA256_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_PIXELS_FIELD_NUMBER: _ClassVar[int]
    HAS_HEADER_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_BY_CALLER_FIELD_NUMBER: _ClassVar[int]
    object: ObjectRow
    message: str
    remedy: str
    road: _containers.RepeatedCompositeFieldContainer[RoadStep]
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    decisions: _containers.RepeatedCompositeFieldContainer[DecisionRow]
    plan_digest: str
    policy_digest: str
    output_sha256: str
    trace: str
    accepted_pixels: bool
    has_header: bool
    proposed_by_caller: bool
    def __init__(self, object: _Optional[_Union[ObjectRow, _Mapping]] = ..., message: _Optional[str] = ..., remedy: _Optional[str] = ..., road: _Optional[_Iterable[_Union[RoadStep, _Mapping]]] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., decisions: _Optional[_Iterable[_Union[DecisionRow, _Mapping]]] = ..., plan_digest: _Optional[str] = ..., policy_digest: _Optional[str] = ..., output_sha256: _Optional[str] = ..., trace: _Optional[str] = ..., accepted_pixels: _Optional[bool] = ..., has_header: _Optional[bool] = ..., proposed_by_caller: _Optional[bool] = ...) -> None: ...

class RoadStep(_message.Message):
    __slots__ = ("step", "status", "code", "message", "at", "seconds", "bytes_in", "bytes_out", "findings", "actions")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_FIELD_NUMBER: _ClassVar[int]
    BYTES_OUT_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    step: str
    status: str
    code: str
    message: str
    at: float
    seconds: float
    bytes_in: int
    bytes_out: int
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    actions: _containers.RepeatedCompositeFieldContainer[Finding]
    def __init__(self, step: _Optional[str] = ..., status: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., at: _Optional[float] = ..., seconds: _Optional[float] = ..., bytes_in: _Optional[int] = ..., bytes_out: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., actions: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("code", "attribute", "count")
    CODE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    code: str
    attribute: str
    count: int
    def __init__(self, code: _Optional[str] = ..., attribute: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class ShowHeaderRequest(_message.Message):
    __slots__ = ("object_id",)
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    def __init__(self, object_id: _Optional[str] = ...) -> None: ...

class ShowHeaderResponse(_message.Message):
    __slots__ = ("stage", "elements", "cut", "values_withheld")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    VALUES_WITHHELD_FIELD_NUMBER: _ClassVar[int]
    stage: str
    elements: _containers.RepeatedCompositeFieldContainer[HeaderElement]
    cut: bool
    values_withheld: bool
    def __init__(self, stage: _Optional[str] = ..., elements: _Optional[_Iterable[_Union[HeaderElement, _Mapping]]] = ..., cut: _Optional[bool] = ..., values_withheld: _Optional[bool] = ...) -> None: ...

class HeaderElement(_message.Message):
    __slots__ = ("depth", "tag", "keyword", "vr", "length", "value", "action")
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_FIELD_NUMBER: _ClassVar[int]
    VR_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    depth: int
    tag: str
    keyword: str
    vr: str
    length: int
    value: str
    action: str
    def __init__(self, depth: _Optional[int] = ..., tag: _Optional[str] = ..., keyword: _Optional[str] = ..., vr: _Optional[str] = ..., length: _Optional[int] = ..., value: _Optional[str] = ..., action: _Optional[str] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("decision", "object_ids", "reason")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    OBJECT_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    decision: Decision
    object_ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, decision: _Optional[_Union[Decision, str]] = ..., object_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class DecideResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[DecideResult]
    def __init__(self, results: _Optional[_Iterable[_Union[DecideResult, _Mapping]]] = ...) -> None: ...

class DecideResult(_message.Message):
    __slots__ = ("object_id", "code", "message", "state")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    code: str
    message: str
    state: str
    def __init__(self, object_id: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class CountMatchingRequest(_message.Message):
    __slots__ = ("filter", "decision")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    filter: ObjectFilter
    decision: Decision
    def __init__(self, filter: _Optional[_Union[ObjectFilter, _Mapping]] = ..., decision: _Optional[_Union[Decision, str]] = ...) -> None: ...

class CountMatchingResponse(_message.Message):
    __slots__ = ("objects", "bytes", "left_out")
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    objects: int
    bytes: int
    left_out: int
    def __init__(self, objects: _Optional[int] = ..., bytes: _Optional[int] = ..., left_out: _Optional[int] = ...) -> None: ...

class DecideMatchingRequest(_message.Message):
    __slots__ = ("filter", "decision", "reason", "expected_objects")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    filter: ObjectFilter
    decision: Decision
    reason: str
    expected_objects: int
    def __init__(self, filter: _Optional[_Union[ObjectFilter, _Mapping]] = ..., decision: _Optional[_Union[Decision, str]] = ..., reason: _Optional[str] = ..., expected_objects: _Optional[int] = ...) -> None: ...

class DecideMatchingResponse(_message.Message):
    __slots__ = ("done", "refused")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DONE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    done: int
    refused: _containers.ScalarMap[str, int]
    def __init__(self, done: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ListDecisionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDecisionsResponse(_message.Message):
    __slots__ = ("decisions", "next_page_token")
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    decisions: _containers.RepeatedCompositeFieldContainer[DecisionRow]
    next_page_token: str
    def __init__(self, decisions: _Optional[_Iterable[_Union[DecisionRow, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DecisionRow(_message.Message):
    __slots__ = ("object_id", "kind", "subject", "person", "reason", "code", "decided")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    kind: str
    subject: str
    person: str
    reason: str
    code: str
    decided: float
    def __init__(self, object_id: _Optional[str] = ..., kind: _Optional[str] = ..., subject: _Optional[str] = ..., person: _Optional[str] = ..., reason: _Optional[str] = ..., code: _Optional[str] = ..., decided: _Optional[float] = ...) -> None: ...

class ListReleasesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListReleasesResponse(_message.Message):
    __slots__ = ("releases", "next_page_token")
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    releases: _containers.RepeatedCompositeFieldContainer[ReleaseRow]
    next_page_token: str
    def __init__(self, releases: _Optional[_Iterable[_Union[ReleaseRow, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReleaseRow(_message.Message):
    __slots__ = ("object_id", "output_path", "sha256", "size", "plan_digest", "policy_digest", "released")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PATH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    output_path: str
    sha256: str
    size: int
    plan_digest: str
    policy_digest: str
    released: float
    def __init__(self, object_id: _Optional[str] = ..., output_path: _Optional[str] = ..., sha256: _Optional[str] = ..., size: _Optional[int] = ..., plan_digest: _Optional[str] = ..., policy_digest: _Optional[str] = ..., released: _Optional[float] = ...) -> None: ...

class GetSettingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSettingsResponse(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: _containers.RepeatedCompositeFieldContainer[SettingRow]
    def __init__(self, settings: _Optional[_Iterable[_Union[SettingRow, _Mapping]]] = ...) -> None: ...

class SettingRow(_message.Message):
    __slots__ = ("group", "name", "value")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    group: str
    name: str
    value: str
    def __init__(self, group: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
