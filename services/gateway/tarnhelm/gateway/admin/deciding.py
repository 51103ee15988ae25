"""Decisions of people on objects: who may, on what, with a second person, one by one or in bulk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.admin.people import Person, signed, unsigned
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.fsm import ACCEPTABLE
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state.base import Decision, StaleRecordError

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.state.base import StateStore
    from tarnhelm.gateway.state.reading import Selection, StateReading

__all__ = ["PROPOSE", "Decided", "Decisions", "Desk", "Verb", "open_proposals"]

PROPOSE: Final = "propose"
"""Kind of the line that a proposal leaves in the record of decisions."""
_PAGE: Final = 500
_LEAST_REASON, _MOST_REASON = 3, 500


class Verb(StrEnum):
    """What can be decided."""

    RETRY = "retry"
    REJECT = "reject"
    PROPOSE = "propose"
    CONFIRM = "confirm"


_FROM: Final[Mapping[Verb, frozenset[State]]] = {
    Verb.RETRY: frozenset({State.QUARANTINED}),
    Verb.REJECT: frozenset({State.QUARANTINED, State.WAITING}),
    Verb.PROPOSE: frozenset({State.QUARANTINED}),
    Verb.CONFIRM: frozenset({State.QUARANTINED}),
}


class Decisions(Protocol):
    """Carries a decision out: the record of it, the object's state, and the message that wakes its next stage.

    Each raises TarnhelmError where the object cannot be decided on, and StaleRecordError where somebody was faster.
    """

    def retry(self, object_id: str, *, by: str, reason: str) -> ObjectRecord:
        """Send an object through all stages again."""
        ...

    def reject(self, object_id: str, *, by: str, reason: str) -> ObjectRecord:
        """End an object: it is never released."""
        ...

    def propose(self, object_id: str, *, by: str, reason: str) -> None:
        """Propose to accept unchecked pixels; changes nothing else."""
        ...

    def accept(self, object_id: str, *, by: str, reason: str) -> ObjectRecord:
        """Accept unchecked pixels, and send the object through all stages and the witness again."""
        ...


@dataclass(frozen=True, slots=True)
class Decided:
    """How it went for one object; ``code`` is empty where it was done."""

    object_id: str
    state: str = ""
    code: str = ""
    message: str = ""


class Desk:
    """Where people decide.

    Accepting takes two: one proposes, which changes nothing, and another confirms. A proposal stands until the next
    decision on the object, and only for the code that it was made for. What the witness found is not among the codes
    that can be accepted, and whatever is accepted meets the witness again.

    Parameters
    ----------
    decisions
        Carries them out; :class:`tarnhelm.gateway.stream.decisions.Decisions`.
    max_objects
        Of one decision.
    """

    def __init__(
        self, store: StateStore, reading: StateReading, decisions: Decisions, log: EventLog, max_objects: int
    ) -> None:
        self._store = store
        self._reading = reading
        self._decisions = decisions
        self._log = log
        self._most = max_objects

    def decide(self, person: Person, verb: Verb, object_ids: Sequence[str], reason: str) -> list[Decided]:
        """Decide on objects one by one; what cannot be decided on is told and stops no other.

        Raises
        ------
        TarnhelmError
            ``WEB-002``, ``WEB-009``, ``WEB-025``: nothing was decided.
        """
        person.needs(Role.REVIEWER)
        reason = _reason(reason)
        wanted = list(dict.fromkeys(object_ids))
        if len(wanted) > self._most:
            raise TarnhelmError(errors.TOO_MANY_OBJECTS, limit=self._most)
        proposals: dict[str, Decision] = {}
        if verb in (Verb.PROPOSE, Verb.CONFIRM):
            proposals = open_proposals(self._reading.decisions_of(wanted))
        return [self._decide(person, verb, object_id, reason, proposals.get(object_id)) for object_id in wanted]

    def count(self, person: Person, verb: Verb, selection: Selection) -> tuple[int, int, int]:
        """Objects and bytes of a selection that can be decided on, and how many cannot."""
        person.needs(Role.REVIEWER)
        found = list(self._possible(person, verb, selection))
        whole, _ = self._reading.count(selection)
        return len(found), sum(record.size for record in found), whole - len(found)

    def decide_matching(
        self, person: Person, verb: Verb, selection: Selection, reason: str, expected: int
    ) -> Mapping[str, int]:
        """Decide on what a selection holds, if it is as many as somebody confirmed.

        Returns
        -------
        Mapping
            Code → how many; the empty code counts what was done.
        """
        person.needs(Role.REVIEWER)
        reason = _reason(reason)
        found = [record.object_id for record in self._possible(person, verb, selection)]
        if len(found) != expected:
            raise TarnhelmError(errors.COUNT_CHANGED, found=len(found), expected=expected)
        counts = Counter(result.code for result in self.decide(person, verb, found, reason))
        done = counts[""]
        self._log(
            events.ADMIN_DECIDED_MANY,
            subject=person.subject,
            decision=verb.value,
            done=done,
            refused=counts.total() - done,
        )
        return counts

    def _possible(self, person: Person, verb: Verb, selection: Selection) -> Iterator[ObjectRecord]:
        states = _FROM[verb] & selection.states if selection.states else _FROM[verb]
        if not states:
            return
        narrowed = replace(selection, states=states)
        if verb in (Verb.PROPOSE, Verb.CONFIRM):
            codes = ACCEPTABLE & selection.codes if selection.codes else ACCEPTABLE
            if not codes:
                return
            narrowed = replace(narrowed, codes=codes)
        last, seen = "", 0
        while page := self._reading.select(narrowed, last, _PAGE):
            proposals: dict[str, Decision] = {}
            if verb in (Verb.PROPOSE, Verb.CONFIRM):
                proposals = open_proposals(self._reading.decisions_of([record.object_id for record in page]))
            for record in page:
                if _refusal(person, verb, record, proposals.get(record.object_id)) is None:
                    seen += 1
                    if seen > self._most:
                        raise TarnhelmError(errors.TOO_MANY_OBJECTS, limit=self._most)
                    yield record
            last = page[-1].object_id

    def _decide(self, person: Person, verb: Verb, object_id: str, reason: str, proposal: Decision | None) -> Decided:
        record = self._store.get(object_id)
        if record is None:
            return self._refused(person, verb, object_id, TarnhelmError(errors.OBJECT_UNKNOWN))
        refusal = _refusal(person, verb, record, proposal)
        if refusal is not None:
            return self._refused(person, verb, object_id, refusal)
        try:
            after = self._carry_out(person, verb, record, reason)
        except StaleRecordError:
            return self._refused(person, verb, object_id, TarnhelmError(errors.OBJECT_MOVED))
        except TarnhelmError as error:
            return self._refused(person, verb, object_id, error)
        self._log(events.ADMIN_DECIDED, subject=person.subject, decision=verb.value, object=object_id, code=record.code)
        return Decided(object_id, after.state.value)

    def _carry_out(self, person: Person, verb: Verb, record: ObjectRecord, reason: str) -> ObjectRecord:
        by = signed(person)
        if verb is Verb.RETRY:
            return self._decisions.retry(record.object_id, by=by, reason=reason)
        if verb is Verb.REJECT:
            return self._decisions.reject(record.object_id, by=by, reason=reason)
        if verb is Verb.CONFIRM:
            return self._decisions.accept(record.object_id, by=by, reason=reason)
        self._decisions.propose(record.object_id, by=by, reason=reason)
        return record

    def _refused(self, person: Person, verb: Verb, object_id: str, error: TarnhelmError) -> Decided:
        self._log(events.ADMIN_REFUSED, subject=person.subject, call=verb.value, code=error.code)
        return Decided(object_id, code=error.code, message=error.safe_message)


def open_proposals(decisions: Sequence[Decision]) -> dict[str, Decision]:
    """Object id → its proposal, of those whose last decision is one."""
    last = {decision.object_id: decision for decision in decisions}
    return {object_id: decision for object_id, decision in last.items() if decision.kind == PROPOSE}


def _refusal(person: Person, verb: Verb, record: ObjectRecord, proposal: Decision | None) -> TarnhelmError | None:
    """Why this person cannot decide this now."""
    if record.state not in _FROM[verb]:
        return TarnhelmError(errors.DECISION_IMPOSSIBLE)
    if verb in (Verb.RETRY, Verb.REJECT):
        return None
    if record.code not in ACCEPTABLE:
        return TarnhelmError(errors.NOT_ACCEPTABLE)
    stands = proposal is not None and proposal.code == record.code
    if verb is Verb.PROPOSE:
        return TarnhelmError(errors.PROPOSED_ALREADY) if stands else None
    if proposal is None or not stands:
        return TarnhelmError(errors.NO_PROPOSAL)
    proposer, _ = unsigned(proposal.by)
    # A line without a subject is nobody's: it may be the same person's.
    return TarnhelmError(errors.SAME_PERSON) if proposer in ("", person.subject) else None


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not _LEAST_REASON <= len(reason) <= _MOST_REASON or not reason.isprintable():
        raise TarnhelmError(errors.REASON_MISSING)
    return reason
