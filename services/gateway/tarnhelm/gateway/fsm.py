"""The states of an object and the only ways between them (a table; an unknown pair raises).

One property carries the product: RELEASED is reachable only from VERIFIED, and VERIFIED only by a signed
clean verdict on the sha256 that is released, under the policy digest of the plan. :class:`Lifecycle` holds
the second half; nothing else may change the state of a record.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.record import ObjectRecord, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tarnhelm.gateway.verdict import SignedVerdict

__all__ = ["TABLE", "TERMINAL", "Event", "Lifecycle", "UnknownTransitionError", "next_state"]


class Event(StrEnum):
    """What can happen to an object."""

    ADMIT = "admit"
    """Its bytes are safe and its id is known."""
    REFUSE = "refuse"
    """It cannot be read or is not wanted; the sender hears of it."""
    START = "start"
    """A stage has it in hand."""
    STAGE_DONE = "stage-done"
    """The stage's outcome is recorded and its result stands in a work blob."""
    SKIP = "skip"
    """The stage says it is litter (no image, a DICOMDIR)."""
    FAIL = "fail"
    """It cannot be cleaned as it is."""
    PARK = "park"
    """A dependency is not there; the object is fine."""
    UNPARK = "unpark"
    """The dependency is back."""
    JUDGE = "judge"
    """All stages are done; the witness has it in hand."""
    CLEAN_VERDICT = "clean-verdict"
    """The witness signed that these bytes are clean."""
    FINDING = "finding"
    """The witness found something, or could not decide."""
    RELEASE = "release"
    """The verified bytes stand at their destination."""
    PURGE = "purge"
    """Raw and work blobs are gone."""
    RETRY = "retry"
    """A reviewer sends it through all stages again."""
    ACCEPT = "accept"
    """A reviewer accepted unchecked pixels; it goes through all stages and the witness again."""
    REJECT = "reject"
    """A reviewer, a stage, or a withdrawal order decided that it is never released."""
    SUPERSEDE = "supersede"
    """Another content under the same SOP Instance UID has come, and this one is not verified yet."""
    RECOVER = "recover"
    """The process died or was stopped; the work is done again from the source."""


class UnknownTransitionError(ValueError):
    """The event cannot happen in this state: a programming error, never an object's fault."""


_S, _E = State, Event
TABLE: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (_S.RECEIVED, _E.ADMIT): _S.ADMITTED,
        (_S.RECEIVED, _E.REFUSE): _S.REJECTED,
        (_S.ADMITTED, _E.START): _S.RUNNING,
        (_S.READY, _E.START): _S.RUNNING,
        (_S.RUNNING, _E.STAGE_DONE): _S.READY,
        (_S.RUNNING, _E.SKIP): _S.SKIPPED,
        (_S.RUNNING, _E.REJECT): _S.REJECTED,
        (_S.READY, _E.JUDGE): _S.WITNESSING,
        (_S.WITNESSING, _E.CLEAN_VERDICT): _S.VERIFIED,
        (_S.WITNESSING, _E.FINDING): _S.QUARANTINED,
        (_S.VERIFIED, _E.RELEASE): _S.RELEASED,
        (_S.RELEASED, _E.PURGE): _S.PURGED,
        (_S.REJECTED, _E.PURGE): _S.PURGED,
        (_S.SKIPPED, _E.PURGE): _S.PURGED,
        (_S.ADMITTED, _E.FAIL): _S.QUARANTINED,
        (_S.RUNNING, _E.FAIL): _S.QUARANTINED,
        (_S.READY, _E.FAIL): _S.QUARANTINED,
        (_S.WITNESSING, _E.FAIL): _S.QUARANTINED,
        (_S.VERIFIED, _E.FAIL): _S.QUARANTINED,
        (_S.WAITING, _E.FAIL): _S.QUARANTINED,
        (_S.ADMITTED, _E.PARK): _S.WAITING,
        (_S.RUNNING, _E.PARK): _S.WAITING,
        (_S.READY, _E.PARK): _S.WAITING,
        (_S.WITNESSING, _E.PARK): _S.WAITING,
        (_S.VERIFIED, _E.PARK): _S.WAITING,
        (_S.WAITING, _E.UNPARK): _S.ADMITTED,
        (_S.ADMITTED, _E.REFUSE): _S.REJECTED,
        (_S.QUARANTINED, _E.RETRY): _S.ADMITTED,
        (_S.QUARANTINED, _E.ACCEPT): _S.ADMITTED,
        (_S.QUARANTINED, _E.REJECT): _S.REJECTED,
        (_S.WAITING, _E.REJECT): _S.REJECTED,
        (_S.ADMITTED, _E.REJECT): _S.REJECTED,
        (_S.READY, _E.REJECT): _S.REJECTED,
        (_S.WITNESSING, _E.REJECT): _S.REJECTED,
        (_S.VERIFIED, _E.REJECT): _S.REJECTED,
        (_S.ADMITTED, _E.SUPERSEDE): _S.REJECTED,
        (_S.RUNNING, _E.SUPERSEDE): _S.REJECTED,
        (_S.READY, _E.SUPERSEDE): _S.REJECTED,
        (_S.WITNESSING, _E.SUPERSEDE): _S.REJECTED,
        (_S.WAITING, _E.SUPERSEDE): _S.REJECTED,
        (_S.QUARANTINED, _E.SUPERSEDE): _S.REJECTED,
        (_S.ADMITTED, _E.RECOVER): _S.ADMITTED,
        (_S.RUNNING, _E.RECOVER): _S.ADMITTED,
        (_S.READY, _E.RECOVER): _S.ADMITTED,
        (_S.WITNESSING, _E.RECOVER): _S.ADMITTED,
        (_S.VERIFIED, _E.RECOVER): _S.ADMITTED,
        (_S.WAITING, _E.RECOVER): _S.ADMITTED,
    }
)

