"""What the brokers do when something dies, hangs or goes away."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from tests.support.brokers import Child, Place, gather

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker import ConsumerSettings, TopicSpec
from tarnhelm.gateway.broker.sqlite import SqliteBroker, SqliteBrokerSettings

TOPIC = TopicSpec("work", partitions=4)


@pytest.fixture
def embedded(tmp_path):
    place = Place("sqlite", str(tmp_path / "broker"), session_seconds=20.0)
    broker = place.open(TOPIC)
    broker.ensure()
    yield place, broker
    broker.close()


def bells(place):
    return list(Path(place.where, "bells").iterdir())


@contextlib.contextmanager
def locked_out(place, name="log.sqlite"):
    """Hold the file's write lock, as a backup or a hung process might."""
    with contextlib.closing(sqlite3.connect(f"{place.where}/{name}", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_the_embedded_broker_away_and_back(embedded):
    place, _ = embedded
    broker = place.open(TOPIC, busy_seconds=0.1)
    with locked_out(place):
        with pytest.raises(TarnhelmError) as away:
            broker.publish("work", b"k", b"1").result(10)
        assert (away.value.code, away.value.disposition.value) == ("BRK-001", "retry")
    broker.publish("work", b"k", b"2").result(10)
    consumer = broker.consumer("readers", ["work"])
    with locked_out(place, "groups.sqlite"), pytest.raises(TarnhelmError, match="cannot be reached"):
        consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0)
    assert [message.value for message in gather(consumer, bool)] == [b"2"]
    broker.close()


def test_a_killed_producer_loses_nothing_that_was_acknowledged(embedded):
    place, broker = embedded
    child = Child(place, TOPIC, role="produce", name="a", count=200_000, size=400, window=50)
    acknowledged = set()
    while len(acknowledged) < 500:
        line = child.line()
        acknowledged.add((line["partition"], line["offset"]))
    child.kill()
    while (line := child.line()) is not None:
        acknowledged.add((line["partition"], line["offset"]))
    consumer = broker.consumer("readers", ["work"])
    found = {}
    while messages := consumer.poll(max_records=500, max_bytes=1 << 20, timeout_seconds=0.2):
        found.update({(one.partition.number, one.offset): json.loads(one.value) for one in messages})
    assert acknowledged <= found.keys()
    assert all(name == "a" for name, _ in found.values())
    assert len({number for _, number in found.values()}) == len(found)


def test_a_killed_member_is_put_out_by_its_bell_long_before_its_session(embedded):
    place, broker = embedded
    child = Child(place, TOPIC, role="consume", group="readers", hold=True)
    broker.publish("work", b"k", b"1").result(10)
    assert child.line() is not None
    consumer = broker.consumer("readers", ["work"], place.behaviour)
    consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0)
    child.kill()
    killed = time.monotonic()
    gather(consumer, lambda _: len(consumer.assignment()) == 4, seconds=10)
    assert len(consumer.assignment()) == 4
    assert time.monotonic() - killed < 5 < place.session_seconds
    assert len(bells(place)) == 1


def test_a_stopped_member_is_put_out_and_its_late_commit_is_refused(embedded):
    place, broker = embedded
    only = broker.publish("work", b"k", b"1").result(10).partition
    quick = Place("sqlite", place.where, session_seconds=1.0)
    child = Child(quick, TOPIC, role="consume", group="readers", commit=False)
    assert child.line() is not None
    os.kill(child.process.pid, signal.SIGSTOP)
    try:
        behaviour = ConsumerSettings(session_seconds=1.0, heartbeat_seconds=0.2)
        consumer = broker.consumer("readers", ["work"], behaviour)
        found = gather(consumer, bool, seconds=10, commit=False)
        assert [message.value for message in found] == [b"1"]
    finally:
        os.kill(child.process.pid, signal.SIGCONT)
    # It comes back, joins again, and gets some partitions; it had nothing to say about ours in between.
    gather(consumer, lambda _: len(consumer.assignment()) == 2, seconds=10, commit=False)
    assert len(consumer.assignment()) == 2
    assert broker.lag("readers", ["work"])[only] == 1
    child.kill()


def test_one_that_was_put_out_commits_nothing_and_joins_again(tmp_path):
    now = [1_000_000.0]
    place = tmp_path / "broker"
    broker = SqliteBroker(place, [TOPIC], clock=lambda: now[0])
    broker.ensure()
    behaviour = ConsumerSettings(session_seconds=10, heartbeat_seconds=5)
    one, two = (broker.consumer("readers", ["work"], behaviour) for _ in range(2))
    only = broker.publish("work", b"k", b"1").result(10).partition
    message = gather(one, bool, commit=False)[0]
    now[0] += 11
    again = gather(two, bool, commit=False)[0]
    assert len(two.assignment()) == 4
    one.done(message)
    assert one.commit() == {}
    assert broker.lag("readers", ["work"])[only] == 1
    two.done(again)
    assert two.commit() == {only: 1}
    gather(one, lambda _: len(one.assignment()) == 2, seconds=0.01)
    two.poll(max_records=1, max_bytes=1, timeout_seconds=0)
    one.poll(max_records=1, max_bytes=1, timeout_seconds=0)
    assert len(one.assignment()) == len(two.assignment()) == 2
    # A clock that is set back makes every heartbeat one out of the future: everybody renews, nobody is stuck.
    now[0] -= 10_000
    for consumer in (one, two, one, two):
        consumer._next_heartbeat = 0.0
        consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0)
    assert len(one.assignment()) == len(two.assignment()) == 2
    broker.close()


