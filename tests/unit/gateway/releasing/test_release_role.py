"""The release role over stand-in destinations: everything verified is delivered, once planned and never lost."""

from __future__ import annotations

import hashlib
import json
import threading
import time

import pytest
from tests.support.releasing import (
    PLAN,
    Probe,
    World,
    all_released,
    dicom_bytes,
    route,
    until,
)

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import BlobName
from tarnhelm.gateway.blobs.base import put
from tarnhelm.gateway.deliveries import DeliveryState
from tarnhelm.gateway.deliveries.role import GROUP, TOPIC, ReleaseRole
from tarnhelm.gateway.fsm import Event
from tarnhelm.gateway.record import State


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def away(_parcel):
    return TarnhelmError(errors.PEER_AWAY)


def test_every_verified_object_reaches_every_destination_and_has_one_line(world):
    contents = {world.verified(number): dicom_bytes(number) for number in range(1, 21)}
    first, second = Probe("pacs"), Probe("disk")
    with world.running(route(first, workers=2), route(second)):
        all_released(world, 20)
    for probe in (first, second):
        assert {parcel.object_id: content for parcel, content in probe.got} == contents
        assert len(probe.got) == 20
        assert probe.closed
    assert world.manifest_is_whole() == 20
    parcel = first.got[0][0]
    document = json.loads(parcel.manifest_line)["document"]
    assert document["object"] == parcel.object_id
    assert document["sha256"] == parcel.sha256 == hashlib.sha256(contents[parcel.object_id]).hexdigest()
    assert document["size"] == parcel.size == len(contents[parcel.object_id])
    assert document["destinations"] == ["disk", "pacs"]
    assert (document["recipe"], document["plan"]) == (PLAN.recipe_digest, PLAN.digest)
    record = world.state.get(parcel.object_id)
    assert document["verdict"] == record.verdict
    assert [step.step for step in world.state.steps(parcel.object_id)][-1] == "released"
    assert len(world.events("object-released")) == 20


def test_a_task_that_comes_again_does_nothing_again(world):
    object_id = world.verified(1)
    probe = Probe("pacs")
    with world.running(route(probe)):
        all_released(world, 1)
        for _ in range(3):
            world.publish(object_id)
        until(lambda: sum(world.broker.lag(GROUP, [TOPIC]).values()) == 0)
    assert len(probe.got) == 1
    assert world.manifest_is_whole() == 1


def test_a_message_that_is_no_task_is_a_dead_letter_and_an_unknown_object_nothing(world):
    world.broker.publish(TOPIC, b"k", b"\xff\xff\xff").result(30)
    world.publish("f" * 32)
    object_id = world.verified(1)
    probe = Probe("pacs")
    with world.running(route(probe)):
        all_released(world, 1)
    assert [parcel.object_id for parcel, _ in probe.got] == [object_id]
    assert sum(world.broker.lag("dead", ["dead-letter"]).values()) == 1


def test_a_destination_that_is_away_blocks_no_other_and_loses_nothing(world):
    gone = threading.Event()
    pacs = Probe("pacs", lambda parcel: None if gone.is_set() else away(parcel))
    disk = Probe("disk")
    for number in range(1, 31):
        world.verified(number)
    with world.running(route(pacs), route(disk)):
        until(lambda: len(disk.got) == 30)
        until(lambda: world.events("destination-paused"))
        assert world.states() == {State.VERIFIED: 30}
        assert sum(pacs.tried.values()) < 100, "the breaker leaves it alone"
        gone.set()
        all_released(world, 30)
    assert len({parcel.object_id for parcel, _ in pacs.got}) == 30
    assert world.events("destination-back")


def test_what_may_be_missing_is_not_waited_for(world):
    world.verified(1)
    pacs, archive = Probe("pacs"), Probe("archive", away)
    with world.running(route(pacs), route(archive, required=False)):
        all_released(world, 1)
    assert world.deliveries.counts()[("archive", DeliveryState.DUE)] == 1


def test_an_object_that_is_refused_is_held_and_the_others_go_on(world):
    bad = world.verified(1)
    good = [world.verified(number) for number in range(2, 8)]
    refusing = {bad}
    pacs = Probe(
        "pacs",
        lambda parcel: TarnhelmError(errors.REFUSED_FOR_GOOD, status=1) if parcel.object_id in refusing else None,
    )
    with world.running(route(pacs)):
        until(lambda: world.states() == {State.RELEASED: 6, State.VERIFIED: 1})
        until(lambda: world.held() == {(bad, "pacs"): "DLV-011"})
        assert pacs.tried[bad] == 1
        refusing.clear()
        assert world.deliveries.retry(bad, "pacs", 0.0)
        all_released(world, 7)
    assert {parcel.object_id for parcel, _ in pacs.got} == {bad, *good}
    assert world.events("delivery-held")[0]["code"] == "DLV-011"