TERMINAL: Final = frozenset({State.RELEASED, State.QUARANTINED, State.REJECTED, State.SKIPPED, State.PURGED})
"""States in which a run leaves an object alone."""

ACCEPTABLE: Final = frozenset(
    {errors.TEXT_UNCHECKED.code, errors.FACE_UNCHECKED.code, errors.TEXT_AND_FACE_UNCHECKED.code}
)
"""Codes that a reviewer may overrule; a finding of the witness is never among them."""


def next_state(state: State, event: Event) -> State:
    """Look the pair up; raises UnknownTransitionError."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise UnknownTransitionError(f"{event} cannot happen in {state}") from None


class Lifecycle:
    """Steps a record through the table, with the guards that the table cannot say.

    Parameters
    ----------
    verify
        Checks the signature of a verdict with the witness's public key.
    """

    def __init__(self, verify: Callable[[SignedVerdict], bool]) -> None:
        self._verify = verify

    def step(
        self,
        record: ObjectRecord,
        *events: Event,
        stage: str | None = None,
        code: str | None = None,
        **changes: Any,
    ) -> ObjectRecord:
        """Return the record after ``events`` with other fields changed; not for the two events that need evidence.

        Raises
        ------
        UnknownTransitionError
            The table has no such pair, or the event needs evidence.
        TarnhelmError
            ``RUN-008``: the entry cannot be accepted.
        """
        state = record.state
        accepted = record.accepted
        for event in events:
            if event in (Event.CLEAN_VERDICT, Event.RELEASE):
                raise UnknownTransitionError(f"{event} needs evidence")
            if event is Event.ACCEPT:
                if record.code not in ACCEPTABLE:
                    raise TarnhelmError(errors.NOT_ACCEPTABLE)
                accepted = True
            state = next_state(state, event)
        return record._replace(
            state=state,
            revision=record.revision + 1,
            stage=record.stage if stage is None else stage,
            code=("" if state is not State.QUARANTINED and code is None else code or record.code),
            accepted=accepted,
            **changes,
        )

    def verified(self, record: ObjectRecord, verdict: SignedVerdict, output_path: str = "") -> ObjectRecord:
        """Return the record after a clean verdict; raises ``WIT-006`` for any verdict that does not fit."""
        state = next_state(record.state, Event.CLEAN_VERDICT)
        fits = (
            verdict.clean
            and verdict.object_id == record.object_id
            and verdict.policy_digest == record.policy_digest
            and len(verdict.output_sha256) == 64
            and record.output_sha256 in ("", verdict.output_sha256)
        )
        if not fits or not self._verify(verdict):
            raise TarnhelmError(errors.WITNESS_SIGNATURE)
        return record._replace(
            state=state,
            revision=record.revision + 1,
            output_sha256=verdict.output_sha256,
            verdict=verdict.signature,
            code="",
            output_path=output_path,
        )

    def released(self, record: ObjectRecord, sha256: str) -> ObjectRecord:
        """Return the record after its release; ``sha256`` is that of the bytes that were released."""
        state = next_state(record.state, Event.RELEASE)
        if not record.verdict or sha256 != record.output_sha256:
            raise TarnhelmError(errors.RESULT_CHANGED)
        return record._replace(state=state, revision=record.revision + 1, locator=b"")
