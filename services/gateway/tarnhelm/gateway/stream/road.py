"""Where an object goes next, what its task and its blobs are called: the one place that all pumps agree by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from tarnhelm.v1 import object_pb2

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import BlobName
from tarnhelm.gateway.fsm import TERMINAL
from tarnhelm.gateway.record import ObjectRecord, State

if TYPE_CHECKING:
    from tarnhelm.gateway.plans import ProjectPlan

__all__ = [
    "GROUPS",
    "IMAGING",
    "RELEASE",
    "WITNESS",
    "Failpoint",
    "Task",
    "accepts_unchecked",
    "next_step",
    "outcome_key",
    "raw_blob",
    "read_task",
    "result_blob",
    "stage_after",
    "stage_before",
    "task_of",
    "topic_of",
    "work_blob",
    "work_blobs",
]

WITNESS: Final = "witness"
RELEASE: Final = "release"
IMAGING: Final = "imaging"
_DIGEST_HEX: Final = 32
_TOPICS: Final[Mapping[str, str]] = MappingProxyType({IMAGING: "volumes.imaging"})
GROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {step: f"tarnhelm-{step}" for step in ("metadata", "ocr", IMAGING, "finalise", WITNESS, RELEASE)}
)
"""Step → consumer group of its pumps."""

Failpoint = Callable[[str], None]
"""Called with the name of a place between two steps; tests die there."""
Task = object_pb2.StageTask


def topic_of(step: str) -> str:
    """Return the topic of a step; that of imaging is keyed by volume, all others by object."""
    return _TOPICS.get(step, f"objects.{step}")


def task_of(record: ObjectRecord, step: str) -> bytes:
    """Return the message that wakes a step's pump."""
    task = Task(object_id=record.object_id, stage=step, plan_digest=record.plan_digest)
    return bytes(task.SerializeToString(deterministic=True))


def read_task(value: bytes) -> Task:
    """Read a message; raises GTW-026 where it is none."""
    task = Task()
    try:
        task.ParseFromString(value)
        BlobName("raw", task.object_id)
    except (DecodeError, TarnhelmError):
        raise TarnhelmError(errors.TASK_UNREADABLE) from None
    return task


def next_step(record: ObjectRecord, plan: ProjectPlan) -> str:
    """Return the step that an object waits for: a stage, ``witness`` or ``release``; empty where nothing comes.

    A parked object comes back by way of ADMITTED: what was done is found recorded and is not done again.
    """
    state = record.state
    if state in TERMINAL or state is State.WAITING:
        return ""
    if state is State.ADMITTED:
        return plan.stages[0]
    if state is State.RUNNING:
        return record.stage
    if state is State.READY:
        return stage_after(record.stage, plan, grouped=bool(record.group)) or WITNESS
    return {State.WITNESSING: WITNESS, State.VERIFIED: RELEASE}.get(state, "")


def stage_after(stage: str, plan: ProjectPlan, *, grouped: bool) -> str:
    """Return the stage behind another one; empty behind the last. Imaging is for what belongs to a volume."""
    rest = plan.stages[plan.stages.index(stage) + 1 :]
    return next((one for one in rest if one != IMAGING or grouped), "")


def stage_before(stage: str, plan: ProjectPlan, *, grouped: bool) -> str:
    """Return the stage whose result another one reads; empty before the first."""
    rest = plan.stages[: plan.stages.index(stage)]
    return next((one for one in reversed(rest) if one != IMAGING or grouped), "")


def accepts_unchecked(record: ObjectRecord, plan: ProjectPlan) -> bool:
    """Whether pixels may go unchecked: by the site's decision, or by two reviewers'."""
    return plan.accept_unchecked_pixels or record.accepted


def outcome_key(record: ObjectRecord) -> str:
    """Digest under which an object's outcomes are recorded: what reviewers accepted is another outcome."""
    return f"{record.plan_digest}+accepted" if record.accepted else record.plan_digest


def raw_blob(object_id: str) -> BlobName:
    """Name of the bytes as they were accepted."""
    return BlobName("raw", object_id)


def work_blob(record: ObjectRecord, stage: str) -> BlobName:
    """Name of a stage's result."""
    part = f"{stage}-{record.plan_digest[:_DIGEST_HEX]}"
    return BlobName("work", record.object_id, f"{part}-accepted" if record.accepted else part)


def work_blobs(record: ObjectRecord, plan: ProjectPlan) -> list[BlobName]:
    """Names of the results of all stages, with and without a reviewers' acceptance."""
    return [work_blob(record._replace(accepted=both), stage) for stage in plan.stages for both in (False, True)]


def result_blob(record: ObjectRecord, plan: ProjectPlan) -> BlobName:
    """Name of the bytes that the witness judges and that are released: the last stage's result.

    A reader compares ``BlobInfo.sha256`` with ``record.output_sha256``.
    """
    return work_blob(record, last_stage(record, plan))


def last_stage(record: ObjectRecord, plan: ProjectPlan) -> str:
    """Return the stage whose result is the object's: the one that its record names once all are done."""
    return record.stage if record.stage in plan.stages else plan.stages[-1]
