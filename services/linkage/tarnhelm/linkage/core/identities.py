"""How people, studies and accession numbers are named in a project's ledger.

Assigning and the life of a link must name them alike, or a withdrawal would miss the person it is for. So
both take the names from here.

The names are made with the key of the project's *first* epoch, for ever: merges, withdrawals and the list then
hold in every later epoch, while the surrogates come from the current epoch's key and share nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tarnhelm.linkage.core.derive import (
    ProjectKeys,
    accession_tag,
    is_placeholder,
    normalise_issuer,
    normalise_patient_id,
    normalise_uid,
    project_message,
    split_subject_id,
    study_subject_id,
    study_tag,
    subject_id,
)

if TYPE_CHECKING:
    from tarnhelm.linkage.core.projects import Project, ProjectSettings
    from tarnhelm.linkage.vaults.base import Vault

__all__ = ["FIRST_EPOCH", "Identities", "project_keys"]

FIRST_EPOCH: Final = 1


def project_keys(vault: Vault, project: Project, epoch: int | None = None) -> ProjectKeys:
    """Give a project's keys of an epoch, the current one if none is named; raises LNK-007, LNK-009, LNK-010."""
    wanted = project.epoch if epoch is None else epoch
    return ProjectKeys.from_project_key(vault.hmac(project.id, wanted, project_message(project.label)))


class Identities:
    """Names by which a project's ledger knows people and studies; each takes values as found.

    Parameters
    ----------
    keys
        Of the first epoch.
    settings
        The project's: placeholders, and the issuer that stands in for an empty one.
    """

    def __init__(self, keys: ProjectKeys, settings: ProjectSettings) -> None:
        self._keys = keys
        self._default_issuer = normalise_issuer(settings.default_issuer)
        self._placeholders = frozenset(normalise_patient_id(entry) for entry in settings.placeholders)

    @classmethod
    def of(cls, vault: Vault, project: Project) -> Identities:
        """Ask the vault for the key of the project's first epoch."""
        return cls(project_keys(vault, project, FIRST_EPOCH), project.settings)

    def patient(self, patient_id: str, issuer: str) -> bytes | None:
        """Give the subject id of a patient; nothing where the Patient ID names nobody."""
        normalised = normalise_patient_id(patient_id)
        if is_placeholder(normalised, self._placeholders):
            return None
        return subject_id(self._keys.project, self._issuer(issuer), normalised)

    def unknown_patient(self, study_uid: str) -> bytes | None:
        """Give the subject id of the unknown patient of one study; nothing without a UID."""
        normalised = normalise_uid(study_uid)
        return study_subject_id(self._keys.project, normalised) if normalised else None

    def study(self, study_uid: str) -> bytes:
        """Give the tag of a study; empty without a UID."""
        normalised = normalise_uid(study_uid)
        return study_tag(self._keys.ledger, normalised) if normalised else b""

    def accession(self, accession: str, issuer: str) -> bytes:
        """Give the tag of an accession number; empty where it names nothing."""
        normalised = normalise_patient_id(accession)
        if is_placeholder(normalised, self._placeholders):
            return b""
        return accession_tag(self._keys.ledger, self._issuer(issuer), normalised)

    def split_off(self, subject: bytes, case: str) -> bytes:
        """Give a new subject id for studies of somebody whose own Patient ID is not known."""
        return split_subject_id(self._keys.project, subject, case)

    def _issuer(self, issuer: str) -> str:
        return normalise_issuer(issuer) or self._default_issuer
