"""The DICOM door before real callers: what is taken, from whom, and how it is answered."""

from __future__ import annotations

import io
import json
import re
import socket
import ssl
import threading
import time
import zlib
from pathlib import Path

import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
)
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, build_context, evt
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import _STORAGE_CLASSES
from tests.support.admitting import FullAdmitter, RecordingAdmitter
from tests.support.certificates import Authority
from tests.support.door_peers import (
    PATIENT,
    RawCaller,
    associate_pdu,
    association,
    image,
    instance,
    open_door,
    rejection_of,
)

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.doors.dicom import DicomDoor
from tarnhelm.gateway.doors.dicom_commitment import ReportSender, report_of
from tarnhelm.gateway.doors.dicom_negotiation import storage_classes, transfer_syntaxes
from tarnhelm.gateway.doors.dicom_settings import CommitmentPeer, DicomDoorSettings, DicomTitle
from tarnhelm.gateway.intake import Receipt, Reception
from tarnhelm.gateway.part10 import file_head, read_head

VERIFICATION = "1.2.840.10008.1.1"


def store(admitter, data_set=None, **settings):
    """Send one image; the status of its answer."""
    with open_door(admitter, **settings) as door, association(door) as caller:
        return caller.send_c_store(data_set or image(0)).Status


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- what is taken --------------------------------------------------------------------------------------------------


def test_an_echo_is_answered():
    with open_door(RecordingAdmitter()) as door, association(door, build_context(VERIFICATION)) as caller:
        assert caller.send_c_echo().Status == 0x0000


def test_the_data_set_is_stored_as_it_came_behind_a_head_with_the_negotiated_syntax():
    admitter = RecordingAdmitter()
    body = encode(image(0), is_implicit_vr=False, is_little_endian=True)
    with open_door(admitter) as door, RawCaller(door.port) as caller:
        caller.command()
        for start in range(0, len(body), 37):
            caller.fragment(body[start : start + 37], control=2 if start + 37 >= len(body) else 0)
        assert caller.status() == 0x0000
    (taken,) = admitter.objects
    head = file_head(CTImageStorage, instance(0), ExplicitVRLittleEndian)
    assert taken.content == head + body
    read = read_head(taken.content)
    assert (read.sop_class_uid, read.sop_instance_uid, read.content_start) == (CTImageStorage, instance(0), len(head))
    assert (taken.arrival.project, taken.arrival.sop_instance_uid) == ("project-a", instance(0))


def test_the_head_of_the_file_is_the_same_each_time():
    assert file_head("1.2", "1.3", "1.4") == file_head("1.2", "1.3", "1.4")


def test_several_titles_lead_to_several_projects():
    admitter = RecordingAdmitter()
    with open_door(admitter, titles={"ONE": DicomTitle("p1"), "TWO": DicomTitle("p2")}) as door:
        for called in ("ONE", "TWO"):
            with association(door, called=called) as caller:
                assert caller.send_c_store(image(0)).Status == 0x0000
    assert [entry.arrival.project for entry in admitter.objects] == ["p1", "p2"]


def test_the_same_object_twice_is_success_twice():
    admitter = RecordingAdmitter()
    with open_door(admitter) as door, association(door) as caller:
        assert [caller.send_c_store(image(0)).Status for _ in range(2)] == [0x0000, 0x0000]


def test_every_storage_class_and_every_transfer_syntax_is_accepted():
    classes = sorted(_STORAGE_CLASSES.values())
    with open_door(RecordingAdmitter()) as door:
        for start in range(0, len(classes), 128):
            contexts = [build_context(uid, ExplicitVRLittleEndian) for uid in classes[start : start + 128]]
            with association(door, *contexts) as caller:
                assert not caller.rejected_contexts
        contexts = [build_context(CTImageStorage, syntax) for syntax in ALL_TRANSFER_SYNTAXES]
        with association(door, *contexts) as caller:
            found = sorted(context.transfer_syntax[0] for context in caller.accepted_contexts)
            assert found == sorted(ALL_TRANSFER_SYNTAXES)


def test_the_tables_of_the_conformance_statement_are_those_of_the_door():
    page = (Path(__file__).resolve().parents[4] / "docs/CONFORMANCE.md").read_text("utf-8")
    for name, held in (("network-classes", storage_classes()), ("network-syntaxes", transfer_syntaxes())):
        table = page.split(f"<!-- {name} -->")[1].split("<!-- end -->")[0]
        assert set(re.findall(r"`([0-9.]+)`", table)) == held


