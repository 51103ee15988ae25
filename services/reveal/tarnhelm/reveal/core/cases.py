"""Cases: what is asked, why, by whom; who decided; and the table of what may follow what.

A case is a signed document. So is a decision on it, and the requester's wish to collect. The store keeps them as
events; a case's state is what the table makes of its events, so no field says "approved" that somebody could set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import CASE_INVALID, CASES_DAMAGED, TarnhelmError
from tarnhelm.reveal.core.documents import CASE, COLLECT, DECISION, Signed, sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tarnhelm.reveal.core.keyring import PersonKeys
    from tarnhelm.reveal.core.people import Person

__all__ = [
    "LIFE",
    "STEWARD_KINDS",
    "Case",
    "CaseKind",
    "Step",
    "Verdict",
    "Wish",
    "case_of",
    "collect",
    "decide",
    "next_state",
    "open_case",
]

_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PROJECT: Final = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_SURROGATE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?", re.ASCII)
_DIGEST: Final = re.compile(r"(?:[0-9a-f]{64})?", re.ASCII)
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{8,1000}")
_FORMAT: Final = 1


class CaseKind(StrEnum):
    """What a case is for. The first three are answered; the others are the steward's."""

    ANSWER = "answer"
    LOCATE = "locate"
    MAPPING = "mapping"
    MERGE = "merge"
    UNMERGE = "unmerge"
    SPLIT = "split"
    UNSPLIT = "unsplit"
    WITHDRAW = "withdraw"
    COHORT = "cohort"
    CLOSE_KEYS = "close-keys"
    DESTROY = "destroy"
    RESTORE = "restore"
    EPOCH = "epoch"


STEWARD_KINDS: Final = frozenset(CaseKind) - {CaseKind.ANSWER, CaseKind.LOCATE, CaseKind.MAPPING}


class Step(StrEnum):
    """What can happen to a case."""

    OPEN = "open"
    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"
    USE = "use"


class Verdict(StrEnum):
    """Where a case stands."""

    NONE = "none"
    OPENED = "opened"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"


LIFE: Final[Mapping[tuple[Verdict, Step], Verdict]] = {
    (Verdict.NONE, Step.OPEN): Verdict.OPENED,
    (Verdict.OPENED, Step.APPROVE): Verdict.APPROVED,
    (Verdict.OPENED, Step.DENY): Verdict.DENIED,
    (Verdict.OPENED, Step.EXPIRE): Verdict.EXPIRED,
    (Verdict.APPROVED, Step.DENY): Verdict.DENIED,
    (Verdict.APPROVED, Step.EXPIRE): Verdict.EXPIRED,
    (Verdict.APPROVED, Step.USE): Verdict.USED,
}
"""The whole life of a case. What is not in the table does not happen; DENIED, EXPIRED and USED have no way out."""


