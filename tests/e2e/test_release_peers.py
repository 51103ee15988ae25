"""Real peers at the end of the road: storescp of dcmtk, and Orthanc by C-STORE and by STOW-RS."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from pydicom import dcmread
from tests.support.releasing import World, all_released, dicom_bytes, route, until

from tarnhelm.gateway.destinations import DicomDestinationSettings, StowDestinationSettings
from tarnhelm.gateway.destinations.dicom import DicomDestination
from tarnhelm.gateway.destinations.stow import StowDestination

STORESCP, ORTHANC = shutil.which("storescp"), shutil.which("Orthanc")
WEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
needs_dcmtk = pytest.mark.skipif(STORESCP is None, reason="storescp is missing: apt-get install dcmtk")
needs_orthanc = pytest.mark.skipif(ORTHANC is None, reason="Orthanc is missing: apt-get install orthanc")
# pynetdicom drops a socket whose connect failed without closing it; reference counting closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def data_set_of(content):
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def digests(contents):
    return sorted(hashlib.sha256(data_set_of(content)).hexdigest() for content in contents)


@contextlib.contextmanager
def process(*command):
    running = subprocess.Popen([str(one) for one in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.kill()
        running.wait(30)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "world")
    yield made
    made.close()


def dicom(tmp_path, port, title):
    settings = DicomDestinationSettings("127.0.0.1", port, title, tmp_path / "scratch", tmp_path / "notices")
    return DicomDestination("pacs", settings)


@needs_dcmtk
def test_storescp_gets_every_data_set_bit_by_bit_though_it_dies_in_between(world, tmp_path):
    """``+B`` writes what came over the wire, unparsed. It takes one association at a time, so one worker sends."""
    port, got = free_port(), tmp_path / "got"
    got.mkdir()
    command = [STORESCP, "-aet", "SCP", "+B", "-od", got, port]
    contents = [dicom_bytes(number, pixels=1 << 16) for number in range(1, 41)]
    for number, content in enumerate(contents[:20], 1):
        world.verified(number, content)
    with world.running(route(dicom(tmp_path, port, "SCP"))):
        with process(*command):
            all_released(world, 20)
        for number, content in enumerate(contents[20:], 21):
            world.verified(number, content)
        until(lambda: world.events("destination-paused"))
        with process(*command):
            all_released(world, 40)
    assert world.manifest_is_whole() == 40
    assert digests(path.read_bytes() for path in got.iterdir()) == digests(contents)


class Orthanc:
    """An archive; ``web`` with its DICOMweb plugin."""

    def __init__(self, folder, *, web=False):
        self.http, self.dicom = free_port(), free_port()
        folder.mkdir()
        settings = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": "ARCHIVE",
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "HttpBindAddresses": ["127.0.0.1"],
            "Plugins": [str(WEB_PLUGIN)] if web else [],
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.command = [ORTHANC, folder / "orthanc.json"]

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=60) as answer:
            return answer.read()

    def is_there(self):
        with contextlib.suppress(OSError):
            return bool(self.get("/system"))
        return False

    def contents(self):
        return [self.get(f"/instances/{one}/file") for one in json.loads(self.get("/instances"))]


def same_objects(found, wanted):
    """An archive may write its own file meta: the data sets are compared."""
    assert digests(found) == digests(wanted)
    for content in found:
        assert str(dcmread(io.BytesIO(content)).PatientID) == "TH-1"


@needs_orthanc
def test_orthanc_gets_every_object_by_c_store(world, tmp_path):
    archive = Orthanc(tmp_path / "orthanc")
    contents = [dicom_bytes(number) for number in range(1, 31)]
    for number, content in enumerate(contents, 1):
        world.verified(number, content)
    with world.running(route(dicom(tmp_path, archive.dicom, "ARCHIVE"), workers=2)), process(*archive.command):
        all_released(world, 30)
        until(archive.is_there)
        same_objects(archive.contents(), contents)
    assert world.manifest_is_whole() == 30


@needs_orthanc
@pytest.mark.skipif(not WEB_PLUGIN.exists(), reason="Orthanc's plugin is missing: apt-get install orthanc-dicomweb")
def test_orthanc_gets_every_object_by_stow_and_once_more_does_no_harm(world, tmp_path):
    archive = Orthanc(tmp_path / "orthanc", web=True)
    contents = [dicom_bytes(number) for number in range(1, 31)]
    settings = StowDestinationSettings(f"http://127.0.0.1:{archive.http}/dicom-web/studies", tmp_path / "notices")
    for number, content in enumerate(contents, 1):
        world.verified(number, content)
    with process(*archive.command):
        until(archive.is_there)
        destination = StowDestination("web", settings)
        with world.running(route(destination, workers=2)):
            all_released(world, 30)
        again = StowDestination("again", settings)
        parcel = world.desk(route(again)).parcels.parcel(world.deliveries.of(next(world.state.records()).object_id)[0])
        begun = time.monotonic()
        again.deliver(parcel)
        again.close()
        assert time.monotonic() - begun < 60
        same_objects(archive.contents(), contents)