def test_the_acceptance_names_this_implementation():
    with open_door(RecordingAdmitter()) as door, association(door) as caller:
        said = {type(item).__name__: item for item in caller.acceptor.primitive.user_information}
    assert set(said) == {
        "MaximumLengthNotification",
        "ImplementationClassUIDNotification",
        "ImplementationVersionNameNotification",
    }
    assert said["MaximumLengthNotification"].maximum_length_received == 262_144
    assert said["ImplementationClassUIDNotification"].implementation_class_uid == (
        "2.25.97093542746683564656966415296741377151"
    )
    assert said["ImplementationVersionNameNotification"].implementation_version_name == "TARNHELM_0.1"


def test_explicit_little_endian_is_taken_before_implicit_and_big_endian():
    offered = [ImplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian]
    with open_door(RecordingAdmitter()) as door:
        for syntaxes, chosen in (
            (offered, ExplicitVRLittleEndian),
            ([JPEG2000Lossless, ExplicitVRLittleEndian], JPEG2000Lossless),
        ):
            with association(door, build_context(CTImageStorage, syntaxes)) as caller:
                assert caller.accepted_contexts[0].transfer_syntax == [chosen]


@pytest.mark.parametrize("unknown", [False, True])
def test_unknown_sop_classes_are_taken_by_configuration_only(unknown):
    private = "1.2.826.0.1.99.1"
    query = "1.2.840.10008.5.1.4.1.2.2.1"
    with open_door(RecordingAdmitter(), unknown_sop_classes=unknown) as door:
        contexts = [build_context(VERIFICATION), build_context(private), build_context(query)]
        with association(door, *contexts) as caller:
            accepted = {str(context.abstract_syntax) for context in caller.accepted_contexts}
    assert accepted == ({VERIFICATION, private} if unknown else {VERIFICATION})


def test_a_caller_that_wants_to_be_provider_is_told_no():
    with open_door(RecordingAdmitter()) as door:
        from pynetdicom import build_role

        with association(door, ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)]) as caller:
            assert [(context.as_scu, context.as_scp) for context in caller.accepted_contexts] == [(True, False)]


# --- statuses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reception", [Reception.ACCEPTED, Reception.DUPLICATE, Reception.KEPT_FIRST, Reception.HELD])
def test_what_admission_keeps_is_success(reception):
    admitter = RecordingAdmitter()
    admitter.answer = Receipt(reception, "id")
    assert store(admitter) == 0x0000


def test_what_admission_refuses_is_not_understood():
    admitter = RecordingAdmitter()
    admitter.answer = Receipt(Reception.REFUSED, code="DCM-001")
    assert store(admitter) == 0xC000


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TarnhelmError(errors.NO_SPACE), 0xA700),
        (OSError(28, "full"), 0xA700),
        (TarnhelmError(errors.TOO_LARGE), 0xC000),
        (TarnhelmError(errors.NO_PLAN), 0x0124),
    ],
)
@pytest.mark.parametrize("where", ["begin", "commit"])
def test_faults_of_admission_become_statuses(error, status, where):
    admitter = RecordingAdmitter()
    setattr(admitter, "begin_error" if where == "begin" else "answer", error)
    assert store(admitter) == status
    assert not admitter.objects


def test_a_fault_in_the_middle_is_told_at_the_end_and_the_next_object_is_taken():
    admitter = RecordingAdmitter()

    def fail(size):
        if size > 20_000:
            raise TarnhelmError(errors.NO_SPACE)

    admitter.on_write = fail
    with open_door(admitter) as door, association(door) as caller:
        assert caller.send_c_store(image(0, rows=256)).Status == 0xA700
        admitter.on_write = None
        assert caller.send_c_store(image(1)).Status == 0x0000
    assert (len(admitter.objects), admitter.open, admitter.aborted) == (1, 0, 1)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize("change", ["class", "instance"])
def test_a_data_set_that_contradicts_its_command_is_refused(syntax, change):
    admitter, data_set = RecordingAdmitter(), image(0)
    if change == "class":
        data_set.SOPClassUID = MRImageStorage
    else:
        data_set.SOPInstanceUID = "1.2.3.4"
    deflated = syntax == DeflatedExplicitVRLittleEndian
    body = encode(data_set, syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian)
    if deflated:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    with open_door(admitter) as door, RawCaller(door.port, syntax) as caller:
        caller.command()
        caller.fragment(body, control=2)
        assert caller.status() == 0xA900
    assert (admitter.objects, admitter.open) == ([], 0)


