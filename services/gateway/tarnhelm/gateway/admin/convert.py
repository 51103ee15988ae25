"""Between the messages of the admin service and what it works with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.v1 import admin_pb2 as pb

from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.gateway.admin.deciding import Verb
from tarnhelm.gateway.admin.people import unsigned
from tarnhelm.gateway.fsm import ACCEPTABLE
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state.reading import Selection

if TYPE_CHECKING:
    from tarnhelm.gateway.admin.header import HeaderListing, ShownHeader
    from tarnhelm.gateway.admin.road import RoadStep
    from tarnhelm.gateway.admin.sampling import Status
    from tarnhelm.gateway.state.base import Decision

__all__ = [
    "VERBS",
    "actions_of",
    "decision_row",
    "findings_of",
    "header_of",
    "object_row",
    "plain_attribute",
    "release_row",
    "road_step",
    "selection_of",
    "sentence_of",
    "status_message",
]

VERBS: Final[Mapping[int, Verb]] = {
    pb.DECISION_RETRY: Verb.RETRY,
    pb.DECISION_REJECT: Verb.REJECT,
    pb.DECISION_PROPOSE: Verb.PROPOSE,
    pb.DECISION_CONFIRM: Verb.CONFIRM,
}
_ID: Final = re.compile(r"[0-9a-f]{0,64}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_QUOTED: Final = re.compile(r'"[^"]*"')
_PLACE: Final = re.compile(
    r'\([0-9A-Fa-fx]{4},(?:[0-9A-Fa-fx]{4}|"…",[0-9A-Fa-fx]{2,4})\)|[0-9A-Fa-f]{8}|\[\d{1,5}\]|[a-z][a-z-]{0,19}|\d{1,6}'
)
_ACTIONS: Final = frozenset({"ADD", "BLANK", "CLEAN", "JITTER", "KEEP", "PSEUDO", "REMOVE", "REPLACE"})
_FINDINGS: Final = frozenset(
    [
        *("odd-value", "identifier-in-text", "placeholder-subject", "id-not-injective", "opaque-sequence", "padding"),
        *("unused-bits", "trailing-zeros", "codestream-app", "codestream-box", "codestream-com", "codestream-tlm"),
        *("codestream-trailing", "codestream-rle-header", "codestream-rle-slack"),
    ]
)
"""What stages may flag (docs/reference/report.md); anything else is no word of theirs."""
_MOST_PIECES: Final = 24
_MOST_CODES: Final = 64


def selection_of(message: pb.ObjectFilter) -> Selection:
    """Read a filter; raises ``WEB-010`` where it is none."""
    try:
        states = frozenset(State(name) for name in message.states)
    except ValueError:
        raise TarnhelmError(errors.ADMIN_REQUEST) from None
    words = (message.door, message.project, message.stage, *message.codes)
    if not _ID.fullmatch(message.id_prefix) or not all(not word or _WORD.fullmatch(word) for word in words):
        raise TarnhelmError(errors.ADMIN_REQUEST)
    if len(message.codes) > _MOST_CODES:
        raise TarnhelmError(errors.ADMIN_REQUEST)
    return Selection(
        states,
        frozenset(message.codes),
        message.door,
        message.project,
        message.stage,
        message.id_prefix,
        message.received_from,
        message.received_until,
    )


def object_row(record: ObjectRecord, proposed_by: str = "") -> pb.ObjectRow:
    """Return an object as a line."""
    return pb.ObjectRow(
        object_id=record.object_id,
        state=record.state.value,
        stage=record.stage,
        code=_code(record.code),
        project=record.project,
        door=record.door,
        received=record.received,
        size=record.size,
        attempts=record.attempts,
        acceptable=record.state is State.QUARANTINED and record.code in ACCEPTABLE,
        proposed_by=proposed_by,
    )


def decision_row(decision: Decision) -> pb.DecisionRow:
    """Return a decision as a line."""
    subject, person = unsigned(decision.by)
    return pb.DecisionRow(
        object_id=decision.object_id,
        kind=decision.kind,
        subject=subject,
        person=person,
        reason=decision.reason,
        code=_code(decision.code),
        decided=decision.decided,
    )


def release_row(record: ObjectRecord, released: float) -> pb.ReleaseRow:
    """Return a released object as a line."""
    return pb.ReleaseRow(
        object_id=record.object_id,
        output_path=record.output_path,
        sha256=record.output_sha256,
        size=record.size,
        plan_digest=record.plan_digest,
        policy_digest=record.policy_digest,
        released=released,
    )


def road_step(step: RoadStep) -> pb.RoadStep:
    """Return a step; what it says of its code is the catalogue's sentence, not the stage's."""
    return pb.RoadStep(
        step=step.step,
        status=step.status,
        code=_code(step.code),
        message=sentence_of(step.code),
        at=step.at,
        seconds=step.seconds,
        bytes_in=step.bytes_in,
        bytes_out=step.bytes_out,
        findings=findings_of(step.findings),
        actions=actions_of(step.actions),
    )


def findings_of(counted: Mapping[tuple[str, str], int]) -> list[pb.Finding]:
    """Return (finding, attribute) → count; workers that parse hostile files have said it, so each text is looked at."""
    return [
        pb.Finding(code=_finding(code), attribute=plain_attribute(attribute), count=max(count, 0))
        for (code, attribute), count in sorted(counted.items())
    ]


def actions_of(counted: Mapping[tuple[str, str], int]) -> list[pb.Finding]:
    """Return (attribute, action) → count in the same form."""
    return [
        pb.Finding(code=_action(action), attribute=plain_attribute(attribute), count=max(count, 0))
        for (attribute, action), count in sorted(counted.items())
    ]


def header_of(shown: ShownHeader) -> pb.ShowHeaderResponse:
    """Return a listing, each attribute with what was done to it."""
    listing: HeaderListing = shown.listing
    elements = []
    for line in listing.lines:
        tag = f"({line.tag >> 16:04X},{line.tag & 0xFFFF:04X})"
        action = shown.actions.get(line.keyword) or shown.actions.get(tag) or shown.actions.get(tag.lower()) or ""
        elements.append(
            pb.HeaderElement(
                depth=line.depth,
                tag=tag,
                keyword=line.keyword,
                vr=line.vr,
                length=line.length,
                value="" if shown.withheld else line.value,
                action=_action(action),
            )
        )
    return pb.ShowHeaderResponse(stage=shown.stage, elements=elements, cut=listing.cut, values_withheld=shown.withheld)


def sentence_of(code: str) -> str:
    """Return the catalogue's sentence with an ellipsis for each number."""
    kind = CATALOGUE.get(code)
    return " ".join("…" if "{" in word else word for word in kind.message.split(" ")) if kind else ""


