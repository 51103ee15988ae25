"""The material of one object, as an assigner's reply gives it, in the form that classes ask for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tarnhelm.common.assign import AssignReply, AssignRequest, ValueKind

__all__ = ["ObjectContext"]


def _none_is_standard(_uid: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ObjectContext:
    """A :class:`~tarnhelm.metadata.core.pseudo.contract.PseudoContext` over one reply.

    Attributes
    ----------
    uids
        Original UID to surrogate UID.
    answers
        (kind, domain, value) of a question to its answer.
    is_standard
        Says of a UID that it belongs to the standard (PS3.6) and so stays; by default none does.
    """

    subject_key: bytes = field(repr=False)
    date_offset_days: int = field(repr=False)
    sex: str = ""
    vr: str = "LO"
    ascii_only: bool = False
    study_date: str = field(default="", repr=False)
    uids: Mapping[str, str] = field(default_factory=dict, repr=False)
    answers: Mapping[tuple[ValueKind, str, str], str] = field(default_factory=dict, repr=False)
    is_standard: Callable[[str], bool] = _none_is_standard

    def __post_init__(self) -> None:
        if self.date_offset_days >= 0:
            raise ValueError("date_offset_days must be negative: dates move into the past only")
        if len(self.subject_key) < 32:
            raise ValueError("subject_key must have 32 bytes")

    @classmethod
    def from_reply(
        cls,
        request: AssignRequest,
        reply: AssignReply,
        *,
        ascii_only: bool = False,
        study_date: str = "",
        is_standard: Callable[[str], bool] = _none_is_standard,
    ) -> Self:
        """Join an object's request with the assigner's reply to it."""
        asked = ((query.kind, query.domain, query.value) for query in request.values)
        return cls(
            subject_key=reply.subject_key,
            date_offset_days=reply.date_offset_days,
            sex=reply.sex,
            ascii_only=ascii_only,
            study_date=study_date,
            uids=reply.uids,
            answers=dict(zip(asked, reply.values, strict=True)),
            is_standard=is_standard,
        )

    def with_vr(self, vr: str) -> Self:
        """Return the same material for another VR; a rewriter makes one for each VR it meets, not for each element."""
        return replace(self, vr=vr)

    def uid(self, value: str) -> str:
        """Surrogate of a UID; a standard UID stays, any other that was not asked for raises LookupError."""
        found = self.uids.get(value)
        if found is not None:
            return found
        if self.is_standard(value):
            return value
        raise LookupError("a UID was not among those of the request") from None

    def project_value(self, kind: ValueKind, domain: str, value: str) -> str:
        """Answer to an announced question; LookupError (without the value) for any other."""
        found = self.answers.get((kind, domain, value))
        if found is None:
            raise LookupError("a value was not among those of the request") from None
        return found
