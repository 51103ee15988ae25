"""Housekeeping: lost messages, parked objects, shredding, orphans, a lost broker."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

from prometheus_client import CollectorRegistry
from tests.support.stream import World, WorldSettings, fake, world

from tarnhelm.gateway.blobs import BlobName, put
from tarnhelm.gateway.intake import Reception
from tarnhelm.gateway.record import State
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.meters import StreamMeters


class Time:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        self.now += 1e-6  # two steps are never at the same moment
        return self.now


def mute(one: World) -> None:
    """Let every message get lost."""
    one.publisher.send = lambda *_arguments: None


def test_an_object_whose_message_was_lost_is_found(tmp_path):
    with world(tmp_path) as one:
        send = one.publisher.send
        mute(one)
        for number in range(5):
            one.send(fake(number))
        one.start()
        time.sleep(0.3)
        assert one.state.counts() == {State.ADMITTED: 5}
        one.publisher.send = send
        one.start(housekeeping=True)
        one.wait(State.VERIFIED, count=5)


def test_a_topic_that_is_not_empty_is_left_alone_for_long(tmp_path):
    clock = Time()
    with world(tmp_path, clock=clock) as one:
        one.send(fake(1))
        one.broker.flush(10)
        clock.now += 100
        one.housekeeping.round()
        one.broker.flush(10)
        assert sum(one.broker.lag(road.GROUPS["metadata"], ["objects.metadata"]).values()) == 1
        clock.now += 1800
        for _ in range(3):
            one.housekeeping.round()
        one.broker.flush(10)
        assert sum(one.broker.lag(road.GROUPS["metadata"], ["objects.metadata"]).values()) == 2


def test_a_lost_broker_is_filled_again_from_the_state(tmp_path):
    with world(tmp_path) as one:
        one.send(fake(1))
        one.start()
        one.wait(State.VERIFIED, count=1)
        one.stop()
        for number in range(2, 6):
            one.send(fake(number))
        one.start("metadata")
        one.wait(State.WITNESSING, count=4)
        one.stop()
        for number in range(6, 9):
            one.send(fake(number))
        gone = one.send(fake(9)).object_id
        one.blobs.delete(road.raw_blob(gone))
    shutil.rmtree(tmp_path / "broker")
    with world(tmp_path) as one:
        assert one.housekeeping.recover() == 8
        one.start()
        one.wait(State.VERIFIED, count=8)
        assert one.state.get(gone).code == "GTW-022"
        one.stop()
        assert sum(one.broker.lag(road.GROUPS["release"], ["objects.release"]).values()) >= 8


def test_bytes_are_shredded_when_their_time_has_come_and_the_record_stays(tmp_path):
    clock = Time()
    with world(tmp_path, clock=clock) as one:
        released = one.send(fake(1), uid="1.2").object_id
        skipped = one.send(fake(2, behaviour="skip")).object_id
        held = one.send(fake(3, behaviour="text")).object_id
        one.start()
        one.ended()
        one.stop()
        one.release()
        one.housekeeping.round()
        assert one.state.get(released).state is State.RELEASED
        clock.now += 3601
        one.housekeeping.round()
        assert one.state.get(released).state is State.PURGED
        assert one.state.get(skipped).state is State.PURGED
        assert one.state.get(held).state is State.QUARANTINED
        assert {blob.name.object_id for area in ("raw", "work") for blob in one.blobs.listing(area)} == {held}
        assert one.send(fake(1), uid="1.2").reception is Reception.DUPLICATE
        assert [step.step for step in one.state.steps(released)][-2:] == ["released", "purged"]


def test_orphans_are_swept_and_nothing_else(tmp_path):
    clock = Time()
    with world(tmp_path, clock=clock) as one:
        kept = one.send(fake(1)).object_id
        orphan = BlobName("raw", "ab" * 16)
        put(one.blobs, orphan, [b"x"])
        put(one.blobs, BlobName("work", "cd" * 16, "metadata-0"), [b"x"])
        sweeper = one.housekeeping._sweeper
        assert sweeper.sweep(clock.now - 3600) == 0
        assert sweeper.sweep(clock.now + 10) == 2
        assert [blob.name.object_id for blob in one.blobs.listing("raw")] == [kept]
        assert sweeper.missing() == 0
        one.blobs.delete(road.raw_blob(kept))
        assert sweeper.missing() == 1
        assert one.state.get(kept).code == "GTW-022"


def test_what_operators_see(tmp_path):
    registry = CollectorRegistry()
    meters = StreamMeters(registry)
    settings = WorldSettings()
    settings.housekeeping = replace(settings.housekeeping, age_alarm_seconds=10.0)
    clock = Time()
    with world(tmp_path, settings, clock=clock) as one:
        one.housekeeping._meters = meters
        one.admitter.meters = meters
        one.send(fake(1))
        one.send(fake(1))
        one.broker.flush(10)
        clock.now += 11
        one.housekeeping.round()
        assert registry.get_sample_value("tarnhelm_gateway_objects", {"state": "admitted"}) == 1
        assert 10.9 < registry.get_sample_value("tarnhelm_gateway_oldest_seconds", {"state": "admitted"}) < 12
        assert registry.get_sample_value("tarnhelm_gateway_lag", {"topic": "objects.metadata"}) >= 1
        received = {"door": "folder", "reception": "duplicate"}
        assert registry.get_sample_value("tarnhelm_gateway_received_total", received) == 1
        assert "age-alarm" in one.lines.getvalue()
