"""Random histories: messages in any order and number, deaths between any two steps, services that are away, reviewers.

Whatever happens: what was accepted has a record; a recorded outcome never changes; RELEASED comes from a verdict on the
bytes of the result; every object comes to exactly one end once all is well again.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.support.stream import Messages, World, WorldSettings, cleaned, fake

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import TERMINAL
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state import SqliteState
from tarnhelm.gateway.stream.conveyor import Handled
from tarnhelm.gateway.stream.room import RoomSettings

STEPS = ("metadata", "ocr", "witness")
PLACES = [
    "admit: before the blob",
    "admit: before the record",
    "admit: before the message",
    "admit: before the answer",
    *(f"{step}: before {place}" for step in STEPS for place in ("the blob", "the record", "the message", "done")),
    "purge: before the record",
]
BEHAVIOURS = {
    "good": State.VERIFIED,
    "text": State.QUARANTINED,
    "leak": State.QUARANTINED,
    "lost": State.QUARANTINED,
    "skip": State.SKIPPED,
}


class Died(BaseException):
    pass


class Stream(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1000.0
        self.die_at = ""
        self.messages = Messages()
        keys = Path(self.folder.name) / "keys"
        keys.mkdir()
        (keys / "gateway.key").write_bytes(b"k" * 32)  # the same ids each time
        self.one = World(
            Path(self.folder.name),
            WorldSettings(
                stages=("metadata", "ocr"), room=RoomSettings(1.0, 0, max_age_seconds=0.0, check_seconds=0.0)
            ),
            state=SqliteState(None, batched=False),
            broker=self.messages,
            failpoint=self.failpoint,
            clock=self.clock,
            monotonic=self.clock,
        )
        self.pumps = {step: self.one.pump(step) for step in STEPS}
        self.accepted = {}
        self.outcomes = {}
        self.ends = {}

    def clock(self):
        self.now += 0.001
        return self.now

    def failpoint(self, name):
        if name == self.die_at:
            self.die_at = ""
            raise Died

    def teardown(self):
        try:
            self.die_at = ""
            self.one.stage.away = self.one.judge.away = False
            for _ in range(40):
                self.now += 100.0
                self.housekeep()
                for at in sorted(self.messages.undone):
                    self.deliver(at)
            self.check()
            for object_id, data in self.accepted.items():
                record = self.one.state.get(object_id)
                assert record.state in {*TERMINAL, State.VERIFIED}, record
                if record.state is State.VERIFIED:
                    assert self.one.result(object_id) == cleaned(cleaned(data), "ocr")
        finally:
            self.one.close()
            self.folder.cleanup()

    # --- what happens ----------------------------------------------------------------------------------

    @rule(
        number=st.integers(0, 3), behaviour=st.sampled_from(sorted(BEHAVIOURS)), uid=st.sampled_from(["", "1.2", "1.3"])
    )
    def send(self, number, behaviour, uid):
        data = fake(number, behaviour=behaviour)
        with suppress(Died):
            receipt = self.one.send(data, uid=uid)
            self.accepted[receipt.object_id] = data

    @rule(place=st.sampled_from(PLACES))
    def fate(self, place):
        self.die_at = place

    @precondition(lambda self: self.messages.sent)
    @rule(data=st.data())
    def any_message(self, data):
        self.deliver(data.draw(st.integers(0, len(self.messages.sent) - 1)))

    @precondition(lambda self: self.messages.undone)
    @rule(data=st.data())
    def next_message(self, data):
        self.deliver(data.draw(st.sampled_from(sorted(self.messages.undone))))

    def deliver(self, at):
        message = self.messages.sent[at]
        step = message.topic.partition(".")[2]
        if step not in self.pumps:
            self.messages.undone.discard(at)
            return
        with suppress(Died):
            if self.pumps[step].handle(message, probe=self.pumps[step].breaker.open) is Handled.DONE:
                self.messages.undone.discard(at)

    @rule()
    def housekeep(self):
        with suppress(Died):
            self.one.housekeeping.round()

    @rule(seconds=st.sampled_from([0.5, 60.0, 5000.0]))
    def time_goes_by(self, seconds):
        self.now += seconds

    @rule(stage=st.booleans(), judge=st.booleans())
    def services_come_and_go(self, stage, judge):
        self.one.stage.away, self.one.judge.away = stage, judge

    @rule()
    def messages_are_lost(self):
        self.messages.undone.clear()

    @rule()
    def release(self):
        self.one.release()

    @precondition(lambda self: self.accepted)
    @rule(
        data=st.data(),
        what=st.sampled_from(["retry", "reject", "propose", "accept"]),
        by=st.sampled_from(["ann", "bob"]),
    )
    def decide(self, data, what, by):
        object_id = data.draw(st.sampled_from(sorted(self.accepted)))
        with suppress(TarnhelmError):
            getattr(self.one.decisions, what)(object_id, by=by, reason="r")
            if what in ("retry", "accept"):
                self.outcomes = {key: kept for key, kept in self.outcomes.items() if key[0] != object_id}

    # --- what must be true -----------------------------------------------------------------------------

    @invariant()
    def check(self):
        state = self.one.state
        released = [entry.object_id for entry in state.manifest()]
        assert len(set(released)) == len(released)
        for object_id in self.accepted:
            record = state.get(object_id)
            assert record is not None, "accepted and lost"
            if record.state in (State.VERIFIED, State.RELEASED):
                assert record.verdict
            if record.state is State.VERIFIED:
                assert hashlib.sha256(self.one.result(object_id)).hexdigest() == record.output_sha256
            if self.ends.get(object_id) in (State.RELEASED, State.PURGED, State.REJECTED):
                assert record.state in (self.ends[object_id], State.PURGED), "an end is an end"
            self.ends[object_id] = record.state
            for stage in ("metadata", "ocr"):
                for key in (record.plan_digest, f"{record.plan_digest}+accepted"):
                    outcome = state.outcome(object_id, stage, key)
                    place = object_id, stage, key
                    if outcome is not None:
                        assert self.outcomes.setdefault(place, outcome) == outcome, "the first outcome wins"


Stream.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_random_histories = Stream.TestCase
