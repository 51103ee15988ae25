"""What every broker promises; one suite over the embedded one and over Apache Kafka (or what speaks its protocol)."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from kafka.protocol.producer import ProduceRequest
from tests.support.brokers import Child, Place, gather

from tarnhelm.cli.main import run
from tarnhelm.cli.services import TarnhelmServices
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker import MAX_VALUE_BYTES, TOPICS, Broker, Consumer, ConsumerSettings, Partition, TopicSpec
from tarnhelm.gateway.broker.kafka.pacing import PacedClient
from tarnhelm.gateway.broker.trace import new_trace, trace_headers, trace_of


@pytest.fixture(params=["sqlite", "kafka"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return Place("sqlite", str(tmp_path / "broker"))
    server = request.getfixturevalue("kafka")
    return Place("kafka", server.address, server.session_seconds)


@pytest.fixture
def server_kind(request, place):
    return "sqlite" if place.kind == "sqlite" else request.getfixturevalue("kafka").kind


@pytest.fixture
def agrees(server_kind):
    """Skip where groups take longer to agree than a test may."""
    if server_kind == "tansu":
        pytest.skip("Tansu's groups take up to half a minute to agree, and it creates topics that are asked for")


@pytest.fixture
def topic():
    return TopicSpec(f"t-{uuid.uuid4().hex[:12]}", partitions=4)


@pytest.fixture
def broker(place, topic):
    made = place.open(topic)
    made.ensure()
    yield made
    made.close()


@pytest.fixture
def join(broker, place, topic):
    """Join a group of the topic, and wait for a number of partitions while nothing is there to read."""

    def joined(partitions=0, *, group=topic.name, topics=(topic.name,), behaviour=None, changed=None):
        consumer = broker.consumer(group, topics, behaviour or place.behaviour, changed)
        settle(lambda: len(consumer.assignment()) == partitions, consumer)
        return consumer

    return joined


def settle(done, *consumers, seconds=40.0):
    """Poll the consumers, who must not get anything, until something holds."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, [sorted(one.assignment()) for one in consumers]
        for consumer in consumers:
            assert consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0.1) == []


def fill(broker, topic, count, *, keys=None, size=0):
    """Publish numbered records and wait for all; returns their positions."""
    futures = [
        broker.publish(topic.name, b"%d" % (number % (keys or count)), b"%d" % number + b"." * size)
        for number in range(count)
    ]
    return [future.result(30) for future in futures]


def numbers(messages):
    return [int(message.value.rstrip(b".")) for message in messages]


def test_they_are_what_the_protocol_says(broker, topic):
    made: Broker = broker
    consumer: Consumer = made.consumer(topic.name, [topic.name])
    consumer.close()
    consumer.close()


def test_key_value_headers_and_trace_context_arrive_as_they_were(broker, topic, join):
    trace = replace(new_trace(os.urandom), state="a=1,b=2")
    headers = [("kind", b"\x00\xff"), ("kind", b""), *trace_headers(trace)]
    value = bytes(range(256))
    before = time.time()
    position = broker.publish(topic.name, b"key \x00\xff", value, headers).result(20)
    broker.publish(topic.name, b"", b"").result(20)
    found = gather(join(), lambda some: len(some) == 2)
    first, second = sorted(found, key=lambda message: -len(message.value))
    assert (first.key, first.value, first.headers) == (b"key \x00\xff", value, tuple(headers))
    assert trace_of(first.headers) == trace
    assert (first.partition, first.offset) == (position.partition, position.offset)
    assert before - 1 <= first.published <= time.time() + 1
    assert (second.key, second.value, second.headers) == (b"", b"", ())


def test_the_records_of_a_key_keep_their_order(broker, topic, join):
    fill(broker, topic, 600, keys=5)
    found = gather(join(), lambda some: len(some) == 600, max_records=37)
    by_key = defaultdict(list)
    for message, number in zip(found, numbers(found), strict=True):
        by_key[message.key].append((number, message.partition))
    assert len(by_key) == 5
    for entries in by_key.values():
        assert [number for number, _ in entries] == sorted(number for number, _ in entries)
        assert len({partition for _, partition in entries}) == 1


