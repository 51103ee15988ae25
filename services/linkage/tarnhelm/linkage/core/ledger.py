"""The seam to the ledger: aliases, the sex recorded first, and sealed records. No identifier in the clear.

A ledger belongs to one project. What it is given is keyed (subject ids and tags are HMACs, useless without
the project key) or sealed to the reader of the way back. Surrogates stand in the clear, so that a record can
be found by the surrogate that somebody holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Ledger", "SealedRecord", "TaggedRecord", "record_context"]


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
    """A record to be put; ``tag`` is a keyed digest of its content, by which it is known again."""

    tag: bytes
    kind: str
    handle: str
    sealed: bytes = field(repr=False)


def record_context(kind: str, handle: str) -> bytes:
    """Give what a sealed record is bound to besides its project."""
    return f"{kind}\x00{handle}".encode()


class Ledger(Protocol):
    """What assigning and the life of a link need to remember.

    Each write is one transaction, and stands against the death of this process as soon as the method
    returns; :meth:`flush` makes all of them stand against a power cut too. Raises TarnhelmError: LNK-008
    (RETRY) where it is busy or cannot be written, LNK-012 where it is damaged or another project's.
    """

    def canonical(self, subject: bytes) -> bytes:
        """Give the subject id that ``subject`` is an alias of; itself where it is none."""
        ...

    def put_alias(self, subject: bytes, canonical: bytes) -> None:
        """Make ``subject`` and all its aliases aliases of ``canonical`` (or of what that is an alias of)."""
        ...

    def drop_alias(self, subject: bytes) -> None:
        """Let ``subject`` stand for itself again."""
        ...

    def first_sex(self, subject: bytes, token: bytes) -> bytes:
        """Record a token for a canonical subject if there is none; the one recorded."""
        ...

    def known(self, tags: Sequence[bytes]) -> frozenset[bytes]:
        """Which of the tags have a record."""
        ...

    def put_records(self, records: Sequence[TaggedRecord]) -> int:
        """Put the records whose tags have none yet; how many were new."""
        ...

    def records(self, kind: str = "", handle: str = "") -> Iterator[SealedRecord]:
        """Sealed records in the order of writing; all, of a kind, or of a surrogate."""
        ...

    def flush(self) -> None:
        """Return when all that was written is on the disk."""
        ...

    def destroy(self) -> None:
        """Delete all of it, for good; may be called again."""
        ...

    def close(self) -> None:
        """Flush and let go."""
        ...
