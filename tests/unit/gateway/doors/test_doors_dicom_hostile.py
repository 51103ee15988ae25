"""The DICOM door before callers that are broken, slow, many or malicious."""

from __future__ import annotations

import random
import resource
import socket
import struct
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.dsutils import encode
from tests.support.admitting import RecordingAdmitter
from tests.support.door_peers import RawCaller, associate_pdu, association, image, open_door, store_command

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.dicom_commitment import report_of
from tarnhelm.gateway.doors.dicom_file import element_of, identity_of
from tarnhelm.gateway.doors.dicom_messages import command_of
from tarnhelm.gateway.doors.dicom_negotiation import Rejection, proposal_of
from tarnhelm.gateway.doors.dicom_pdu import fragments_of

BODY = encode(image(0), is_implicit_vr=False, is_little_endian=True)


def still_works(door):
    with association(door) as caller:
        assert caller.send_c_store(image(77)).Status == 0x0000


def ended(caller):
    """Whether the door has ended the connection: an A-ABORT, then nothing."""
    kinds = [caller.pdu()[0], caller.pdu()[0]]
    return kinds in ([7, 0], [0, 0])


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_fail_otherwise_than_said(data):
    for reader in (command_of, lambda given: list(fragments_of(memoryview(given)))):
        try:
            reader(data)
        except TarnhelmError as error:
            assert error.code == "DOR-001"  # noqa: PT017
    for syntax in ("1.2.840.10008.1.2", ExplicitVRLittleEndian, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"):
        identity_of(data, syntax)
        element_of(data, syntax, (0x0020_000D,))


@given(st.binary(max_size=300), st.integers(0, 250))
def test_no_associate_request_makes_the_decoder_fail_otherwise_than_said(data, position):
    whole = bytearray(associate_pdu([build_context(CTImageStorage)])[6:])
    for changed in (memoryview(data), memoryview(bytes(whole[:position] + data + whole[position:]))):
        try:
            proposal_of(changed)
        except TarnhelmError as error:
            assert error.code == "DOR-001"  # noqa: PT017
        except Rejection:
            pass


def test_a_commitment_request_nested_without_end_is_refused():
    item = b"\x08\x00\x99\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(TarnhelmError) as caught:
        report_of(item * 20_000, ExplicitVRLittleEndian, "p", RecordingAdmitter())
    assert caught.value.code == "DOR-001"


def test_random_bytes_end_the_connection_and_no_more():
    draw = random.Random(7)
    with open_door(RecordingAdmitter(), associate_seconds=1.0) as door:
        for _ in range(20):
            with RawCaller(door.port, associate=False) as caller:
                caller.socket.sendall(draw.randbytes(200))
                assert ended(caller)
        still_works(door)


def test_a_giant_length_is_refused_at_its_head():
    with open_door(RecordingAdmitter()) as door:
        for kind in (1, 4):
            with RawCaller(door.port, associate=kind == 4) as caller:
                caller.socket.sendall(struct.pack(">BxI", kind, 0xFFFF_FFFF))
                assert caller.pdu() == (7, b"\x00\x00\x02\x06")
        still_works(door)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">BxIIBB", 4, 6, 2, 3, 3),
        struct.pack(">BxIIBB", 4, 6, 0xFFFF_FFFF, 1, 3),
        struct.pack(">BxIIBB", 4, 6, 1, 1, 3),
        struct.pack(">BxIIBB", 4, 6, 2, 1, 2),
        struct.pack(">BxI", 4, 2) + b"ab",
        struct.pack(">BxIIBB", 4, 14, 10, 1, 3) + bytes(8),
        b"\x02\x00\x00\x00\x00\x00",
        b"\x04\x00\x00\x00\x00\x00",
        b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00",
    ],
    ids=[
        "no-context",
        "long-pdv",
        "short-pdv",
        "data-first",
        "cut-pdv",
        "no-command",
        "accept",
        "empty",
        "release-reply",
    ],
)
def test_what_breaks_the_protocol_aborts_the_association(sent):
    with open_door(RecordingAdmitter()) as door, RawCaller(door.port) as caller:
        caller.socket.sendall(sent)
        assert caller.pdu()[0] == 7


def test_a_command_without_end_aborts_the_association():
    with open_door(RecordingAdmitter()) as door, RawCaller(door.port) as caller:
        caller.fragment(bytes(15_000), control=1)
        caller.fragment(bytes(15_000), control=1)
        assert caller.pdu()[0] == 7


