"""The seam of the state store; one contract suite runs over every implementation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from tarnhelm.common.stage import StageOutcome
from tarnhelm.gateway.record import ManifestEntry, ObjectRecord, RunRecord, State

__all__ = ["Decision", "History", "StaleRecordError", "StateStore"]


class StaleRecordError(RuntimeError):
    """Somebody else changed the record first; read it again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer decided about one object, for good."""

    object_id: str
    kind: str
    """``accept``, ``reject`` or ``retry``."""
    by: str
    reason: str
    code: str
    """The code that the entry had."""
    decided: float


@dataclass(frozen=True, slots=True)
class History:
    """One object as a report wants it.

    Attributes
    ----------
    outcomes
        Of one stage, by plan digest.
    findings
        Of the last verdict: (code, attribute) → count.
    """

    record: ObjectRecord
    outcomes: Mapping[str, StageOutcome]
    findings: Mapping[tuple[str, str], int]


class StateStore(Protocol):
    """Records, outcomes, duplicates index, manifest, runs and decisions.

    Writes may be batched: they are durable after :meth:`flush`, in the order in which they were made, all of
    a batch or none.
    """

    def add(self, record: ObjectRecord) -> bool:
        """Enter a new record; false if its id is known already (nothing changes then)."""
        ...

    def get(self, object_id: str) -> ObjectRecord | None:
        """Return the record of an id."""
        ...

    def save(self, record: ObjectRecord, was: ObjectRecord) -> None:
        """Compare-and-set on (object id, state, revision) of ``was``; raises StaleRecordError.

        Within :meth:`~tarnhelm.gateway.state.stream.StreamStore.together` the error may come as late as its end.
        """
        ...

    def put_outcome(self, object_id: str, stage: str, plan_digest: str, outcome: StageOutcome) -> StageOutcome:
        """Put if absent; returns the outcome that is recorded: the first one wins."""
        ...

    def outcome(self, object_id: str, stage: str, plan_digest: str) -> StageOutcome | None:
        """Return the recorded outcome."""
        ...

    def drop_outcomes(self, object_id: str) -> None:
        """Forget all outcomes of an object that a reviewer sends through the stages again."""
        ...

    def put_verdict(self, object_id: str, findings: Mapping[tuple[str, str], int], code: str) -> None:
        """Keep what the witness found (codes and attributes, no values); the last one counts."""
        ...

    def verdict(self, object_id: str) -> tuple[str, Mapping[tuple[str, str], int]]:
        """Code and findings of the last verdict."""
        ...

    def link_source(self, source: bytes, object_id: str) -> None:
        """Remember that a source digest is this object: several places may hold the same bytes."""
        ...

    def find_source(self, source: bytes) -> ObjectRecord | None:
        """Return the record that a source digest belongs to."""
        ...

    def path_taken(self, output_path: str, object_id: str) -> bool:
        """Whether another object has this output path."""
        ...

    def add_manifest(self, entry: ManifestEntry) -> None:
        """Record one release."""
        ...

    def manifest(self) -> Iterator[ManifestEntry]:
        """All releases in order."""
        ...

    def records(self, *states: State) -> Iterator[ObjectRecord]:
        """Yield the records in any of ``states`` (all without an argument), in a stable order."""
        ...

    def counts(self) -> Mapping[State, int]:
        """How many records are in each state."""
        ...

    def codes(self, state: State) -> Mapping[str, int]:
        """How many records of ``state`` have each code."""
        ...

    def history(self, stage: str) -> Iterator[History]:
        """Yield every record with its outcomes of ``stage`` and what the witness found, in a stable order."""
        ...

    def put_run(self, run: RunRecord) -> None:
        """Enter or renew one run."""
        ...

    def runs(self) -> Iterator[RunRecord]:
        """All runs in order."""
        ...

    def decide(self, decision: Decision) -> None:
        """Record a reviewer's decision."""
        ...

    def decisions(self) -> Iterator[Decision]:
        """All decisions in order."""
        ...

    def flush(self) -> None:
        """Make everything written so far durable."""
        ...

    def close(self) -> None:
        """Flush and let go."""
        ...
