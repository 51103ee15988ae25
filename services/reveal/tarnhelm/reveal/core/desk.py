"""The desk: takes signed documents, checks them, writes the audit, and only then lets anything happen.

Nothing here asks who is logged in: a person is who signed. A server in front asks that besides.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import (
    CASE_DECIDED,
    CASE_DENIED,
    CASE_EXISTS,
    CASE_EXPIRED,
    CASE_INVALID,
    CASE_NOT_APPROVED,
    CASE_OF_OTHER_KIND,
    CASE_USED,
    CLOCKS_DIFFER,
    PERSON_REVOKED,
    SAME_HUMAN,
    TOO_MANY_ANSWERS,
    TOO_MANY_SURROGATES,
    WRONG_SIGNATURE,
    TarnhelmError,
)
from tarnhelm.reveal.core.cases import STEWARD_KINDS, Case, CaseKind, Step, Verdict, Wish, case_of, next_state
from tarnhelm.reveal.core.people import Role
from tarnhelm.reveal.core.store import CaseEvent
from tarnhelm.reveal.core.view import CaseView, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tarnhelm.common.errors import ErrorCode
    from tarnhelm.reveal.core.audit.lines import AuditLine, Head
    from tarnhelm.reveal.core.audit.writer import Audit
    from tarnhelm.reveal.core.documents import Signed
    from tarnhelm.reveal.core.people import Person, Register
    from tarnhelm.reveal.core.store import CaseStore

__all__ = ["Claim", "Desk", "DeskLimits", "Receipt"]

_DAY_SECONDS: Final = 86_400
_WORD: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_ALARMING: Final = frozenset(
    kind.code for kind in (WRONG_SIGNATURE, SAME_HUMAN, CASE_EXISTS, CASE_USED, TOO_MANY_ANSWERS, CLOCKS_DIFFER)
)
"""Refusals that look like somebody trying."""


@dataclass(frozen=True, slots=True)
class DeskLimits:
    """Bounds that a hospital sets.

    Attributes
    ----------
    answers_per_day_of_requester, answers_per_day_of_project
        Cases used in 24 hours.
    surrogates_per_case
        A ``mapping`` case names none and is not bounded by it.
    longest_case_days
        Between opening and expiry.
    clock_skew_seconds
        By so much a signer's clock may differ from this one.
    """

    answers_per_day_of_requester: int = 20
    answers_per_day_of_project: int = 100
    surrogates_per_case: int = 100
    longest_case_days: int = 90
    clock_skew_seconds: int = 300


@dataclass(frozen=True, slots=True)
class Claim:
    """A case that was found approved, and the signed wish to use it now. Worth nothing until :meth:`Desk.finish`."""

    view: CaseView
    wish: Signed

    @property
    def case(self) -> Case:
        """The case."""
        return self.view.case


@dataclass(frozen=True, slots=True)
class Receipt:
    """The audit line of a use, and the signed head over it; holds no identifier."""

    line: AuditLine
    head: Head


class Desk:
    """Opens, decides and uses cases. Safe among threads.

    Parameters
    ----------
    register
        Gives the register as it is now.
    store
        Of cases; shared with other desks if need be.
    audit
        This process's.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        register: Callable[[], Register],
        store: CaseStore,
        audit: Audit,
        *,
        clock: Callable[[], int],
        limits: DeskLimits | None = None,
    ) -> None:
        self._register = register
        self._store = store
        self._audit = audit
        self._clock = clock
        self._limits = limits or DeskLimits()
        self._lock = threading.RLock()

    # --- looking ---------------------------------------------------------------------------------------------

    def view(self, case_id: str) -> CaseView:
        """Give a case, all its signatures checked; RVL-008, RVL-025."""
        return view_of(self._store.events(case_id), self._register())

    def views(self, project: str = "") -> Iterator[CaseView]:
        """All cases by time of opening, of one project or of all."""
        register = self._register()
        for case_id in self._store.cases(project):
            yield view_of(self._store.events(case_id), register)

    # --- opening and deciding --------------------------------------------------------------------------------

    def open(self, signed: Signed) -> Case:
        """Record a case.

        Raises
        ------
        TarnhelmError
            RVL-001, -003, -004 where who asks may not; RVL-009, -020 where the case is out of bounds; RVL-010
            for an id that was used before; RVL-012 for a wrong signature; RVL-013 for clocks too far apart.
        """
        case = case_of(signed)
        with self._lock, self._refusals("open", case.id, case.requester, case.project):
            self._check_opening(case, signed)
            line = self._audit.append(
                "case-opened",
                case=case.id,
                digest=signed.digest,
                person=case.requester,
                project=case.project,
                kind=str(case.kind),
                surrogates=len(case.surrogates),
            )
            self._add(case, 0, Step.OPEN, signed, line, CASE_EXISTS)
        return case

    def decide(self, case_id: str, signed: Signed) -> CaseView:
        """Record an approval or a denial.

        Raises
        ------
        TarnhelmError
            RVL-011 where the decision is by the human who asked (same id, key or identity-provider subject);
            RVL-012 for a wrong signature or another case; RVL-013, -014, -016, -017, -018.
        """
        wish = Wish.of(signed)
        with self._lock:
            view = self._current(case_id)
            case = view.case
            with self._refusals("decide", case.id, wish.person, case.project):
                self._check_decision(view, wish, signed)
                step = Step.APPROVE if wish.decision is Step.APPROVE else Step.DENY
                self._check_life(view, step)
                line = self._audit.append(
                    "case-approved" if step is Step.APPROVE else "case-denied",
                    case=case.id,
                    digest=view.digest,
                    person=wish.person,
                    project=case.project,
                )
                self._add(case, len(view.steps), step, signed, line, CASE_DECIDED, person=wish.person)
            return self.view(case_id)

    # --- using -----------------------------------------------------------------------------------------------

    def claim(self, case_id: str, signed: Signed, kinds: frozenset[CaseKind]) -> Claim:
        """Check that the case may be used now, by who signed; audited and anchored before any link is opened.

        Raises
        ------
        TarnhelmError
            RVL-015 where it is not approved, RVL-014, -016, -017 where it is over, RVL-032 where it is of
            another kind, RVL-004 where either person was revoked since, RVL-019 over the day's limit.
        """
        wish = Wish.of(signed)
        with self._lock:
            view = self._current(case_id)
            case = view.case
            with self._refusals("use", case.id, wish.person, case.project):
                claim = Claim(view, signed)
                self._check_use(claim, kinds)
                self._check_fresh(wish.time)
                self._audit.append(
                    "use-begun",
                    case=case.id,
                    digest=view.digest,
                    person=case.requester,
                    project=case.project,
                    kind=str(case.kind),
                )
                self._audit.head()
            return claim

    def finish(self, claim: Claim, *, result: str, found: int, records: int) -> Receipt:
        """Spend the case. What it gives may be handed out only after this returned.

        All is checked again: since the claim somebody may have denied the case, used it, or revoked a person.

        Parameters
        ----------
        result
            sha256 (hex) of what will be handed out or was ordered.
        found, records
            Counts for the audit.
        """
        case = claim.case
        with self._lock, self._store.turn(), self._refusals("use", case.id, case.requester, case.project):
            view = self._current(case.id)
            self._check_use(Claim(view, claim.wish), frozenset({case.kind}))
            line = self._audit.append(
                "used",
                case=case.id,
                digest=view.digest,
                person=case.requester,
                project=case.project,
                kind=str(case.kind),
                result=result,
                found=found,
                records=records,
            )
            head = self._audit.head()
            self._add(case, len(view.steps), Step.USE, claim.wish, line, CASE_USED)
            return Receipt(line, head)

    def abandon(self, claim: Claim, code: str) -> None:
        """Tell the audit that a claim came to nothing, and why; links may have been opened by then. Spends nothing."""
        case = claim.case
        self._audit.append(
            "refused", case=case.id, person=case.requester, project=case.project, code=code, step="links"
        )

    # --- checks ----------------------------------------------------------------------------------------------

    def _check_opening(self, case: Case, signed: Signed) -> None:
        limits = self._limits
        role = Role.STEWARD if case.kind in STEWARD_KINDS else Role.REQUESTER
        person = self._register().active(case.requester, role)
        keys = (person.signing_key.hex(), person.answer_key.hex())
        if keys != (case.requester_key, case.answer_key) or not signed.holds(person.signing_key):
            raise TarnhelmError(WRONG_SIGNATURE)
        self._check_fresh(case.opened)
        if not self._now() < case.expires <= case.opened + limits.longest_case_days * _DAY_SECONDS:
            raise TarnhelmError(CASE_INVALID)
        if len(case.surrogates) > limits.surrogates_per_case:
            raise TarnhelmError(TOO_MANY_SURROGATES, limit=limits.surrogates_per_case)
        if self._store.events(case.id) or self._audit.was_used(case.id):
            raise TarnhelmError(CASE_EXISTS)

    def _check_decision(self, view: CaseView, wish: Wish, signed: Signed) -> None:
        register = self._register()
        case = view.case
        person = register.active(wish.person, Role.APPROVER)
        if wish.case_digest != view.digest or not signed.holds(person.signing_key):
            raise TarnhelmError(WRONG_SIGNATURE)
        requester_keys = {case.requester_key, case.answer_key}
        own_keys = {person.signing_key.hex(), person.answer_key.hex()}
        if register.same_human(person.id, case.requester) or requester_keys & own_keys:
            raise TarnhelmError(SAME_HUMAN)
        register.active(case.requester)
        self._check_fresh(wish.time)

    def _check_use(self, claim: Claim, kinds: frozenset[CaseKind]) -> None:
        view, case = claim.view, claim.case
        wish = Wish.of(claim.wish)
        self._check_life(view, Step.USE)
        if self._audit.was_used(case.id):
            raise TarnhelmError(CASE_USED)
        if case.kind not in kinds:
            raise TarnhelmError(CASE_OF_OTHER_KIND)
        register = self._register()
        requester = register.active(case.requester, Role.STEWARD if case.kind in STEWARD_KINDS else Role.REQUESTER)
        approval = view.step(Step.APPROVE)
        if approval is None:
            raise TarnhelmError(CASE_NOT_APPROVED)
        approver = register.active(approval.person, Role.APPROVER)
        same_keys = _has_keys(requester, case) and approver.signing_key == approval.key
        if not same_keys:
            raise TarnhelmError(PERSON_REVOKED)
        own = wish.decision is None and wish.person == case.requester and wish.case_digest == view.digest
        if not own or not claim.wish.holds(requester.signing_key):
            raise TarnhelmError(WRONG_SIGNATURE)
        self._check_rate(case)

    def _check_rate(self, case: Case) -> None:
        limits = self._limits
        used = self._store.uses(case.requester, case.project, self._now() - _DAY_SECONDS)
        if used.of_person >= limits.answers_per_day_of_requester:
            raise TarnhelmError(TOO_MANY_ANSWERS, limit=limits.answers_per_day_of_requester)
        if used.of_project >= limits.answers_per_day_of_project:
            raise TarnhelmError(TOO_MANY_ANSWERS, limit=limits.answers_per_day_of_project)

    def _now(self) -> int:
        """Give the time by which cases expire and days are counted: a clock put back does not make it earlier."""
        last = self._audit.last
        return max(self._clock(), last.time if last is not None else 0)

    def _check_fresh(self, signed_time: int) -> None:
        seconds = self._limits.clock_skew_seconds
        if abs(self._clock() - signed_time) > seconds:
            raise TarnhelmError(CLOCKS_DIFFER, seconds=seconds)

    def _check_life(self, view: CaseView, step: Step) -> None:
        if next_state(view.state, step) is not None:
            return
        over = {Verdict.USED: CASE_USED, Verdict.DENIED: CASE_DENIED, Verdict.EXPIRED: CASE_EXPIRED}
        otherwise = CASE_NOT_APPROVED if step is Step.USE else CASE_DECIDED
        raise TarnhelmError(over.get(view.state, otherwise))

    # --- recording -------------------------------------------------------------------------------------------

    def _current(self, case_id: str) -> CaseView:
        """Give a case, and record that its time has passed: a clock put back later does not revive it."""
        view = self.view(case_id)
        if view.state_at(self._now()) is not Verdict.EXPIRED or view.state is Verdict.EXPIRED:
            return view
        line = self._audit.append("case-expired", case=case_id, project=view.case.project)
        self._add(view.case, len(view.steps), Step.EXPIRE, None, line, CASE_EXPIRED, person="")
        return self.view(case_id)

    def _add(
        self,
        case: Case,
        before: int,
        step: Step,
        signed: Signed | None,
        line: AuditLine,
        otherwise: ErrorCode,
        *,
        person: str | None = None,
    ) -> None:
        document = b"" if signed is None else signed.to_bytes()
        who = case.requester if person is None else person
        where = f"{line.writer}:{line.sequence}"
        event = CaseEvent(case.id, before + 1, step, line.time, document, case.project, who, where)
        if not self._store.add(event):
            raise TarnhelmError(otherwise)

    @contextmanager
    def _refusals(self, step: str, case: str, person: str, project: str) -> Iterator[None]:
        """Audit every refusal; one that looks like somebody trying is an alarm."""
        try:
            yield
        except TarnhelmError as error:
            if error.code not in {"RVL-022", "RVL-023"}:
                words = {"case": case, "person": person, "project": project}
                shown = {name: word for name, word in words.items() if _WORD.fullmatch(word)}
                event = "alarm" if error.code in _ALARMING else "refused"
                self._audit.append(event, code=error.code, step=step, **shown)
            raise


def _has_keys(person: Person, case: Case) -> bool:
    return (person.signing_key.hex(), person.answer_key.hex()) == (case.requester_key, case.answer_key)