def test_an_object_over_which_a_peer_fails_is_held_after_some_tries(world):
    bad, good = world.verified(1), world.verified(2)
    pacs = Probe("pacs", lambda parcel: TarnhelmError(errors.PEER_FAULT) if parcel.object_id == bad else None)
    with world.running(route(pacs)):
        until(lambda: world.held() == {(bad, "pacs"): "DLV-004"})
        until(lambda: world.state.get(good).state is State.RELEASED)
    assert pacs.tried[bad] == 3
    assert not world.events("destination-paused")


def test_a_librarys_error_is_kept_without_its_text(world):
    object_id = world.verified(1)

    def explode(_parcel):
        raise ValueError("Doe^John")

    pacs = Probe("pacs", explode)
    with world.running(route(pacs)):
        until(lambda: world.held() == {(object_id, "pacs"): "DLV-004"})
    assert "Doe" not in json.dumps(world.log_lines)
    assert world.events("release-blocked")[0]["code"] == "ValueError"


def test_a_given_up_delivery_ends_the_object_with_what_it_has(world):
    one, two = world.verified(1), world.verified(2)
    refused = TarnhelmError(errors.FORM_NOT_TAKEN)
    pacs = Probe("pacs", lambda _parcel: refused)
    disk = Probe("disk", lambda parcel: refused if parcel.object_id == two else None)
    with world.running(route(pacs), route(disk)):
        until(lambda: len(world.held()) == 3)
        for object_id, destination in world.held():
            assert world.deliveries.waive(object_id, destination)
        until(lambda: world.state.get(one).state is State.RELEASED)
        until(lambda: world.state.get(two).state is State.REJECTED)
    assert world.state.get(two).code == "GTW-009"


def test_what_no_destination_wants_is_held_and_planned_again_when_one_does(world):
    object_id = world.verified(1, modality="MR")
    with world.running(route(Probe("pacs"), modalities=("CT",))):
        until(lambda: world.held() == {(object_id, "none"): "DLV-016"})
        assert world.lines() == []
    probe = Probe("research")
    with world.running(route(probe, modalities=("MR",))):
        assert world.deliveries.retry(object_id, "none", 0.0)
        all_released(world, 1)
    assert world.manifest_is_whole() == 1
    assert json.loads(world.lines()[0])["document"]["destinations"] == ["research"]


def test_rules_choose_by_project_class_and_modality(world):
    ct, us = world.verified(1), world.verified(2, modality="US")
    every, some = Probe("every"), Probe("some")
    other, classes = Probe("other"), Probe("classes")
    routes = (
        route(every),
        route(some, modalities=("US",)),
        route(other, projects=("nobody",)),
        route(classes, sop_classes=("1.2.840.10008.5.1.4.1.1.2",)),
    )
    with world.running(*routes):
        all_released(world, 2)
    assert {parcel.object_id for parcel, _ in every.got} == {ct, us}
    assert [parcel.object_id for parcel, _ in some.got] == [us]
    assert not other.got
    assert len(classes.got) == 2


@pytest.mark.parametrize("memory_bytes", [1, 8 << 20])
def test_no_byte_leaves_that_is_not_the_verdicts(world, memory_bytes):
    """Another blob stands where the verified bytes were: written by somebody who has the keys."""
    object_id = world.verified(1, publish=False)
    good = world.verified(2)
    name = BlobName("work", object_id, f"metadata-{PLAN.digest[:32]}")
    assert world.blobs.delete(name)
    put(world.blobs, name, [b"patient=Doe"])
    world.publish(object_id)
    pacs = Probe("pacs")
    with world.running(route(pacs), memory_bytes=memory_bytes):
        until(lambda: world.states() == {State.RELEASED: 1, State.QUARANTINED: 1})
    assert [parcel.object_id for parcel, _ in pacs.got] == [good]
    assert world.state.get(object_id).code == "GTW-003"
    assert world.events("integrity-failure")[0]["object"] == object_id
    assert world.manifest_is_whole() == 1