def test_a_position_moves_only_over_what_is_done(broker, topic, join):
    only = fill(broker, topic, 6, keys=1)[0].partition
    consumer = join()
    messages = gather(consumer, lambda some: len(some) == 6, commit=False)
    for number in (0, 1, 3, 5):
        consumer.done(messages[number])
    assert consumer.commit() == {only: 2}
    assert consumer.commit() == {}
    assert consumer.lag()[only] == 4
    consumer.close()
    again = join()
    assert numbers(gather(again, lambda some: len(some) == 4)) == [2, 3, 4, 5]
    assert broker.lag(topic.name, [topic.name])[only] == 0


def test_each_group_reads_everything(broker, topic, join):
    fill(broker, topic, 20)
    for group in ("one", "two"):
        found = gather(join(group=group), lambda some: len(some) == 20)
        assert sorted(numbers(found)) == list(range(20))


def test_what_a_killed_consumer_had_in_hand_is_delivered_to_the_others(agrees, place, broker, topic, join):
    # The child takes what it gets and commits nothing; it and this process share the partitions.
    child = Child(place, topic, role="consume", group=topic.name, commit=False, hold=True)
    fill(broker, topic, 40)
    taken = child.line()
    assert taken is not None
    ours = broker.consumer(topic.name, [topic.name], place.behaviour)
    started = time.monotonic()
    child.kill()
    found = gather(ours, lambda some: len(some) >= 40, seconds=place.session_seconds + 20)
    assert sorted(set(numbers(found))) == list(range(40))
    assert len(ours.assignment()) == 4
    assert time.monotonic() - started < place.session_seconds + 15


def test_two_consumers_share_the_partitions_and_a_leaver_gives_his_back(agrees, broker, topic, place, join):
    gained, lost = [], []

    def changed(more, less):
        gained.append(more)
        lost.append(less)

    one = join(4, changed=changed)
    two = broker.consumer(topic.name, [topic.name], place.behaviour)
    settle(lambda: len(one.assignment()) == len(two.assignment()) == 2, one, two)
    assert one.assignment().isdisjoint(two.assignment())
    assert len(frozenset().union(*gained)) == 4
    assert frozenset().union(*lost) == two.assignment()
    fill(broker, topic, 60)
    found = defaultdict(list)
    deadline = time.monotonic() + 20
    while sum(map(len, found.values())) < 60 and time.monotonic() < deadline:
        for consumer in (one, two):
            found[consumer] += gather(consumer, bool, seconds=0.3)
    assert sorted(numbers(found[one] + found[two])) == list(range(60))
    for consumer in (one, two):
        assert {message.partition for message in found[consumer]} <= consumer.assignment()
    two.close()
    settle(lambda: len(one.assignment()) == 4, one)


def test_work_on_a_partition_that_was_lost_moves_no_position(agrees, broker, topic, place, join):
    fill(broker, topic, 40)
    one = join()
    messages = gather(one, lambda some: len(some) == 40, commit=False)
    two = broker.consumer(topic.name, [topic.name], place.behaviour)
    deadline = time.monotonic() + 40
    redelivered = []
    while len(two.assignment()) < 2 or len(one.assignment()) > 2:
        assert time.monotonic() < deadline
        one.poll(max_records=1, max_bytes=1, timeout_seconds=0.1)
        redelivered += two.poll(max_records=100, max_bytes=1 << 20, timeout_seconds=0.1)
    for message in messages:
        one.done(message)
    assert set(one.commit()) <= one.assignment()
    theirs = {
        number
        for number, message in zip(numbers(messages), messages, strict=True)
        if message.partition in two.assignment()
    }
    redelivered += gather(two, lambda some: len(some) + len(redelivered) >= len(theirs), commit=False)
    assert set(numbers(redelivered)) == theirs


def test_a_paused_partition_gives_nothing_and_the_others_go_on(agrees, broker, topic, place, join):
    consumer = join()
    paused = Partition(topic.name, fill(broker, topic, 1)[0].partition.number)
    gather(consumer, bool)
    consumer.pause([paused])
    positions = fill(broker, topic, 80)
    inside = [number for number, position in enumerate(positions) if position.partition == paused]
    others = sorted(set(range(80)) - set(inside))
    assert inside
    found = gather(consumer, lambda some: len(some) >= len(others))
    found += gather(consumer, bool, seconds=1.0)
    assert sorted(numbers(found)) == others
    # A second member comes and goes: the pause holds over both rebalances.
    other = broker.consumer(topic.name, [topic.name], replace(place.behaviour, max_bytes_in_flight=1))
    deadline = time.monotonic() + 40
    while not other.assignment():
        assert time.monotonic() < deadline
        other.poll(max_records=1, max_bytes=1, timeout_seconds=0.1)
        assert consumer.poll(max_records=9, max_bytes=1 << 20, timeout_seconds=0.1) == []
    other.close()
    settle(lambda: len(consumer.assignment()) == 4, consumer)
    consumer.resume([paused])
    assert numbers(gather(consumer, lambda some: len(some) >= len(inside))) == inside


