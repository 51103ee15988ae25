"""Between the messages of the protocol and the core's own types; both sides use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tarnhelm.v1 import reveal_pb2 as pb

from tarnhelm.common.errors import REVEAL_REQUEST, TarnhelmError
from tarnhelm.reveal.core.cases import Step
from tarnhelm.reveal.core.store import CaseEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LARGEST_PART", "MOST_ORIGINALS", "case_id_of", "events_of", "history_of", "originals_of"]

LARGEST_PART: Final = 256 << 10
"""Bytes of an answer in one message."""
MOST_ORIGINALS: Final = 2_000_000
"""UIDs of one question to locate: a study of that many objects is none."""
_CASE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)


def history_of(events: Iterable[CaseEvent]) -> pb.CaseHistory:
    """Build the history of a case."""
    return pb.CaseHistory(
        steps=[
            pb.CaseStep(
                case_id=event.case,
                step=str(event.step),
                time=event.time,
                document=event.document,
                project=event.project,
                person=event.person,
                audit=event.audit,
            )
            for event in events
        ]
    )


def events_of(history: pb.CaseHistory) -> tuple[CaseEvent, ...]:
    """Read a history; RVL-046 where a step is none."""
    try:
        return tuple(
            CaseEvent(
                step.case_id, number, Step(step.step), step.time, step.document, step.project, step.person, step.audit
            )
            for number, step in enumerate(history.steps, 1)
        )
    except ValueError:
        raise TarnhelmError(REVEAL_REQUEST) from None


def case_id_of(text: str) -> str:
    """Check an id; RVL-046."""
    if not _CASE.fullmatch(text):
        raise TarnhelmError(REVEAL_REQUEST)
    return text


def originals_of(message: pb.LocateRequest, so_far: int) -> list[str]:
    """Check the UIDs of one message; RVL-046."""
    found = list(message.originals)
    if so_far + len(found) > MOST_ORIGINALS or not all(map(_UID.fullmatch, found)):
        raise TarnhelmError(REVEAL_REQUEST)
    return found
