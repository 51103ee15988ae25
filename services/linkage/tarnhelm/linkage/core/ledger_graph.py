"""Who stands for whom: walks over the edges that links and splits make. Both ledgers decide by this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tarnhelm.common.errors import LEDGER_DAMAGED, LINK_CONFLICT, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Edges", "SplitEdge", "check_link", "check_split", "end_of", "neighbourhood", "person_of"]


@dataclass(frozen=True, slots=True)
class SplitEdge:
    """A study of a subject that leads to another subject."""

    subject: bytes
    study: bytes
    target: bytes


class Edges(Protocol):
    """What a walk asks for; an implementation reads within one transaction."""

    def link_of(self, subject: bytes) -> bytes | None:
        """Whom a subject was linked to."""
        ...

    def linked_to(self, target: bytes) -> Sequence[bytes]:
        """Who was linked to a subject."""
        ...

    def split_of(self, subject: bytes, study: bytes) -> bytes | None:
        """Whom a study of a subject was moved to."""
        ...

    def splits_at(self, subject: bytes) -> Sequence[SplitEdge]:
        """All splits from or to a subject."""
        ...


def end_of(edges: Edges, subject: bytes, study: bytes = b"") -> bytes:
    """Follow the edges from a subject to the one it stands for; a split goes before a link.

    Without a study only links are followed. Edges that go in a circle were not written by this software
    (LNK-012).
    """
    passed = [subject]
    while True:
        onward = (edges.split_of(subject, study) if study else None) or edges.link_of(subject)
        if onward is None:
            return subject
        if onward in passed:
            raise TarnhelmError(LEDGER_DAMAGED)
        passed.append(onward)
        subject = onward


def person_of(edges: Edges, canonical: bytes) -> tuple[bytes, ...]:
    """Give all subjects that stand for a canonical one, itself first."""
    return _reached(canonical, edges.linked_to)


def neighbourhood(edges: Edges, subject: bytes) -> tuple[bytes, ...]:
    """Give all subjects that any edges join to this one, whatever their direction."""

    def beside(one: bytes) -> Iterable[bytes]:
        link = edges.link_of(one)
        yield from () if link is None else (link,)
        yield from edges.linked_to(one)
        for split in edges.splits_at(one):
            yield from (split.subject, split.target)

    return _reached(subject, beside)


def check_link(edges: Edges, subject: bytes, canonical: bytes) -> None:
    """Refuse (LNK-019) a link that would be a subject's second, or close a circle for some study."""
    if subject == canonical or edges.link_of(subject) is not None:
        raise TarnhelmError(LINK_CONFLICT)
    # A circle may be one of a single moved study, so each study that was moved near by is looked at.
    studies = {split.study for one in neighbourhood(edges, canonical) for split in edges.splits_at(one)}
    for study in (b"", *sorted(studies)):
        if subject in _ahead(edges, canonical, study):
            raise TarnhelmError(LINK_CONFLICT)


def check_split(edges: Edges, subject: bytes, studies: Sequence[bytes], target: bytes) -> None:
    """Refuse (LNK-019) a split of a study that was moved already, or that would close a circle."""
    if not studies or not all(studies) or subject == target:
        raise TarnhelmError(LINK_CONFLICT)
    for study in studies:
        if edges.split_of(subject, study) is not None or subject in _ahead(edges, target, study):
            raise TarnhelmError(LINK_CONFLICT)


def _ahead(edges: Edges, subject: bytes, study: bytes) -> tuple[bytes, ...]:
    """Give all that a study may come to: links count though a split goes before them, for a split can be undone.

    So no set of events has a circle in it, hence no subset either, and undoing never fails.
    """

    def onward(one: bytes) -> Iterable[bytes]:
        found = (edges.link_of(one), edges.split_of(one, study) if study else None)
        return [other for other in found if other is not None]

    return _reached(subject, onward)


def _reached(start: bytes, beside: Callable[[bytes], Iterable[bytes]]) -> tuple[bytes, ...]:
    found = {start: None}
    waiting = [start]
    while waiting:
        for other in beside(waiting.pop()):
            if other not in found:
                found[other] = None
                waiting.append(other)
    return tuple(found)
