"""The seam to the store of cases: events that are added and never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tarnhelm.reveal.core.cases import Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["CaseEvent", "CaseStore", "UseCount"]


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One thing that happened to a case.

    Attributes
    ----------
    case
        Id of the case.
    number
        From 1, without gaps.
    step
        What happened.
    time
        When it was recorded, seconds since 1970.
    document
        The signed document (:meth:`~tarnhelm.reveal.core.documents.Signed.to_bytes`); empty for an expiry.
    project, person
        Whom it counts for.
    audit
        ``writer:line`` of the audit line that was written before it.
    """

    case: str
    number: int
    step: Step
    time: int
    document: bytes = field(repr=False)
    project: str
    person: str
    audit: str = ""


@dataclass(frozen=True, slots=True)
class UseCount:
    """How many cases were used since some time."""

    of_person: int
    of_project: int


class CaseStore(Protocol):
    """Keeps events. Raises RVL-024 (RETRY) where it is busy, RVL-025 where it is damaged."""

    def add(self, event: CaseEvent) -> bool:
        """Add an event durably if the case has exactly ``number - 1`` events; False where it has others.

        Of a case at most one USE is ever added, whatever the numbers say.
        """
        ...

    def events(self, case: str) -> tuple[CaseEvent, ...]:
        """Give the events of a case, in order; none for an unknown one."""
        ...

    def cases(self, project: str = "") -> Iterator[str]:
        """Ids of cases by time of opening; of one project, or all."""
        ...

    def uses(self, person: str, project: str, since: int) -> UseCount:
        """Count the cases used since then by the person, and in the project."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Hold every other process off while one spends a case: between counting the uses and adding one."""
        ...

    def close(self) -> None:
        """Let go."""
        ...