def next_state(state: Verdict, step: Step) -> Verdict | None:
    """Give the state after a step; nothing where the table has none."""
    return LIFE.get((state, step))


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked.

    Attributes
    ----------
    id
        32 hex digits, chosen by who asks.
    project
        Opaque id.
    surrogates
        Patient IDs and UIDs of released objects; sorted, each once.
    arguments
        sha256 (hex) of what else the steward was asked to do; empty for an answer.
    purpose, legal_basis
        In words, for the privacy office. They stand in the clear: no patient may be named in them.
    opened, expires
        Seconds since 1970.
    requester, requester_key, answer_key
        Who asks, and the keys of that hour (hex): what is approved is an answer to *this* key.
    """

    id: str
    project: str
    kind: CaseKind
    surrogates: tuple[str, ...]
    arguments: str
    purpose: str
    legal_basis: str
    opened: int
    expires: int
    requester: str
    requester_key: str
    answer_key: str

    def document(self) -> dict[str, Any]:
        """What is signed."""
        return {
            "format": _FORMAT,
            "id": self.id,
            "project": self.project,
            "kind": str(self.kind),
            "surrogates": list(self.surrogates),
            "arguments": self.arguments,
            "purpose": self.purpose,
            "legal_basis": self.legal_basis,
            "opened": self.opened,
            "expires": self.expires,
            "requester": self.requester,
            "requester_key": self.requester_key,
            "answer_key": self.answer_key,
        }


def open_case(
    keys: PersonKeys,
    person: Person,
    *,
    case_id: str,
    project: str,
    kind: CaseKind,
    surrogates: Iterable[str],
    purpose: str,
    legal_basis: str,
    opened: int,
    expires: int,
    arguments: str = "",
) -> Signed:
    """Make and sign a case; RVL-009 where it is not complete."""
    made = Case(
        id=case_id,
        project=project,
        kind=kind,
        surrogates=tuple(sorted(set(surrogates))),
        arguments=arguments,
        purpose=" ".join(purpose.split()),
        legal_basis=" ".join(legal_basis.split()),
        opened=opened,
        expires=expires,
        requester=person.id,
        requester_key=keys.signing_public.hex(),
        answer_key=keys.answer_public.hex(),
    )
    signed = sign(CASE, made.document(), keys.signing)
    case_of(signed)
    return signed


def case_of(signed: Signed) -> Case:
    """Read a case out of its document and check each field; RVL-009."""
    try:
        fields = dict(signed.document)
        known = fields.pop("format") == _FORMAT and signed.label == CASE
        found = Case(**{**fields, "kind": CaseKind(fields["kind"]), "surrogates": tuple(fields["surrogates"])})
        complete = known and _is_complete(found)
    except (KeyError, TypeError, ValueError):
        raise TarnhelmError(CASE_INVALID) from None
    if not complete:
        raise TarnhelmError(CASE_INVALID)
    return found


def _is_complete(case: Case) -> bool:
    names = case.surrogates
    asks = bool(names) or case.kind is CaseKind.MAPPING or case.kind in STEWARD_KINDS
    return bool(
        _ID.fullmatch(case.id)
        and _PROJECT.fullmatch(case.project)
        and asks
        and all(_SURROGATE.fullmatch(name) for name in names)
        and list(names) == sorted(set(names))
        and _DIGEST.fullmatch(case.arguments)
        and (bool(case.arguments) or case.kind not in STEWARD_KINDS)
        and _TEXT.fullmatch(case.purpose)
        and _TEXT.fullmatch(case.legal_basis)
        and type(case.opened) is int
        and type(case.expires) is int
        and case.opened < case.expires
        and isinstance(case.requester, str)
        and len(bytes.fromhex(case.requester_key)) == 32
        and len(bytes.fromhex(case.answer_key)) == 32
    )


def decide(keys: PersonKeys, person: Person, case_digest: str, step: Step, now: int) -> Signed:
    """Sign APPROVE or DENY of a case."""
    return sign(
        DECISION, {"case_digest": case_digest, "decision": str(step), "person": person.id, "time": now}, keys.signing
    )


def collect(keys: PersonKeys, person: Person, case_digest: str, now: int) -> Signed:
    """Sign the wish to use the case now."""
    return sign(COLLECT, {"case_digest": case_digest, "person": person.id, "time": now}, keys.signing)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a decision or a collection says."""

    case_digest: str
    person: str
    time: int
    decision: Step | None = None

    @classmethod
    def of(cls, signed: Signed) -> Wish:
        """Read it; RVL-025 where the document is not of that form."""
        try:
            fields = dict(signed.document)
            decision = Step(fields.pop("decision")) if signed.label == DECISION else None
            found = cls(**fields, decision=decision)
        except (KeyError, TypeError, ValueError):
            raise TarnhelmError(CASES_DAMAGED) from None
        right = decision in {Step.APPROVE, Step.DENY} if signed.label == DECISION else signed.label == COLLECT
        if not right or type(found.time) is not int:
            raise TarnhelmError(CASES_DAMAGED)
        return found
