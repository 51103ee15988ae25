"""The seam between whoever rewrites an object and whoever holds the keys (DESIGN: Assign).

One request per object, one reply. The reply holds the surrogate material of that object's subject and
nothing with which another subject could be guessed: UID keys, project keys and root keys stay on the
other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

__all__ = ["AssignReply", "AssignRequest", "Assigner", "ValueKind", "ValueQuery"]


class ValueKind(StrEnum):
    """What is wanted for a value whose surrogate belongs to the project, not to the subject."""

    ID_NUMERICAL = "id-numerical"
    """A string of the same length; each digit stays a digit, all else stays as it is. Injective in the project."""
    ID_ALPHANUMERICAL = "id-alphanumerical"
    """Same length; digits stay digits, letters stay letters of the same case. Injective in the project."""
    KEY = "key"
    """32 bytes of key material for the value, as lower-case hex: seeds a PSEUDO class with ``scope=project``."""


@dataclass(frozen=True, slots=True)
class ValueQuery:
    """One project-scope question. ``domain`` separates uses (for KEY: the PSEUDO class); ``value`` is normalised."""

    kind: ValueKind
    domain: str
    value: str


@dataclass(frozen=True, slots=True)
class AssignRequest:
    """What one object asks for.

    Attributes
    ----------
    patient_id, issuer
        (0010,0020) and (0010,0021) decoded, as found; the assigner normalises them.
    study_uid
        Stands in for the subject where the Patient ID is empty or a placeholder.
    sex
        (0010,0040) as found: ``M``, ``F``, ``O`` or empty. The first one recorded counts.
    uids
        The object's distinct UIDs that are not standard UIDs.
    values
        Project-scope questions, answered in order.
    way_back
        What the vault shall keep for this subject and study: (kind, value) with kind one of
        ``patient_id issuer patient_name birth_date other_id study_uid accession_number study_date``.
    """

    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    study_uid: str = field(repr=False)
    sex: str = field(repr=False)
    uids: tuple[str, ...] = field(repr=False)
    values: tuple[ValueQuery, ...] = field(default=(), repr=False)
    way_back: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class AssignReply:
    """The surrogate material of one object's subject.

    Attributes
    ----------
    subject_id
        The default PatientID: project prefix and at least 80 bits, at most 64 characters, valid LO.
    subject_key
        32 bytes, different for every subject and project.
    date_offset_days
        Negative: dates move into the past by 1 to 3,650 whole days.
    sex
        The sex recorded first for this subject, empty if none was.
    uids
        Original UID → surrogate UID for every UID of the request.
    values
        Answers to ``AssignRequest.values`` in order.
    issuer
        IssuerOfPatientID for coded objects: names the project.
    placeholder_subject
        The Patient ID was empty or a placeholder, so the study stands for the subject.
    revision
        Of the project, for the manifest.
    """

    subject_id: str
    subject_key: bytes = field(repr=False)
    date_offset_days: int = field(repr=False)
    sex: str = field(repr=False)
    uids: Mapping[str, str] = field(repr=False)
    values: tuple[str, ...] = ()
    issuer: str = ""
    placeholder_subject: bool = False
    revision: int = 1
    flags: frozenset[str] = field(default_factory=frozenset)


class Assigner(Protocol):
    """Gives surrogates. Idempotent: the same request gets the same answer, in every process and year."""

    def assign(self, request: AssignRequest) -> AssignReply:
        """Answer one object's request; raises TarnhelmError (``LNK-…``)."""
        ...
