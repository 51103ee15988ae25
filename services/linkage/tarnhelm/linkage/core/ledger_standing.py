"""What one transaction tells of a subject, in either database: where it stands, and what there is about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tarnhelm.common.errors import PROJECT_DESTROYED, SUBJECT_WITHDRAWN, TarnhelmError
from tarnhelm.linkage.core import ledger_statements as sql
from tarnhelm.linkage.core.derive import tombstone_tag
from tarnhelm.linkage.core.ledger import CohortEntry, Standing
from tarnhelm.linkage.core.ledger_graph import SplitEdge, end_of, neighbourhood, person_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Session",
    "StoredEdges",
    "changes_of",
    "entry_of",
    "followed",
    "forget_person",
    "refuse_withdrawn",
    "standings_of",
]


class Session(Protocol):
    """One transaction or one read; ``:project`` is filled in."""

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement and give its rows."""
        ...

    def each(self, statement: str, values: Sequence[dict[str, Any]]) -> list[list[tuple[Any, ...]]]:
        """Run a statement for each set of values and give the rows of each."""
        ...

    def count(self, statement: str, **values: Any) -> int:
        """Run a statement and say how many rows it changed."""
        ...

    def many(self, statement: str, values: Sequence[dict[str, Any]]) -> int:
        """Run a statement for each set of values; how many rows changed in all."""
        ...


class StoredEdges:
    """Implements :class:`~tarnhelm.linkage.core.ledger_graph.Edges` on one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def link_of(self, subject: bytes) -> bytes | None:
        """Whom a subject was linked to."""
        rows = self._session.rows(sql.LINK_OF, subject=subject)
        return rows[0][0] if rows else None

    def linked_to(self, target: bytes) -> Sequence[bytes]:
        """Who was linked to a subject."""
        return [row[0] for row in self._session.rows(sql.LINKED_TO, target=target)]

    def split_of(self, subject: bytes, study: bytes) -> bytes | None:
        """Whom a study of a subject was moved to."""
        rows = self._session.rows(sql.SPLIT_OF, subject=subject, study=study)
        return rows[0][0] if rows else None

    def splits_at(self, subject: bytes) -> Sequence[SplitEdge]:
        """All splits from or to a subject."""
        return [SplitEdge(*row) for row in self._session.rows(sql.SPLITS_AT, subject=subject)]


def changes_of(session: Session) -> int:
    """Give the counter; LNK-009 where the ledger was destroyed."""
    ((changes, destroyed),) = session.rows(sql.CHANGES)
    if destroyed:
        raise TarnhelmError(PROJECT_DESTROYED)
    return int(changes)


def standings_of(session: Session, asked: Sequence[tuple[bytes, bytes, bytes]]) -> list[Standing | None]:
    """Give what one statement tells of each (subject, study, accession); nothing where edges are to be followed."""
    values = [{"subject": subject, "study": study, "tombstone": tombstone_tag(subject)} for subject, study, _ in asked]
    found = session.each(sql.STANDING, values)
    return [_standing(session, one, row) for one, (row,) in zip(asked, found, strict=True)]


def _standing(session: Session, asked: tuple[bytes, bytes, bytes], row: Sequence[Any]) -> Standing | None:
    split, link, linked_to, buried, listed, destroyed, token = row
    if destroyed:
        raise TarnhelmError(PROJECT_DESTROYED)
    if split is not None or link is not None or linked_to:
        return None
    subject, _, accession = asked
    entry = _listed(session, (subject,), accession) if listed and not buried else None
    return Standing(subject, bool(buried), entry, token, bool(listed))


def followed(session: Session, subject: bytes, study: bytes, accession: bytes) -> Standing:
    """Follow the edges, with several statements, which must see one moment."""
    edges = StoredEdges(session)
    canonical = end_of(edges, subject, study)
    person = person_of(edges, canonical)
    buried = any(session.rows(sql.BURIED, tag=tombstone_tag(one)) for one in person)
    ((*_, listed, _, token),) = session.rows(sql.STANDING, subject=canonical, study=b"", tombstone=b"")
    return Standing(
        canonical,
        withdrawn=buried,
        cohort=_listed(session, person, accession) if listed and not buried else None,
        sex_token=token,
        has_cohort=bool(listed),
        moved=canonical != end_of(edges, subject),
    )


def _listed(session: Session, person: Sequence[bytes], accession: bytes) -> CohortEntry | None:
    """Give the entry of the canonical subject; else the oldest of those merged with it; else the accession's."""
    found = [entry_of(row) for one in person for row in session.rows(sql.ENTRY, tag=one, by_accession=0)]
    if found:
        own = [entry for _, entry in found if entry.tag == person[0]]
        return own[0] if own else min(found, key=lambda numbered: numbered[0])[1]
    rows = session.rows(sql.ENTRY, tag=accession, by_accession=1) if accession else []
    return entry_of(rows[0])[1] if rows else None


def refuse_withdrawn(session: Session, asked: Sequence[tuple[bytes, bytes]]) -> None:
    """Raise LNK-017 where the person of a (subject, study) was withdrawn, LNK-009 where the ledger was destroyed."""
    ((destroyed, buried),) = session.rows(sql.GUARD)
    if destroyed:
        raise TarnhelmError(PROJECT_DESTROYED)
    if not buried:
        return
    named = [(subject, study, b"") for subject, study in asked]
    for one, standing in zip(named, standings_of(session, named), strict=True):
        if (standing or followed(session, *one)).withdrawn:
            raise TarnhelmError(SUBJECT_WITHDRAWN)


def forget_person(session: Session, canonical: bytes) -> int:
    """Delete the sex, the list's entries and the records of a person; how many records went."""
    edges = StoredEdges(session)
    person = [{"subject": one, "tag": one} for one in person_of(edges, canonical)]
    session.many(sql.DROP_SEX, person)
    session.many(sql.DROP_ENTRY, person)
    doomed = [
        {"sequence": sequence}
        for one in neighbourhood(edges, canonical)
        for sequence, study in session.rows(sql.RECORDS_ABOUT, subject=one)
        # A study that was moved away is another person's, one that was moved here is this one's.
        if end_of(edges, one, study) == canonical
    ]
    return session.many(sql.DROP_RECORD, doomed)


def entry_of(row: Sequence[Any]) -> tuple[int, CohortEntry]:
    """Give the number and the entry of a row of the list."""
    sequence, tag, study_id, offset_days, by_accession = row
    return sequence, CohortEntry(tag, study_id, offset_days, bool(by_accession))