@pytest.mark.parametrize("memory_bytes", [1, 8 << 20])
def test_bytes_that_change_after_the_plan_are_held(world, memory_bytes):
    object_id = world.verified(1, publish=False)
    desk = world.desk(route(Probe("pacs")), memory_bytes=memory_bytes)
    desk.plan([object_id])
    name = BlobName("work", object_id, f"metadata-{PLAN.digest[:32]}")
    assert world.blobs.delete(name)
    pacs = Probe("pacs")
    with world.running(route(pacs), memory_bytes=memory_bytes):
        until(lambda: world.held() == {(object_id, "pacs"): "DLV-017"})
        put(world.blobs, name, [b"patient=Doe"])
        world.deliveries.retry(object_id, "pacs", 0.0)
        until(lambda: world.held() == {(object_id, "pacs"): "GTW-003"})
    assert not pacs.got


def test_a_large_object_is_streamed_and_compared(world):
    content = dicom_bytes(1, pixels=2 << 20)
    world.verified(1, content)
    probe = Probe("pacs")
    with world.running(route(probe), memory_bytes=1000):
        all_released(world, 1)
    assert probe.got[0][1] == content
    assert max(map(len, probe.got[0][0].open())) <= 1 << 20


def test_a_new_version_under_the_same_instance_names_the_one_before(world):
    first = world.verified(1, b"x" * 200 + dicom_bytes(1), sop_uid="2.25.77")
    probe = Probe("pacs")
    with world.running(route(probe)):
        all_released(world, 1)
        second = world.verified(2, sop_uid="2.25.77")
        all_released(world, 2)
    parcels = {parcel.object_id: parcel for parcel, _ in probe.got}
    assert parcels[first].supersedes == ""
    assert parcels[second].supersedes == "2.25.77"
    assert json.loads(parcels[second].manifest_line)["document"]["supersedes"] == first


def test_accepted_pixels_stand_in_the_line(world):
    object_id = world.verified(1, accepted=True)
    with world.running(route(Probe("pacs"))):
        all_released(world, 1)
    assert json.loads(world.deliveries.line(object_id, world.state.get(object_id).output_sha256)[0])["document"][
        "accepted_unchecked"
    ]


def test_the_state_away_for_a_while_costs_nothing(world, monkeypatch):
    for number in range(1, 6):
        world.verified(number)
    probe = Probe("pacs")
    failures = iter([True] * 6)
    real = world.deliveries._transact

    def failing(work):
        if next(failures, False):
            raise TarnhelmError(errors.STATE_AWAY)
        return real(work)

    monkeypatch.setattr(world.deliveries, "_transact", failing)
    with world.running(route(probe)):
        all_released(world, 5)
    assert len({parcel.object_id for parcel, _ in probe.got}) == 5


class Shared(Probe):
    """A destination that takes several at once."""

    def __init__(self, name, fail=None):
        super().__init__(name, fail)
        self.together = []

    def deliver_all(self, parcels):
        answers = []
        for parcel in parcels:
            try:
                self.deliver(parcel)
            except TarnhelmError as error:
                answers.append(error)
            else:
                answers.append(None)
        self.together.append(len(answers))
        return answers


def test_what_is_planned_together_goes_together_and_each_has_its_own_end(world):
    ids = [world.verified(number) for number in range(1, 31)]
    bad = ids[3]
    disk = Shared("disk", lambda parcel: TarnhelmError(errors.DELIVERY_NAME_TAKEN) if parcel.object_id == bad else None)
    pacs = Probe("pacs")
    with world.running(route(disk), route(pacs, workers=2)):
        until(lambda: world.states() == {State.RELEASED: 29, State.VERIFIED: 1})
        until(lambda: world.held() == {(bad, "disk"): "DLV-012"})
    assert max(disk.together) > 1
    assert sum(disk.together) == 30
    assert sorted(parcel.object_id for parcel, _ in pacs.got) == sorted(ids)
    assert world.deliveries.waiting_for_nothing() == [bad]


def test_a_fault_that_nobody_foresaw_is_only_that_objects_own(world):
    ids = [world.verified(number) for number in range(1, 9)]

    def explode(parcel):
        if parcel.object_id == ids[2]:
            raise ValueError("Doe^John")

    disk = Shared("disk", explode)
    with world.running(route(disk)):
        until(lambda: world.states() == {State.RELEASED: 7, State.VERIFIED: 1})
        until(lambda: world.held() == {(ids[2], "disk"): "DLV-004"})
    assert all(record.doubts == 0 for one in ids if one != ids[2] for record in world.deliveries.of(one))
    assert "Doe" not in json.dumps(world.log_lines)


