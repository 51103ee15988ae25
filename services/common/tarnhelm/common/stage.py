"""The seam of a stage: a job in, an outcome out, wherever the stage runs.

``LocalStage`` (a core in bounded worker processes) and ``RemoteStage`` (a gRPC stub) implement
:class:`Stage`; a *core* is a plain callable that knows neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from tarnhelm.common.assign import Assigner
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "CONFIG",
    "CONFIG_DIGEST",
    "STAGE",
    "ObjectFacts",
    "Stage",
    "StageCore",
    "StageJob",
    "StageOutcome",
    "Status",
    "outcome_of",
]

CONFIG: Final = "config"
"""Option of a job: the JSON that its stage is configured with for it."""
CONFIG_DIGEST: Final = "config-digest"
"""Option of a job: sha256 (hex) of that JSON, under which a worker keeps what it made of it."""
STAGE: Final = "stage"
"""Option of a job: which step is wanted of workers that know several."""


class Status(StrEnum):
    """How a stage ended for one object."""

    DONE = "done"
    QUARANTINE = "quarantine"
    REJECT = "reject"
    SKIP = "skip"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What later stages must know of an object, under surrogate headers.

    Everything here is free of identifiers: UIDs are surrogates, codes come from closed vocabularies.
    """

    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    body_part: str = ""
    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    frame_of_reference_uid: str = ""
    subject_id: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    samples_per_pixel: int = 0
    bits_allocated: int = 0
    bits_stored: int = 0
    photometric: str = ""
    instance_number: int = 0
    series_number: int = 0
    needs: frozenset[str] = frozenset()
    """Capabilities the gate table asks for: ``ocr``, ``deface``, ``mask``."""
    gate_rule: str = ""
    """Name of the gate rule that decided, for the report."""


@dataclass(frozen=True, slots=True)
class StageJob:
    """One object for one stage.

    Attributes
    ----------
    object_id
        Opaque and keyed (DESIGN §3), never made of a value out of the file.
    source
        File to read. On a laptop this is the user's own file.
    target
        File to write; the stage creates it, fsync and rename are the caller's.
    plan_digest
        sha256 (hex) of recipe, policy, pins and versions: first outcome wins under (object id, stage, plan).
    accept_unchecked_pixels
        The user's express decision; it stands in the report.
    options
        What a stage is configured with for this object alone.
    facts
        What the stage before said of the object.
    earlier
        Name and outcome of each stage before, in their order; ``finalise`` writes its markers from them.
    """

    object_id: str
    source: Path
    target: Path
    plan_digest: str = ""
    offset: int = 0
    size: int = -1
    accept_unchecked_pixels: bool = False
    dry_run: bool = False
    limits: Limits = DEFAULT_LIMITS
    options: Mapping[str, str] = field(default_factory=dict)
    facts: ObjectFacts | None = None
    earlier: tuple[tuple[str, StageOutcome], ...] = ()


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What a stage says of one object: counts and codes, no values.

    Attributes
    ----------
    actions
        (attribute, action) → count, for the report: attribute is a keyword or ``(gggg,eeee)`` or
        ``(gggg,"creator",ee)`` of a creator on the safe list; action as in the recipe grammar.
    findings
        (finding code, attribute) → count: flags for a reviewer, for example an odd value that was removed.
    """

    status: Status
    code: str = ""
    message: str = ""
    facts: ObjectFacts | None = None
    source_sha256: str = ""
    output_sha256: str = ""
    source_bytes: int = 0
    output_bytes: int = 0
    actions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    findings: Mapping[tuple[str, str], int] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    """Codes of CID 7050 that were really applied."""
    seconds: float = 0.0


_STATUS: Final = {
    Disposition.RETRY: Status.RETRY,
    Disposition.QUARANTINE: Status.QUARANTINE,
    Disposition.REJECT: Status.REJECT,
    Disposition.SKIP: Status.SKIP,
    Disposition.USAGE: Status.RETRY,
}


def outcome_of(error: TarnhelmError) -> StageOutcome:
    """Return the outcome of a job that raised, timed out or lost its worker.

    A fault in the configuration (USAGE) is no fault of the object: it waits, like for a dependency.
    """
    site = getattr(error, "site", "")
    message = f"{error.safe_message} [{site}]" if site else error.safe_message
    return StageOutcome(_STATUS[error.disposition], code=error.code, message=message)


class StageCore(Protocol):
    """The work itself, called in a worker process; raises TarnhelmError for whatever it cannot do."""

    def __call__(self, job: StageJob, assigner: Assigner) -> StageOutcome:
        """Process one object."""
        ...


class Stage(Protocol):
    """A stage as the pump sees it."""

    @property
    def name(self) -> str:
        """``metadata``, ``ocr``, ``imaging`` or ``witness``."""
        ...

    def submit(self, job: StageJob) -> Future[StageOutcome]:
        """Start one job. The future never carries an exception for a bad object: that is an outcome."""
        ...

    def close(self) -> None:
        """Finish what runs, then stop the workers."""
        ...