def test_an_idle_consumer_sleeps(embedded):
    _, broker = embedded
    consumer = broker.consumer("readers", ["work"])
    consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0)
    before = time.thread_time()
    assert consumer.poll(max_records=1, max_bytes=1, timeout_seconds=1.5) == []
    assert time.thread_time() - before < 0.05


def test_a_record_wakes_a_sleeping_consumer_of_another_process_at_once(embedded):
    place, broker = embedded
    child = Child(place, TOPIC, role="consume", group="readers")
    broker.publish("work", b"k", b"first").result(10)
    assert child.line()["value"] == "first"
    waits = []
    for _ in range(20):
        begin = time.monotonic()
        broker.publish("work", b"k", b"next").result(10)
        assert child.line()["value"] == "next"
        waits.append(time.monotonic() - begin)
    child.kill()
    assert sorted(waits)[10] < 0.1


def test_positions_of_another_log_are_not_believed(tmp_path):
    place = tmp_path / "broker"
    broker = SqliteBroker(place, [TOPIC])
    broker.ensure()
    for _ in range(3):
        broker.publish("work", b"k", b"old").result(10)
    gather(broker.consumer("readers", ["work"]), lambda some: len(some) == 3)
    broker.close()
    for path in place.glob("log.sqlite*"):
        path.unlink()
    fresh = SqliteBroker(place, [TOPIC])
    fresh.ensure()
    fresh.publish("work", b"k", b"new").result(10)
    assert [one.value for one in gather(fresh.consumer("readers", ["work"]), bool)] == [b"new"]
    fresh.close()


def test_deleted_records_are_gone_from_the_files(tmp_path):
    place = tmp_path / "broker"
    broker = SqliteBroker(place, [TOPIC])
    broker.ensure()
    planted = b"PLANTED^NAME" * 50
    for _ in range(20):
        broker.publish("work", b"k", planted).result(10)
    assert any(b"PLANTED" in path.read_bytes() for path in place.glob("log.sqlite*"))
    consumer = broker.consumer("readers", ["work"])
    gather(consumer, lambda some: len(some) == 20)
    consumer.close()
    broker.trim("work", ["readers"])
    assert not any(b"PLANTED" in path.read_bytes() for path in place.glob("*.sqlite*"))
    broker.close()


def test_a_folder_that_is_not_the_brokers_is_refused(tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    with pytest.raises(TarnhelmError) as refused:
        SqliteBroker(open_to_all, [TOPIC])
    assert refused.value.code == "BRK-006"
    damaged = tmp_path / "damaged"
    damaged.mkdir(mode=0o700)
    (damaged / "log.sqlite").write_bytes(b"not a database, by far" * 100)
    with pytest.raises(TarnhelmError) as refused:
        SqliteBroker(damaged, [TOPIC], SqliteBrokerSettings(busy_seconds=0.1))
    assert refused.value.code == "BRK-010"


def test_a_new_broker_takes_down_the_bells_of_the_dead(embedded):
    place, broker = embedded
    child = Child(place, TOPIC, role="consume", group="readers", hold=True)
    broker.publish("work", b"k", b"1").result(10)
    child.line()
    child.kill()
    assert len(bells(place)) == 1
    place.open(TOPIC).close()
    assert bells(place) == []


# --- Apache Kafka --------------------------------------------------------------------------------------------------

# The client leaves sockets that could not connect to the garbage collector, which warns of each.
ignored = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def swept():
    """Collect those sockets while their warning is ignored."""
    yield
    gc.collect()


@ignored
def test_a_killed_kafka_loses_no_acknowledged_record_and_both_sides_go_on(swept, own_kafka):
    place = Place("kafka", own_kafka.address)
    broker = place.open(TOPIC, delivery_seconds=60.0, request_seconds=10.0)
    broker.ensure()
    consumer = broker.consumer("readers", ["work"], place.behaviour)
    acknowledged = []
    seen = {}

    def look(seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(TarnhelmError):  # away: RETRY
                for one in consumer.poll(max_records=500, max_bytes=1 << 20, timeout_seconds=0.1):
                    seen[one.partition, one.offset] = int(one.value)
                    consumer.done(one)
                consumer.commit()

    futures = [broker.publish("work", b"%d" % number, b"%d" % number) for number in range(1000)]
    acknowledged += [future.result(30) for future in futures]
    look(1)
    # These are on their way when the server dies; their producer tries again by itself.
    futures = [broker.publish("work", b"%d" % number, b"%d" % number) for number in range(1000, 2000)]
    own_kafka.kill()
    look(1)
    with pytest.raises(TarnhelmError, match=r"cannot be reached"):
        broker.flush(0.01)
    own_kafka.start()
    acknowledged += [future.result(60) for future in futures]
    deadline = time.monotonic() + 40
    while len(set(seen.values())) < 2000 and time.monotonic() < deadline:
        look(0.2)
    assert {(one.partition, one.offset) for one in acknowledged} == seen.keys()
    assert sorted(seen.values()) == list(range(2000))
    broker.close()


@ignored
def test_a_kafka_that_is_not_there_is_told_as_retry_and_leaves_no_thread(swept):
    place = Place("kafka", "127.0.0.1:1")
    broker = place.open(TOPIC, request_seconds=0.6, delivery_seconds=2.0)
    threads = threading.active_count()
    for ask in (
        broker.ensure,
        lambda: broker.publish("work", b"k", b"v"),
        lambda: broker.consumer("readers", ["work"]),
        lambda: broker.lag("readers", ["work"]),
    ):
        with pytest.raises(TarnhelmError) as away:
            ask()
        assert (away.value.code, away.value.disposition.value) == ("BRK-001", "retry")
    assert threading.active_count() == threads
    broker.close()
