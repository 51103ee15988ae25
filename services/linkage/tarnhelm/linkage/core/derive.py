"""The key hierarchy: from a project's root key to each pseudonym.

The root key never leaves its vault. The vault gives ``HMAC(root, project_message(label))``, the *project
key*; all else is derived from it by HMAC-SHA-256 under a label, so that no key tells anything of another.

========================  ==================================================================================
project key               HMAC(root, 'project' ‖ label)
subject id                HMAC(project key, 'id' ‖ issuer ‖ Patient ID), both normalised
subject id, placeholder   HMAC(project key, 'study-subject' ‖ Study Instance UID)
canonical                 whom the ledger's links lead to, the id itself where there are none
subject key               HMAC(project key, 'subject' ‖ canonical)
Patient ID, date offset   HMAC(subject key, ...)
UID key                   HMAC(project key, 'uid'): one for the project
study tag                 HMAC(ledger key, 'study-tag' ‖ Study Instance UID)
accession tag             HMAC(ledger key, 'accession-tag' ‖ issuer ‖ accession number)
tombstone                 HMAC(subject id, 'tombstone')
========================  ==================================================================================

The UID key belongs to the project and not to the subject: an object whose Patient ID is missing or spelt
otherwise still refers to the same study, and merging two subjects does not change a UID that was released.

Everything here is frozen by golden vectors: a change is a new derivation version, hence a new epoch.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from tarnhelm.common.errors import BAD_PIN, TarnhelmError

__all__ = [
    "DEFAULT_PLACEHOLDERS",
    "DERIVATION_VERSION",
    "ProjectKeys",
    "UidMapper",
    "accession_tag",
    "date_offset_days",
    "derive",
    "is_placeholder",
    "is_uid_root",
    "message",
    "normalise_issuer",
    "normalise_patient_id",
    "normalise_uid",
    "patient_id_for",
    "project_message",
    "split_subject_id",
    "study_subject_id",
    "study_tag",
    "subject_id",
    "subject_key",
    "text_bytes",
    "tombstone_tag",
    "uniform",
]

DERIVATION_VERSION: Final = 1
"""Of the rules in this file. A project pins it."""

DEFAULT_PLACEHOLDERS: Final = (
    "",
    "0",
    "UNKNOWN",
    "UNK",
    "UNDEFINED",
    "UNIDENTIFIED",
    "INCONNU",
    "ANON",
    "ANONYMOUS",
    "ANONYMIZED",
    "ANONYMISED",
    "NONE",
    "NULL",
    "NIL",
    "NO ID",
    "NOID",
    "NA",
    "N/A",
    "TEST",
    "TESTING",
    "PATIENT",
    "PATIENT ID",
    "PATIENTID",
    "PHANTOM",
    "QA",
    "QC",
    "TEMP",
    "TBD",
    "XXX",
    "JOHN DOE",
    "JANE DOE",
)
"""Patient IDs that name nobody. Strings of zeros, and of no letter or digit at all, are placeholders besides."""

_DOMAIN: Final = b"tarnhelm\x00"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PATIENT_ID_BITS: Final = 80
_MAX_OFFSET_DAYS: Final = 3650
_UID_ROOT: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
_MAX_UID: Final = 64
_LONGEST_ROOT: Final = 34
"""Leaves 29 digits, room for 96 bits."""
_ROOT_FOR_FULL_LENGTH: Final = 24
"""Leaves 39 digits, room for 128 bits."""


def message(label: str, *parts: bytes) -> bytes:
    """Give the bytes that are signed for a label: each part with its length, so that no two lists look alike."""
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return _DOMAIN + label.encode("ascii") + b"\x00" + framed


def text_bytes(value: str) -> bytes:
    """UTF-8 of a value out of a file; bytes that could not be decoded are kept as such instead of raising."""
    return value.encode("utf-8", "surrogatepass")


def derive(key: bytes, label: str, *parts: bytes) -> bytes:
    """HMAC-SHA-256 under a label; 32 bytes."""
    return hmac.digest(key, message(label, *parts), "sha256")


def project_message(label: str) -> bytes:
    """Give what the vault signs with the project's root key to give the project key."""
    return message("project", label.encode("utf-8"))


@dataclass(frozen=True, slots=True)
class ProjectKeys:
    """The keys under one project key; none of them is ever shown or written.

    Attributes
    ----------
    uid
        Maps UIDs.
    permute
        Keys the permutations of IDs.
    value
        Gives key material for values of the whole project.
    ledger
        Makes the ledger's tags, which tell nothing without it.
    """

    project: bytes = field(repr=False)
    uid: bytes = field(repr=False)
    permute: bytes = field(repr=False)
    value: bytes = field(repr=False)
    ledger: bytes = field(repr=False)

    @classmethod
    def from_project_key(cls, project_key: bytes) -> ProjectKeys:
        """Derive the sub-keys."""
        return cls(
            project=project_key,
            uid=derive(project_key, "uid"),
            permute=derive(project_key, "permute"),
            value=derive(project_key, "value"),
            ledger=derive(project_key, "ledger"),
        )


# --- normalisation -------------------------------------------------------------------------------------------


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.replace("\x00", " ").split())


def normalise_patient_id(value: str) -> str:
    """Give the form of a Patient ID under which spellings are equal.

    NFKC, case folded, padding (spaces, NUL) trimmed, inner white space one space. Leading zeros, hyphens and
    all other punctuation count: ``0123`` and ``123`` may be two patients, and to take two patients for one
    cannot be undone in released images, while two IDs of one patient can be merged in the ledger.
    """
    return _fold(value)