def test_another_class_than_that_of_the_context_is_not_supported():
    admitter = RecordingAdmitter()
    with open_door(admitter) as door, RawCaller(door.port) as caller:
        caller.command(MRImageStorage)
        caller.fragment(b"\x08\x00\x05\x00CS\x00\x00", control=2)
        assert caller.status() == 0x0122
    assert not admitter.objects


def test_an_instance_uid_that_is_none_is_invalid():
    with open_door(RecordingAdmitter()) as door, RawCaller(door.port) as caller:
        caller.command(sop_instance="../../etc")
        caller.fragment(b"\x08\x00\x05\x00CS\x00\x00", control=2)
        assert caller.status() == 0x0117


def test_an_empty_data_set_is_not_understood():
    admitter = RecordingAdmitter()
    with open_door(admitter) as door, RawCaller(door.port) as caller:
        caller.command()
        caller.fragment(b"", control=2)
        assert caller.status() == 0xC000
    assert (admitter.objects, admitter.open) == ([], 0)


def test_a_data_set_beyond_the_bound_is_not_understood():
    admitter = RecordingAdmitter()
    assert store(admitter, image(0, rows=256), max_object_bytes=50_000) == 0xC000
    assert (admitter.objects, admitter.open) == ([], 0)


# --- who may call ---------------------------------------------------------------------------------------------------


def test_another_called_title_is_rejected():
    with open_door(RecordingAdmitter()) as door:
        assert rejection_of(door, called="OTHER") == (1, 1, 7)


def test_another_calling_title_is_rejected():
    with open_door(RecordingAdmitter(), titles={"TARNHELM": DicomTitle("p", callers=("CT1",))}) as door:
        assert rejection_of(door, calling="CT2") == (1, 1, 3)
        with association(door, calling="CT1") as caller:
            assert caller.is_established


def test_off_this_machine_an_empty_list_of_callers_means_nobody():
    with open_door(RecordingAdmitter(), listen="0.0.0.0:0") as door:
        assert rejection_of(door) == (1, 1, 3)
    titles = {"TARNHELM": DicomTitle("p", callers=("SCANNER",))}
    with open_door(RecordingAdmitter(), titles=titles, listen="0.0.0.0:0") as door, association(door) as caller:
        assert caller.is_established


@pytest.mark.parametrize(("networks", "good"), [(("127.0.0.0/8",), True), (("10.0.0.0/8", "192.0.2.7"), False)])
def test_a_caller_comes_from_the_networks_of_its_title(networks, good):
    with open_door(RecordingAdmitter(), titles={"TARNHELM": DicomTitle("p", caller_networks=networks)}) as door:
        if good:
            with association(door) as caller:
                assert caller.is_established
        else:
            assert rejection_of(door) == (1, 1, 3)


def test_where_there_is_no_room_objects_are_put_off_and_echoes_are_answered():
    with open_door(FullAdmitter()) as door:
        assert rejection_of(door) == (2, 3, 1)
        with association(door, build_context(VERIFICATION)) as caller:
            assert caller.send_c_echo().Status == 0x0000


def test_where_nobody_can_tell_whether_there_is_room_objects_are_put_off(monkeypatch):
    admitter = RecordingAdmitter()
    monkeypatch.setattr(admitter, "room", lambda: 1 / 0)
    with open_door(admitter) as door:
        assert rejection_of(door) == (2, 3, 1)


def test_associations_beyond_the_bounds_are_put_off():
    with open_door(RecordingAdmitter(), max_associations=2, max_associations_per_caller=1) as door:
        with association(door, calling="A"):
            assert rejection_of(door, calling="A") == (2, 3, 2)
            with association(door, calling="B"):
                assert rejection_of(door, calling="C") == (2, 3, 2)
        until(lambda: not door._live)
        with association(door, calling="C") as caller:
            assert caller.is_established


def answered(context, plain):
    """Whether one byte comes back for an association request over TLS."""
    try:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as caller:
            caller.sendall(associate_pdu([build_context(CTImageStorage)]))
            return bool(caller.recv(1))
    except OSError:
        return False


