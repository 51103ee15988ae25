"""What both ledgers do, written once over statements that SQLite and PostgreSQL share.

A subclass gives transactions and the two or three statements in which the databases differ, so the same
history leads to the same answers in both.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tarnhelm.common.errors import COHORT_CONFLICT, LINK_UNKNOWN, TarnhelmError
from tarnhelm.linkage.core import ledger_statements as sql
from tarnhelm.linkage.core.derive import tombstone_tag
from tarnhelm.linkage.core.ledger import (
    CohortEntry,
    LedgerCounts,
    LinkEvent,
    LinkKind,
    SealedRecord,
    Standing,
    TaggedRecord,
    TicketBinding,
    Tombstone,
    Trace,
)
from tarnhelm.linkage.core.ledger_graph import check_link, check_split, end_of, neighbourhood, person_of
from tarnhelm.linkage.core.ledger_standing import (
    Session,
    StoredEdges,
    changes_of,
    entry_of,
    followed,
    forget_person,
    refuse_withdrawn,
    standings_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["SqlLedger"]

_T = TypeVar("_T")
_PAGE: Final = 500
_TAG_BYTES: Final = 32
_HOUR: Final = 3600
_SWEEP_SECONDS: Final = 60.0


class SqlLedger(ABC):
    """Implements :class:`~tarnhelm.linkage.core.ledger.Ledger` but for connections.

    Parameters
    ----------
    project
        Opaque id.
    clock
        Gives seconds since 1970: dates events, and lets tickets expire.
    """

    def __init__(self, project: str, *, clock: Callable[[], float] = time.time) -> None:
        self._project = project
        self._clock = clock
        self._sweep_at = 0.0

    @abstractmethod
    def _read(self, work: Callable[[Session], _T], *, together: bool = False) -> _T:
        """Do reading work; ``together``: all of its statements see one moment."""

    @abstractmethod
    def _write(self, work: Callable[[Session], _T], *, alone: bool = False, durable: bool = True) -> _T:
        """Do work in one transaction.

        ``alone``: no other write of the project runs meanwhile, and all that run later see it. Not ``durable``:
        a power cut may take it.
        """

    @abstractmethod
    def _bind(self, session: Session, items: Sequence[TicketBinding], now: int) -> dict[bytes, bytes]:
        """Bind distinct tickets; give the digest that each is bound to."""

    @abstractmethod
    def _known(self, session: Session, tags: Sequence[bytes]) -> list[bytes]:
        """Which of the tags have a record."""

    @abstractmethod
    def _sexes(self, session: Session, subjects: Sequence[bytes]) -> dict[bytes, bytes]:
        """Give what was recorded for those of the subjects for which something was."""

    # --- what assigning asks -----------------------------------------------------------------------------------

    def resolve(self, subject: bytes, study: bytes, accession: bytes = b"") -> Standing:
        """See :class:`Ledger`."""
        return self.resolve_many([(subject, study, accession)])[0]

    def resolve_many(self, asked: Sequence[tuple[bytes, bytes, bytes]]) -> list[Standing]:
        """See :class:`Ledger`."""

        def follow(session: Session) -> dict[tuple[bytes, bytes, bytes], Standing]:
            return {one: followed(session, *one) for one in linked}

        # Nearly always one statement tells all. Where edges are to be followed, many must see one moment.
        found = self._read(lambda session: standings_of(session, asked)) if asked else []
        linked = {one for one, standing in zip(asked, found, strict=True) if standing is None}
        known = self._read(follow, together=True) if linked else {}
        return [standing or known[one] for one, standing in zip(asked, found, strict=True)]

    def changes(self) -> int:
        """See :class:`Ledger`."""
        return self._read(changes_of)

    def canonical(self, subject: bytes) -> bytes:
        """See :class:`Ledger`."""
        return self._read(lambda session: end_of(StoredEdges(session), subject), together=True)

    def first_sex(self, subject: bytes, token: bytes) -> bytes:
        """See :class:`Ledger`."""
        return self.first_sexes({subject: token})[subject]

    def first_sexes(self, tokens: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """See :class:`Ledger`."""
        wanted = sorted(tokens)

        def put(session: Session) -> dict[bytes, bytes]:
            refuse_withdrawn(session, [(subject, b"") for subject in missing])
            session.many(sql.PUT_SEX, [{"subject": subject, "token": tokens[subject]} for subject in missing])
            return self._sexes(session, missing)

        found = self._read(lambda session: self._sexes(session, wanted))
        missing = [subject for subject in wanted if subject not in found]
        return {**found, **self._write(put)} if missing else found

    def known(self, tags: Sequence[bytes]) -> frozenset[bytes]:
        """See :class:`Ledger`."""
        if not tags:
            return frozenset()
        return frozenset(self._read(lambda session: self._known(session, tags)))

    def put_records(self, records: Sequence[TaggedRecord]) -> int:
        """See :class:`Ledger`."""
        values = [
            {
                "tag": record.tag,
                "kind": record.kind,
                "handle": record.handle,
                "sealed": record.sealed,
                "subject": record.subject,
                "study": record.study,
            }
            for record in records
        ]

        def work(session: Session) -> int:
            about = {(record.subject, record.study) for record in records}
            refuse_withdrawn(session, sorted(pair for pair in about if pair[0]))
            return session.many(sql.PUT_RECORD, values)

        return self._write(work) if values else 0

    def bind_tickets(self, items: Sequence[TicketBinding]) -> list[bool]:
        """See :class:`Ledger`."""
        now = int(self._clock())
        first: dict[bytes, TicketBinding] = {}
        for item in items:
            if item.expires > now:
                first.setdefault(item.ticket, item)
        if not first:
            return [False] * len(items)
        # Sorted, so that two processes never wait for each other.
        wanted = [first[ticket] for ticket in sorted(first)]
        bound = self._write(lambda session: self._bind(session, wanted, now), durable=False)
        self._sweep(now)
        return [item.expires > now and bound[item.ticket] == item.digest for item in items]

    def _sweep(self, now: int) -> None:
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            self._write(
                lambda session: session.count(sql.DROP_TICKETS, now=now, an_hour_ago=now - _HOUR), durable=False
            )

    # --- the life of a link ------------------------------------------------------------------------------------

    def link(self, subject: bytes, canonical: bytes, case: str) -> int:
        """See :class:`Ledger`."""

        def work(session: Session) -> int:
            same = session.rows(sql.EVENT_OF_LINK, subject=subject, target=canonical)
            if same:
                return int(same[0][0])
            check_link(StoredEdges(session), subject, canonical)
            event = self._event(session, LinkKind.LINK, subject, canonical, case)
            session.count(sql.PUT_LINK, subject=subject, target=canonical, event=event)
            return event

        return self._write(work, alone=True)

    def unlink(self, link_id: int, case: str) -> None:
        """See :class:`Ledger`."""
        self._undo(link_id, LinkKind.LINK, LinkKind.UNLINK, case, sql.DROP_LINK)

    def split(self, subject: bytes, studies: Sequence[bytes], new_subject: bytes, case: str) -> int:
        """See :class:`Ledger`."""
        wanted = sorted(set(studies))

        def work(session: Session) -> int:
            earlier: dict[int, list[bytes]] = {}
            for event, study in session.rows(sql.EVENTS_OF_SPLIT, subject=subject, target=new_subject):
                earlier.setdefault(event, []).append(study)
            for event, moved in earlier.items():
                if sorted(moved) == wanted:
                    return event
            check_split(StoredEdges(session), subject, wanted, new_subject)
            event = self._event(session, LinkKind.SPLIT, subject, new_subject, case, wanted)
            common = {"subject": subject, "target": new_subject, "event": event}
            session.many(sql.PUT_SPLIT, [{**common, "study": study} for study in wanted])
            return event

        return self._write(work, alone=True)

    def unsplit(self, split_id: int, case: str) -> None:
        """See :class:`Ledger`."""
        self._undo(split_id, LinkKind.SPLIT, LinkKind.UNSPLIT, case, sql.DROP_SPLIT)

    def traces(self, subject: bytes) -> tuple[Trace, ...]:
        """See :class:`Ledger`."""

        def work(session: Session) -> tuple[Trace, ...]:
            near = neighbourhood(StoredEdges(session), subject)
            return tuple(Trace(*row) for one in near for row in session.rows(sql.TRACES_ABOUT, subject=one))

        return self._read(work, together=True)

    def traces_at(self, handle: str) -> tuple[Trace, ...]:
        """See :class:`Ledger`."""
        return tuple(Trace(*row) for row in self._read(lambda session: session.rows(sql.TRACES_AT, handle=handle)))

    def links(self) -> Iterator[LinkEvent]:
        """See :class:`Ledger`."""
        for event, kind, subject, target, studies, undoes, case, at in self._paged(sql.EVENTS, 0):
            tags = tuple(studies[place : place + _TAG_BYTES] for place in range(0, len(studies), _TAG_BYTES))
            yield LinkEvent(event, LinkKind(kind), subject, target, tags, undoes, case, at)

    def _undo(self, wanted: int, kind: LinkKind, undoing: LinkKind, case: str, drop: str) -> None:
        def work(session: Session) -> None:
            found = session.rows(sql.EVENT, event=wanted, kind=kind.value)
            undone = session.rows(sql.UNDONE, event=wanted)
            if undone and undone[0][0] == case:
                return
            if undone or not found:
                raise TarnhelmError(LINK_UNKNOWN, link=wanted)
            subject, target, studies = found[0]
            session.count(drop, event=wanted)
            self._event(session, undoing, subject, target, case, [studies], wanted)

        self._write(work, alone=True)

    def _event(
        self,
        session: Session,
        kind: LinkKind,
        subject: bytes,
        target: bytes,
        case: str,
        studies: Sequence[bytes] = (),
        undoes: int | None = None,
    ) -> int:
        ((event,),) = session.rows(
            sql.PUT_EVENT,
            kind=kind.value,
            subject=subject,
            target=target,
            studies=b"".join(studies),
            undoes=undoes,
            case_id=case,
            at=int(self._clock()),
        )
        session.count(sql.CHANGED)
        return int(event)

    # --- withdrawal --------------------------------------------------------------------------------------------

    def withdraw(self, subject: bytes, case: str, handles: Sequence[str] = ()) -> int:
        """See :class:`Ledger`."""

        def work(session: Session) -> int:
            edges = StoredEdges(session)
            canonical = end_of(edges, subject)
            now = int(self._clock())
            tags = [tombstone_tag(one) for one in person_of(edges, canonical)]
            session.many(sql.BURY, [{"tag": tag, "case_id": case, "at": now} for tag in tags])
            session.count(sql.CHANGED)
            gone = forget_person(session, canonical)
            return gone + session.many(sql.DROP_HANDLE, [{"handle": handle} for handle in handles])

        return self._write(work, alone=True)

    def withdrawn(self, subject: bytes) -> bool:
        """See :class:`Ledger`."""
        return self.resolve(subject, b"").withdrawn

    def tombstones(self) -> Iterator[Tombstone]:
        """See :class:`Ledger`."""
        for tag, case, at in self._paged(sql.TOMBSTONES, b""):
            yield Tombstone(tag, case, at)

    def put_tombstones(self, tombstones: Iterable[Tombstone]) -> int:
        """See :class:`Ledger`."""
        kept = list(tombstones)
        values = [{"tag": stone.tag, "case_id": stone.case, "at": stone.at} for stone in kept]
        tags = {stone.tag for stone in kept}

        def work(session: Session) -> int:
            session.many(sql.BURY, values)
            session.count(sql.CHANGED)
            edges = StoredEdges(session)
            known = [row[0] for row in session.rows(sql.SUBJECTS)]
            people = {end_of(edges, one) for one in known if tombstone_tag(one) in tags}
            return sum(forget_person(session, canonical) for canonical in sorted(people))

        return self._write(work, alone=True) if values else 0

    # --- the list ----------------------------------------------------------------------------------------------

    def put_cohort(self, entries: Iterable[CohortEntry]) -> int:
        """See :class:`Ledger`."""
        wanted = list(dict.fromkeys(entries))

        def work(session: Session) -> int:
            present = {(entry.tag, entry.by_accession): entry for _, entry in map(entry_of, session.rows(sql.ENTRIES))}
            owners = {entry.study_id: entry.tag for entry in present.values() if not entry.by_accession}
            buried = {row[0] for row in session.rows(sql.ALL_BURIED)}
            fresh, conflicts = [], 0
            for entry in wanted:
                place = (entry.tag, entry.by_accession)
                owner = entry.tag if entry.by_accession else owners.setdefault(entry.study_id, entry.tag)
                if present.setdefault(place, entry) != entry or owner != entry.tag:
                    conflicts += 1
                elif present[place] is entry and (entry.by_accession or tombstone_tag(entry.tag) not in buried):
                    fresh.append(entry)
            if conflicts:
                raise TarnhelmError(COHORT_CONFLICT, count=conflicts)
            session.count(sql.LISTED)
            session.count(sql.CHANGED)
            return session.many(sql.PUT_ENTRY, [_entry_values(entry) for entry in fresh])

        return self._write(work, alone=True) if wanted else 0

    def cohort_size(self) -> int:
        """See :class:`Ledger`."""
        return int(self._read(lambda session: session.rows(sql.COHORT_SIZE))[0][0])

    # --- sealed records ----------------------------------------------------------------------------------------

    def records(self, kind: str = "", handle: str = "") -> Iterator[SealedRecord]:
        """See :class:`Ledger`."""
        return (record for _, record in self._numbered(kind, handle, _PAGE))

    def _numbered(self, kind: str, handle: str, page: int) -> Iterator[tuple[int, SealedRecord]]:
        statement = sql.RECORDS_OF_HANDLE if handle else sql.RECORDS_OF_KIND if kind else sql.RECORDS
        wanted = {"kind": kind, "handle": handle} if handle else {"kind": kind} if kind else {}
        for sequence, found_kind, found_handle, sealed in self._paged(statement, 0, page, **wanted):
            yield sequence, SealedRecord(self._project, found_kind, found_handle, sealed)

    def reseal(self, rewrap: Callable[[Sequence[SealedRecord]], Sequence[bytes]], batch: int = 200) -> int:
        """See :class:`Ledger`."""
        replaced = 0
        page: list[tuple[int, SealedRecord]] = []
        for numbered in self._numbered("", "", batch):
            page.append(numbered)
            if len(page) == batch:
                replaced += self._resealed(page, rewrap)
                page = []
        return replaced + self._resealed(page, rewrap)

    def _resealed(
        self, page: Sequence[tuple[int, SealedRecord]], rewrap: Callable[[Sequence[SealedRecord]], Sequence[bytes]]
    ) -> int:
        if not page:
            return 0
        fresh = rewrap([record for _, record in page])
        values = [
            {"sequence": sequence, "stale": record.sealed, "fresh": blob}
            for (sequence, record), blob in zip(page, fresh, strict=True)
            if blob != record.sealed
        ]
        return self._write(lambda session: session.many(sql.RESEAL, values)) if values else 0

    # --- the whole ---------------------------------------------------------------------------------------------

    def counts(self) -> LedgerCounts:
        """See :class:`Ledger`."""
        an_hour_ago = int(self._clock()) - _HOUR
        (row,) = self._read(lambda session: session.rows(sql.COUNTS, an_hour_ago=an_hour_ago))
        return LedgerCounts(*row)

    def _paged(self, statement: str, last: int | bytes, page: int = _PAGE, **wanted: str) -> Iterator[tuple[Any, ...]]:
        while True:
            rows = self._read(lambda session, last=last: session.rows(statement, last=last, page=page, **wanted))  # type: ignore[misc]
            yield from rows
            if len(rows) < page:
                return
            last = rows[-1][0]


def _entry_values(entry: CohortEntry) -> dict[str, Any]:
    return {
        "tag": entry.tag,
        "study_id": entry.study_id,
        "offset_days": entry.offset_days,
        "by_accession": int(entry.by_accession),
    }
