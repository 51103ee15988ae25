"""The seam to the ledger: who stands for whom, who is refused, sealed records. No identifier in the clear.

A ledger belongs to one project. What it is given is keyed (subject ids and tags are HMACs, useless without
the project key) or sealed to the reader of the way back. Surrogates stand in the clear, so that a record can
be found by the surrogate that somebody holds.

Merging and splitting are *events*. Each makes an edge: a link leads from one subject to another, a split
leads a few studies of a subject to another one. A subject stands for whoever the edges lead to; a subject has
one link at most, and a study of it one split at most, which goes before the link. Undoing an event takes
away its edges, so what remains is what would be there if the event had never been, in whatever order events
are undone. The history of events itself is only ever appended to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

__all__ = [
    "CohortEntry",
    "Ledger",
    "LedgerCounts",
    "LinkEvent",
    "LinkKind",
    "SealedRecord",
    "Standing",
    "TaggedRecord",
    "TicketBinding",
    "Tombstone",
    "Trace",
    "record_context",
]


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """One sealed record of the way back, as the ledger keeps it.

    Attributes
    ----------
    project
        Opaque id of the project.
    kind
        ``subject``, ``study`` or ``paths``.
    handle
        The surrogate it belongs to: Patient ID, Study Instance UID; for paths the id of the run.
    sealed
        Opens only with the reader's private key, and only as this kind and handle of this project.
    """

    project: str
    kind: str
    handle: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TaggedRecord:
    """A record to be put.

    Attributes
    ----------
    tag
        A keyed digest of its content, by which it is known again.
    kind, handle, sealed
        As in :class:`SealedRecord`.
    subject, study
        Whom it is about: the subject id as the objects name it (before merging and splitting) and the keyed
        tag of the study. By them withdrawing finds the record. Empty where it is about nobody in particular.
    """

    tag: bytes
    kind: str
    handle: str
    sealed: bytes = field(repr=False)
    subject: bytes = field(default=b"", repr=False)
    study: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Trace:
    """That there is a record, and whom it is about; nothing of what it says.

    Attributes
    ----------
    kind, handle
        As in :class:`SealedRecord`.
    subject, study
        As in :class:`TaggedRecord`.
    """

    kind: str
    handle: str
    subject: bytes = field(repr=False)
    study: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CohortEntry:
    """A subject, or one study of it, that is on the project's list.

    Attributes
    ----------
    tag
        The subject id, or the keyed tag of an accession number.
    study_id
        The Patient ID that the study already uses for the subject.
    offset_days
        By which dates move; nothing where it is derived as for every other subject.
    by_accession
        What the tag is of.
    """

    tag: bytes = field(repr=False)
    study_id: str = field(repr=False)
    offset_days: int | None = field(default=None, repr=False)
    by_accession: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """All that assigning asks the ledger about a subject.

    Attributes
    ----------
    canonical
        The subject that it stands for; itself where nothing was merged or moved.
    withdrawn
        The person was withdrawn: nothing may be assigned, nothing kept.
    cohort
        The entry of the project's list, if there is one for the person or for the accession number.
    sex_token
        What :meth:`Ledger.first_sex` recorded for the canonical subject, if anything.
    has_cohort
        The project has a list: who has no entry is refused.
    moved
        A split led the study to another subject.
    """

    canonical: bytes
    withdrawn: bool = False
    cohort: CohortEntry | None = None
    sex_token: bytes | None = None
    has_cohort: bool = False
    moved: bool = False


class LinkKind(StrEnum):
    """What happened to a link."""

    LINK = "link"
    UNLINK = "unlink"
    SPLIT = "split"
    UNSPLIT = "unsplit"


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """One line of the history of links.

    Attributes
    ----------
    id
        By which it can be undone; rises with time.
    subject, target
        From whom, to whom.
    studies
        Tags of the studies that were moved; empty for a link.
    undoes
        Id of the event that this one took back; nothing for the others.
    case
        Id of the case that two people approved.
    at
        Seconds since 1970, UTC.
    """

    id: int
    kind: LinkKind
    subject: bytes = field(repr=False)
    target: bytes = field(repr=False)
    studies: tuple[bytes, ...] = field(repr=False)
    undoes: int | None
    case: str
    at: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What remains of a withdrawn subject: a one-way tag of its id, by which later arrivals are known."""

    tag: bytes = field(repr=False)
    case: str
    at: int


@dataclass(frozen=True, slots=True)
class TicketBinding:
    """An admission ticket and the digest of the request that came with it.

    Attributes
    ----------
    ticket
        The ticket's id or digest.
    digest
        Of the request.
    expires
        Seconds since 1970; from then on the ticket binds nothing.
    """

    ticket: bytes
    digest: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """How much there is; for quotas and metrics.

    Attributes
    ----------
    subjects
        Canonical subjects that surrogates were given for.
    studies
        With a record of the way back.
    records
        Of every kind.
    tickets
        Bound in the last hour.
    """

    subjects: int
    studies: int
    records: int
    tickets: int


def record_context(kind: str, handle: str) -> bytes:
    """Give what a sealed record is bound to besides its project."""
    return f"{kind}\x00{handle}".encode()


