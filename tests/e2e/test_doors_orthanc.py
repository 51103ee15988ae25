"""Orthanc as the archive before the DICOM door: C-ECHO, C-STORE and storage commitment."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest
from tests.support.admitting import RecordingAdmitter
from tests.support.door_peers import instance, open_door, write_image

from tarnhelm.gateway.doors.dicom_settings import CommitmentPeer

PROGRAM = shutil.which("Orthanc")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Orthanc is missing: apt-get install orthanc")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Orthanc:
    def __init__(self, folder, door_port):
        self.http, self.dicom = free_port(), free_port()
        folder.mkdir()
        settings = {
            "Name": "archive",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": "ARCHIVE",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "HttpBindAddresses": ["127.0.0.1"],
            "Plugins": [],
            "DicomModalities": {"tarnhelm": ["TARNHELM", "127.0.0.1", door_port]},
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen([PROGRAM, str(folder / "orthanc.json")], stdout=log, stderr=log)

    def wait(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.call("/system")
            except OSError:
                assert self._process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def call(self, path, body=None):
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def world(tmp_path):
    """Door, admitter and archive, which takes commitment reports on a port of its own."""
    admitter, port = RecordingAdmitter(), free_port()
    archive = Orthanc(tmp_path / "orthanc", port)
    try:
        peers = {"ARCHIVE": CommitmentPeer(f"127.0.0.1:{archive.dicom}")}
        with open_door(admitter, listen=f"127.0.0.1:{port}", instances=admitter, commitment_peers=peers) as door:
            archive.wait()
            yield admitter, archive, door
    finally:
        archive.close()


def test_orthanc_stores_a_study_and_its_commitment_is_reported(world, tmp_path):
    admitter, archive, _ = world
    found = [archive.call("/instances", write_image(tmp_path / f"{number}.dcm", number))["ID"] for number in range(5)]
    assert archive.call("/modalities/tarnhelm/echo", {}) == {}
    done = archive.call("/modalities/tarnhelm/store", {"Resources": found, "Synchronous": True})
    assert done["FailedInstancesCount"] == 0
    assert sorted(entry.arrival.sop_instance_uid for entry in admitter.objects) == [
        instance(number) for number in range(5)
    ]
    pairs = [["1.2.840.10008.5.1.4.1.1.2", instance(number)] for number in (0, 4, 99)]
    asked = archive.call("/modalities/tarnhelm/storage-commitment", {"DicomInstances": pairs})
    deadline = time.monotonic() + 60
    while (report := archive.call(asked["Path"]))["Status"] == "Pending":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert report["Status"] == "Failure"
    assert sorted(entry["SOPInstanceUID"] for entry in report["Success"]) == [instance(0), instance(4)]
    (failed,) = report["Failures"]
    assert (failed["SOPInstanceUID"], failed["FailureReason"]) == (instance(99), 0x0112)
