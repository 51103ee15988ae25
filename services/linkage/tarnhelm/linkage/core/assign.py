"""The assigner: one request per object, answered from keys, the ledger and bounded caches.

All that is derived is the same in every process and year. What is remembered instead is in the ledger: who
was merged, moved or withdrawn, the list of a study, and the sex recorded first. Machines that share a
project's key but no ledger agree on everything else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from tarnhelm.common.assign import AssignReply, AssignRequest, ValueKind
from tarnhelm.common.errors import MISSING_IDENTITY, NOT_IN_COHORT, SUBJECT_WITHDRAWN, Disposition, TarnhelmError
from tarnhelm.linkage.core.derive import UidMapper, date_offset_days, derive, patient_id_for, subject_key, text_bytes
from tarnhelm.linkage.core.identities import FIRST_EPOCH, Identities, project_keys
from tarnhelm.linkage.core.permute import IdPermuter, is_injective
from tarnhelm.linkage.core.wayback import Link, WayBack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tarnhelm.linkage.core.ledger import Ledger, Standing
    from tarnhelm.linkage.core.projects import Project
    from tarnhelm.linkage.vaults.base import Vault

__all__ = ["NOTICE_SECONDS", "NOT_INJECTIVE", "CacheSizes", "LocalAssigner"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_SubjectKey: TypeAlias = tuple[int, str, str, str, str]
"""Counter of changes, Patient ID, issuer, study, accession number: what was before a change is not used after it."""
_RecordKey: TypeAlias = tuple[int, str, str, str, tuple[tuple[str, str], ...], tuple[str, ...]]
"""Counter of changes, Patient ID, issuer, study, way back, UIDs that are kept: a change in between is not overlooked."""
_SEXES: Final = ("", "F", "M", "O")
NOT_INJECTIVE: Final = "id-not-injective"
"""Flag of a reply: an ID held characters beyond ASCII, or very many, so its surrogate is unlike others only by chance."""

NOTICE_SECONDS: Final = 1.0
"""After a merge, a split, a withdrawal or a new list, an assigner may answer as before for as long as this."""


@dataclass(frozen=True, slots=True)
class CacheSizes:
    """Entries kept in memory; at the defaults about 15 MB when all are full."""

    subjects: int = 4096
    uids: int = 16_384
    values: int = 4096
    recorded: int = 8192


@dataclass(frozen=True, slots=True)
class _Who:
    """By what the ledger knows the subject, the study and the accession number of an object."""

    own: bytes
    study: bytes
    accession: bytes
    placeholder: bool


@dataclass(slots=True)
class _Subject:
    """What is known of the subject of one study; ``sex`` is None until it is recorded."""

    who: _Who
    moved: bool
    canonical: bytes
    patient_id: str
    key: bytes = field(repr=False)
    offset: int
    sex: str | None = None


_Due: TypeAlias = tuple[_RecordKey, _Subject, AssignRequest]


class _Memory(Generic[_Key, _Value]):
    """The last few entries that were put."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[_Key, _Value] = {}
        self._lock = Lock()
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entries: Mapping[_Key, _Value]) -> None:
        with self._lock:
            self._entries.update(entries)
            while len(self._entries) > self._size:
                del self._entries[next(iter(self._entries))]