def test_tls_lets_in_whom_the_authority_signed_and_the_title_names(tmp_path):
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    server, good, other = (
        authority.issue("door"),
        authority.issue("ct", "ct1.example"),
        authority.issue("mr", "mr1.example"),
    )
    bad = stranger.issue("evil", "ct1.example")
    settings = {
        "titles": {"TARNHELM": DicomTitle("p", certificate_names=("ct1.example",))},
        "tls_certificate_file": server.certificate,
        "tls_key_file": server.key,
        "client_ca_file": authority.ca_file,
    }
    admitter = RecordingAdmitter()
    with open_door(admitter, **settings) as door:

        def context(pair):
            made = ssl.create_default_context(cafile=str(authority.ca_file))
            if pair is not None:
                made.load_cert_chain(pair.certificate, pair.key)
            return (made, "127.0.0.1")

        with association(door, tls_args=context(good)) as caller:
            assert caller.send_c_store(image(0)).Status == 0x0000
        assert rejection_of(door, tls=context(other)[0]) == (1, 1, 3)
        for pair in (bad, None):
            with socket.create_connection(("127.0.0.1", door.port), timeout=30) as plain:
                assert not answered(context(pair)[0], plain)
        with RawCaller(door.port, associate=False) as plain:
            plain.socket.sendall(associate_pdu([build_context(CTImageStorage)]))
            assert plain.pdu()[0] not in {2, 3}
    assert len(admitter.objects) == 1


def test_a_key_that_cannot_be_read_keeps_the_door_shut(tmp_path):
    paths = {"tls_certificate_file": tmp_path / "no.pem", "tls_key_file": tmp_path / "no.key"}
    with pytest.raises(TarnhelmError) as caught:
        DicomDoor(DicomDoorSettings(titles={"T": DicomTitle("p")}, **paths), RecordingAdmitter())
    assert caught.value.code == "DOR-010"


@pytest.mark.parametrize(
    "bad",
    [
        {"titles": {}},
        {"titles": {"A TITLE THAT IS TOO LONG": DicomTitle("p")}},
        {"titles": {"T": DicomTitle("p", certificate_names=("a",))}},
        {"client_ca_file": "ca.pem"},
        {"tls_key_file": "key.pem"},
        {"max_pdu_bytes": 100},
        {"name": "a b"},
        {"max_associations": 0},
    ],
)
def test_settings_that_do_not_fit_are_refused(bad):
    with pytest.raises(ValueError, match=r"."):
        DicomDoorSettings(**{"titles": {"T": DicomTitle("p")}, **bad})


# --- storage commitment ---------------------------------------------------------------------------------------------

COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"


def commitment_request(*numbers):
    from pydicom.dataset import Dataset

    request = Dataset()
    request.TransactionUID = "1.2.826.7"
    request.ReferencedSOPSequence = []
    for number in numbers:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, instance(number)
        request.ReferencedSOPSequence.append(item)
    return request


def test_storage_commitment_is_refused_where_nobody_can_look_up():
    contexts = [build_context(CTImageStorage), build_context(COMMITMENT)]
    with open_door(RecordingAdmitter()) as door, association(door, *contexts) as caller:
        assert [str(context.abstract_syntax) for context in caller.rejected_contexts] == [COMMITMENT]
        assert caller.rejected_contexts[0].result == 3


def test_storage_commitment_is_reported_on_the_same_association():
    admitter, reports = RecordingAdmitter(), []

    def reported(event):
        reports.append((event.event_type, event.event_information))
        return 0x0000, None

    contexts = [build_context(CTImageStorage), build_context(COMMITMENT)]
    handlers = [(evt.EVT_N_EVENT_REPORT, reported)]
    with open_door(admitter, instances=admitter) as door:
        # An association each: pynetdicom's client may still be answering the report when it is asked to send again.
        for number, wanted in enumerate([(0,), (0, 5)]):
            with association(door, *contexts, evt_handlers=handlers) as caller:
                caller.send_c_store(image(number))
                asked = caller.send_n_action(commitment_request(*wanted), 1, COMMITMENT, COMMITMENT_INSTANCE)
                assert asked[0].Status == 0x0000
                until(lambda number=number: len(reports) == number + 1)
    (all_event, whole), (some_event, part) = reports
    assert (all_event, some_event) == (1, 2)
    assert whole.TransactionUID == "1.2.826.7"
    assert [item.ReferencedSOPInstanceUID for item in whole.ReferencedSOPSequence] == [instance(0)]
    assert "FailedSOPSequence" not in whole
    (missing,) = part.FailedSOPSequence
    assert (missing.ReferencedSOPInstanceUID, missing.FailureReason) == (instance(5), 0x0112)
    assert len(admitter.objects) == 2


