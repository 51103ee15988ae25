"""Asking the assigner for one object, and the contexts that its answers make."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.assign import AssignReply, AssignRequest, ValueKind
from tarnhelm.common.dicom.charsets import Charset, decoder
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core.rewriting.parse import Parsed, mapped_uids, uid_text
from tarnhelm.metadata.core.rules.context import BoundedMap, ObjectContext
from tarnhelm.metadata.core.rules.harvest import WAY_BACK
from tarnhelm.metadata.core.text import Identifiers, TextCleaner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.metadata.core.rewriting.scan import Scan

__all__ = ["Surrogates", "charset_of"]


#: Specific Character Set, Patient ID, its issuer, Study Instance UID, Patient's Sex.
_SUBJECT_TAGS: Final = (0x00080005, 0x00100020, 0x00100021, 0x0020000D, 0x00100040)
_Subject = tuple[str, str, str, str, tuple[tuple[str, str], ...]]
#: As many series may come in by turns; a context that is made anew makes all values of its series anew.
_CONTEXTS: Final = 16


class Surrogates:
    """What the assigner has answered so far, and the contexts made of it.

    Answers are the same for ever, so nothing is asked twice while it is remembered.
    """

    def __init__(self, cleaner: TextCleaner, variables: Mapping[str, str]) -> None:
        self.cleaner = cleaner
        self.variables = variables
        self.uids: BoundedMap[str, str] = BoundedMap(4_000)
        self.values: BoundedMap[tuple[ValueKind, str, str], str] = BoundedMap(4_000)
        self._flagged: BoundedMap[tuple[ValueKind, str, str], bool] = BoundedMap(4_000)
        self._subjects: BoundedMap[tuple[Any, ...], _Subject] = BoundedMap(64)
        self._contexts: BoundedMap[tuple[object, ...], ObjectContext] = BoundedMap(_CONTEXTS)

    def request(self, parsed: Parsed) -> AssignRequest:
        """Put together what this object asks the assigner for."""
        self.uids.trim()
        self.values.trim()
        self._flagged.trim()
        scan = parsed.scan
        facts = scan.facts
        for tag in (0x00080018, 0x0020000D, 0x0020000E):
            uid = uid_text(facts.get(tag, b""))
            if (not uid and tag == 0x00080018) or len(uid) > 64 or uid.strip("0123456789."):
                raise TarnhelmError(errors.MISSING_IDENTITY)
        patient_id, issuer, study_uid, sex, way_back = self._subject(scan)
        known = self.uids
        return AssignRequest(
            patient_id=patient_id,
            issuer=issuer,
            study_uid=study_uid,
            sex=sex,
            uids=tuple(uid for raw in scan.uids for uid in mapped_uids(raw) if uid not in known),
            values=tuple(
                query
                for operation, raw, local in scan.questions
                if raw and operation.queries is not None
                for query in operation.queries(partial(_text, charset_of(local)), raw)
                if (key := (query.kind, query.domain, query.value)) not in self.values or key in self._flagged
            ),
            way_back=way_back,
        )

    def _subject(self, scan: Scan) -> _Subject:
        """Patient ID, issuer, study, sex and way back, decoded once for all slices that agree in them."""
        facts = scan.facts
        raw_charset, patient_id, issuer, study_uid, sex = (facts.get(tag, b"") for tag in _SUBJECT_TAGS)
        key = (scan.harvest_key(), raw_charset, patient_id, issuer, study_uid, sex)
        found = self._subjects.get(key)
        if found is None:
            charset = charset_of(raw_charset)
            found = self._subjects.put(
                key,
                (
                    _text(charset, patient_id, "LO"),
                    _text(charset, issuer, "LO"),
                    uid_text(study_uid),
                    _text(charset, sex, "CS"),
                    tuple(
                        (kind, _text(charset_of(local), raw, vr))
                        for _, tag, vr, raw, local in scan.harvest
                        if (kind := WAY_BACK.get(tag)) is not None
                    ),
                ),
            )
        return found

    def context(self, parsed: Parsed, request: AssignRequest, reply: AssignReply) -> ObjectContext:
        """Return the context for this object: an old one where nothing in it would differ."""
        for original, surrogate in reply.uids.items():
            self.uids[original] = surrogate
        for query, answer in zip(request.values, reply.values, strict=True):
            self.values[query.kind, query.domain, query.value] = answer
            if reply.flags:  # asked again for every object, so that the report of each holds the flag
                self._flagged[query.kind, query.domain, query.value] = True
        raw_charset = parsed.scan.facts.get(0x00080005, b"")
        key = (
            raw_charset,
            reply.subject_key,
            reply.sex,
            reply.date_offset_days,
            parsed.start.encoding,
            parsed.scan.harvest_key(),
        )
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts.put(
                key,
                ObjectContext(
                    reply=reply,
                    identifiers=_identifiers(parsed.scan),
                    charset=charset_of(raw_charset),
                    cleaner=self.cleaner,
                    uids=self.uids,
                    values=self.values,
                    variables=self.variables,
                    byteorder=parsed.start.encoding.byteorder,
                    study_date=uid_text(parsed.scan.facts.get(0x00080020, b"")),
                ),
            )
        return found


@lru_cache(maxsize=64)
def charset_of(raw: bytes) -> Charset:
    """Decoder for a raw Specific Character Set; raises ``DCM-014``."""
    text = raw.decode("ascii", "replace").strip(" \0")
    return decoder(tuple(part.strip() for part in text.split("\\")) if text else ())


def _text(charset: Charset, raw: bytes, vr: str) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").strip(" \0")
    return charset.decode(raw, vr).strip(" \0")


def _identifiers(scan: Scan) -> Identifiers:
    groups: dict[str, list[str]] = {"name": [], "id": [], "date": [], "place": [], "organisation": []}
    for kind, _, vr, raw, local in scan.harvest:
        text = _text(charset_of(local), raw, vr)
        groups[kind].extend(part for part in text.split("\\") if part)
    return Identifiers.build(
        names=groups["name"],
        ids=groups["id"],
        dates=groups["date"],
        places=groups["place"],
        organisations=groups["organisation"],
        extra=(),
    )
