"""Requests for an association are read, and acceptances written, as pynetdicom does it."""

from __future__ import annotations

import struct

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import ALL_TRANSFER_SYNTAXES, StoragePresentationContexts, build_context, build_role
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from tests.support.door_peers import associate_pdu

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.dicom_associate import read_request
from tarnhelm.gateway.doors.dicom_negotiation import Rejection, accept_pdu, contexts_of, proposal_of
from tarnhelm.gateway.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

MANY = [build_context(one.abstract_syntax, ALL_TRANSFER_SYNTAXES) for one in StoragePresentationContexts[:120]]
FEW = [
    build_context(CTImageStorage, [ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
    build_context(MRImageStorage, "1.2.840.10008.1.2.4.999"),
    build_context("1.2.3.4", ExplicitVRLittleEndian),
]


def field_of(pdu):
    return memoryview(pdu)[6:]


def refused(encoded):
    with pytest.raises(TarnhelmError) as caught:
        read_request(memoryview(encoded))
    return caught.value.code


@pytest.mark.parametrize("contexts", [FEW, MANY], ids=["few", "many"])
def test_a_request_is_read_as_pynetdicom_reads_it(contexts):
    encoded = associate_pdu(contexts, longest=77_777)
    found = proposal_of(field_of(encoded))
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(encoded)
    theirs = pdu.to_primitive()
    assert (found.called, found.calling, found.peer_max_bytes) == ("TARNHELM", "SCANNER", 77_777)
    assert [(one.identifier, one.abstract, list(one.syntaxes)) for one in found.contexts] == [
        (one.context_id, one.abstract_syntax, one.transfer_syntax)
        for one in theirs.presentation_context_definition_list
    ]


@pytest.mark.parametrize("contexts", [FEW, MANY], ids=["few", "many"])
def test_an_acceptance_is_written_as_pynetdicom_writes_it(contexts):
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(associate_pdu(contexts))
    request = pdu.to_primitive()
    request.user_information += [build_role(CTImageStorage, scu_role=True, scp_role=True)]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    found = proposal_of(field_of(pdu.encode()))
    answers = contexts_of(found, unknown_classes=False, commitment=False)

    theirs = A_ASSOCIATE()
    theirs.application_context_name = "1.2.840.10008.3.1.1.1"
    theirs.called_ae_title, theirs.calling_ae_title = "TARNHELM", "SCANNER"
    theirs.result, theirs.result_source = 0, 1
    settled = []
    for one in answers:
        context = build_context(one.abstract, one.syntax)
        context.context_id, context.result = one.identifier, one.result
        settled.append(context)
    theirs.presentation_context_definition_results_list = settled
    longest = MaximumLengthNotification()
    longest.maximum_length_received = 262_144
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION
    role = build_role(CTImageStorage, scu_role=True, scp_role=False)
    theirs.user_information = [longest, implementation, version, role]
    expected = A_ASSOCIATE_AC()
    expected.from_primitive(theirs)
    assert accept_pdu(found, answers, 262_144) == expected.encode()


def test_of_a_role_that_is_asked_for_a_thousand_times_one_is_answered():
    item = struct.pack(">BxHH", 0x54, len(CTImageStorage) + 4, len(CTImageStorage)) + CTImageStorage.encode() + b"\1\1"
    encoded = bytes(field_of(associate_pdu(FEW))) + struct.pack(">BxH", 0x50, len(item) * 1000) + item * 1000
    found = proposal_of(memoryview(encoded))
    answers = contexts_of(found, unknown_classes=False, commitment=False)
    assert accept_pdu(found, answers, 16_384).count(item[:-1] + b"\0") == 1


def test_items_of_unknown_types_are_passed_over():
    encoded = bytes(field_of(associate_pdu(FEW)))
    assert read_request(memoryview(encoded + struct.pack(">BxH", 0x77, 3) + b"abc")) == read_request(
        memoryview(encoded)
    )


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


CONTEXT = struct.pack(">BxH", 0x30, 3) + b"1.2" + struct.pack(">BxH", 0x40, 3) + b"1.3"


def request(*items, called=b"A", calling=b"B"):
    head = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16))
    return head + b"".join(struct.pack(">BxH", kind, len(value)) + value for kind, value in items)


def test_the_least_request_is_read():
    found = read_request(memoryview(request((0x20, b"\x01\0\0\0" + CONTEXT))))
    assert [*found.contexts] == [(1, "1.2", ("1.3",))]
    assert found.peer_max_bytes == 0


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        bytes(67),
        request(),
        request((0x20, b"\x02\0\0\0" + CONTEXT)),
        request((0x20, b"\x01\0\0\0" + CONTEXT), (0x20, b"\x01\0\0\0" + CONTEXT)),
        request((0x20, b"\x01\0\0\0" + CONTEXT[:7])),
        request((0x20, b"\x01\0\0\0" + CONTEXT[7:])),
        request((0x20, b"\x01\0\0\0" + CONTEXT + CONTEXT)),
        request((0x20, b"\x01\0\0\0" + CONTEXT[:-1])),
        request((0x20, b"\x01\0")),
        request((0x20, b"\x01\0\0\0" + CONTEXT), (0x50, b"\x51\0\0\2ab")),
        request((0x20, b"\x01\0\0\0" + CONTEXT), (0x50, b"\x54\0\0\4\0\x091.")),
        request((0x20, b"\x01\0\0\0" + CONTEXT), (0x10, b"1" * 65)),
        request((0x20, b"\x01\0\0\0" + CONTEXT), (0x10, b"\xff")),
        request((0x20, b"\x01\0\0\0" + CONTEXT), calling=b""),
        request((0x20, b"\x01\0\0\0" + CONTEXT), called=b"\xe4"),
    ],
)
def test_what_is_no_request_is_refused(encoded):
    assert refused(encoded) == "DOR-001"