class Ledger(Protocol):
    """What assigning and the life of a link need to remember.

    Each write is one transaction, and stands against the death of this process as soon as the method
    returns; :meth:`flush` makes all of them stand against a power cut too (but for bindings of tickets, which
    live for minutes). May be called again: a call that repeats an earlier one changes nothing. Raises
    TarnhelmError: LNK-008 (RETRY) where it is busy or cannot be written, LNK-009 where it was destroyed,
    LNK-012 where it is damaged or another project's, LNK-023 where another version wrote it.
    """

    # --- what assigning asks -----------------------------------------------------------------------------------

    def resolve(self, subject: bytes, study: bytes, accession: bytes = b"") -> Standing:
        """Tell all about a subject in one read.

        Parameters
        ----------
        subject
            Id as the object names it.
        study
            Keyed tag of the study; matters where a split moved it.
        accession
            Keyed tag of the accession number; matters where the list names it.
        """
        ...

    def resolve_many(self, asked: Sequence[tuple[bytes, bytes, bytes]]) -> list[Standing]:
        """Do the same for many (subject, study, accession), in their order."""
        ...

    def changes(self) -> int:
        """Give a number that rises whenever an answer of :meth:`resolve` may have changed, sex apart."""
        ...

    def canonical(self, subject: bytes) -> bytes:
        """Give the subject that ``subject`` stands for; itself where it was not merged."""
        ...

    def first_sex(self, subject: bytes, token: bytes) -> bytes:
        """Record a token for a canonical subject if there is none; the one recorded. LNK-017 for a withdrawn one."""
        ...

    def first_sexes(self, tokens: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Do the same for many canonical subjects at once; none is recorded where one was withdrawn."""
        ...

    def known(self, tags: Sequence[bytes]) -> frozenset[bytes]:
        """Which of the tags have a record."""
        ...

    def put_records(self, records: Sequence[TaggedRecord]) -> int:
        """Put the records whose tags have none yet; how many were new.

        Raises
        ------
        TarnhelmError
            LNK-017 where a record is about a withdrawn subject; then none was put. A withdrawal and a record
            can not overtake each other.
        """
        ...

    def bind_tickets(self, items: Sequence[TicketBinding]) -> list[bool]:
        """Bind tickets to requests: the first digest wins until the ticket expires.

        Returns
        -------
        list of bool
            In the order of the items: whether the digest is the bound one. An expired ticket binds nothing.
        """
        ...

    # --- the life of a link ------------------------------------------------------------------------------------

    def link(self, subject: bytes, canonical: bytes, case: str) -> int:
        """Let ``subject`` stand for ``canonical`` (merge); gives the event's id.

        Raises LNK-019 where the subject is linked already to another one, or would come to stand for itself.
        """
        ...

    def unlink(self, link_id: int, case: str) -> None:
        """Undo a link: all is as if it had never been. LNK-020 where there is none, or it was undone."""
        ...

    def split(self, subject: bytes, studies: Sequence[bytes], new_subject: bytes, case: str) -> int:
        """Lead studies of a subject to another one; gives the event's id.

        Parameters
        ----------
        subject
            Whose objects name it, or for whom it stands.
        studies
            Keyed tags; at least one. LNK-019 where one of them was moved before, or would go in a circle.
        new_subject
            A subject that is there, or a new id.
        """
        ...

    def unsplit(self, split_id: int, case: str) -> None:
        """Undo a split; see :meth:`unlink`."""
        ...

    def traces(self, subject: bytes) -> tuple[Trace, ...]:
        """Give the traces of everybody whom any edge joins to a subject, each once."""
        ...

    def traces_at(self, handle: str) -> tuple[Trace, ...]:
        """Give the traces of a surrogate, each once."""
        ...

    def links(self) -> Iterator[LinkEvent]:
        """Give the history of links, in its order."""
        ...

    def withdraw(self, subject: bytes, case: str, handles: Sequence[str] = ()) -> int:
        """Delete all about a person and refuse every later arrival, for good.

        The person is the subject and everybody merged with it. Their records, the records of their studies,
        the sex and the entries of the list go; tombstones come.

        Parameters
        ----------
        handles
            Surrogates whose records go too: such as were written before records named their subject.

        Returns
        -------
        int
            How many records went.
        """
        ...

    def withdrawn(self, subject: bytes) -> bool:
        """Whether the person was withdrawn."""
        ...

    def tombstones(self) -> Iterator[Tombstone]:
        """Give the tombstones, to be kept outside what a backup restores."""
        ...

    def put_tombstones(self, tombstones: Iterable[Tombstone]) -> int:
        """Apply tombstones that were kept outside to what was restored; how many records went."""
        ...

    # --- the list ----------------------------------------------------------------------------------------------

    def put_cohort(self, entries: Iterable[CohortEntry]) -> int:
        """Add entries to the project's list, all or none; how many were new.

        Raises
        ------
        TarnhelmError
            LNK-021 where the tag is on the list with another study id or offset, or the study id is another
            patient's.
        """
        ...

    def cohort_size(self) -> int:
        """Count the entries; 0: the project accepts everybody."""
        ...

    # --- sealed records ----------------------------------------------------------------------------------------

    def records(self, kind: str = "", handle: str = "") -> Iterator[SealedRecord]:
        """Sealed records in the order of writing; all, of a kind, or of a surrogate."""
        ...

    def reseal(self, rewrap: Callable[[Sequence[SealedRecord]], Sequence[bytes]], batch: int = 200) -> int:
        """Replace what is sealed of all records, in batches; how many were replaced.

        Broken off it is called again and begins anew. A record that was put meanwhile with an old key may be
        behind the walk: run it until it replaces nothing before the old key is given up.
        """
        ...

    # --- the whole ---------------------------------------------------------------------------------------------

    def counts(self) -> LedgerCounts:
        """Count; reads whole tables, so for metrics and not for objects."""
        ...

    def flush(self) -> None:
        """Return when all that was written is on the disk."""
        ...

    def destroy(self) -> None:
        """Delete all of it, tombstones too, for good; may be called again."""
        ...

    def close(self) -> None:
        """Flush and let go."""
        ...
