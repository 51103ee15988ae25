"""The seams between the stream's pumps and whoever works on objects: bytes in, bytes out, no paths.

A pump calls a stage or the witness without knowing where it runs: behind gRPC
(:mod:`tarnhelm.gateway.stages.remote_stage`, :mod:`tarnhelm.gateway.stages.remote_judge`) or in worker processes of its own machine
(:mod:`tarnhelm.gateway.stages.spooled_stage`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from tarnhelm.common.errors import STAGE_LOST
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.trace import TraceContext
    from tarnhelm.gateway.verdict import SignedVerdict

__all__ = [
    "JudgeCall",
    "JudgeClient",
    "Mask",
    "Sink",
    "Source",
    "StageCall",
    "StageClient",
    "SummingSink",
    "counts_as_attempt",
]

Source = Callable[[], Iterator[bytes]]
"""Opens an object and gives its bytes in pieces; may be called again where a call has to be made anew."""
Sink = Callable[[bytes | memoryview], object]
"""Takes the next bytes of a result; see :class:`SummingSink`."""


@runtime_checkable
class SummingSink(Protocol):
    """A sink that computes the digest of what it gets, so that nobody else need."""

    def __call__(self, data: bytes | memoryview) -> object:
        """Take the next bytes."""
        ...

    @property
    def sha256(self) -> str:
        """Of all that came, hex."""
        ...


@dataclass(frozen=True, slots=True)
class StageCall:
    """One object for one stage.

    Attributes
    ----------
    object_id
        Opaque and keyed; never made of a value out of a file.
    project
        Opaque id.
    ticket
        Admission ticket for the assigner; empty for stages that ask for nothing. Each call needs a fresh one.
    plan_digest
        sha256 (hex) of the plan.
    config
        UTF-8 JSON that the stage is configured with.
    size, sha256
        Of the bytes that ``source`` gives; a service refuses any others.
    accept_unchecked_pixels
        An express decision of the site or of a reviewer.
    dry_run
        Nothing is written: an outcome without a result.
    limits
        Bounds of the object, and by them the deadline of the call.
    facts
        What the stage before said of the object; None for the first stage.
    earlier
        Name and outcome of each stage before, in their order; only ``finalise`` reads them.
    trace
        The span of the call.
    """

    object_id: str
    project: str
    ticket: bytes = field(repr=False)
    plan_digest: str
    config: bytes = field(repr=False)
    size: int
    sha256: str
    accept_unchecked_pixels: bool = False
    dry_run: bool = False
    limits: Limits = DEFAULT_LIMITS
    facts: ObjectFacts | None = None
    earlier: tuple[tuple[str, StageOutcome], ...] = ()
    trace: TraceContext | None = None


class StageClient(Protocol):
    """A stage as the stream's pump sees it; safe among threads."""

    @property
    def name(self) -> str:
        """``metadata``, ``ocr``, ``imaging`` or ``finalise``."""
        ...

    def process(self, call: StageCall, source: Source, sink: Sink) -> StageOutcome:
        """Work on one object, and wait for it.

        A bad object is an outcome, never an exception; what ``source`` and ``sink`` raise goes through. With DONE
        the sink got exactly the bytes of ``output_sha256``; with anything else what it got is to be thrown away.
        RETRY says that nothing is known to be wrong with the object: see :func:`counts_as_attempt`.
        """
        ...

    def close(self) -> None:
        """Finish what runs and let go of what is held."""
        ...


def counts_as_attempt(outcome: StageOutcome) -> bool:
    """Whether a RETRY may be the object's own doing (``STG-006``: lost after it was accepted).

    Such attempts are counted and bounded. Every other RETRY is a dependency's, and is waited for without limit.
    """
    return outcome.status is Status.RETRY and outcome.code == STAGE_LOST.code


class Mask(NamedTuple):
    """A rectangle that a stage reports to have painted over; frame -1 means every frame."""

    frame: int
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class JudgeCall:
    """Source and result of one object, for the witness.

    Attributes
    ----------
    policy
        UTF-8 JSON.
    policy_digest
        The digest inside the policy.
    source_size, result_size
        Bytes.
    result_sha256
        Hex, of the bytes that would be released.
    masks
        What stages report to have painted over; of their reports the witness learns no more.
    source_sha256
        Hex; checked where it is given.
    """

    object_id: str
    policy: bytes = field(repr=False)
    policy_digest: str
    source_size: int
    result_size: int
    result_sha256: str
    masks: tuple[Mask, ...] = ()
    source_sha256: str = ""
    limits: Limits = DEFAULT_LIMITS
    trace: TraceContext | None = None


class JudgeClient(Protocol):
    """The witness as the stream's pump sees it; safe among threads."""

    def judge(self, call: JudgeCall, source: Source, result: Source) -> SignedVerdict:
        """Have one result judged, and wait for it.

        A verdict that is not clean carries a code. ``STG-005`` (away) and ``STG-006`` (lost after it was accepted)
        say that nothing was judged: they are unsigned, and treated like a stage's RETRY of the same code.
        """
        ...

    def close(self) -> None:
        """Finish what runs and let go of what is held."""
        ...
