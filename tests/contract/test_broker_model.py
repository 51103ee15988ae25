"""The embedded broker beside a model of it: any order of publishing, polling, finishing, committing, dying, trimming."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.support.brokers import gather

from tarnhelm.gateway.broker import ConsumerSettings, Partition, TopicSpec
from tarnhelm.gateway.broker.sqlite import SqliteBroker

TOPIC = TopicSpec("work", partitions=3, retention_seconds=1e9)
PARTITIONS = frozenset(Partition("work", number) for number in range(3))
BEHAVIOUR = ConsumerSettings(session_seconds=30, heartbeat_seconds=0.001)


class BrokerMachine(RuleBasedStateMachine):
    """Two groups of up to three members; what a member holds dies with it."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tarnhelm-model-", dir=_quick()))
        self.now = 1000.0
        self.broker = SqliteBroker(self.folder / "broker", [TOPIC], clock=lambda: self.now)
        self.broker.ensure()
        self.log = {partition: [] for partition in PARTITIONS}
        self.first = dict.fromkeys(PARTITIONS, 0)
        self.committed = {group: dict.fromkeys(PARTITIONS, 0) for group in "ab"}
        self.has_committed = {group: set() for group in "ab"}
        self.finished = {group: set() for group in "ab"}
        self.members = []  # (group, consumer)
        self.hands = {}  # consumer → messages handed out and not done
        self.count = 0

    def teardown(self):
        self.broker.close()
        shutil.rmtree(self.folder)

    @rule(key=st.sampled_from([b"a", b"b", b"c", b"d"]), times=st.integers(1, 5))
    def publish(self, key, times):
        values = [b"%s-%d" % (key, self.count + number) for number in range(times)]
        self.count += times
        futures = [self.broker.publish("work", key, value) for value in values]
        for value, future in zip(values, futures, strict=True):
            position = future.result(10)
            assert position.offset == len(self.log[position.partition])
            self.log[position.partition].append(value)

    @precondition(lambda self: len(self.members) < 3)
    @rule(group=st.sampled_from("ab"))
    def join(self, group):
        consumer = self.broker.consumer(group, ["work"], BEHAVIOUR)
        self.members.append((group, consumer))
        self.hands[consumer] = {}

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 2), most=st.integers(1, 6))
    def poll(self, which, most):
        group, consumer = self.members[which % len(self.members)]
        for message in consumer.poll(max_records=most, max_bytes=1 << 20, timeout_seconds=0):
            assert message.partition in consumer.assignment()
            assert message.offset >= self.committed[group][message.partition]
            assert message.value == self.log[message.partition][message.offset]
            self.hands[consumer][message.partition, message.offset] = message

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 2), data=st.data())
    def finish(self, which, data):
        group, consumer = self.members[which % len(self.members)]
        if self.hands[consumer]:
            place = data.draw(st.sampled_from(sorted(self.hands[consumer])))
            consumer.done(self.hands[consumer].pop(place))
            self.finished[group].add(place)

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 2))
    def commit(self, which):
        group, consumer = self.members[which % len(self.members)]
        for partition, offset in consumer.commit().items():
            assert offset > self.committed[group][partition]
            # Everything before the position was finished by somebody of the group.
            done = {at for one, at in self.finished[group] if one == partition}
            assert set(range(self.committed[group][partition], offset)) <= done
            self.committed[group][partition] = offset
            self.has_committed[group].add(partition)

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 2))
    def rewind(self, which):
        _, consumer = self.members[which % len(self.members)]
        consumer.rewind(consumer.assignment())
        self.hands[consumer].clear()
        assert consumer.bytes_in_flight() == 0

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 2))
    def die(self, which):
        """As a SIGKILL: the kernel closes the files and the bell, and nothing else happens."""
        _, consumer = self.members.pop(which % len(self.members))
        consumer._closed = True
        consumer._bell._socket.close()
        consumer._log.close()
        consumer._groups.close()
        del self.hands[consumer]

    @rule()
    def trim(self):
        kept = self.broker.trim("work", ["a", "b"])
        assert set(kept) == self.has_committed["a"] & self.has_committed["b"]
        for partition, offset in kept.items():
            assert offset == min(self.committed[group][partition] for group in "ab")
            self.first[partition] = offset

    @invariant()
    def lag_is_what_the_positions_say(self):
        # A position may have moved by a commit that a rebalance made; it never passes what is finished.
        for group in "ab":
            for partition, behind in self.broker.lag(group, ["work"]).items():
                position = len(self.log[partition]) - behind
                assert position >= max(self.first[partition], self.committed[group][partition])
                if position > self.committed[group][partition]:
                    done = {at for one, at in self.finished[group] if one == partition}
                    start = max(self.first[partition], self.committed[group][partition])
                    assert set(range(start, position)) <= done
                    if position > max(self.first[partition], self.committed[group][partition]):
                        self.committed[group][partition] = position
                        self.has_committed[group].add(partition)

    def settled(self, group):
        """Let every member of a group look until all agree, then nobody may share and nothing may be left over."""
        mine = [consumer for one, consumer in self.members if one == group]
        for _ in range(6):
            for consumer in mine:
                consumer._next_heartbeat = 0.0
                consumer._keep_membership()
        owned = [consumer.assignment() for consumer in mine]
        assert frozenset().union(*owned) == PARTITIONS
        assert sum(map(len, owned)) == len(PARTITIONS)
        assert max(map(len, owned)) - min(map(len, owned)) <= 1

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 2))
    def agree(self, which):
        self.settled(self.members[which % len(self.members)][0])

    @precondition(lambda self: not self.members)
    @rule(group=st.sampled_from("ab"))
    def a_new_member_finds_everything_that_was_not_committed(self, group):
        self.lag_is_what_the_positions_say()
        consumer = self.broker.consumer(group, ["work"], BEHAVIOUR)
        start = {one: max(self.first[one], self.committed[group][one]) for one in PARTITIONS}
        expected = {(one, at) for one in PARTITIONS for at in range(start[one], len(self.log[one]))}
        found = gather(consumer, lambda some: len(some) >= len(expected), seconds=10, commit=False)
        assert {(message.partition, message.offset) for message in found} == expected
        assert consumer.expired() == 0
        consumer.close()


def _quick():
    """Memory where there is some: what is proven here is not that disks keep things."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


TestBrokerMachine = BrokerMachine.TestCase
TestBrokerMachine.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
