"""The STOW-RS door before real HTTP callers: who may store, what is taken, how it is answered."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import resource
import socket
import ssl
import time

import pytest
from dicomweb_client import DICOMwebClient
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage
from tests.support.admitting import FullAdmitter, RecordingAdmitter
from tests.support.certificates import Authority
from tests.support.door_peers import PATIENT, image, instance, write_image

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.doors.stow import StowDoor
from tarnhelm.gateway.doors.stow_multipart import MultipartReader, content_type
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings, StowRoute
from tarnhelm.gateway.intake import Receipt, Reception

TYPE = 'multipart/related; type="application/dicom"; boundary=B'
DICOM_JSON = "application/dicom+json"


@contextlib.contextmanager
def open_door(admitter, *routes, log=None, **settings):
    given = {"listen": "127.0.0.1:0", "drain_seconds": 5.0, **settings}
    door = StowDoor(
        StowDoorSettings(routes=routes or (StowRoute("/dicom-web", "project-a"),), **given), admitter, log=log
    )
    door.start()
    try:
        yield door
    finally:
        door.close()


@pytest.fixture
def files(tmp_path):
    return [write_image(tmp_path / f"{number}.dcm", number) for number in range(4)]


def multipart(*parts, kind="application/dicom"):
    pieces = [b"--B\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + part + b"\r\n" for part in parts]
    return b"".join(pieces) + b"--B--\r\n"


def post(door, body, path="/dicom-web/studies", tls=None, **headers):
    """Status, headers and body of one request."""
    given = {"Content-Type": TYPE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if tls is None:
        connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", door.port, timeout=30, context=tls)
    with contextlib.closing(connection):
        connection.request("POST", path, body, given)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()


def uids(document, sequence):
    return [item["00081155"]["Value"][0] for item in document.get(sequence, {}).get("Value", [])]


# --- what is taken --------------------------------------------------------------------------------------------------


def test_each_part_is_stored_as_it_came(files):
    admitter = RecordingAdmitter()
    with open_door(admitter) as door:
        status, headers, body = post(door, multipart(*files))
    assert (status, headers["content-type"]) == (200, DICOM_JSON)
    assert [entry.content for entry in admitter.objects] == files
    assert uids(json.loads(body), "00081199") == [instance(number) for number in range(4)]
    assert [entry.arrival.sop_instance_uid for entry in admitter.objects] == [instance(number) for number in range(4)]
    assert {entry.arrival.project for entry in admitter.objects} == {"project-a"}


def test_dicomweb_client_stores_with_and_without_a_study():
    admitter = RecordingAdmitter()
    with open_door(admitter) as door:
        client = DICOMwebClient(f"http://127.0.0.1:{door.port}/dicom-web")
        with contextlib.closing(client._session):
            for study in (None, "1.2.826.1"):
                answer = client.store_instances([image(0), image(1)], study_instance_uid=study)
                found = [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence]
                assert found == [instance(0), instance(1)]
                assert answer.ReferencedSOPSequence[0].ReferencedSOPClassUID == CTImageStorage
                assert "FailedSOPSequence" not in answer
    assert len(admitter.objects) == 4


def test_routes_lead_to_projects(files):
    admitter = RecordingAdmitter()
    with open_door(admitter, StowRoute("/a", "p1"), StowRoute("/b", "p2")) as door:
        assert post(door, multipart(files[0]), "/b/studies")[0] == 200
        assert post(door, multipart(files[0]), "/a/studies")[0] == 200
        assert post(door, multipart(files[0]), "/c/studies")[0] == 404
    assert [entry.arrival.project for entry in admitter.objects] == ["p2", "p1"]


def test_the_span_of_the_sender_goes_with_the_object_and_its_free_text_does_not(files):
    admitter, parent = RecordingAdmitter(), f"00-{'a' * 32}-{'b' * 16}-01"
    with open_door(admitter) as door:
        post(door, multipart(files[0]), traceparent=parent, tracestate=f"a={PATIENT}")
        post(door, multipart(files[1]), traceparent=f"00-{PATIENT}")
    first, second = (entry.arrival.trace for entry in admitter.objects)
    assert (first.traceparent, first.state, second) == (parent, "", None)


def test_an_object_of_another_study_fails(files):
    admitter = RecordingAdmitter()
    with open_door(admitter) as door:
        status, _, body = post(door, multipart(files[0]), "/dicom-web/studies/1.2.3")
    (failed,) = json.loads(body)["00081198"]["Value"]
    assert (status, failed["00081197"]["Value"]) == (409, [0xA900])
    assert not admitter.objects


def test_good_and_bad_parts_are_told_apart(files):
    admitter = RecordingAdmitter()
    bad = files[1].replace(instance(1).encode(), instance(8).encode(), 1)
    with open_door(admitter) as door:
        status, _, body = post(door, multipart(files[0], b"no object", bad, files[2]))
    document = json.loads(body)
    assert status == 202
    assert uids(document, "00081199") == [instance(0), instance(2)]
    assert uids(document, "00081198") == [instance(8)]
    assert document["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]
    assert (len(admitter.objects), admitter.open) == (2, 0)


@pytest.mark.parametrize("reception", [Reception.ACCEPTED, Reception.DUPLICATE, Reception.KEPT_FIRST, Reception.HELD])
def test_what_admission_keeps_is_success(files, reception):
    admitter = RecordingAdmitter()
    admitter.answer = Receipt(reception, "id")
    with open_door(admitter) as door:
        assert post(door, multipart(files[0]))[0] == 200


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Receipt(Reception.REFUSED, code="DCM-001"), 409, 0xC000),
        (TarnhelmError(errors.TOO_LARGE), 409, 0xC000),
        (TarnhelmError(errors.NO_SPACE), 503, 0xA700),
        (OSError(28, "full"), 503, 0xA700),
    ],
)
def test_faults_of_admission_become_statuses(files, answer, status, reason):
    admitter, stream = RecordingAdmitter(), io.StringIO()
    admitter.answer = answer
    with open_door(admitter, log=EventLog(stream, time.time)) as door:
        found, headers, body = post(door, multipart(files[0]))
    assert found == status
    (ended,) = [line for line in map(json.loads, stream.getvalue().splitlines()) if line.get("status")]
    assert (ended["status"], bool(ended["code"])) == (status, status == 503)
    assert json.loads(body)["00081198"]["Value"][0]["00081197"]["Value"] == [reason]
    assert ("retry-after" in headers) == (status == 503)


def test_where_there_is_no_room_callers_are_told_when_to_come_back(files):
    with open_door(FullAdmitter(29.2)) as door:
        status, headers, _ = post(door, multipart(files[0]))
    assert (status, headers["retry-after"]) == (503, "30")


def test_where_nobody_can_tell_whether_there_is_room_callers_are_put_off(files, monkeypatch):
    admitter = RecordingAdmitter()
    monkeypatch.setattr(admitter, "room", lambda: 1 / 0)
    with open_door(admitter) as door:
        assert post(door, multipart(files[0]))[0] == 503


def test_a_part_without_data_or_of_another_type_fails(files):
    with open_door(RecordingAdmitter()) as door:
        assert post(door, multipart(b""))[0] == 409
        assert post(door, multipart(files[0], kind="application/zip"))[0] == 409
        assert post(door, b"--B--\r\n")[0] == 400


# --- requests that are refused whole --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/dicom"}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=B'}, 415),
        ({"Content-Type": 'multipart/form-data; type="application/dicom"; boundary=B'}, 415),
        ({"Content-Type": 'multipart/related; type="application/dicom"'}, 400),
        ({"Content-Type": 'multipart/related; type="application/dicom"; boundary="' + "b" * 71 + '"'}, 400),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "text/html, application/dicom+json;q=0.5"}, 200),
    ],
)
def test_what_cannot_be_understood_is_refused(files, headers, status):
    admitter = RecordingAdmitter()
    with open_door(admitter) as door:
        assert post(door, multipart(files[0]), **headers)[0] == status
    assert len(admitter.objects) == (status == 200)


def test_other_methods_and_odd_studies_are_refused(files):
    with open_door(RecordingAdmitter()) as door:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)) as connection:
            connection.request("GET", "/dicom-web/studies")
            assert connection.getresponse().status == 405
        assert post(door, multipart(files[0]), "/dicom-web/studies/..%2f..")[0] in {400, 404}
        assert post(door, multipart(files[0]), "/dicom-web/studies/1.2.x")[0] == 400


def test_bounds_on_requests_and_parts(files):
    admitter = RecordingAdmitter()
    with open_door(admitter, max_request_bytes=2_000) as door:
        assert post(door, multipart(*files))[0] == 413
    with open_door(admitter, max_parts=2) as door:
        assert post(door, multipart(*files))[0] == 413
    assert len(admitter.objects) == 2
    with open_door(admitter, max_part_bytes=500) as door:
        assert post(door, multipart(bytes(100) + files[0] + bytes(100_000)))[0] == 409
        assert post(door, multipart(files[0] + bytes(100_000)))[0] == 409
    with open_door(admitter) as door:
        assert post(door, b"--B\r\nX: " + b"x" * 9_000 + b"\r\n\r\n--B--\r\n")[0] == 400
    assert (len(admitter.objects), admitter.open) == (2, 0)


def test_a_chunked_request_beyond_the_bound_ends(files):
    with open_door(RecordingAdmitter(), max_request_bytes=100_000) as door:
        body = (multipart(files[0])[:-7] for _ in range(1_000))
        with contextlib.suppress(ConnectionError):
            assert post(door, body)[0] == 413


# --- who may store --------------------------------------------------------------------------------------------------


def test_tokens_name_principals_and_routes_name_who_may(tmp_path, files):
    tokens = tmp_path / "tokens"

    def line(token, name):
        return f"{hashlib.sha256(token.encode()).hexdigest()} {name}  # comment\n"

    tokens.write_text("# who may\n\n" + line("t1", "pacs") + line("t2", "other"))
    routes = (StowRoute("/a", "p", principals=("pacs",)), StowRoute("/b", "p"))
    admitter = RecordingAdmitter()
    with open_door(admitter, *routes, tokens_file=tokens) as door:
        status, headers, _ = post(door, multipart(files[0]), "/a/studies")
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="tarnhelm"')
        for authorization, path, expected in (
            ("Bearer t1", "/a/studies", 200),
            ("Bearer t2", "/a/studies", 403),
            ("Bearer t3", "/a/studies", 401),
            ("Basic dDE6", "/a/studies", 401),
            ("Bearer ", "/a/studies", 401),
            ("Bearer t1", "/b/studies", 403),
        ):
            assert post(door, multipart(files[0]), path, Authorization=authorization)[0] == expected
        tokens.write_text(line("t3", "pacs"))
        assert post(door, multipart(files[0]), "/a/studies", Authorization="Bearer t1")[0] == 401
        assert post(door, multipart(files[0]), "/a/studies", Authorization="Bearer t3")[0] == 200
        tokens.write_text("what is this\n")
        assert post(door, multipart(files[0]), "/a/studies", Authorization="Bearer t3")[0] == 401
    assert len(admitter.objects) == 2


def test_a_token_file_that_cannot_be_read_keeps_the_door_shut(tmp_path):
    settings = StowDoorSettings(routes=(StowRoute("", "p", principals=("a",)),), tokens_file=tmp_path / "none")
    with pytest.raises(TarnhelmError) as caught:
        StowDoor(settings, RecordingAdmitter())
    assert caught.value.code == "DOR-010"


def test_client_certificates_name_principals(tmp_path, files):
    authority = Authority(tmp_path / "ca")
    server, good, other = (
        authority.issue("door"),
        authority.issue("pacs", "pacs.example"),
        authority.issue("x", "x.example"),
    )
    settings = {
        "tls_certificate_file": server.certificate,
        "tls_key_file": server.key,
        "client_ca_file": authority.ca_file,
    }

    def tls(pair):
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return context

    admitter = RecordingAdmitter()
    with open_door(admitter, StowRoute("/a", "p", principals=("pacs.example",)), **settings) as door:
        assert post(door, multipart(files[0]), "/a/studies", tls=tls(good))[0] == 200
        assert post(door, multipart(files[0]), "/a/studies", tls=tls(other))[0] == 403
        with pytest.raises(OSError):  # noqa: PT011
            post(door, multipart(files[0]), "/a/studies", tls=tls(None))
    assert len(admitter.objects) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"routes": ()},
        {"routes": (StowRoute("/a", "p"), StowRoute("/a", "q"))},
        {"listen": "0.0.0.0:8042"},
        {"client_ca_file": "ca"},
        {"tls_key_file": "key"},
        {"max_requests": 0},
        {"name": ""},
    ],
)
def test_settings_that_do_not_fit_are_refused(bad):
    with pytest.raises(ValueError, match=r"."):
        StowDoorSettings(**{"routes": (StowRoute("/a", "p"),), **bad})


def test_a_route_has_a_clean_path():
    with pytest.raises(ValueError, match="path"):
        StowRoute("/a/", "p")


# --- requests that break off ----------------------------------------------------------------------------------------


def half(door, body, length):
    connection = socket.create_connection(("127.0.0.1", door.port), timeout=30)
    head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: a\r\nContent-Type: {TYPE}\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_a_request_that_breaks_off_the_whole_parts_are_accepted_and_no_other(files):
    admitter, whole = RecordingAdmitter(), multipart(*files)
    with open_door(admitter) as door:
        cut = whole.index(files[2]) + 500
        with half(door, whole[:cut], len(whole)):
            until(lambda: len(admitter.objects) == 2)
        until(lambda: admitter.open == 0 and not door._in_hand)
    assert [entry.content for entry in admitter.objects] == files[:2]


def test_a_body_without_its_last_delimiter_is_refused(files):
    admitter = RecordingAdmitter()
    with open_door(admitter) as door:
        assert post(door, multipart(*files)[:-10])[0] == 400
    assert (len(admitter.objects), admitter.open) == (3, 0)


def test_a_body_that_stalls_gets_408(files):
    admitter, whole = RecordingAdmitter(), multipart(*files)
    with open_door(admitter, stall_seconds=0.3) as door, half(door, whole[:900], len(whole)) as caller:
        assert caller.recv(100).startswith(b"HTTP/1.1 408 ")
    assert admitter.open == 0


def test_a_body_that_drips_gets_408(files):
    bounds = {"stall_seconds": 5.0, "request_seconds": 0.3, "min_bytes_per_second": 1_000_000}
    with open_door(RecordingAdmitter(), **bounds) as door, half(door, b"", 100_000) as caller:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 2:
                caller.sendall(b"-")
                time.sleep(0.05)
        caller.settimeout(5)
        assert caller.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_does_not_come_ends_the_connection(files):
    with open_door(RecordingAdmitter(), header_seconds=0.3) as door:
        for sent in (b"", b"POST /dicom-web/studies HTTP/1.1\r\nHost: a\r\n", b"\x16\x03\x01\x02\x00"):
            with socket.create_connection(("127.0.0.1", door.port), timeout=30) as caller:
                caller.sendall(sent)
                with contextlib.suppress(ConnectionError):
                    while caller.recv(1_000):
                        pass
        assert post(door, multipart(files[0]))[0] == 200


def test_connections_beyond_the_bound_are_closed(files):
    with open_door(RecordingAdmitter(), max_connections=2) as door:
        callers = [socket.create_connection(("127.0.0.1", door.port), timeout=30) for _ in range(4)]
        for caller in callers[2:]:
            with contextlib.suppress(ConnectionError):
                assert caller.recv(1) == b""
        for caller in callers:
            caller.close()
        until(lambda: _stored(door, files[0]))


def _stored(door, file):
    try:
        return post(door, multipart(file))[0] == 200
    except OSError:
        return False


def test_requests_beyond_the_bound_are_put_off(files):
    admitter, whole = RecordingAdmitter(), multipart(*files)
    with open_door(admitter, max_requests=1) as door:
        with half(door, whole[:900], len(whole)):
            until(lambda: door._in_hand == 1)
            status, headers, _ = post(door, multipart(files[0]))
            assert (status, headers["retry-after"]) == (503, "5")
        until(lambda: door._in_hand == 0)
        assert post(door, multipart(files[0]))[0] == 200


def test_closing_lets_a_request_in_hand_end(files):
    admitter, whole = RecordingAdmitter(), multipart(*files)
    with open_door(admitter) as door:
        caller = half(door, whole[:900], len(whole))
        until(lambda: door._in_hand == 1)
        import threading

        closing = threading.Thread(target=door.close)
        closing.start()
        caller.sendall(whole[900:])
        assert caller.recv(100).startswith(b"HTTP/1.1 200 ")
        caller.close()
        closing.join(30)
        assert not closing.is_alive()
    assert len(admitter.objects) == 4


def test_the_log_and_short_answers_name_no_patient_and_no_uid(files, capfd, caplog):
    stream, admitter = io.StringIO(), RecordingAdmitter()
    with open_door(admitter, log=EventLog(stream, time.time)) as door:
        answers = [post(door, multipart(files[0]), "/dicom-web/studies/1.2.826.1")[2]]
        admitter.answer = RuntimeError(PATIENT)
        post(door, multipart(files[0]))
        answers = [post(door, multipart(files[0])[:-9])[2], post(door, multipart(files[0]), "/dicom-web/studies/x")[2]]
    said = stream.getvalue() + "".join(capfd.readouterr()) + caplog.text + str(answers)
    assert "store-request-ended" in said
    for secret in (PATIENT, "1.2.826", "4711"):
        assert secret not in said


def test_memory_stays_flat_for_a_large_part(files):
    admitter, size = RecordingAdmitter(keep=False), 128 << 20
    head = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + files[0]

    def body():
        yield head
        for _ in range(size >> 17):
            yield bytes(1 << 17)
        yield b"\r\n--B--\r\n"

    with open_door(admitter) as door:
        assert post(door, multipart(files[0]))[0] == 200
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert post(door, body())[0] == 200
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert admitter.objects[1].size == size + len(files[0])
    assert grown < 24 << 10  # KiB


# --- the parser -----------------------------------------------------------------------------------------------------


def split(data, size):
    return (data[start : start + size] for start in range(0, len(data), size))


@given(st.lists(st.binary(max_size=60), max_size=5), st.integers(1, 50))
def test_parts_come_out_as_they_went_in_however_the_body_is_cut(parts, size):
    parts = [part for part in parts if b"\r\n--BOUND" not in b"\r\n" + part]
    body = (
        b"junk\r\n" + b"".join(b"--BOUND \t\r\nA: 1\r\n\r\n" + part + b"\r\n" for part in parts) + b"--BOUND--\r\nrest"
    )
    reader = MultipartReader(split(body, size), b"BOUND", 1_000)
    assert [b"".join(part.data) for part in reader.parts()] == parts


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_body_makes_the_parser_fail_otherwise_than_said(data, size):
    for body in (data, b"--B\r\n" + data, b"--B\r\n\r\n" + data + b"\r\n--B--"):
        try:
            for part in MultipartReader(split(body, size), b"B", 100).parts():
                assert isinstance(part.headers, dict)
        except TarnhelmError as error:
            assert error.code == "DOR-001"  # noqa: PT017


@given(st.text(max_size=80))
def test_no_content_type_makes_the_reader_fail(text):
    assert isinstance(content_type(text).boundary, bytes)
    assert isinstance(content_type("multipart/related; " + text).boundary, bytes)
