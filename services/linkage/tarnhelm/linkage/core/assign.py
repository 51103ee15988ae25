"""The assigner: one request per object, answered from keys, the ledger and bounded caches.

All that is derived is the same in every process and year. The two things that are remembered instead, the
alias of a subject and the sex recorded first, are in the ledger; machines that share a project's key but no
ledger agree on everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tarnhelm.common.assign import AssignReply, AssignRequest, ValueKind
from tarnhelm.common.errors import MISSING_IDENTITY, TarnhelmError
from tarnhelm.linkage.core.derive import (
    ProjectKeys,
    UidMapper,
    date_offset_days,
    derive,
    is_placeholder,
    normalise_issuer,
    normalise_patient_id,
    normalise_uid,
    patient_id_for,
    project_message,
    study_subject_id,
    subject_id,
    subject_key,
    text_bytes,
)
from tarnhelm.linkage.core.permute import IdPermuter, is_injective
from tarnhelm.linkage.core.wayback import WayBack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.linkage.core.ledger import Ledger
    from tarnhelm.linkage.core.projects import Project
    from tarnhelm.linkage.vaults.base import Vault

__all__ = ["NOT_INJECTIVE", "CacheSizes", "LocalAssigner"]

_SEXES: Final = ("", "F", "M", "O")
NOT_INJECTIVE: Final = "id-not-injective"
"""Flag of a reply: an ID held characters beyond ASCII, or very many, so its surrogate is unlike others only by chance."""


@dataclass(frozen=True, slots=True)
class CacheSizes:
    """Entries kept in memory; at the defaults about 15 MB when all are full."""

    subjects: int = 4096
    uids: int = 16_384
    values: int = 4096
    recorded: int = 8192


@dataclass(slots=True)
class _Subject:
    """What is known of one subject; ``sex`` is None until it is recorded."""

    canonical: bytes
    patient_id: str
    key: bytes = field(repr=False)
    offset: int
    sex: str | None = None


class LocalAssigner:
    """Implements :class:`~tarnhelm.common.assign.Assigner` in process.

    Safe among threads: the caches are, and so are the vault and the ledger. An alias that is changed while an
    assigner runs is not seen by it (subjects are merged between runs).

    The way back of a new subject or study is in the ledger before the reply is given; call :meth:`flush`
    before outcomes are recorded as durable.

    Parameters
    ----------
    project
        Its pins.
    vault
        Asked once for the project key, and to seal.
    ledger
        The project's.
    caches
        Bounds of the caches.
    """

    def __init__(self, project: Project, vault: Vault, ledger: Ledger, *, caches: CacheSizes | None = None) -> None:
        sizes = caches or CacheSizes()
        settings = project.settings
        self._keys = ProjectKeys.from_project_key(vault.hmac(project.id, project.epoch, project_message(project.label)))
        self._ledger = ledger
        self._prefix = settings.prefix
        self._whole_weeks = settings.whole_weeks
        self._default_issuer = normalise_issuer(settings.default_issuer)
        self._placeholders = frozenset(normalise_patient_id(entry) for entry in settings.placeholders)
        self._issuer = project.issuer
        self._revision = project.revision
        self._way_back = WayBack(vault, ledger, project.id, self._keys.ledger)
        self._permute = IdPermuter(self._keys.permute)
        self._uid = lru_cache(maxsize=sizes.uids)(UidMapper(self._keys.uid, settings.uid_root))
        self._of_patient = lru_cache(maxsize=sizes.subjects)(self._subject_of_patient)
        self._of_study = lru_cache(maxsize=sizes.subjects)(self._subject_of_study)
        self._value = lru_cache(maxsize=sizes.values)(self._derive_value)
        self._remember = lru_cache(maxsize=sizes.recorded)(self._record)

    def assign(self, request: AssignRequest) -> AssignReply:
        """Answer one object's request.

        Raises
        ------
        TarnhelmError
            DCM-012 where a placeholder stands for the patient and there is no study UID either; LNK-007,
            LNK-008 (RETRY), LNK-009, LNK-010, LNK-012 from vault and ledger.
        """
        subject = self._of_patient(request.patient_id, request.issuer)
        placeholder = subject is None
        if subject is None:
            subject = self._of_study(request.study_uid)
        if subject.sex is None:
            subject.sex = self._first_sex(subject.canonical, request.sex)
        self._remember(subject.patient_id, request.patient_id, request.issuer, request.study_uid, request.way_back)
        derive_uid = self._uid
        values: tuple[str, ...] = ()
        flags: frozenset[str] = frozenset()
        if request.values:
            found = [self._value(query.kind, query.domain, query.value) for query in request.values]
            values = tuple(value for value, _ in found)
            if not all(injective for _, injective in found):
                flags = frozenset((NOT_INJECTIVE,))
        return AssignReply(
            subject_id=subject.patient_id,
            subject_key=subject.key,
            date_offset_days=subject.offset,
            sex=subject.sex,
            uids={uid: derive_uid(uid) for uid in request.uids},
            values=values,
            issuer=self._issuer,
            placeholder_subject=placeholder,
            revision=self._revision,
            flags=flags,
        )

    def record_paths(self, run: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Keep a batch of (original path, released path), sealed like the way back."""
        self._way_back.record_paths(run, pairs)

    def flush(self) -> None:
        """Return when the way back of all replies so far is on the disk."""
        self._ledger.flush()

    def close(self) -> None:
        """Flush and let the ledger go."""
        self._ledger.close()

    # --- subjects --------------------------------------------------------------------------------------------

    def _subject_of_patient(self, patient_id: str, issuer: str) -> _Subject | None:
        normalised = normalise_patient_id(patient_id)
        if is_placeholder(normalised, self._placeholders):
            return None
        named = normalise_issuer(issuer) or self._default_issuer
        return self._subject(subject_id(self._keys.project, named, normalised))

    def _subject_of_study(self, study_uid: str) -> _Subject:
        normalised = normalise_uid(study_uid)
        if not normalised:
            raise TarnhelmError(MISSING_IDENTITY)
        return self._subject(study_subject_id(self._keys.project, normalised))

    def _subject(self, own: bytes) -> _Subject:
        canonical = self._ledger.canonical(own)
        key = subject_key(self._keys.project, canonical)
        return _Subject(
            canonical=canonical,
            patient_id=patient_id_for(key, self._prefix),
            key=key,
            offset=date_offset_days(key, whole_weeks=self._whole_weeks),
        )

    def _first_sex(self, canonical: bytes, sex: str) -> str:
        """Record the sex: the first one seen counts, an empty one too: a person's name must not change in mid-series."""
        seen = sex.strip(" \x00").upper()
        tokens = {derive(self._keys.ledger, "sex", canonical, code.encode())[:8]: code for code in _SEXES}
        mine = derive(self._keys.ledger, "sex", canonical, (seen if seen in _SEXES else "").encode())[:8]
        return tokens.get(self._ledger.first_sex(canonical, mine), "")

    # --- values and the way back -----------------------------------------------------------------------------

    def _derive_value(self, kind: ValueKind, domain: str, value: str) -> tuple[str, bool]:
        if kind is ValueKind.KEY:
            return derive(self._keys.value, "key", text_bytes(domain), text_bytes(value)).hex(), True
        return self._permute(kind, domain, value), is_injective(kind, value)

    def _record(
        self, subject: str, patient_id: str, issuer: str, study_uid: str, way_back: tuple[tuple[str, str], ...]
    ) -> None:
        own = (("patient_id", patient_id), ("issuer", issuer), ("study_uid", study_uid))
        self._way_back.record(subject, self._uid(study_uid), own + way_back)