def test_a_rewind_delivers_again_from_the_committed_position(broker, topic, join):
    only = fill(broker, topic, 5, keys=1)[0].partition
    consumer = join()
    first = gather(consumer, lambda some: len(some) == 5, commit=False)
    consumer.done(first[0])
    consumer.commit()
    consumer.rewind([only])
    assert consumer.bytes_in_flight() == 0
    assert numbers(gather(consumer, lambda some: len(some) == 4, commit=False)) == [1, 2, 3, 4]
    consumer.close()
    fresh = join(group="others")
    gather(fresh, lambda some: len(some) == 5, commit=False)
    fresh.rewind([only])
    assert numbers(gather(fresh, lambda some: len(some) == 5, commit=False)) == [0, 1, 2, 3, 4]


def test_the_largest_message_passes_and_a_larger_one_is_refused(broker, topic, join):
    value = os.urandom(MAX_VALUE_BYTES)
    futures = [broker.publish(topic.name, b"k", value) for _ in range(3)]
    for future in futures:
        future.result(30)
    with pytest.raises(TarnhelmError) as refused:
        broker.publish(topic.name, b"k", value + b"x")
    assert (refused.value.code, refused.value.disposition.value) == ("BRK-002", "quarantine")
    with pytest.raises(TarnhelmError, match="16,384"):
        broker.publish(topic.name, b"k", b"", [("h", bytes(17 << 10))])
    found = gather(join(), lambda some: len(some) == 3)
    assert [message.value == value for message in found] == [True] * 3


def test_bytes_in_flight_are_bounded_for_the_consumer(broker, topic, join, place):
    fill(broker, topic, 12, keys=1, size=99_000)
    consumer = join(behaviour=replace(place.behaviour, max_bytes_in_flight=300_000))
    found = gather(consumer, lambda some: len(some) >= 3, commit=False)
    assert consumer.poll(max_records=9, max_bytes=1 << 20, timeout_seconds=0.3) == []
    assert len(found) == 3
    assert 297_000 <= consumer.bytes_in_flight() <= 300_000
    consumer.done(found[1])
    found += gather(consumer, lambda some: len(some) >= 1, commit=False)
    assert consumer.poll(max_records=9, max_bytes=1 << 20, timeout_seconds=0.3) == []
    assert numbers(found) == [0, 1, 2, 3]
    for message in found:
        consumer.done(message)
    assert consumer.bytes_in_flight() == 0
    assert numbers(gather(consumer, lambda some: len(some) == 8)) == list(range(4, 12))


def test_one_poll_keeps_to_its_records_and_bytes_but_always_gives_one(broker, topic, join, place):
    fill(broker, topic, 6, keys=1, size=50_000)
    consumer = join(behaviour=replace(place.behaviour, max_bytes_in_flight=10_000))
    assert numbers(gather(consumer, bool, max_bytes=1)) == [0]
    consumer.close()
    wide = join()
    assert numbers(gather(wide, bool, max_bytes=120_000)) == [1, 2]
    assert numbers(gather(wide, bool, max_records=1)) == [3]


def test_the_producer_refuses_more_than_its_bytes_in_flight(place, topic, broker):
    small = place.open(topic, max_bytes_in_flight=100_000)

    def flood():
        for _ in range(2000):
            small.publish(topic.name, b"k", bytes(60_000))

    with pytest.raises(TarnhelmError) as busy:
        flood()
    assert (busy.value.code, busy.value.disposition.value) == ("BRK-008", "retry")
    small.flush(20)
    small.publish(topic.name, b"k", bytes(60_000)).result(20)
    small.close()
    with pytest.raises(TarnhelmError, match="closed"):
        small.publish(topic.name, b"k", b"")


