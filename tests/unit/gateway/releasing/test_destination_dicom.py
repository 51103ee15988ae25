"""C-STORE: the bytes as they are, every status to its end, peers that go away, cut, hang."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import ssl
import threading

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, evt
from tests.support.certificates import Authority
from tests.support.releasing import CT, World, all_released, dicom_bytes, route, until

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.destinations import DicomDestinationSettings, Notice, Parcel, TlsFiles
from tarnhelm.gateway.destinations.dicom import DicomDestination

# pynetdicom drops a socket whose connect failed without closing it; reference counting closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
MR = "1.2.840.10008.5.1.4.1.1.4"


def data_set_of(content):
    """The bytes behind the file meta information: what goes over the wire."""
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


class Peer:
    """An SCP that keeps what it gets; ``status`` is its answer, or is called with the event."""

    def __init__(self, *, syntaxes=(ExplicitVRLittleEndian,), classes=(CT,), status=0, port=0, **options):
        self.status = status
        self.got = []
        self.associations = 0
        self.entity = AE("PEER")
        self.entity.require_called_aet = True
        for sop_class in classes:
            self.entity.add_supported_context(sop_class, list(syntaxes))
        for name, value in options.pop("entity", {}).items():
            setattr(self.entity, name, value)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)]
        self.server = self.entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, **options)
        self.port = self.server.server_address[1]

    def _accepted(self, _event):
        self.associations += 1

    def _store(self, event):
        status = self.status(event) if callable(self.status) else self.status
        if status == 0:
            self.got.append((str(event.request.AffectedSOPInstanceUID), event.request.DataSet.getvalue()))
        return status

    def close(self):
        server, self.server = self.server, None
        if server is not None:
            for association in server.active_associations:
                association.abort()
            server.shutdown()


@pytest.fixture
def peers():
    with contextlib.ExitStack() as stack:

        def start(**options):
            peer = Peer(**options)
            stack.callback(peer.close)
            return peer

        yield start


@pytest.fixture
def destinations(tmp_path):
    with contextlib.ExitStack() as stack:

        def make(number, **changes):
            quick = {"connect_timeout_seconds": 5.0, "response_timeout_seconds": 5.0, "called_aet": "PEER"}
            settings = DicomDestinationSettings(
                **{
                    "host": "127.0.0.1",
                    "port": number,
                    "scratch": tmp_path / "scratch",
                    "notices": tmp_path / "notices",
                    **quick,
                    **changes,
                }
            )
            made = DicomDestination("pacs", settings)
            stack.callback(made.close)
            return made

        yield make


def parcel(content, attempt=1):
    sha256 = hashlib.sha256(content).hexdigest()
    return Parcel("a" * 32, "p", ObjectFacts(), len(content), sha256, "x", lambda: iter([content]), attempt=attempt)


def code_of(destination, content, attempt=1):
    try:
        destination.deliver(parcel(content, attempt))
    except TarnhelmError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit], ids=lambda one: one.keyword
)
def test_the_peer_gets_the_bytes_as_they_are(peers, destinations, syntax, tmp_path):
    peer = peers(syntaxes=[syntax])
    destination = destinations(peer.port)
    content = dicom_bytes(1) if syntax is ExplicitVRLittleEndian else odd_bytes(syntax)
    for _ in range(3):
        destination.deliver(parcel(content))
    assert [data for _, data in peer.got] == [data_set_of(content)] * 3
    assert peer.associations == 1
    assert not list((tmp_path / "scratch").iterdir())


def odd_bytes(syntax):
    """The same meta with another syntax, before bytes that no library would write like this."""
    from pydicom import dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import write_file_meta_info

    meta = FileMetaDataset()
    meta.update(dcmread(io.BytesIO(dicom_bytes(1))).file_meta)
    meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    stream.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(stream, meta)
    return stream.getvalue() + bytes(range(256)) * 300


STATUSES = (
    (0x0000, 1, ""),
    (0xB000, 1, ""),
    (0xB006, 1, ""),
    (0xB007, 1, ""),
    (0xA700, 1, "DLV-002"),
    (0xA7FF, 1, "DLV-002"),
    (0x0213, 1, "DLV-002"),
    (0xA900, 1, "DLV-011"),
    (0xA901, 1, "DLV-011"),
    (0xC000, 1, "DLV-011"),
    (0xC123, 1, "DLV-011"),
    (0x0110, 1, "DLV-004"),
    (0x0111, 1, "DLV-013"),
    (0x0111, 2, ""),
    (0x0112, 1, "DLV-011"),
    (0x0117, 1, "DLV-011"),
    (0x0122, 1, "DLV-010"),
    (0x0124, 1, "DLV-003"),
    (0x0210, 1, "DLV-011"),
    (0x0211, 1, "DLV-011"),
    (0x0212, 1, "DLV-011"),
)
"""Status, number of the try, code."""


def test_each_status_has_its_meaning(peers, destinations):
    peer = peers()
    destination = destinations(peer.port)
    found = []
    for status, attempt, _ in STATUSES:
        peer.status = status
        found.append((status, attempt, code_of(destination, dicom_bytes(1), attempt)))
    assert tuple(found) == STATUSES
    assert peer.associations == 1, "a status ends no association"


def test_a_form_that_the_peer_does_not_accept_is_held_and_nothing_is_converted(peers, destinations):
    peer = peers(syntaxes=[ImplicitVRLittleEndian])
    destination = destinations(peer.port)
    assert code_of(destination, dicom_bytes(1)) == "DLV-010"
    assert code_of(destination, dicom_bytes(1, sop_class=MR)) == "DLV-010"
    assert not peer.got


def test_a_form_that_is_not_taken_costs_the_others_no_association(peers, destinations):
    peer = peers()
    destination = destinations(peer.port)
    codes = [code_of(destination, dicom_bytes(number, sop_class=(CT, MR)[number % 2])) for number in range(1, 9)]
    assert codes == ["DLV-010", ""] * 4
    assert peer.associations <= 2


def test_a_new_form_opens_one_association_with_all_so_far(peers, destinations):
    peer = peers(classes=[CT, MR])
    destination = destinations(peer.port)
    for number, sop_class in enumerate((CT, CT, MR, CT, MR), 1):
        destination.deliver(parcel(dicom_bytes(number, sop_class=sop_class)))
    assert len(peer.got) == 5
    assert peer.associations == 2


def test_an_association_is_made_anew_after_so_many_objects(peers, destinations):
    peer = peers()
    destination = destinations(peer.port, most_objects=2)
    for number in range(1, 6):
        destination.deliver(parcel(dicom_bytes(number)))
    assert (len(peer.got), peer.associations) == (5, 3)


def test_an_association_that_carries_nothing_is_released(peers, destinations):
    peer = peers()
    destination = destinations(peer.port, idle_seconds=0.2)
    destination.deliver(parcel(dicom_bytes(1)))
    until(lambda: not peer.server.active_associations)
    destination.deliver(parcel(dicom_bytes(2)))
    assert (len(peer.got), peer.associations) == (2, 2)


def test_who_is_not_let_in_waits(peers, destinations):
    assert code_of(destinations(peers().port, called_aet="OTHER"), dicom_bytes(1)) == "DLV-003"


def test_who_is_told_to_come_later_waits(peers, destinations):
    peer = peers(entity={"maximum_associations": 1})
    first, second = destinations(peer.port), destinations(peer.port)
    first.deliver(parcel(dicom_bytes(1)))
    assert code_of(second, dicom_bytes(2)) == "DLV-002"
    first.close()
    until(lambda: code_of(second, dicom_bytes(2)) == "")


def test_nobody_at_the_address(destinations):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert code_of(destinations(port), dicom_bytes(1)) == "DLV-001"


def test_somebody_who_accepts_and_says_nothing(destinations):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        destination = destinations(mute.getsockname()[1], connect_timeout_seconds=0.5)
        assert code_of(destination, dicom_bytes(1)) == "DLV-001"


def test_a_peer_that_hangs_over_an_object_is_given_up_after_its_time(peers, destinations):
    release = threading.Event()
    peer = peers(status=lambda _event: release.wait(30) and 0)
    destination = destinations(peer.port, response_timeout_seconds=0.5)
    assert code_of(destination, dicom_bytes(1)) == "DLV-001"
    release.set()
    peer.status = 0
    assert code_of(destination, dicom_bytes(2)) == ""


def test_a_connection_that_is_cut_in_mid_data_set(peers, destinations):
    """A proxy passes 40 KiB and cuts: the object is not delivered, and comes whole the next time."""
    peer = peers()
    cut = [True]
    with socket.create_server(("127.0.0.1", 0)) as front:
        stop = threading.Event()

        def pass_on():
            front.settimeout(0.1)
            while not stop.is_set():
                try:
                    one, _ = front.accept()
                except TimeoutError:
                    continue
                with one, socket.create_connection(("127.0.0.1", peer.port)) as other:
                    shuttle(one, other, 40 << 10 if cut.pop() else 1 << 40, stop)
                cut.append(False)

        thread = threading.Thread(target=pass_on)
        thread.start()
        try:
            destination = destinations(front.getsockname()[1])
            content = dicom_bytes(1, pixels=1 << 20)
            assert code_of(destination, content) == "DLV-001"
            assert not peer.got
            assert code_of(destination, content) == ""
            assert [data for _, data in peer.got] == [data_set_of(content)]
            destination.close()
        finally:
            stop.set()
            thread.join(30)


def shuttle(one, other, most, stop):
    """Carry bytes both ways until ``most`` came from ``one``, or an end closes."""
    one.settimeout(0.05)
    other.settimeout(0.05)
    passed = 0
    while not stop.is_set() and passed < most:
        for source, sink in ((one, other), (other, one)):
            with contextlib.suppress(TimeoutError):
                data = source.recv(16 << 10)
                if not data:
                    return
                sink.sendall(data)
                passed += len(data) if source is one else 0


def test_a_peer_that_goes_away_and_comes_back_gets_everything(tmp_path, peers, destinations):
    world = World(tmp_path / "world")
    peer = peers()
    port = peer.port
    destination = destinations(port)
    instances = {f"2.25.{1000 + number}" for number in range(1, 13)}
    for number in range(1, 7):
        world.verified(number)
    with world.running(route(destination, workers=2)):
        all_released(world, 6)
        peer.close()
        for number in range(7, 13):
            world.verified(number)
        until(lambda: world.events("destination-paused"))
        back = peers(port=port)
        all_released(world, 12)
    assert {uid for uid, _ in peer.got + back.got} == instances
    world.close()


def test_tls_is_mutual_and_checks_the_peers_name(peers, destinations, tmp_path):
    authority = Authority(tmp_path / "tls")
    server, client = authority.issue("peer"), authority.issue("gateway")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca_file)
    context.load_cert_chain(server.certificate, server.key)
    context.verify_mode = ssl.CERT_REQUIRED
    peer = peers(ssl_context=context)
    right = TlsFiles(authority.ca_file, client.certificate, client.key)
    destinations(peer.port, tls=right).deliver(parcel(dicom_bytes(1)))
    assert len(peer.got) == 1
    other = Authority(tmp_path / "other", "other authority")
    for files in (TlsFiles(authority.ca_file), TlsFiles(other.ca_file, client.certificate, client.key)):
        assert code_of(destinations(peer.port, tls=files), dicom_bytes(2)) == "DLV-001"
    assert len(peer.got) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "pacs.hospital.example"},
        {"called_aet": ""},
        {"called_aet": "SEVENTEEN-LETTERS"},
        {"calling_aet": "back\\slash"},
        {"port": 0},
        {"tls": TlsFiles(certificate_file=None, key_file=__file__)},
    ],
)
def test_settings_that_cannot_work_are_refused(destinations, changes):
    with pytest.raises(TarnhelmError) as caught:
        destinations(11112, **changes)
    assert caught.value.code == "DLV-021"


def test_what_is_no_dicom_or_too_large_is_held(peers, destinations):
    destination = destinations(peers().port, max_object_bytes=100_000)
    assert code_of(destination, b"NIFTI" * 100) == "DLV-015"
    assert code_of(destination, b"\0" * 128 + b"DICM" + b"x" * 50) == "DLV-015"
    assert code_of(destination, b"x" * 100_001) == "DLV-014"


def test_the_notice_is_a_file(destinations, tmp_path):
    destinations(11112).withdraw(Notice("c" * 64, "p", ("TH-1",), (), document=b"{}"))
    assert (tmp_path / "notices" / f"{'c' * 64}.json").read_bytes() == b"{}\n"
