"""What the sealed records say, and the tags by which a record is known again.

Plaintext of a record (canonical JSON, UTF-8)::

    subject   {"v": 1, "values": [[kind, value], ...]}
    study     {"v": 1, "subject": surrogate Patient ID, "values": [[kind, value], ...]}
    paths     {"v": 1, "pairs": [[original path, released path], ...]}

A record is written once for each *content*, not for each object: a subject whose objects spell the name in
two ways has two records, and nothing of the way back is lost.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.linkage.core.derive import derive
from tarnhelm.linkage.core.ledger import Ledger, TaggedRecord, record_context
from tarnhelm.linkage.vaults.base import SealItem, Vault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["STUDY_KINDS", "WayBack"]

STUDY_KINDS: Final = frozenset({"study_uid", "accession_number", "study_date"})
"""Kinds of value that belong to the study; all others belong to the subject."""
_TAG_BYTES: Final = 16
_PADDED_TO: Final = 256
"""Plaintexts end in spaces up to a multiple of this, so that a record's size does not tell a name's length."""


class WayBack:
    """Writes the way back of one project: seals, and puts into the ledger what is not there yet.

    Parameters
    ----------
    vault, ledger
        The seams; the ledger is the project's.
    project
        Opaque id.
    key
        The project's key for the ledger.
    """

    __slots__ = ("_key", "_ledger", "_project", "_vault")

    def __init__(self, vault: Vault, ledger: Ledger, project: str, key: bytes) -> None:
        self._vault = vault
        self._ledger = ledger
        self._project = project
        self._key = key

    def record(self, patient_id: str, study_uid: str, values: Iterable[tuple[str, str]]) -> None:
        """Keep the way back of one subject and one study.

        Parameters
        ----------
        patient_id, study_uid
            Surrogates.
        values
            (kind, original value); empty values are passed over.
        """
        found = sorted({pair for pair in values if pair[1]})
        of_subject = [pair for pair in found if pair[0] not in STUDY_KINDS]
        of_study = [pair for pair in found if pair[0] in STUDY_KINDS]
        records = []
        if of_subject:
            records.append(("subject", patient_id, {"v": 1, "values": of_subject}))
        if of_study:
            records.append(("study", study_uid, {"v": 1, "subject": patient_id, "values": of_study}))
        self._put(records)

    def record_paths(self, run: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Keep a batch of (original path, released path) of one run; surrogate-escaped bytes are kept as such."""
        if pairs:
            self._put([("paths", run, {"v": 1, "pairs": [list(pair) for pair in pairs]})])

    def _put(self, records: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
        plain = [(kind, handle, _encoded(document)) for kind, handle, document in records]
        tags = [
            derive(self._key, "record", kind.encode(), handle.encode("utf-8"), text)[:_TAG_BYTES]
            for kind, handle, text in plain
        ]
        known = self._ledger.known(tags)
        fresh = [(tag, entry) for tag, entry in zip(tags, plain, strict=True) if tag not in known]
        if not fresh:
            return
        items = [SealItem(text, record_context(kind, handle)) for _, (kind, handle, text) in fresh]
        sealed = self._vault.seal_batch(self._project, items)
        self._ledger.put_records(
            [
                TaggedRecord(tag, kind, handle, blob)
                for (tag, (kind, handle, _)), blob in zip(fresh, sealed, strict=True)
            ]
        )


def _encoded(document: dict[str, Any]) -> bytes:
    # ASCII JSON: paths may hold bytes that are no UTF-8, and stay readable as surrogate escapes.
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
    return text.ljust(-(-len(text) // _PADDED_TO) * _PADDED_TO)
