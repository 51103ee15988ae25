"""The doors before the real admission: broker, blobs and state on a disk, real callers on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import build_context, evt
from tests.support.door_peers import PATIENT, association, image, instance, open_door, rejection_of, write_image
from tests.support.stream import PROJECT, WorldSettings, world

from tarnhelm.gateway.doors.dicom_settings import DicomTitle
from tarnhelm.gateway.doors.folder import FolderDoor
from tarnhelm.gateway.doors.folder_settings import FolderDoorSettings
from tarnhelm.gateway.doors.metrics import DoorMetrics
from tarnhelm.gateway.doors.stow import StowDoor
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings, StowRoute
from tarnhelm.gateway.record import State
from tarnhelm.gateway.roles.doors import Accepted
from tarnhelm.gateway.stream.room import DiskRoom, RoomSettings

COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
TITLES = {"TARNHELM": DicomTitle(PROJECT), "NOPLAN": DicomTitle("another-project")}


@contextlib.contextmanager
def stow_door(found):
    routes = (StowRoute("", PROJECT), StowRoute("/noplan", "another-project"))
    door = StowDoor(StowDoorSettings(listen="127.0.0.1:0", routes=routes), found.admitter, metrics=found.metrics)
    door.start()
    try:
        yield door
    finally:
        door.close()


@pytest.fixture
def house(tmp_path):
    """The world, with a DICOM door, a STOW-RS door and a watched folder before it."""
    settings = WorldSettings(room=RoomSettings(0.9, 1 << 20, check_seconds=0.0, retry_seconds=0.5))
    with world(tmp_path / "gateway", settings) as found:
        found.metrics = DoorMetrics()
        folder = tmp_path / "in"
        folder.mkdir()
        watched = FolderDoorSettings(folder=folder, project=PROJECT, settle_seconds=0.05, poll_seconds=0.02)
        stop = threading.Event()
        thread = threading.Thread(target=FolderDoor(watched, found.admitter, metrics=found.metrics).run, args=(stop,))
        instances = Accepted(SimpleNamespace(state=found.state, keys=found.keys))
        with (
            open_door(found.admitter, titles=TITLES, instances=instances, log=found.log) as dicom,
            stow_door(found) as stow,
        ):
            thread.start()
            try:
                yield SimpleNamespace(world=found, dicom=dicom, stow=stow, folder=folder)
            finally:
                stop.set()
                thread.join(30)


def post(door, file, path="/studies"):
    body = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--B--\r\n"
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)) as connection:
        connection.request(
            "POST", path, body, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=B'}
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()) if answer.status < 500 else {}


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_object_by_three_doors_is_one_object(house, tmp_path):
    file = write_image(tmp_path / "a.dcm", 0)
    (house.folder / f"{PATIENT}.dcm").write_bytes(file)
    until(lambda: not list(house.folder.iterdir()))
    with association(house.dicom) as caller:
        assert caller.send_c_store(image(0)).Status == 0x0000
    assert post(house.stow, file)[0] == 200
    digest = house.world.keys.uid_digest(PROJECT, instance(0))
    (record,) = house.world.state.find_uid(digest)
    assert (record.state, record.door) == (State.ADMITTED, "folder")


def test_many_callers_at_once_lose_nothing_and_count_nothing_twice(house, tmp_path):
    files = [write_image(tmp_path / f"{number}.dcm", number) for number in range(40)]
    statuses = []

    def by_association(numbers):
        with association(house.dicom) as caller:
            statuses.extend(caller.send_c_store(image(number)).Status for number in numbers)

    def by_http(numbers):
        statuses.extend(post(house.stow, files[number])[0] for number in numbers)

    threads = [threading.Thread(target=by_association, args=(range(start, 40, 3),)) for start in range(3)]
    threads += [threading.Thread(target=by_http, args=(range(start, 40, 3),)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(statuses) == [0x0000] * 40 + [200] * 40
    for number in range(40):
        assert len(house.world.state.find_uid(house.world.keys.uid_digest(PROJECT, instance(number)))) == 1


def test_where_the_disk_is_full_each_door_says_so_in_its_protocol_and_takes_up_again(house, tmp_path):
    found = house.world
    room, file = found.settings, write_image(tmp_path / "a.dcm", 1)
    found.settings = replace(room, disk=DiskRoom(0, 1 << 41))
    until(lambda: found.admitter.room() > 0)
    (house.folder / "a").write_bytes(write_image(tmp_path / "b.dcm", 2))
    assert rejection_of(house.dicom) == (2, 3, 1)
    assert post(house.stow, file)[0] == 503
    time.sleep(0.3)
    assert list(house.folder.iterdir())
    found.settings = room
    until(lambda: found.admitter.room() == 0)
    assert post(house.stow, file)[0] == 200
    until(lambda: not list(house.folder.iterdir()))
    with association(house.dicom) as caller:
        assert caller.send_c_store(image(0)).Status == 0x0000


def test_a_project_without_a_plan_takes_nothing(house, tmp_path):
    with association(house.dicom, called="NOPLAN") as caller:
        assert caller.send_c_store(image(0)).Status == 0x0124
    status, document = post(house.stow, write_image(tmp_path / "a.dcm", 0), "/noplan/studies")
    assert (status, document["00081198"]["Value"][0]["00081197"]["Value"]) == (409, [0x0124])


def test_storage_commitment_knows_what_was_accepted(house):
    reports, request = [], Dataset()
    request.TransactionUID = "1.2.826.7"
    request.ReferencedSOPSequence = []
    for number in (0, 9):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, instance(number)
        request.ReferencedSOPSequence.append(item)

    def reported(event):
        reports.append(event.event_information)
        return 0x0000, None

    contexts = [build_context(CTImageStorage, ExplicitVRLittleEndian), build_context(COMMITMENT)]
    with association(house.dicom, *contexts, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)]) as caller:
        assert caller.send_c_store(image(0)).Status == 0x0000
        assert caller.send_n_action(request, 1, COMMITMENT, COMMITMENT_INSTANCE)[0].Status == 0x0000
        until(lambda: reports)
    assert [item.ReferencedSOPInstanceUID for item in reports[0].ReferencedSOPSequence] == [instance(0)]
    assert [item.ReferencedSOPInstanceUID for item in reports[0].FailedSOPSequence] == [instance(9)]
