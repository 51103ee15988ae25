"""What an association may carry: presentation contexts, roles, rejections (PS3.8 sections 7.1 and 9.3, PS3.7 Annex D).

The PDUs are decoded and encoded by pynetdicom; what is accepted is decided here.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Final

from pydicom._uid_dict import UID_dictionary
from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import ServiceClass, StorageServiceClass
from pynetdicom.sop_class import _STORAGE_CLASSES, uid_to_service_class

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.dicom_file import EXPLICIT_BIG, IMPLICIT_LITTLE
from tarnhelm.gateway.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

__all__ = [
    "COMMITMENT",
    "COMMITMENT_INSTANCE",
    "VERIFICATION",
    "Proposal",
    "Rejection",
    "accept_pdu",
    "contexts_of",
    "proposal_of",
    "quiet_libraries",
    "storage_classes",
    "transfer_syntaxes",
]

VERIFICATION: Final = "1.2.840.10008.1.1"
COMMITMENT: Final = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_NATIVE: Final = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE))
_ACCEPTED, _NO_ABSTRACT_SYNTAX, _NO_TRANSFER_SYNTAX = 0, 3, 4


class Rejection(Exception):  # noqa: N818 - an answer, not a fault
    """An A-ASSOCIATE-RJ: result, source and reason (PS3.8 Table 9-21), and the code that it is counted under."""

    def __init__(self, result: int, source: int, reason: int, kind: errors.ErrorCode) -> None:
        super().__init__(result, source, reason)
        self.answer = (result, source, reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Proposal:
    """An A-ASSOCIATE-RQ.

    Attributes
    ----------
    peer_max_bytes
        Longest PDU that the caller takes, 0: any.
    """

    request: A_ASSOCIATE
    called: str
    calling: str
    peer_max_bytes: int

    @property
    def only_verification(self) -> bool:
        """Whether nothing but an echo can come."""
        return all(str(context.abstract_syntax) == VERIFICATION for context in self._contexts)

    @property
    def _contexts(self) -> list[PresentationContext]:
        return self.request.presentation_context_definition_list


def quiet_libraries() -> None:
    """Keep pynetdicom's loggers and pydicom's warnings from writing: they quote what callers sent."""
    logger = logging.getLogger("pynetdicom")
    logger.propagate = False
    logger.setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", message="(Invalid value for VR|The value length)")


@cache
def storage_classes() -> frozenset[str]:
    """UIDs of the storage SOP classes: those of pynetdicom, and the retired ones that PS3.6 still names."""
    retired = {
        uid
        for uid, row in UID_dictionary.items()
        if uid.startswith("1.2.840.10008.5.1.4.1.1.") and row[1] == "SOP Class" and "Storage" in row[0]
    }
    return frozenset(map(str, _STORAGE_CLASSES.values())) | retired


@cache
def transfer_syntaxes() -> frozenset[str]:
    """UIDs of the syntaxes that objects come in: those of pynetdicom, and the retired ones that PS3.6 still names."""
    families = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")
    retired = {uid for uid, row in UID_dictionary.items() if uid.startswith(families) and row[1] == "Transfer Syntax"}
    return frozenset(map(str, ALL_TRANSFER_SYNTAXES)) | retired


def proposal_of(field: memoryview) -> Proposal:
    """Decode the variable field of an A-ASSOCIATE-RQ.

    Raises
    ------
    TarnhelmError
        DOR-001 where it cannot be decoded.
    Rejection
        For another protocol version or application context.
    """
    encoded = b"\x01\x00" + len(field).to_bytes(4, "big") + bytes(field)
    try:
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(encoded)
        request = pdu.to_primitive()
        called, calling = request.called_ae_title.strip(), request.calling_ae_title.strip()
        context = str(request.application_context_name or "")
        longest = request.maximum_length_received or 0
        identifiers = [context.context_id for context in request.presentation_context_definition_list]
    except Exception:  # noqa: BLE001 - whatever the decoder trips over, its text may quote the caller's bytes
        raise TarnhelmError(errors.PROTOCOL_BROKEN) from None
    if not pdu.protocol_version & 1:
        raise Rejection(1, 2, 2, errors.PROTOCOL_BROKEN)
    if context != _APPLICATION_CONTEXT:
        raise Rejection(1, 1, 2, errors.PROTOCOL_BROKEN)
    if not identifiers or len(set(identifiers)) < len(identifiers):
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    return Proposal(request, called, calling, longest)


def contexts_of(proposal: Proposal, *, unknown_classes: bool, commitment: bool) -> list[PresentationContext]:
    """Answer each presentation context: the caller's first transfer syntax that is known.

    Where a caller offers implicit VR or big endian beside explicit VR little endian, the latter is taken: it keeps
    the value representations of private attributes.
    """
    answers = []
    for proposed in proposal.request.presentation_context_definition_list:
        answer = PresentationContext()
        answer.context_id = proposed.context_id
        answer.abstract_syntax = proposed.abstract_syntax
        offered = [str(uid) for uid in proposed.transfer_syntax]
        allowed = _allowed(str(proposed.abstract_syntax), unknown_classes=unknown_classes, commitment=commitment)
        chosen = next((uid for uid in offered if uid in allowed), None)
        if chosen in {IMPLICIT_LITTLE, EXPLICIT_BIG} and EXPLICIT_LITTLE in offered and EXPLICIT_LITTLE in allowed:
            chosen = EXPLICIT_LITTLE
        if not allowed:
            answer.result = _NO_ABSTRACT_SYNTAX
        else:
            answer.result = _ACCEPTED if chosen else _NO_TRANSFER_SYNTAX
        answer.transfer_syntax = [chosen or (offered or [IMPLICIT_LITTLE])[0]]
        answers.append(answer)
    return answers


def accept_pdu(proposal: Proposal, answers: list[PresentationContext], max_pdu_bytes: int) -> bytes:
    """Encode the A-ASSOCIATE-AC."""
    accept = A_ASSOCIATE()
    accept.application_context_name = _APPLICATION_CONTEXT
    accept.called_ae_title = proposal.request.called_ae_title
    accept.calling_ae_title = proposal.request.calling_ae_title
    accept.result, accept.result_source = 0, 1
    accept.presentation_context_definition_results_list = answers
    longest = MaximumLengthNotification()
    longest.maximum_length_received = max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION
    accept.user_information = [longest, implementation, version, *_roles(proposal, answers)]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(accept)
    return bytes(pdu.encode())


def _allowed(abstract: str, *, unknown_classes: bool, commitment: bool) -> frozenset[str]:
    if abstract in storage_classes():
        return transfer_syntaxes()
    if abstract == VERIFICATION:
        return _NATIVE | {EXPLICIT_BIG}
    if abstract == COMMITMENT:
        return _NATIVE if commitment else frozenset()
    if unknown_classes and uid_to_service_class(abstract) in {ServiceClass, StorageServiceClass}:
        return transfer_syntaxes()
    return frozenset()


def _roles(proposal: Proposal, answers: list[PresentationContext]) -> list[SCP_SCU_RoleSelectionNegotiation]:
    """Callers stay SCU, this side stays SCP (PS3.7 D.3.3.4); a caller that asks to be SCP is told no."""
    accepted = {str(answer.abstract_syntax) for answer in answers if answer.result == _ACCEPTED}
    replies: dict[str, SCP_SCU_RoleSelectionNegotiation] = {}  # one for a class, however often it is asked for
    for item in proposal.request.user_information:
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and str(item.sop_class_uid) in accepted:
            reply = SCP_SCU_RoleSelectionNegotiation()
            reply.sop_class_uid = item.sop_class_uid
            reply.scu_role = bool(item.scu_role)
            reply.scp_role = False
            replies[str(item.sop_class_uid)] = reply
    return list(replies.values())
