"""The same stream over Apache Kafka and PostgreSQL, and with a broker that goes away."""

from __future__ import annotations

import time

import pytest
from tests.support.stream import World, WorldSettings, cleaned, fake

from tarnhelm.gateway.broker import TOPICS
from tarnhelm.gateway.broker.topics import with_partitions
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state.postgres import PostgresState

COUNT = 40


@pytest.fixture
def cluster(tmp_path, own_kafka, postgres):
    from tarnhelm.gateway.broker.kafka import KafkaBroker, KafkaSettings

    broker = KafkaBroker(KafkaSettings((own_kafka.address,)), with_partitions(TOPICS, 3))
    state = PostgresState(postgres.database())
    one = World(tmp_path, WorldSettings(stages=("metadata", "ocr")), broker=broker, state=state)
    yield one
    one.close()


@pytest.mark.slow
def test_a_broker_that_is_away_loses_nothing(cluster, own_kafka):
    one = cluster
    for number in range(10):
        one.send(fake(number))
    one.start(housekeeping=True)
    one.wait(State.VERIFIED, count=5)
    own_kafka.kill()
    accepted = 10
    for number in range(10, 15):  # raw bytes and record are safe; the message goes out when the broker is back
        assert one.send(fake(number)).object_id
        accepted += 1
    time.sleep(2.0)
    own_kafka.start()
    one.wait(State.VERIFIED, count=accepted, seconds=120)
    assert one.state.counts() == {State.VERIFIED: accepted}


def test_objects_go_their_road_over_kafka_and_postgres(cluster):
    one = cluster
    ids = [one.send(fake(number), uid=f"1.2.{number}").object_id for number in range(COUNT)]
    bad = one.send(fake(99, behaviour="lost")).object_id
    one.start(housekeeping=True)
    one.wait(State.VERIFIED, count=COUNT, seconds=90)
    one.wait(State.QUARANTINED, count=1)
    assert one.state.get(bad).code == "GTW-032"
    assert one.result(ids[0]) == cleaned(cleaned(fake(0)), "ocr")
    for object_id in ids:
        assert [step.step for step in one.state.steps(object_id)] == ["admitted", "metadata", "ocr", "witness"]
    newer = one.send(fake(0, pad=3), uid="1.2.0").object_id
    one.wait(State.VERIFIED, count=COUNT + 1)
    assert one.state.get(newer).uid_digest == one.state.get(ids[0]).uid_digest
