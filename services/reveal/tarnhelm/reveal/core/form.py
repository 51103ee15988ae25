"""The record of a case for a privacy office or an ethics board: who, what, why, when, and the signatures' facts.

It holds surrogates and names of staff, and no identifier of a patient: nothing in it comes out of a sealed record.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from tarnhelm.reveal.core.cases import CaseKind, Step

if TYPE_CHECKING:
    from tarnhelm.reveal.core.people import Register
    from tarnhelm.reveal.core.view import CaseView, SignedStep

__all__ = ["case_record_html", "case_record_markdown", "in_words"]

_KINDS: Final = {
    CaseKind.ANSWER: "to learn which patient and which study the pseudonyms stand for",
    CaseKind.LOCATE: "to learn which original series and objects the pseudonymous UIDs stand for",
    CaseKind.MAPPING: "to export the table of original and released paths and identifiers of the whole project",
    CaseKind.MERGE: "to treat two pseudonymous subjects as one patient",
    CaseKind.UNMERGE: "to take back a merge",
    CaseKind.SPLIT: "to separate studies that were taken for one patient's",
    CaseKind.UNSPLIT: "to take back a separation of studies",
    CaseKind.COHORT: "to add patients and their study ids to the project's list",
    CaseKind.CLOSE_KEYS: "to close old versions of the key of the way back",
    CaseKind.WITHDRAW: "to delete a patient's link and refuse later images",
    CaseKind.DESTROY: "to destroy the keys of the project",
    CaseKind.RESTORE: "to restore keys from a backup",
    CaseKind.EPOCH: "to begin a new derivation of pseudonyms",
}
_STEPS: Final = {
    Step.OPEN: "asked",
    Step.APPROVE: "approved",
    Step.DENY: "denied",
    Step.EXPIRE: "expired",
    Step.USE: "answered",
}


@dataclass(frozen=True, slots=True)
class _Line:
    what: str
    who: str
    signed: str
    recorded: str
    key: str
    digest: str
    signature: str
    audit: str


def in_words(kind: CaseKind) -> str:
    """What a case of a kind asks for."""
    return _KINDS[kind]


def case_record_markdown(view: CaseView, register: Register, label: str, now: int) -> str:
    """Give the form in Markdown; every text of a person is escaped."""
    environment = Environment(
        loader=PackageLoader("tarnhelm.reveal.core", "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 (not HTML: the filter below escapes)
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = _escaped
    environment.filters["code"] = _code
    return _rendered(environment, "case.md.j2", view, register, label, now)


def case_record_html(view: CaseView, register: Register, label: str, now: int) -> str:
    """Give the form as one page of HTML without anything from elsewhere."""
    environment = Environment(
        loader=PackageLoader("tarnhelm.reveal.core", "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return _rendered(environment, "case.html.j2", view, register, label, now)


def _rendered(environment: Environment, name: str, view: CaseView, register: Register, label: str, now: int) -> str:
    case = view.case
    return environment.get_template(name).render(
        case=case,
        kind=in_words(case.kind),
        state=str(view.state_at(now)),
        label=label,
        opened=_time(case.opened),
        expires=_time(case.expires),
        digest=view.digest,
        requester=_named(case.requester, register),
        lines=[_line(step, register) for step in view.steps],
        made=_time(now),
    )


def _line(step: SignedStep, register: Register) -> _Line:
    return _Line(
        what=_STEPS[step.step],
        who=_named(step.person, register) if step.person else "nobody (the time had passed)",
        signed=_time(step.signed_time) if step.person else "",
        recorded=_time(step.time),
        key=hashlib.sha256(step.key).hexdigest()[:20] if step.key else "",
        digest=step.digest,
        signature=step.signature.hex(),
        audit=step.audit,
    )


def _named(person_id: str, register: Register) -> str:
    return f"{register.get(person_id).name} ({person_id})"


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\`*_[]<>|~&" else character for character in text)


def _code(text: str) -> str:
    """Give a code span that the text cannot end (CommonMark 6.1), so that it can be searched for as it is."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"
