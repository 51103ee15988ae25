"""What is negotiated when an association opens."""

from __future__ import annotations

import struct

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from tests.support.door_peers import associate_pdu

from tarnhelm.gateway.doors.dicom_negotiation import Rejection, accept_pdu, contexts_of, proposal_of

FEW = [build_context(CTImageStorage, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])]


def field_of(pdu):
    return memoryview(pdu)[6:]


def test_of_a_role_that_is_asked_for_a_thousand_times_one_is_answered():
    item = struct.pack(">BxHH", 0x54, len(CTImageStorage) + 4, len(CTImageStorage)) + CTImageStorage.encode() + b"\1\1"
    encoded = bytes(field_of(associate_pdu(FEW))) + struct.pack(">BxH", 0x50, len(item) * 1000) + item * 1000
    found = proposal_of(memoryview(encoded))
    answers = contexts_of(found, unknown_classes=False, commitment=False)
    assert accept_pdu(found, answers, 16_384).count(item[:-1] + b"\0") == 1


@pytest.mark.parametrize("way", ["version", "application"])
def test_another_protocol_is_rejected(way):
    encoded = bytes(field_of(associate_pdu(FEW)))
    changed = (
        b"\0\2" + encoded[2:]
        if way == "version"
        else encoded.replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2")
    )
    with pytest.raises(Rejection):
        proposal_of(memoryview(changed))
