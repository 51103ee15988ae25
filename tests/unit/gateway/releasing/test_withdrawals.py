"""Withdrawal orders of the real steward: purge, tombstone, notices; bad ones aside; killed anywhere."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.releasing import LIFE, PROJECT, Probe, World, all_released, route, until

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.orders import WithdrawalOrder, sign_order
from tarnhelm.gateway.deliveries.role import GROUP, TOPIC
from tarnhelm.gateway.destinations import FolderDestinationSettings
from tarnhelm.gateway.destinations.folder import FolderDestination
from tarnhelm.gateway.fsm import Event
from tarnhelm.gateway.manifest.line import NOTICE_LABEL, read_line
from tarnhelm.gateway.record import State
from tarnhelm.gateway.withdrawals import WithdrawalDesk, WithdrawalSettings

ORDER = WithdrawalOrder(PROJECT, "c" * 32, "d" * 64, 1_800_000_000, ("TH-1",), ("2.25.9",), "e" * 64)


class Stewards:
    """The folder that orders come in, with a key."""

    def __init__(self, world):
        self.world = world
        self.key = Ed25519PrivateKey.generate()
        self.folder = world.root / "orders"
        self.folder.mkdir()
        self.key_file = world.root / "steward.pub"
        self.publish_key(self.key.public_key())

    def publish_key(self, public):
        self.key_file.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def put(self, order=ORDER, name="one.order"):
        (self.folder / name).write_bytes(sign_order(order, self.key) + b"\n")

    def desk(self, *routes, reached=None):
        settings = WithdrawalSettings(self.folder, self.key_file, self.world.root / "refused", 0.05)
        parts = self.world.parts(*routes)
        return WithdrawalDesk(settings, parts if reached is None else replace(parts, reached=reached))


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def stewards(world):
    return Stewards(world)


def bytes_left(world, object_id):
    return [
        str(stored.name)
        for area in ("raw", "work")
        for stored in world.blobs.listing(area, object_id)
        if stored.name.object_id == object_id
    ]


def test_what_was_released_is_purged_and_every_destination_is_told(world, stewards):
    gone = [world.verified(number) for number in (1, 2)]
    by_study = world.verified(3, subject="TH-2", study="2.25.9")
    stays = world.verified(4, subject="TH-3", study="2.25.8")
    disk = FolderDestination("disk", FolderDestinationSettings(world.root / "out", delete_withdrawn=True))
    routes = (route(disk), route(Probe("clean")))
    with world.running(*routes):
        all_released(world, 4)
    stewards.put()
    desk = stewards.desk(*routes)
    assert desk.pull() == 1
    assert desk.pull() == 0
    for object_id in (*gone, by_study):
        assert world.state.get(object_id).state is State.PURGED
        assert not bytes_left(world, object_id)
    assert world.state.get(stays).state is State.RELEASED
    assert len(bytes_left(world, stays)) == 2
    assert [path.parent.parent.parent.name for path in (world.root / "out").rglob("*.dcm")] == ["TH-3"]
    (file,) = (world.root / "out" / "withdrawn").iterdir()
    notice = read_line(file.read_bytes().rstrip(b"\n"), world.key.public, NOTICE_LABEL)
    assert notice.document["instances"] == ["2.25.1001", "2.25.1002", "2.25.1003"]
    assert (notice.document["patient_ids"], notice.document["studies"]) == (["TH-1"], ["2.25.9"])
    (told,) = routes[1].destination.notices
    assert told.name == notice.document["order"]
    assert world.events("withdrawal-done")[0]["purged"] == 3
    assert world.manifest_is_whole() == 4, "what left stays in the manifest"


def test_what_is_on_its_way_is_refused_whatever_its_state(world, stewards):
    """READY, held in quarantine, verified and planned: none of them leaves."""
    verified = world.verified(1, publish=False)
    planned = world.verified(2)
    world.desk(route(Probe("pacs"))).plan([planned])
    held = world.verified(3, publish=False)
    record = world.state.get(held)
    world.state.save(LIFE.step(record, Event.FAIL, code="WIT-001"), record)
    running = world.verified(4, publish=False)
    record = world.state.get(running)
    world.state.save(LIFE.step(record, Event.RECOVER, Event.START, output_path=""), record)
    stewards.put()
    pacs = Probe("pacs")
    assert stewards.desk(route(pacs)).pull() == 1
    with world.running(route(pacs)):
        world.publish(verified)
        world.publish(planned)
        until(lambda: sum(world.broker.lag(GROUP, [TOPIC]).values()) == 0)
    assert not pacs.got
    for object_id in (verified, planned, held, running):
        assert world.state.get(object_id).state is State.PURGED
        assert world.state.get(object_id).code == "DLV-020"
        assert not bytes_left(world, object_id)


def test_what_comes_later_of_the_person_is_refused_at_the_release(world, stewards):
    stewards.put()
    assert stewards.desk(route(Probe("pacs"))).pull() == 1
    late, study, other = (
        world.verified(1),
        world.verified(2, subject="TH-2", study="2.25.9"),
        world.verified(3, subject="TH-2", study="2.25.8"),
    )
    pacs = Probe("pacs")
    with world.running(route(pacs)):
        until(lambda: world.states() == {State.RELEASED: 1, State.REJECTED: 2})
    assert [parcel.object_id for parcel, _ in pacs.got] == [other]
    assert {world.state.get(one).code for one in (late, study)} == {"DLV-020"}
    assert world.manifest_is_whole() == 1


def test_another_projects_same_surrogate_stays(world, stewards):
    stewards.put(replace(ORDER, project="q" * 20))
    object_id = world.verified(1)
    pacs = Probe("pacs")
    assert stewards.desk(route(pacs, projects=(PROJECT,))).pull() == 1
    assert not pacs.notices
    with world.running(route(pacs)):
        all_released(world, 1)
    assert bytes_left(world, object_id)


def test_a_destination_that_is_away_is_told_later_and_keeps_nobody_waiting(world, stewards):
    back = []
    away = Probe("away", lambda _notice: None if back else TarnhelmError(errors.PEER_AWAY))
    disk = Probe("disk")
    object_id = world.verified(1)
    stewards.put()
    desk = stewards.desk(route(away), route(disk))
    for _ in range(3):
        assert desk.pull() == 0
    assert len(disk.notices) == 1
    assert world.state.get(object_id).state is State.PURGED
    back.append(True)
    assert desk.pull() == 1
    assert desk.pull() == 0
    assert (len(disk.notices), len(away.notices)) == (1, 1)


def test_a_bad_order_is_put_aside_once_and_harms_nothing(world, stewards):
    object_id = world.verified(1)
    good = sign_order(ORDER, stewards.key)
    foreign = sign_order(ORDER, Ed25519PrivateKey.generate())
    whole = json.loads(good)
    whole["document"]["patient_ids"] = ["TH-3"]
    edited = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
    for number, content in enumerate((foreign, edited, b"", b"[]", good[:-3])):
        (stewards.folder / f"{number}.order").write_bytes(content)
    (stewards.folder / "still-being-written.part").write_bytes(good)
    (stewards.folder / "link.order").symlink_to("/etc/passwd")
    (stewards.folder / "folder.order").mkdir()
    desk = stewards.desk(route(Probe("pacs")))
    for _ in range(2):
        assert desk.pull() == 0
    refused = world.root / "refused"
    assert len(list(refused.glob("*.refused"))) == 5
    assert {path.read_text() for path in refused.glob("*.code")} == {"STW-008\n"}
    assert len(world.events("withdrawal-refused")) == 5
    assert world.state.get(object_id).state is State.VERIFIED


class KilledError(BaseException):
    """Stands for a process that dies."""


@pytest.mark.parametrize("place", ["buried", "purged", "told"])
def test_an_order_is_taken_up_where_it_was_left(world, stewards, place):
    objects = [world.verified(number) for number in (1, 2)]
    pacs, disk = Probe("pacs"), Probe("disk")
    with world.running(route(pacs), route(disk)):
        all_released(world, 2)

    def die(reached):
        if reached == place:
            raise KilledError

    stewards.put()
    with pytest.raises(KilledError):
        stewards.desk(route(pacs), route(disk), reached=die).pull()
    assert stewards.desk(route(pacs), route(disk)).pull() == 1
    assert {world.state.get(one).state for one in objects} == {State.PURGED}
    assert not [name for one in objects for name in bytes_left(world, one)]
    assert pacs.notices
    assert len({notice.document for notice in (*pacs.notices, *disk.notices)}) == 1


def test_tombstones_are_keyed(world, stewards):
    stewards.put()
    stewards.desk(route(Probe("pacs"))).pull()
    content = (world.root / "deliveries.sqlite-wal").read_bytes() + (world.root / "deliveries.sqlite").read_bytes()
    assert b"TH-1" not in content
    assert b"2.25.9" not in content


def test_it_runs_until_told_to_stop_and_a_missing_folder_waits(world, stewards):
    stewards.folder.rename(world.root / "elsewhere")
    stop = threading.Event()
    thread = threading.Thread(target=stewards.desk(route(Probe("pacs"))).run, args=(stop,))
    thread.start()
    until(lambda: world.events("orders-wait"))
    assert world.events("orders-wait")[0]["code"] == "DLV-040"
    (world.root / "elsewhere").rename(stewards.folder)
    stewards.put()
    until(lambda: world.events("withdrawal-done"))
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def test_an_order_of_the_real_steward_is_carried_out(world, stewards, tmp_path):
    """Two people, a real case: the order that the steward's tool writes is what the gateway takes."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "steward"))
    try:
        from steward_ward import Ward

        from tarnhelm.reveal.steward.pairs import Patient
        from tarnhelm.reveal.steward.withdrawal import by_patients, withdraw_act, withdraw_work
    finally:
        sys.path.pop(0)
    (tmp_path / "ward").mkdir()
    ward = Ward(tmp_path / "ward")
    subject, study, _ = ward.send("MRN1")
    project = ward.project
    project_id = project if isinstance(project, str) else project.id
    identities = ward.place.identities(project)
    act = withdraw_act(project, by_patients(identities, [Patient("MRN1", "HOSP")]))
    _, papers = ward.done(act, lambda office: withdraw_work(ward.place, project, office.ends))
    stewards.publish_key(Ed25519PublicKey.from_public_bytes(ward.here.people().load().writers()["local"]))
    gone = world.verified(1, subject=subject, study=study, project_id=project_id)
    stays = world.verified(2, project_id=project_id)
    (stewards.folder / "case.order").write_bytes(papers["order"])
    assert stewards.desk(route(Probe("pacs"))).pull() == 1
    assert world.state.get(gone).state is State.PURGED
    assert world.state.get(stays).state is State.VERIFIED
    assert not bytes_left(world, gone)
    assert len(bytes_left(world, stays)) == 2
