"""What the sealed records say, and the tags by which a record is known again.

Plaintext of a record (canonical JSON, UTF-8)::

    subject   {"v": 1, "values": [[kind, value], ...]}
    study     {"v": 1, "subject": surrogate Patient ID, "values": [[kind, value], ...]}
    paths     {"v": 1, "pairs": [[original path, released path], ...]}
    uids      {"v": 1, "pairs": [[original UID, surrogate UID], ...]}       of one object, where the project asks

A record is written once for each *content*, not for each object: a subject whose objects spell the name in
two ways has two records, and nothing of the way back is lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import SUBJECT_WITHDRAWN, TarnhelmError
from tarnhelm.linkage.core.derive import derive
from tarnhelm.linkage.core.ledger import Ledger, TaggedRecord, record_context
from tarnhelm.linkage.vaults.base import SealItem, Vault

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["STUDY_KINDS", "Link", "WayBack"]

STUDY_KINDS: Final = frozenset({"study_uid", "accession_number", "study_date"})
"""Kinds of value that belong to the study; all others belong to the subject."""
_TAG_BYTES: Final = 16
_OWNERS: Final = 4096
_PADDED_TO: Final = 256
"""Plaintexts end in spaces up to a multiple of this, so that a record's size does not tell a name's length."""


@dataclass(frozen=True, slots=True)
class Link:
    """What is to be kept of one object's subject and study.

    Attributes
    ----------
    patient_id, study_uid
        Surrogates.
    values
        (kind, original value); empty values are passed over.
    subject, study
        The subject's id as the objects name it, and the study's tag: by them a withdrawal finds the records.
    moved
        The study's tag where it was moved to another subject, whose the record of the subject then is.
    uids
        (original, surrogate) of the object's UIDs; empty where the project does not keep them.
    """

    patient_id: str
    study_uid: str
    values: tuple[tuple[str, str], ...] = field(repr=False)
    subject: bytes = field(default=b"", repr=False)
    study: bytes = field(default=b"", repr=False)
    moved: bytes = field(default=b"", repr=False)
    uids: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class _Record:
    kind: str
    handle: str
    text: bytes = field(repr=False)
    subject: bytes = b""
    study: bytes = b""


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

    __slots__ = ("_key", "_ledger", "_owners", "_project", "_vault")

    def __init__(self, vault: Vault, ledger: Ledger, project: str, key: bytes) -> None:
        self._vault = vault
        self._ledger = ledger
        self._project = project
        self._key = key
        self._owners: dict[tuple[str, str], tuple[bytes, bytes]] = {}

    def record(self, links: Sequence[Link]) -> None:
        """Keep the way back of subjects and studies; one call to the vault for all that is new.

        Raises
        ------
        TarnhelmError
            LNK-017 where one of the subjects was withdrawn; nothing was written.
        """
        records = []
        for link in links:
            found = sorted({pair for pair in link.values if pair[1]})
            of_subject = [pair for pair in found if pair[0] not in STUDY_KINDS]
            of_study = [pair for pair in found if pair[0] in STUDY_KINDS]
            if of_subject:
                text = _encoded({"v": 1, "values": of_subject})
                records.append(_Record("subject", link.patient_id, text, link.subject, link.moved))
            if of_study:
                text = _encoded({"v": 1, "subject": link.patient_id, "values": of_study})
                records.append(_Record("study", link.study_uid, text, link.subject, link.study))
            if link.uids:
                text = _encoded({"v": 1, "pairs": sorted(link.uids)})
                records.append(_Record("uids", link.study_uid, text, link.subject, link.study))
        self._put(records)

    def record_paths(self, run: str, pairs: Sequence[tuple[str, str]], owners: Sequence[tuple[str, str]] = ()) -> None:
        """Keep a batch of (original path, released path) of one run; surrogate-escaped bytes are kept as such.

        A path may name a patient, so the paths of each study are a record of their own, which a withdrawal finds.

        Parameters
        ----------
        owners
            Of each pair the surrogates (Patient ID, Study Instance UID) of its object, either may be empty. Their
            links must have been kept before. Pairs without an owner are kept in one record that is about nobody.
        """
        named = owners or [("", "")] * len(pairs)
        groups: dict[tuple[bytes, bytes], list[list[str]]] = {}
        for pair, (patient_id, study_uid) in zip(pairs, named, strict=True):
            groups.setdefault(self._owner(patient_id, study_uid), []).append(list(pair))
        records = [
            _Record("paths", run, _encoded({"v": 1, "pairs": listed}), subject, study)
            for (subject, study), listed in groups.items()
        ]
        try:
            self._put(records)
        except TarnhelmError as error:
            if error.kind is not SUBJECT_WITHDRAWN:
                raise
            for record in records:
                self._put_unless_withdrawn(record)

    def _put_unless_withdrawn(self, record: _Record) -> None:
        """Keep the paths of one study; of somebody who was withdrawn since the objects were assigned, none."""
        try:
            self._put([record])
        except TarnhelmError as error:
            if error.kind is not SUBJECT_WITHDRAWN:
                raise

    def _owner(self, patient_id: str, study_uid: str) -> tuple[bytes, bytes]:
        """Whom an object is about, as the ledger knows it by the surrogates that were given for it."""
        known = self._owners.get((patient_id, study_uid))
        if known is not None:
            return known
        kinds = (("study", study_uid), ("subject", patient_id))
        found = (
            (trace.subject, trace.study)
            for kind, handle in kinds
            if handle
            for trace in self._ledger.traces_at(handle)
            if trace.kind == kind and trace.subject
        )
        owner = next(found, None)
        if owner is None:
            return b"", b""
        if len(self._owners) >= _OWNERS:
            self._owners.clear()
        self._owners[patient_id, study_uid] = owner
        return owner

    def _put(self, records: Sequence[_Record]) -> None:
        tagged = {self._tag(record): record for record in records}
        known = self._ledger.known(list(tagged))
        fresh = [(tag, record) for tag, record in tagged.items() if tag not in known]
        if not fresh:
            return
        items = [SealItem(record.text, record_context(record.kind, record.handle)) for _, record in fresh]
        sealed = self._vault.seal_batch(self._project, items)
        self._ledger.put_records(
            [
                TaggedRecord(tag, record.kind, record.handle, blob, record.subject, record.study)
                for (tag, record), blob in zip(fresh, sealed, strict=True)
            ]
        )

    def _tag(self, record: _Record) -> bytes:
        parts = (record.kind.encode(), record.handle.encode("utf-8"), record.text)
        return derive(self._key, "record", *parts)[:_TAG_BYTES]


def _encoded(document: dict[str, Any]) -> bytes:
    # ASCII JSON: paths may hold bytes that are no UTF-8, and stay readable as surrogate escapes.
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
    return text.ljust(-(-len(text) // _PADDED_TO) * _PADDED_TO)
