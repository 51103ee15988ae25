"""The seam to whatever can open a sealed record, and what a record says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tarnhelm.common.errors import RECORD_DAMAGED, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tarnhelm.linkage.core.ledger import SealedRecord

__all__ = ["OpenedRecord", "Opener", "parse_record"]


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """One link in the clear. Its representation shows nothing of it.

    Attributes
    ----------
    kind, handle
        As in the sealed record.
    subject
        Of a study: the surrogate Patient ID.
    values
        Of a subject or study: (kind, original value).
    pairs
        Of paths and uids: (original, released).
    """

    kind: str
    handle: str
    subject: str = ""
    values: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class Opener(Protocol):
    """Opens records, in their order. Called only between an audited claim and its end."""

    def open(self, records: Iterable[SealedRecord]) -> Iterator[OpenedRecord]:
        """Open one after the other.

        Raises
        ------
        TarnhelmError
            LNK-014 where this reader is another one, LNK-015 where a record was changed, cut, or put in
            another's place (``index`` counts from 0), LNK-007 (RETRY) where a vault is away.
        """
        ...


def parse_record(record: SealedRecord, plaintext: bytes, index: int) -> OpenedRecord:
    """Read the plaintext of a record (:mod:`tarnhelm.linkage.core.wayback`); LNK-015."""
    try:
        document: dict[str, Any] = json.loads(plaintext)
        if document["v"] != 1:
            raise TarnhelmError(RECORD_DAMAGED, index=index)
        return OpenedRecord(
            kind=record.kind,
            handle=record.handle,
            subject=document.get("subject", ""),
            values=tuple((kind, value) for kind, value in document.get("values", ())),
            pairs=tuple((original, released) for original, released in document.get("pairs", ())),
        )
    except (ValueError, KeyError, TypeError):
        raise TarnhelmError(RECORD_DAMAGED, index=index) from None