def test_a_withdrawal_between_plan_and_delivery_is_seen(world):
    """The bytes are in memory already; the record is read anew."""
    object_id, other = world.verified(1, publish=False), world.verified(2, publish=False)
    probe = Probe("pacs")
    role = ReleaseRole(world.settings(), world.parts(route(probe)), world.broker)
    role._plan([object_id, other])
    (worker,) = role._workers
    assert {job.delivery.object_id for job in worker.jobs()} == {object_id, other}
    assert all(job.known.pieces for job in worker.jobs())
    role._desk.end(world.state.get(object_id), Event.REJECT, "DLV-020")
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    until(lambda: world.state.get(other).state is State.RELEASED)
    stop.set()
    worker.look()
    thread.join(60)
    assert [parcel.object_id for parcel, _ in probe.got] == [other]
    assert world.state.get(object_id).state is State.REJECTED


def test_memory_for_what_is_planned_is_bounded_and_each_object_is_kept_once(world):
    size = len(dicom_bytes(1))
    ids = [world.verified(number, publish=False) for number in range(1, 9)]
    routes = (route(Probe("pacs", away)), route(Probe("disk", away)))
    role = ReleaseRole(world.settings(memory_bytes=size), world.parts(*routes), world.broker)
    role._plan(ids)
    assert sum(role._kept().values()) == 4 * size, "four times what one may take"
    assert [len(worker.jobs()) for worker in role._workers] == [4, 4], "no more than there is room for"
    role._plan(ids)
    assert [len(worker.jobs()) for worker in role._workers] == [4, 4]


def test_what_a_stopped_process_has_not_begun_is_given_back_at_once(world):
    for number in range(1, 5):
        world.verified(number)
    gone = Probe("pacs", away)
    with world.running(route(gone), lease_seconds=3600.0):
        until(lambda: world.events("destination-paused"))
    probe = Probe("pacs")
    with world.running(route(probe), lease_seconds=3600.0):
        all_released(world, 4)
    assert len(probe.got) == 4


def test_two_processes_share_the_work(world):
    for number in range(1, 41):
        world.verified(number)
    first, second = Probe("pacs"), Probe("pacs")
    with world.running(route(first)), world.running(route(second)):
        all_released(world, 40)
    assert len(first.got) + len(second.got) == 40
    assert world.manifest_is_whole() == 40


def test_no_identifier_and_only_known_labels_in_the_metrics(world):
    world.verified(1)
    from prometheus_client import CollectorRegistry, generate_latest

    from tarnhelm.gateway.deliveries.metrics import DeliveryMetrics

    registry = CollectorRegistry()
    world.metrics = DeliveryMetrics(registry)
    with world.running(route(Probe("pacs")), route(Probe("disk", away), required=False)):
        all_released(world, 1)
        until(lambda: b'tarnhelm_gateway_delivery_failures_total{code="DLV-001"' in generate_latest(registry))
    world.metrics.look(world.deliveries, 2e9)
    text = generate_latest(registry).decode()
    assert 'tarnhelm_gateway_deliveries_total{destination="pacs",outcome="delivered"} 1.0' in text
    assert 'tarnhelm_gateway_delivery_queue{destination="disk",state="due"} 1.0' in text
    assert "tarnhelm_gateway_objects_released_total 1.0" in text
    assert "2.25" not in text
    assert "TH-1" not in text


def test_a_slow_destination_keeps_no_other_waiting(world):
    for number in range(1, 11):
        world.verified(number)
    go = threading.Event()
    slow = Probe("slow", lambda _parcel: None if go.wait(60) else away(_parcel))
    quick = Probe("quick")
    with world.running(route(slow), route(quick), lease_seconds=0.4):
        until(lambda: len(quick.got) == 10)
        until(lambda: slow.tried.total() == 1)
        until(lambda: world.deliveries.counts().get(("quick", DeliveryState.DELIVERED)) == 10)
        time.sleep(1.0)  # longer than a lease: what is in hand is renewed, and nobody else takes it
        go.set()
        all_released(world, 10)
    assert len(slow.got) == 10
    assert slow.tried.total() == 10


def test_what_nobody_foresaw_ends_the_role(world, monkeypatch):
    """The supervisor starts it anew; the other destinations' threads end too."""
    world.verified(1)
    probe = Probe("pacs")
    role = ReleaseRole(world.settings(), world.parts(route(probe), route(Probe("disk"))), world.broker)
    monkeypatch.setattr(world.deliveries, "claim", lambda *_arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        role.run(threading.Event())
    assert probe.closed
