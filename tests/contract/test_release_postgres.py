"""The release role over PostgreSQL: two processes, one of which dies, on one state and one store of deliveries."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from tests.support.releasing import PLAN, Probe, World, all_released, dicom_bytes, route

from tarnhelm.gateway.deliveries.postgres import PostgresDeliveries
from tarnhelm.gateway.deliveries.role import ReleaseRole
from tarnhelm.gateway.state.postgres import PostgresState


@pytest.fixture
def world(tmp_path, postgres):
    made = World(tmp_path)
    made.state.close()
    made.deliveries.close()
    address = postgres.database()
    made.state, made.deliveries = PostgresState(address), PostgresDeliveries(address)
    made.state.put_plan(PLAN)
    yield made
    made.close()


def test_every_object_is_delivered_and_has_one_line(world):
    contents = {world.verified(number): dicom_bytes(number) for number in range(1, 21)}
    probes = [Probe("pacs"), Probe("pacs")]
    with world.running(route(probes[0])), world.running(route(probes[1])):
        all_released(world, 20)
    got = [(parcel.object_id, content) for probe in probes for parcel, content in probe.got]
    assert len(got) == 20
    assert dict(got) == contents
    assert world.manifest_is_whole() == 20


def test_what_a_dead_process_had_in_hand_is_taken_over(world):
    """Its threads stop between claim and delivery, and its leases are never renewed."""
    for number in range(1, 7):
        world.verified(number)
    stuck = threading.Event()

    class DeadError(BaseException):
        """Stands for a process that dies."""

    def reached(place):
        if place == "claimed":
            stuck.set()
            raise DeadError

    parts = replace(world.parts(route(Probe("pacs"))), reached=reached)
    role = ReleaseRole(world.settings(), parts, world.broker)
    role._desk.plan([record.object_id for record in world.state.records()])
    with pytest.raises(DeadError):
        role._workers[0].run(threading.Event())
    assert stuck.is_set()
    probe = Probe("pacs")
    with world.running(route(probe)):
        all_released(world, 6)
    assert len(probe.got) == 6