def test_storage_commitment_is_reported_on_an_association_of_its_own():

    admitter, reports = RecordingAdmitter(), []
    entity = AE(ae_title="SCANNER")
    entity.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)

    def reported(event):
        reports.append(event.event_type)
        return 0x0000, None

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)])
    try:
        peers = {"SCANNER": CommitmentPeer(f"127.0.0.1:{server.socket.getsockname()[1]}")}
        with open_door(admitter, instances=admitter, commitment_peers=peers) as door:
            with association(door, build_context(CTImageStorage), build_context(COMMITMENT)) as caller:
                caller.send_c_store(image(0))
                status, _ = caller.send_n_action(commitment_request(0), 1, COMMITMENT, COMMITMENT_INSTANCE)
                assert status.Status == 0x0000
            until(lambda: reports == [1])
    finally:
        server.shutdown()


def test_a_report_that_nobody_takes_is_tried_again_and_then_told():
    lost = []
    peers = {"SCANNER": CommitmentPeer("127.0.0.1:104")}
    settings = DicomDoorSettings(titles={"T": DicomTitle("p")}, commitment_peers=peers)
    sender = ReportSender(settings, lambda: lost.append(1), (0.0, 0.01), max_waiting=1)
    tries = []
    sender._try = lambda *given: tries.append(given)
    body = encode(commitment_request(0), is_implicit_vr=True, is_little_endian=True)
    assert sender.send("SCANNER", "T", report_of(body, ImplicitVRLittleEndian, "p", RecordingAdmitter()))
    until(lambda: lost)
    sender.close()
    assert len(tries) == 2


def test_odd_uids_of_a_commitment_request_come_back_as_they_were():
    admitter, request = RecordingAdmitter(), commitment_request(0)
    uid = DataElement(0x0008_1155, "UI", "1.2..03", validation_mode=IGNORE)
    request.ReferencedSOPSequence[0].add(uid)
    body = encode(request, is_implicit_vr=True, is_little_endian=True)
    report = report_of(body, ImplicitVRLittleEndian, "p", admitter)
    assert b"1.2..03\x00" in report.encoded(implicit=True)
    assert report.event == 2


def test_a_commitment_request_that_cannot_be_read_fails():
    admitter, request = RecordingAdmitter(), commitment_request(0)
    del request.ReferencedSOPSequence
    with open_door(admitter, instances=admitter) as door, association(door, build_context(COMMITMENT)) as caller:
        assert caller.send_n_action(request, 1, COMMITMENT, COMMITMENT_INSTANCE)[0].Status == 0x0110
        assert caller.send_n_action(commitment_request(0), 2, COMMITMENT, COMMITMENT_INSTANCE)[0].Status == 0x0123
        assert caller.send_n_action(commitment_request(0), 1, COMMITMENT, "1.2.3")[0].Status == 0x0112


# --- its end, and what is logged ------------------------------------------------------------------------------------


def test_closing_ends_idle_associations_and_lets_a_message_in_hand_end():
    admitter = RecordingAdmitter()
    body = encode(image(0), is_implicit_vr=False, is_little_endian=True)
    with open_door(admitter) as door, RawCaller(door.port) as idle, RawCaller(door.port) as busy:
        busy.command()
        busy.fragment(body[:100], control=0)
        until(lambda: admitter.open == 1)
        closing = threading.Thread(target=door.close)
        closing.start()
        assert idle.pdu()[0] == 7
        idle.socket.close()
        busy.fragment(body[100:], control=2)
        assert busy.status() == 0x0000
        assert busy.pdu()[0] == 7
        busy.socket.close()
        closing.join(30)
        assert not closing.is_alive()
    assert len(admitter.objects) == 1


def test_the_log_names_no_patient_no_title_and_no_uid(capfd, caplog):
    stream, admitter = io.StringIO(), RecordingAdmitter()
    bad = image(1)
    bad.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    with open_door(admitter, log=EventLog(stream, time.time)) as door:
        with association(door) as caller:
            caller.send_c_store(image(0))
            admitter.answer = TarnhelmError(errors.NO_SPACE)
            caller.send_c_store(image(1))
        rejection_of(door, called="NOBODY")
        with RawCaller(door.port) as raw:
            raw.socket.sendall(b"\x09" + PATIENT.encode() * 10)
            assert raw.pdu()[0] == 7
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    names = [line["name"] for line in lines]
    assert names[0] == "door-opened"
    assert names[-1] == "door-closed"
    assert {"object-not-taken", "association-ended", "caller-refused"} <= set(names)
    said = stream.getvalue() + "".join(capfd.readouterr()) + caplog.text
    for secret in (PATIENT, "SCANNER", "NOBODY", "1.2.826", "4711"):
        assert secret not in said