class LocalAssigner:
    """Implements :class:`~tarnhelm.common.assign.Assigner` in process.

    Safe among threads: the caches are, and so are the vault and the ledger. The ledger's counter of changes is
    read at most every :data:`NOTICE_SECONDS`; what was remembered before a change is not used after it.

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
    monotonic
        Gives seconds that never go back.

    Attributes
    ----------
    identities
        By what names the ledger knows people and studies.
    ledger
        As given; closed with the assigner.
    """

    def __init__(
        self,
        project: Project,
        vault: Vault,
        ledger: Ledger,
        *,
        caches: CacheSizes | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        sizes = caches or CacheSizes()
        settings = project.settings
        self._keys = project_keys(vault, project)
        first = self._keys if project.epoch == FIRST_EPOCH else project_keys(vault, project, FIRST_EPOCH)
        self.identities = Identities(first, settings)
        self._sex_key = first.ledger
        self.ledger = ledger
        self._monotonic = monotonic
        self._notice_at = monotonic()
        self._changes = -1
        self._prefix = settings.prefix
        self._whole_weeks = settings.whole_weeks
        self._issuer = project.issuer
        self._revision = project.revision
        self._record_uids = settings.record_uids
        self._way_back = WayBack(vault, ledger, project.id, self._keys.ledger)
        self._permute = IdPermuter(self._keys.permute)
        self._uid = lru_cache(maxsize=sizes.uids)(UidMapper(self._keys.uid, settings.uid_root))
        self._subjects: _Memory[_SubjectKey, _Subject] = _Memory(sizes.subjects)
        self._value = lru_cache(maxsize=sizes.values)(self._derive_value)
        self._recorded: _Memory[_RecordKey, _Subject] = _Memory(sizes.recorded)

    def assign(self, request: AssignRequest) -> AssignReply:
        """Answer one object's request.

        Raises
        ------
        TarnhelmError
            DCM-012 where a placeholder stands for the patient and there is no study UID either; LNK-017 for a
            subject that was withdrawn, LNK-018 for one that is not on the project's list: nothing is written
            of either; LNK-007, LNK-008 (RETRY), LNK-009, LNK-010, LNK-012 from vault and ledger.
        """
        changes = self._noticed()
        record = self._record_key(changes, request)
        subject = self._recorded.get(record)
        if subject is None:
            subject = self._recorded_now(changes, record, request)
        return self._reply(subject, request)

    def _recorded_now(self, changes: int, record: _RecordKey, request: AssignRequest) -> _Subject:
        key = _subject_key(changes, request)
        subject = self._subjects.get(key)
        if subject is None:
            who = self._who(key)
            subject = self._settled(who, self.ledger.resolve(who.own, who.study, who.accession))
            self._subjects.put({key: subject})
        self._write([(record, subject, request)])
        return subject

    def assign_many(self, requests: Sequence[AssignRequest]) -> list[AssignReply | TarnhelmError]:
        """Answer many requests, each for itself, with few calls to ledger and vault for all that is new.

        Returns
        -------
        list
            In the order of the requests: the reply, or the error that :meth:`assign` would raise.
        """
        try:
            changes = self._noticed()
            found = self._found({_subject_key(changes, request) for request in requests})
        except TarnhelmError as error:
            return [error] * len(requests)
        answers = [found[_subject_key(changes, request)] for request in requests]
        due: list[_Due] = []
        for subject, request in zip(answers, requests, strict=True):
            record = self._record_key(changes, request)
            if isinstance(subject, _Subject) and self._recorded.get(record) is None:
                due.append((record, subject, request))
        failed = self._written(due)
        return [
            answer if isinstance(answer, TarnhelmError) else failed.get(id(request)) or self._reply(answer, request)
            for answer, request in zip(answers, requests, strict=True)
        ]

    def _found(self, keys: Collection[_SubjectKey]) -> dict[_SubjectKey, _Subject | TarnhelmError]:
        """Give the subjects of many keys, each or its error, by one question to the ledger."""
        found: dict[_SubjectKey, _Subject | TarnhelmError] = {}
        asked: dict[_SubjectKey, _Who] = {}
        for key in keys:
            known = self._subjects.get(key)
            try:
                if known is None:
                    asked[key] = self._who(key)
                else:
                    found[key] = known
            except TarnhelmError as error:
                found[key] = error
        standings = self.ledger.resolve_many([(who.own, who.study, who.accession) for who in asked.values()])
        for (key, who), standing in zip(asked.items(), standings, strict=True):
            try:
                found[key] = subject = self._settled(who, standing)
                self._subjects.put({key: subject})
            except TarnhelmError as error:
                found[key] = error
        return found

    def _written(self, due: Sequence[_Due]) -> dict[int, TarnhelmError]:
        """Write what is due; give the errors by the identity of the request."""
        try:
            self._write(due)
        except TarnhelmError as error:
            if error.disposition is Disposition.RETRY:
                # For each of them: to ask one by one would wait as often.
                return {id(request): error for _, _, request in due}
        else:
            return {}
        failed = {}
        for one in due:
            try:
                self._write([one])
            except TarnhelmError as error:
                failed[id(one[2])] = error
        return failed

    def _write(self, due: Sequence[_Due]) -> None:
        """Record the sex and the way back of what is new, with one call to the vault."""
        unknown = [(subject, request) for _, subject, request in due if subject.sex is None]
        if unknown:
            tokens: dict[bytes, bytes] = {}
            for subject, request in unknown:
                tokens.setdefault(subject.canonical, self._sex_token(subject.canonical, _sex_code(request.sex)))
            recorded = self.ledger.first_sexes(tokens)
            for subject, _ in unknown:
                subject.sex = self._sex_of(subject.canonical, recorded[subject.canonical])
        if due:
            self._way_back.record([self._link(subject, request) for _, subject, request in due])
            self._recorded.put({record: subject for record, subject, _ in due})

    def _link(self, subject: _Subject, request: AssignRequest) -> Link:
        own = (("patient_id", request.patient_id), ("issuer", request.issuer), ("study_uid", request.study_uid))
        who = subject.who
        return Link(
            subject.patient_id,
            self._uid(request.study_uid),
            own + request.way_back,
            who.own,
            who.study,
            who.study if subject.moved else b"",
            tuple((uid, self._uid(uid)) for uid in request.uids) if self._record_uids else (),
        )

    def _record_key(self, changes: int, request: AssignRequest) -> _RecordKey:
        uids = request.uids if self._record_uids else ()
        return (changes, request.patient_id, request.issuer, request.study_uid, request.way_back, uids)

    def _reply(self, subject: _Subject, request: AssignRequest) -> AssignReply:
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
            sex=subject.sex or "",
            uids={uid: derive_uid(uid) for uid in request.uids},
            values=values,
            issuer=self._issuer,
            placeholder_subject=subject.who.placeholder,
            revision=self._revision,
            flags=flags,
        )

    def record_paths(self, run: str, pairs: Sequence[tuple[str, str]], owners: Sequence[tuple[str, str]] = ()) -> None:
        """Keep a batch of (original path, released path), sealed like the way back; see :meth:`WayBack.record_paths`."""
        self._way_back.record_paths(run, pairs, owners)

    def flush(self) -> None:
        """Return when the way back of all replies so far is on the disk."""
        self.ledger.flush()

    def close(self) -> None:
        """Flush and let the ledger go."""
        self.ledger.close()

    # --- subjects --------------------------------------------------------------------------------------------

    def _noticed(self) -> int:
        """Give the ledger's counter of changes, which names the memory that may be used."""
        now = self._monotonic()
        if now >= self._notice_at:
            # Asked before it is used: what is remembered under this number is at least as new as the number.
            self._changes = self.ledger.changes()
            self._notice_at = now + NOTICE_SECONDS
        return self._changes

    def _who(self, key: _SubjectKey) -> _Who:
        _, patient_id, issuer, study_uid, accession = key
        patient = self.identities.patient(patient_id, issuer)
        own = patient or self.identities.unknown_patient(study_uid)
        if own is None:
            raise TarnhelmError(MISSING_IDENTITY)
        named = self.identities.accession(accession, issuer) if accession else b""
        return _Who(own, self.identities.study(study_uid), named, placeholder=patient is None)

    def _settled(self, who: _Who, standing: Standing) -> _Subject:
        """Give the surrogate material of who may be assigned; LNK-017, LNK-018 for the others."""
        if standing.withdrawn:
            raise TarnhelmError(SUBJECT_WITHDRAWN)
        entry = standing.cohort
        if entry is None and standing.has_cohort:
            raise TarnhelmError(NOT_IN_COHORT)
        key = subject_key(self._keys.project, standing.canonical)
        offset = entry.offset_days if entry is not None else None
        return _Subject(
            who=who,
            moved=standing.moved,
            canonical=standing.canonical,
            patient_id=patient_id_for(key, self._prefix) if entry is None else entry.study_id,
            key=key,
            offset=date_offset_days(key, whole_weeks=self._whole_weeks) if offset is None else offset,
            sex=None if standing.sex_token is None else self._sex_of(standing.canonical, standing.sex_token),
        )

    def _sex_of(self, canonical: bytes, token: bytes) -> str:
        return next((code for code in _SEXES if self._sex_token(canonical, code) == token), "")

    def _sex_token(self, canonical: bytes, code: str) -> bytes:
        return derive(self._sex_key, "sex", canonical, code.encode())[:8]

    # --- values and the way back -----------------------------------------------------------------------------

    def _derive_value(self, kind: ValueKind, domain: str, value: str) -> tuple[str, bool]:
        if kind is ValueKind.KEY:
            return derive(self._keys.value, "key", text_bytes(domain), text_bytes(value)).hex(), True
        return self._permute(kind, domain, value), is_injective(kind, value)


def _sex_code(sex: str) -> str:
    seen = sex.strip(" \x00").upper()
    return seen if seen in _SEXES else ""


def _subject_key(changes: int, request: AssignRequest) -> _SubjectKey:
    accession = next((value for kind, value in request.way_back if kind == "accession_number"), "")
    return (changes, request.patient_id, request.issuer, request.study_uid, accession)
