from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class StageTask(_message.Message):
    __slots__ = ("object_id", "stage", "plan_digest")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    stage: str
    plan_digest: str
    def __init__(self, object_id: _Optional[str] = ..., stage: _Optional[str] = ..., plan_digest: _Optional[str] = ...) -> None: ...

class ObjectFacts(_message.Message):
    __slots__ = ("sop_class_uid", "transfer_syntax_uid", "modality", "image_type", "body_part", "study_uid", "series_uid", "sop_uid", "frame_of_reference_uid", "subject_id", "rows", "columns", "frames", "samples_per_pixel", "bits_allocated", "bits_stored", "photometric", "instance_number", "series_number", "needs", "gate_rule")
    SOP_CLASS_UID_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_SYNTAX_UID_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_PART_FIELD_NUMBER: _ClassVar[int]
    STUDY_UID_FIELD_NUMBER: _ClassVar[int]
    SERIES_UID_FIELD_NUMBER: _ClassVar[int]
    SOP_UID_FIELD_NUMBER: _ClassVar[int]
    FRAME_OF_REFERENCE_UID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_PIXEL_FIELD_NUMBER: _ClassVar[int]
    BITS_ALLOCATED_FIELD_NUMBER: _ClassVar[int]
    BITS_STORED_FIELD_NUMBER: _ClassVar[int]
    PHOTOMETRIC_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SERIES_NUMBER_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    GATE_RULE_FIELD_NUMBER: _ClassVar[int]
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str
    image_type: _containers.RepeatedScalarFieldContainer[str]
    body_part: str
    study_uid: str
    series_uid: str
    sop_uid: str
    frame_of_reference_uid: str
    subject_id: str
    rows: int
    columns: int
    frames: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    photometric: str
    instance_number: int
    series_number: int
    needs: _containers.RepeatedScalarFieldContainer[str]
    gate_rule: str
    def __init__(self, sop_class_uid: _Optional[str] = ..., transfer_syntax_uid: _Optional[str] = ..., modality: _Optional[str] = ..., image_type: _Optional[_Iterable[str]] = ..., body_part: _Optional[str] = ..., study_uid: _Optional[str] = ..., series_uid: _Optional[str] = ..., sop_uid: _Optional[str] = ..., frame_of_reference_uid: _Optional[str] = ..., subject_id: _Optional[str] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., frames: _Optional[int] = ..., samples_per_pixel: _Optional[int] = ..., bits_allocated: _Optional[int] = ..., bits_stored: _Optional[int] = ..., photometric: _Optional[str] = ..., instance_number: _Optional[int] = ..., series_number: _Optional[int] = ..., needs: _Optional[_Iterable[str]] = ..., gate_rule: _Optional[str] = ...) -> None: ...