@pytest.mark.parametrize("how", ["abort", "close", "reset", "command", "release"])
def test_an_object_that_breaks_off_is_not_kept(how):
    admitter = RecordingAdmitter()
    with open_door(admitter) as door, RawCaller(door.port) as caller:
        caller.command()
        caller.fragment(BODY[:200], control=0)
        until(lambda: admitter.open == 1)
        if how == "abort":
            caller.socket.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        elif how == "reset":
            caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "command":
            caller.fragment(store_command(CTImageStorage, "1.2.3"), control=3)
        elif how == "release":
            caller.socket.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        caller.socket.close()
        until(lambda: admitter.open == 0)
        assert (admitter.objects, admitter.aborted) == ([], 1)
        still_works(door)


def test_a_caller_who_never_associates_is_sent_away():
    with open_door(RecordingAdmitter(), associate_seconds=0.3) as door:
        with RawCaller(door.port, associate=False) as silent, RawCaller(door.port, associate=False) as half:
            half.socket.sendall(associate_pdu([build_context(CTImageStorage)])[:50])
            assert ended(silent)
            assert ended(half)
        still_works(door)


def test_bytes_that_drip_are_bounded_by_the_time_of_the_message():
    admitter = RecordingAdmitter()
    bounds = {"stall_seconds": 5.0, "message_seconds": 0.5, "min_bytes_per_second": 1_000_000}
    with open_door(admitter, **bounds) as door, RawCaller(door.port) as caller:
        caller.command()
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - began < 20:
                caller.fragment(b"\x00\x00", control=0)
                time.sleep(0.05)
        assert time.monotonic() - began < 20
        until(lambda: admitter.open == 0)
    assert admitter.objects == []


def test_an_association_that_is_idle_too_long_is_aborted():
    with open_door(RecordingAdmitter(), idle_seconds=0.3) as door, RawCaller(door.port) as caller:
        assert ended(caller)


def test_a_caller_that_does_not_read_is_given_up():
    with open_door(RecordingAdmitter(), stall_seconds=0.5) as door:
        with RawCaller(door.port) as caller:
            caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            caller.socket.settimeout(2)
            with pytest.raises(OSError):  # noqa: PT011, PT012
                for _ in range(100_000):
                    caller.command(sop_instance="x")
                    caller.fragment(b"\x08\x00", control=2)
        until(lambda: not door._live)
        still_works(door)


def test_a_hundred_associations_at_once_are_taken_or_put_off():
    admitter, results = RecordingAdmitter(), []

    def call(number):
        with association(door, calling=f"CT{number % 4}") as caller:
            if caller.is_established:
                results.append(caller.send_c_store(image(number)).Status)
            else:
                results.append(None)

    with open_door(admitter, max_associations=8, max_connections_per_address=100) as door:
        threads = [threading.Thread(target=call, args=(number,)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        until(lambda: not door._live)
        still_works(door)
    assert len(results) == 100
    assert set(results) <= {None, 0x0000}
    assert results.count(0x0000) == len(admitter.objects) - 1 >= 8
    assert admitter.open == 0


def test_one_address_cannot_take_all_seats():
    with open_door(RecordingAdmitter(), max_connections_per_address=3) as door:
        callers = [RawCaller(door.port, associate=False) for _ in range(10)]
        until(lambda: len(door._live) == 3)
        gone = 0
        for caller in callers[3:]:
            gone += caller.pdu()[0] == 0
            caller.socket.close()
        assert gone == 7
        for caller in callers[:3]:
            caller.socket.close()


@pytest.mark.parametrize("size", [64 << 20, pytest.param(500 << 20, marks=pytest.mark.slow)])
def test_memory_stays_flat_for_a_large_object(size):
    admitter = RecordingAdmitter(keep=False)
    piece = struct.pack(">BxIIBB", 4, 131_072 + 6, 131_072 + 2, 1, 0) + bytes(131_072)
    with open_door(admitter) as door, RawCaller(door.port) as caller:
        caller.command()
        caller.fragment(BODY, control=0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(size // 131_072):
            caller.socket.sendall(piece)
        caller.fragment(b"", control=2)
        assert caller.status() == 0x0000
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert admitter.objects[0].size > size
    assert grown < 16 << 10  # KiB