def test_small_records_leave_in_a_beat_and_large_ones_do_not_wait_for_it(place, topic, server_kind, monkeypatch):
    if server_kind == "sqlite":
        pytest.skip("the embedded broker gathers while it syncs")
    requests = []
    send = PacedClient.send

    def noted(client, node, request, **options):
        requests.append(request)
        return send(client, node, request, **options)

    monkeypatch.setattr(PacedClient, "send", noted)
    broker = place.open(topic, gather_ms=1000)
    broker.ensure()
    begun = time.monotonic()
    last = []
    while time.monotonic() < begun + 3:
        last.append(broker.publish(topic.name, b"%d" % len(last), b"small"))
        time.sleep(0.01)
    broker.flush(30)
    beats = sum(isinstance(one, ProduceRequest) for one in requests)
    assert 2 <= beats <= (time.monotonic() - begun) + 2
    assert all(future.result(0) for future in last)
    begun = time.monotonic()
    for number in range(20):
        broker.publish(topic.name, b"%d" % number, bytes(300_000)).result(30)
    assert time.monotonic() - begun < 15
    broker.close()


def test_lag_counts_what_is_not_committed(broker, topic, join, server_kind):
    if server_kind == "tansu":
        pytest.skip("Tansu tells wrong end offsets")
    fill(broker, topic, 30)
    assert sum(broker.lag(topic.name, [topic.name]).values()) == 30
    consumer = join()
    messages = gather(consumer, lambda some: len(some) == 30, commit=False)
    assert sum(consumer.lag().values()) == 30
    for message in messages[:10]:
        consumer.done(message)
    moved = sum(consumer.commit().values())
    assert sum(consumer.lag().values()) == sum(broker.lag(topic.name, [topic.name]).values()) == 30 - moved
    readers = [(topic.name, topic.name), (f"{topic.name}-new", topic.name)]
    assert broker.waiting(readers) == dict(zip(readers, (30 - moved, 30), strict=True))
    assert broker.waiting([]) == {}


def test_trim_deletes_what_all_the_groups_have_committed(broker, topic, join, server_kind):
    if server_kind == "tansu":
        pytest.skip("Tansu tells wrong offsets and keeps everything")
    only = fill(broker, topic, 10, keys=1)[0].partition
    slow, quick = join(group="slow"), join(group="quick")
    gather(quick, lambda some: len(some) == 10)
    assert broker.trim(topic.name, ["slow", "quick"]) == {}
    messages = gather(slow, lambda some: len(some) == 10, commit=False)
    for message in messages[:4]:
        slow.done(message)
    slow.commit()
    assert broker.trim(topic.name, ["slow", "quick"])[only] == 4
    late = join(group="late")
    assert numbers(gather(late, lambda some: len(some) == 6)) == [4, 5, 6, 7, 8, 9]
    assert (late.expired(), slow.expired()) == (0, 0)
    assert sum(broker.lag("never seen", [topic.name]).values()) == 6
    assert broker.waiting([("never seen", topic.name)]) == {("never seen", topic.name): 6}


def test_a_record_past_its_age_goes_and_its_loss_is_counted(place, server_kind, join, topic):
    if server_kind in {"tansu", "named"}:
        pytest.skip("the server looks for old records too seldom, or never")
    spec = TopicSpec(f"{topic.name}-old", partitions=1, retention_seconds=1.5)
    short = place.open(spec)
    short.ensure()
    consumer = short.consumer(topic.name, [spec.name], place.behaviour)
    fill(short, spec, 3)
    assert numbers(gather(consumer, lambda some: len(some) == 3)) == [0, 1, 2]
    consumer.pause(consumer.assignment())
    for _ in range(4):  # what was asked for before the pause comes back, late where the machine is busy
        assert consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0.5) == []
    fill(short, spec, 5)
    deadline = time.monotonic() + 20
    while sum(short.lag(topic.name, [spec.name]).values()) and time.monotonic() < deadline:
        assert consumer.poll(max_records=1, max_bytes=1, timeout_seconds=0.2) == []
    assert sum(short.lag(topic.name, [spec.name]).values()) == 0
    short.publish(spec.name, b"k", b"99").result(20)
    consumer.resume(consumer.assignment())
    assert numbers(gather(consumer, bool)) == [99]
    assert consumer.expired() == 5
    short.close()


