"""A case as its events make it, every signature checked again. Nothing here trusts the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarnhelm.common.errors import CASE_UNKNOWN, CASES_DAMAGED, TarnhelmError
from tarnhelm.reveal.core.cases import LIFE, Case, Step, Verdict, Wish, case_of
from tarnhelm.reveal.core.documents import CASE, COLLECT, DECISION, Signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.reveal.core.people import Register
    from tarnhelm.reveal.core.store import CaseEvent

__all__ = ["CaseView", "SignedStep", "view_of"]


@dataclass(frozen=True, slots=True)
class SignedStep:
    """One event, with the facts of its signature.

    Attributes
    ----------
    step, time
        What, and when it was recorded.
    person, key
        Who signed, and with which Ed25519 public key; empty for an expiry, which nobody signs.
    signed_time
        The time in the document.
    digest, signature
        sha256 (hex) of what is signed, and the signature.
    audit
        ``writer:line`` of the audit.
    """

    step: Step
    time: int
    person: str = ""
    key: bytes = b""
    signed_time: int = 0
    digest: str = ""
    signature: bytes = b""
    audit: str = ""


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case, its digest, where it stands, and all that happened to it."""

    case: Case
    digest: str
    state: Verdict
    steps: tuple[SignedStep, ...]

    def state_at(self, now: int) -> Verdict:
        """Where it stands by the clock: a time that has passed expires a case whether or not that was recorded."""
        open_still = self.state in {Verdict.OPENED, Verdict.APPROVED}
        return Verdict.EXPIRED if open_still and now > self.case.expires else self.state

    def step(self, step: Step) -> SignedStep | None:
        """Give the last event of a kind."""
        return next((found for found in reversed(self.steps) if found.step is step), None)


def view_of(events: Sequence[CaseEvent], register: Register) -> CaseView:
    """Fold the events of one case.

    Raises
    ------
    TarnhelmError
        RVL-008 without events; RVL-025 where a step is not in the table, a signature does not hold, or a
        decision is by the human who asked.
    """
    if not events:
        raise TarnhelmError(CASE_UNKNOWN)
    try:
        return _folded(events, register)
    except (TarnhelmError, ValueError):
        raise TarnhelmError(CASES_DAMAGED) from None


def _folded(events: Sequence[CaseEvent], register: Register) -> CaseView:
    opening = Signed.from_bytes(events[0].document, CASE)
    case, digest = case_of(opening), opening.digest
    state = Verdict.NONE
    steps = []
    for event in events:
        following = LIFE.get((state, event.step))
        if following is None or event.case != case.id:
            raise TarnhelmError(CASES_DAMAGED)
        state = following
        steps.append(_checked(event, case, digest, register))
    return CaseView(case, digest, state, tuple(steps))


def _checked(event: CaseEvent, case: Case, digest: str, register: Register) -> SignedStep:
    if event.step is Step.EXPIRE:
        return SignedStep(event.step, event.time, audit=event.audit)
    label = {Step.OPEN: CASE, Step.USE: COLLECT}.get(event.step, DECISION)
    signed = Signed.from_bytes(event.document, label)
    if event.step is Step.OPEN:
        person, signed_time, of_case = case.requester, case.opened, digest
    else:
        wish = Wish.of(signed)
        person, signed_time, of_case = wish.person, wish.time, wish.case_digest
        if wish.decision not in {None, event.step}:
            raise TarnhelmError(CASES_DAMAGED)
    by_requester = label != DECISION
    if of_case != digest or by_requester != (person == case.requester):
        raise TarnhelmError(CASES_DAMAGED)
    if not by_requester and register.same_human(person, case.requester):
        raise TarnhelmError(CASES_DAMAGED)
    key = next((entry.signing_key for entry in register.ever(person) if signed.holds(entry.signing_key)), None)
    if key is None or (by_requester and key.hex() != case.requester_key):
        raise TarnhelmError(CASES_DAMAGED)
    return SignedStep(event.step, event.time, person, key, signed_time, signed.digest, signed.signature, event.audit)