def normalise_issuer(value: str) -> str:
    """Give the form of an Issuer of Patient ID under which spellings are equal; as for the Patient ID."""
    return _fold(value)


def normalise_uid(value: str) -> str:
    """Give a UID without its padding (PS3.5, 6.2: a trailing NUL; a space is a common fault)."""
    return value.strip(" \x00")


def is_placeholder(normalised: str, placeholders: frozenset[str]) -> bool:
    """Whether a normalised Patient ID names nobody.

    Parameters
    ----------
    normalised
        From :func:`normalise_patient_id`.
    placeholders
        The project's list, normalised likewise.
    """
    if normalised in placeholders:
        return True
    core = [character for character in normalised if character.isalnum()]
    return not core or all(character == "0" for character in core)


# --- subjects ------------------------------------------------------------------------------------------------


def subject_id(project_key: bytes, issuer: str, patient_id: str) -> bytes:
    """32 bytes that stand for a patient in the ledger; takes normalised values."""
    return derive(project_key, "id", text_bytes(issuer), text_bytes(patient_id))


def study_subject_id(project_key: bytes, study_uid: str) -> bytes:
    """32 bytes that stand for the unknown patient of one study."""
    return derive(project_key, "study-subject", text_bytes(study_uid))


def split_subject_id(project_key: bytes, subject: bytes, case: str) -> bytes:
    """32 bytes that stand for a person whose studies were filed under another one and whose own ID is not known."""
    return derive(project_key, "split-subject", subject, text_bytes(case))


def study_tag(ledger_key: bytes, study_uid: str) -> bytes:
    """32 bytes that stand for a study in the ledger; takes a normalised UID."""
    return derive(ledger_key, "study-tag", text_bytes(study_uid))


def accession_tag(ledger_key: bytes, issuer: str, accession: str) -> bytes:
    """32 bytes that stand for an accession number in the ledger; takes normalised values."""
    return derive(ledger_key, "accession-tag", text_bytes(issuer), text_bytes(accession))


def tombstone_tag(subject: bytes) -> bytes:
    """32 bytes that remain of a withdrawn subject: its id is the key, so the tag does not give the id back.

    No project key is needed, so every process that opens the ledger makes the same tag, the one that restores
    a backup too, and none can miss a withdrawal for want of a key.
    """
    return derive(subject, "tombstone")


def subject_key(project_key: bytes, canonical: bytes) -> bytes:
    """32 bytes from which a subject's surrogates are made."""
    return derive(project_key, "subject", canonical)


def patient_id_for(key: bytes, prefix: str) -> str:
    """Give the surrogate Patient ID: the project's prefix and 80 bits in 16 unambiguous capitals and digits."""
    number = int.from_bytes(derive(key, "patient-id")[: _PATIENT_ID_BITS // 8], "big")
    digits = [_CROCKFORD[(number >> shift) & 31] for shift in range(_PATIENT_ID_BITS - 5, -1, -5)]
    return prefix + "".join(digits)


def uniform(key: bytes, label: str, bound: int) -> int:
    """Give an integer of ``range(bound)``, each equally likely over keys; ``bound`` at most 2**64."""
    ceiling = (1 << 64) - (1 << 64) % bound
    counter = 0
    while True:
        drawn = int.from_bytes(derive(key, label, counter.to_bytes(4, "big"))[:8], "big")
        if drawn < ceiling:
            return drawn % bound
        counter += 1


def date_offset_days(key: bytes, *, whole_weeks: bool) -> int:
    """Days by which a subject's dates move: -1 to -3,650, or whole weeks of them (-7 to -3,647)."""
    if whole_weeks:
        return -7 * (1 + uniform(key, "date-offset-weeks", _MAX_OFFSET_DAYS // 7))
    return -(1 + uniform(key, "date-offset", _MAX_OFFSET_DAYS))


# --- UIDs ----------------------------------------------------------------------------------------------------


def is_uid_root(root: str) -> bool:
    """Whether surrogate UIDs can be made under ``root``: a valid OID of at most 34 characters."""
    if len(root) > _LONGEST_ROOT or not _UID_ROOT.fullmatch(root):
        return False
    first, second = root.split(".")[:2]
    return first == "2" or int(second) < 40


class UidMapper:
    """Maps UIDs of a project: original to surrogate, the same wherever the UID stands.

    Under ``2.25.`` the surrogate is the decimal form of a UUID of version 8 (RFC 9562, 5.8; PS3.5, B.2):
    122 bits of HMAC. Under a site's own root it is ``root.`` and the same number, or 96 bits where the root
    leaves no room for it. An empty UID stays empty.

    Parameters
    ----------
    key
        The project's UID key.
    root
        Empty, or an OID of at most 34 characters.
    """

    __slots__ = ("_bits", "_context", "_stem")

    def __init__(self, key: bytes, root: str = "") -> None:
        if root and not is_uid_root(root):
            raise TarnhelmError(BAD_PIN)
        self._stem = f"{root or '2.25'}."
        self._bits = 128 if len(self._stem) - 1 <= _ROOT_FOR_FULL_LENGTH else 96
        # The keyed state is made once: copying it costs half of a new HMAC.
        self._context = hmac.new(key, digestmod=hashlib.sha256)

    def __call__(self, uid: str) -> str:
        """Give the surrogate of one UID, at most 64 characters."""
        wanted = uid.strip(" \x00")
        if not wanted:
            return ""
        context = self._context.copy()
        context.update(text_bytes(wanted))
        number = int.from_bytes(context.digest()[:16], "big")
        number = number & ~(0xF << 76) | 8 << 76
        number = number & ~(3 << 62) | 2 << 62
        if self._bits == 96:
            number >>= 32
        return self._stem + str(number)