def test_only_allowed_topics_and_only_those_that_are_there(agrees, place, topic, broker):
    with pytest.raises(TarnhelmError) as refused:
        broker.publish("another", b"k", b"")
    assert refused.value.code == "BRK-003"
    for topics in (["another"], [], [topic.name, "another"]):
        with pytest.raises(TarnhelmError, match="not one of this gateway's"):
            broker.consumer(topic.name, topics)
    with pytest.raises(TarnhelmError, match="not one of this gateway's"):
        broker.trim("another", [topic.name])
    absent = TopicSpec(f"absent-{uuid.uuid4().hex[:8]}")
    other = place.open(absent)
    assert [report.missing for report in other.ensure(apply=False)] == [True]
    with pytest.raises(TarnhelmError) as missing:
        other.publish(absent.name, b"k", b"").result(20)
    assert missing.value.code in {"BRK-001", "BRK-005"}
    assert missing.value.disposition.value == "retry"
    other.close()


def test_ensure_creates_compares_and_changes_nothing(place, topic, broker):
    assert [(one.created, one.as_wanted) for one in broker.ensure()] == [(False, True)]
    wider = TopicSpec(topic.name, partitions=7)
    fresh = TopicSpec(f"{topic.name}-b", partitions=2)
    other = place.open(wider, fresh)
    dry = other.ensure(apply=False)
    assert [(one.missing, one.created) for one in dry] == [(False, False), (True, False)]
    first, second = other.ensure()
    assert first.differences["partitions"] == ("7", "4")
    assert (second.created, second.as_wanted) == (True, True)
    assert [one.created for one in other.ensure()] == [False, False]
    assert other.ensure()[0].differences["partitions"] == ("7", "4")
    other.close()


def test_the_command_makes_the_gateways_topics_and_tells_what_differs(place, capsys):
    where = ["--folder", place.where] if place.kind == "sqlite" else ["--broker", place.where, "--allow-plaintext"]
    names = [spec.name for spec in TOPICS]
    assert run(["topics", "ensure", *where, "--partitions", "3"], TarnhelmServices()) == 0
    assert [name in capsys.readouterr().out for name in names[:1]] == [True]
    assert run(["topics", "ensure", *where, "--partitions", "3", "--check"], TarnhelmServices()) == 0
    capsys.readouterr()
    assert run(["topics", "ensure", *where, "--partitions", "5"], TarnhelmServices()) == 2
    said = capsys.readouterr()
    assert "BRK-009" in said.err
    assert f"{len(names) - 1} topics" in said.err
    row = next(line.split() for line in said.out.splitlines() if line.startswith("objects.ocr"))
    assert row == ["objects.ocr", "differs", "partitions", "5", "3"]
    other = place.open(*TOPICS)
    assert {one.differences["partitions"][1] for one in other.ensure(apply=False) if one.differences} == {"3"}
    other.close()


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("sqlite", 2_000),
        pytest.param("sqlite", 10_000, marks=pytest.mark.slow),
        pytest.param("kafka", 10_000, marks=pytest.mark.slow),
    ],
    indirect=["place"],
)
def test_messages_of_four_processes_arrive_each_and_nothing_else(place, topic, broker, count):
    each = count // 4
    consumers = [Child(place, topic, role="consume", group=topic.name) for _ in range(2)]
    producers = [Child(place, topic, role="produce", name=name, count=each, size=300) for name in "abcd"]
    acknowledged = {(line["partition"], line["offset"]) for producer in producers for line in producer.lines()}
    assert len(acknowledged) == count
    lines = []
    deadline = time.monotonic() + 60
    while len({(line["partition"], line["offset"]) for line in lines}) < count and time.monotonic() < deadline:
        time.sleep(0.1)
        lines += [line for consumer in consumers for line in consumer.said()]
    for consumer in consumers:
        consumer.kill()
        lines += consumer.said()
    # At least once: a rebalance may deliver one twice, with the same content.
    content = {(line["partition"], line["offset"]): line["value"] for line in lines}
    assert content.keys() == acknowledged
    assert Counter(tuple(json.loads(value)) for value in content.values()) == Counter(
        (name, number) for name in "abcd" for number in range(each)
    )
    by_key = defaultdict(list)
    for place_, value in sorted(content.items()):
        name, number = json.loads(value)
        by_key[name, number % 7].append((place_[0], number))
    for entries in by_key.values():
        assert len({partition for partition, _ in entries}) == 1
        assert [number for _, number in entries] == sorted(number for _, number in entries)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(TarnhelmError):
        ConsumerSettings(heartbeat_seconds=5, session_seconds=5)
    for name, partitions in (("", 1), ("..", 1), ("a b", 1), ("a", 0)):
        with pytest.raises(TarnhelmError):
            TopicSpec(name, partitions=partitions)
