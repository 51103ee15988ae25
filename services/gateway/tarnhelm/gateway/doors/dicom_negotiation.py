"""What an association may carry: presentation contexts, roles, rejections (PS3.8 sections 7.1 and 9.3, PS3.7 Annex D).

The PDUs are read and written by :mod:`~tarnhelm.gateway.doors.dicom_associate`; what is accepted is decided here. The
tables of classes and syntaxes are pynetdicom's and pydicom's.
"""

from __future__ import annotations

import logging
import warnings
from functools import cache
from typing import Final

from pydicom._uid_dict import UID_dictionary
from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom.service_class import ServiceClass, StorageServiceClass
from pynetdicom.sop_class import _STORAGE_CLASSES, uid_to_service_class

from tarnhelm.common import errors
from tarnhelm.gateway.doors.dicom_associate import AssociateRequest, SettledContext, associate_accept, read_request
from tarnhelm.gateway.doors.dicom_file import EXPLICIT_BIG, IMPLICIT_LITTLE

__all__ = [
    "COMMITMENT",
    "COMMITMENT_INSTANCE",
    "VERIFICATION",
    "Rejection",
    "accept_pdu",
    "contexts_of",
    "only_verification",
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


def proposal_of(field: memoryview) -> AssociateRequest:
    """Read the variable field of an A-ASSOCIATE-RQ.

    Raises
    ------
    TarnhelmError
        DOR-001 where it cannot be read.
    Rejection
        For another protocol version or application context.
    """
    request = read_request(field)
    if not request.version & 1:
        raise Rejection(1, 2, 2, errors.PROTOCOL_BROKEN)
    if request.application != _APPLICATION_CONTEXT:
        raise Rejection(1, 1, 2, errors.PROTOCOL_BROKEN)
    return request


def only_verification(request: AssociateRequest) -> bool:
    """Whether nothing but an echo can come."""
    return all(context.abstract == VERIFICATION for context in request.contexts)


def contexts_of(request: AssociateRequest, *, unknown_classes: bool, commitment: bool) -> list[SettledContext]:
    """Answer each presentation context: the caller's first transfer syntax that is known.

    Where a caller offers implicit VR or big endian beside explicit VR little endian, the latter is taken: it keeps
    the value representations of private attributes.
    """
    answers = []
    for proposed in request.contexts:
        offered = proposed.syntaxes
        allowed = _allowed(proposed.abstract, unknown_classes=unknown_classes, commitment=commitment)
        chosen = next((uid for uid in offered if uid in allowed), None)
        if chosen in {IMPLICIT_LITTLE, EXPLICIT_BIG} and EXPLICIT_LITTLE in offered and EXPLICIT_LITTLE in allowed:
            chosen = EXPLICIT_LITTLE
        refused = _NO_TRANSFER_SYNTAX if allowed else _NO_ABSTRACT_SYNTAX
        result = _ACCEPTED if chosen else refused
        answers.append(SettledContext(proposed.identifier, proposed.abstract, chosen or offered[0], result))
    return answers


def accept_pdu(request: AssociateRequest, answers: list[SettledContext], max_pdu_bytes: int) -> bytes:
    """Encode the A-ASSOCIATE-AC.

    Callers stay SCU, this side stays SCP (PS3.7 D.3.3.4); a caller that asks to be SCP is told no.
    """
    accepted = {answer.abstract for answer in answers if answer.result == _ACCEPTED}
    roles = {sop_class: user for sop_class, user in request.roles if sop_class in accepted}
    return associate_accept(request, answers, roles, max_pdu_bytes)


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
