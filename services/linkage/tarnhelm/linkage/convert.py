"""Between the messages of the protocol and the seam's own types."""

from __future__ import annotations

from typing import Final

from tarnhelm.v1 import linkage_pb2 as pb

from tarnhelm.common.assign import AssignReply, AssignRequest, ValueKind, ValueQuery
from tarnhelm.common.errors import ASSIGN_REQUEST, TarnhelmError
from tarnhelm.linkage.core.derive import text_bytes

__all__ = ["request_of", "response_of"]

_KINDS: Final = {
    pb.VALUE_QUESTION_KIND_ID_NUMERICAL: ValueKind.ID_NUMERICAL,
    pb.VALUE_QUESTION_KIND_ID_ALPHANUMERICAL: ValueKind.ID_ALPHANUMERICAL,
    pb.VALUE_QUESTION_KIND_KEY: ValueKind.KEY,
}
WAY_BACK_KINDS: Final = frozenset(
    {"patient_id", "issuer", "patient_name", "birth_date", "other_id", "study_uid", "accession_number", "study_date"}
)
#: Bounds of one question. Valid values of these attributes have 64 characters (PS3.5, 6.2); files hold longer ones.
_MOST_UIDS: Final = 20_000
_MOST_VALUES: Final = 2_000
_LONGEST_DOMAIN: Final = 64
_LONGEST_VALUE: Final = 4_096


def request_of(data: bytes) -> AssignRequest:
    """Parse a question and check its bounds; LNK-044 for one that is not well formed."""
    query = pb.AssignQuery()
    try:
        query.ParseFromString(data)
    except Exception:  # noqa: BLE001 - protobuf's own errors differ between its implementations and quote bytes
        raise TarnhelmError(ASSIGN_REQUEST) from None
    if (
        len(query.uids) > _MOST_UIDS
        or len(query.values) + len(query.way_back) > _MOST_VALUES
        or any(value.kind not in _KINDS or len(value.domain) > _LONGEST_DOMAIN for value in query.values)
        or any(value.kind not in WAY_BACK_KINDS for value in query.way_back)
        or (len(data) > _LONGEST_VALUE and _longest(query) > _LONGEST_VALUE)
    ):
        raise TarnhelmError(ASSIGN_REQUEST)
    try:
        return AssignRequest(
            patient_id=_text(query.patient_id),
            issuer=_text(query.issuer),
            study_uid=_text(query.study_uid),
            sex=_text(query.sex),
            uids=tuple(map(_text, query.uids)),
            values=tuple(ValueQuery(_KINDS[value.kind], value.domain, _text(value.value)) for value in query.values),
            way_back=tuple((value.kind, _text(value.value)) for value in query.way_back),
        )
    except UnicodeDecodeError:
        raise TarnhelmError(ASSIGN_REQUEST) from None


def _longest(query: pb.AssignQuery) -> int:
    texts = [query.patient_id, query.issuer, query.study_uid, query.sex, *query.uids]
    texts += [value.value for value in query.values]
    texts += [value.value for value in query.way_back]
    return max(map(len, texts))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def response_of(request: AssignRequest, reply: AssignReply) -> pb.AssignResponse:
    """Build the answer."""
    return pb.AssignResponse(
        subject_id=reply.subject_id,
        subject_key=reply.subject_key,
        date_offset_days=reply.date_offset_days,
        sex=reply.sex,
        uids=[reply.uids[uid] for uid in request.uids],
        values=map(text_bytes, reply.values),
        issuer=reply.issuer,
        placeholder_subject=reply.placeholder_subject,
        revision=reply.revision,
        flags=sorted(reply.flags),
    )
