"""One object's road for people: what was kept of each step, put in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tarnhelm.gateway.stream import road

if TYPE_CHECKING:
    from tarnhelm.common.stage import StageOutcome
    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.state import Step, StreamStore

__all__ = ["RoadStep", "road_of", "stages_of"]

Counted = Mapping[tuple[str, str], int]
_NOTHING: Final[Counted] = {}
_DONE: Final = "done"


@dataclass(frozen=True, slots=True)
class RoadStep:
    """One step; see ``RoadStep`` in ``admin.proto``."""

    step: str
    status: str = _DONE
    code: str = ""
    message: str = ""
    at: float = 0.0
    seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    findings: Counted = field(default_factory=lambda: _NOTHING)
    actions: Counted = field(default_factory=lambda: _NOTHING)


def stages_of(store: StreamStore, record: ObjectRecord) -> Sequence[str]:
    """Names of the stages of an object's plan, in order."""
    plan = store.plan(record.plan_digest)
    return plan.stages if plan is not None else ()


def road_of(
    store: StreamStore, record: ObjectRecord, deliveries: Callable[[str], Iterable[RoadStep]] = lambda _object_id: ()
) -> list[RoadStep]:
    """Return the steps of an object, the oldest first.

    Parameters
    ----------
    deliveries
        Gives what was delivered where.
    """
    stages = stages_of(store, record)
    outcomes = {stage: store.outcome(record.object_id, stage, road.outcome_key(record)) for stage in stages}
    noted = list(store.steps(record.object_id))
    last = {step.step: place for place, step in enumerate(noted)}
    steps = [_step(one, outcomes.get(one.step) if last[one.step] == place else None) for place, one in enumerate(noted)]
    named = {step.step for step in steps}
    steps += [
        _step_of_outcome(stage, outcome)
        for stage, outcome in outcomes.items()
        if outcome is not None and stage not in named
    ]
    steps += deliveries(record.object_id)
    if not noted or noted[0].step != "admitted":
        steps.insert(0, RoadStep("admitted", at=record.received, bytes_in=record.size))
    return steps


def _step(step: Step, outcome: StageOutcome | None) -> RoadStep:
    """A step as it was noted; the outcome that is recorded now belongs to the last one of its stage."""
    if outcome is None:
        return RoadStep(step.step, "" if step.code else _DONE, step.code, at=step.at, seconds=step.seconds)
    return RoadStep(
        step.step,
        outcome.status.value,
        step.code or outcome.code,
        outcome.message,
        step.at,
        step.seconds or outcome.seconds,
        outcome.source_bytes,
        outcome.output_bytes,
        outcome.findings,
        outcome.actions,
    )


def _step_of_outcome(stage: str, outcome: StageOutcome) -> RoadStep:
    return RoadStep(
        stage,
        outcome.status.value,
        outcome.code,
        outcome.message,
        0.0,
        outcome.seconds,
        outcome.source_bytes,
        outcome.output_bytes,
        outcome.findings,
        outcome.actions,
    )