@lru_cache(maxsize=4096)
def plain_attribute(text: str) -> str:
    """Return the name of an attribute, with an ellipsis for whatever is neither keyword, tag nor a known form.

    Names of private creators come out of files: they are left out.
    """
    pieces = _QUOTED.sub('"…"', text).replace("/", " / ").split()
    return " ".join(_piece(piece) for piece in pieces[:_MOST_PIECES])


def _piece(piece: str) -> str:
    from pydicom.datadict import keyword_for_tag  # noqa: PLC0415 - only who looks at attributes loads the dictionary

    if len(piece) == 8 and _PLACE.fullmatch(piece) and all(digit in "0123456789ABCDEFabcdef" for digit in piece):
        return keyword_for_tag(int(piece, 16)) or f"({piece[:4]},{piece[4:]})"
    return piece if piece in ("/", ">") or _known(piece) or _PLACE.fullmatch(piece) else "…"


@lru_cache(maxsize=4096)
def _known(keyword: str) -> bool:
    from pydicom.datadict import tag_for_keyword  # noqa: PLC0415 - only who looks at attributes loads the dictionary

    return tag_for_keyword(keyword) is not None


def _code(code: str) -> str:
    """Codes come from stages too: one that is not of the catalogue is no code."""
    return code if not code or code in CATALOGUE else "…"


def _finding(code: str) -> str:
    return code if code in CATALOGUE or code in _FINDINGS else "…"


def _action(action: str) -> str:
    return action if not action or action.upper() in _ACTIONS else "…"


def status_message(status: Status) -> pb.Status:
    """Return a measurement."""
    return pb.Status(
        measured=status.measured,
        sample_seconds=status.sample_seconds,
        states=[
            pb.StateTally(
                state=one.state.value, code=_code(one.code), objects=one.objects, bytes=one.bytes, oldest=one.oldest
            )
            for one in status.tallies
        ],
        lags=[pb.TopicLag(topic=topic, group=group, records=count) for topic, group, count in status.lags],
        parts=[
            pb.PartNote(
                kind=note.kind,
                name=note.name,
                instance=note.instance,
                condition=note.condition.value,
                code=note.code,
                since=note.since,
                said=note.said,
                counts=_counts(note.counts),
            )
            for note in status.parts
        ],
        samples=[
            pb.Sample(
                taken=one.taken,
                accepted=one.accepted,
                finished=one.finished,
                bytes=one.bytes,
                unfinished=one.unfinished,
                lag=one.lag,
            )
            for one in status.samples
        ],
        alarms=[
            pb.Alarm(name=one.name, subject=one.subject, value=one.value, limit=one.limit) for one in status.alarms
        ],
    )


def _counts(counts: Mapping[str, int]) -> dict[str, Any]:
    return {word: max(number, 0) for word, number in counts.items()}
