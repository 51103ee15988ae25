"""The pump: outcomes, suspects, dependencies that are away, messages that nobody can read."""

from __future__ import annotations

import time

import pytest
from tests.support.stream import PROJECT, WorldSettings, cleaned, fake, world

from tarnhelm.gateway.blobs import put
from tarnhelm.gateway.fsm import Event
from tarnhelm.gateway.record import State
from tarnhelm.gateway.stream import road


def test_ends_by_outcome(tmp_path):
    ends = {
        "good": (State.VERIFIED, ""),
        "text": (State.QUARANTINED, "PIX-001"),
        "leak": (State.QUARANTINED, "WIT-001"),
        "fault": (State.QUARANTINED, "STG-001"),
        "skip": (State.SKIPPED, "DCM-001"),
    }
    with world(tmp_path) as one:
        ids = {behaviour: one.send(fake(1, behaviour=behaviour)).object_id for behaviour in ends}
        one.start()
        one.ended()
        for behaviour, (state, code) in ends.items():
            record = one.state.get(ids[behaviour])
            assert record.state is state, behaviour
            assert record.code == code or behaviour == "skip"
        assert one.state.verdict(ids["leak"]) == ("WIT-001", {("WIT-001", "PatientName"): 1})
        assert "Doe" not in one.lines.getvalue()


def test_a_suspect_has_three_attempts_and_the_last_alone(tmp_path):
    with world(tmp_path, WorldSettings(workers=6)) as one:
        suspects = [one.send(fake(number, behaviour="lost")).object_id for number in range(3)]
        for number in range(10, 60):
            one.send(fake(number, behaviour="slow"))
        witnessed = one.send(fake(99, behaviour="lost-witness")).object_id
        one.start(housekeeping=True)
        one.ended()
        for suspect in suspects:
            record = one.state.get(suspect)
            assert (record.state, record.code, record.attempts) == (State.QUARANTINED, "GTW-032", 3)
            assert one.stage.calls[suspect] == 3
        assert one.stage.beside == [0, 0, 0], "alone in this pump"
        assert one.state.get(witnessed).code == "GTW-032"
        assert one.judge.calls[witnessed] == 3
        assert one.stage.calls[witnessed] == 1, "its stage was not asked again"
        assert one.state.counts()[State.VERIFIED] == 50
        assert not list(one.blobs.listing("work", suspects[0])), "nothing of half a result"


def test_a_dependency_that_is_away_is_waited_for_and_costs_no_attempt(tmp_path):
    with world(tmp_path) as one:
        one.stage.away = True
        for number in range(30):
            one.send(fake(number))
        one.start(housekeeping=True)
        until = time.monotonic() + 30
        while "stage-waits" not in one.lines.getvalue():
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.5)
        assert one.state.counts() == {State.ADMITTED: 30}
        one.judge.away = True
        one.stage.away = False
        one.wait(State.WITNESSING, count=30)
        one.judge.away = False
        one.wait(State.VERIFIED, count=30)
        assert one.lines.getvalue().count('"stage-back","stage":"metadata"') == 1
        assert all(record.attempts == 0 for record in one.state.records())


def test_one_object_that_alone_meets_a_dependency_does_not_stop_the_others(tmp_path):
    with world(tmp_path) as one:
        bad = one.send(fake(0, behaviour="ledger")).object_id
        for number in range(1, 40):
            one.send(fake(number))
        one.start("metadata", "witness")
        one.wait(State.VERIFIED, count=39)
        for number in range(40, 60):
            one.send(fake(number))
            one.wait(State.VERIFIED, count=number)
        one.wait(State.WAITING, count=1)
        assert one.state.get(bad).state is State.WAITING


def test_a_message_that_nobody_can_read_is_a_dead_letter_and_no_quarantine(tmp_path):
    with world(tmp_path) as one:
        one.broker.publish("objects.metadata", b"x", b"\xff\xfe no task").result(10)
        one.broker.publish("objects.metadata", b"x", road.Task(object_id="../../etc").SerializeToString()).result(10)
        one.broker.publish("objects.metadata", b"x", road.Task(object_id="ab" * 16).SerializeToString()).result(10)
        one.send(fake(1))
        one.start()
        one.wait(State.VERIFIED, count=1)
        one.stop()
        assert sum(one.broker.lag("anybody", ["dead-letter"]).values()) == 3
        assert State.QUARANTINED not in one.state.counts()
        assert sum(one.broker.lag(road.GROUPS["metadata"], ["objects.metadata"]).values()) == 0


def test_messages_may_come_often_and_in_any_order(tmp_path):
    with world(tmp_path) as one:
        ids = [one.send(fake(number)).object_id for number in range(10)]
        for turn in range(5):
            for object_id in reversed(ids):
                record = one.state.get(object_id)
                for step in ("witness", "metadata") if turn % 2 else ("metadata", "witness"):
                    one.publisher.send(record, step)
        one.start()
        one.wait(State.VERIFIED, count=10)
        one.stop()
        assert set(one.stage.calls.values()) == {1}
        assert set(one.judge.calls.values()) == {1}


def test_a_forged_verdict_releases_nothing(tmp_path):
    with world(tmp_path) as one:
        one.judge.forging = True
        object_id = one.send(fake(1)).object_id
        one.start()
        one.ended()
        record = one.state.get(object_id)
        assert (record.state, record.code) == (State.QUARANTINED, "WIT-006")
        assert "integrity-failure" in one.lines.getvalue()


def test_raw_bytes_that_are_gone_and_a_plan_that_is_gone(tmp_path):
    with world(tmp_path) as one:
        gone = one.send(fake(1)).object_id
        one.blobs.delete(road.raw_blob(gone))
        planless = one.send(fake(2)).object_id
        record = one.state.get(planless)
        one.state.save(record._replace(plan_digest="f" * 64, revision=record.revision + 1), record)
        one.start()
        one.ended()
        assert one.state.get(gone).code == "GTW-022"
        assert one.state.get(planless).code == "GTW-021"


def test_the_first_blob_stays_where_a_stage_rounds_differently(tmp_path):
    """A pump died between its blob and its outcome; the next run's result differs and is not taken."""
    with world(tmp_path) as one:
        object_id = one.send(fake(1)).object_id
        first = cleaned(fake(1)) + b"rounded=down\n"
        put(one.blobs, road.work_blob(one.state.get(object_id), "metadata"), [first])
        one.stage.noise = lambda: b"rounded=up\n"
        one.start()
        one.wait(State.VERIFIED, count=1)
        assert one.result(object_id) == first
        outcome = one.state.outcome(object_id, "metadata", one.plan.digest)
        assert outcome.output_bytes == len(first)


@pytest.mark.parametrize("noise", [b"", b"rounded=up\n"])
def test_a_recorded_outcome_whose_blob_is_gone_is_made_again_or_held(tmp_path, noise):
    with world(tmp_path) as one:
        object_id = one.send(fake(1)).object_id
        one.start("metadata")
        one.wait(State.WITNESSING, count=1)
        one.stop()
        record = one.state.get(object_id)
        one.blobs.delete(road.work_blob(record, "metadata"))
        one.state.save(one.life.step(record, Event.RECOVER), record)
        one.stage.noise = lambda: noise
        one.publisher.send(record, "metadata")
        one.start()
        one.ended()
        after = one.state.get(object_id)
        assert (after.state, after.code) == ((State.QUARANTINED, "GTW-023") if noise else (State.VERIFIED, ""))


@pytest.mark.parametrize("stages", [("metadata", "ocr"), ("metadata", "ocr", "finalise")])
def test_several_stages_one_after_the_other(tmp_path, stages):
    with world(tmp_path, WorldSettings(stages=stages)) as one:
        ids = [one.send(fake(number)).object_id for number in range(5)]
        lost = one.send(fake(7, behaviour="text")).object_id
        one.start(housekeeping=True)
        one.ended()
        expected = fake(3)
        for stage in stages:
            expected = cleaned(expected, stage)
        assert one.result(ids[3]) == expected
        assert [step.step for step in one.state.steps(ids[3])] == ["admitted", *stages, "witness"]
        assert one.state.get(lost).code == "PIX-001"
        assert one.state.get(ids[0]).project == PROJECT


def test_a_fault_of_the_pump_itself_costs_one_object(tmp_path, monkeypatch):
    with world(tmp_path, WorldSettings(workers=2)) as one:
        bad = one.send(fake(0)).object_id
        for number in range(1, 12):
            one.send(fake(number))
        put_outcome = one.state.put_outcome

        def faulty(object_id, *arguments):
            if object_id == bad:
                raise ZeroDivisionError
            return put_outcome(object_id, *arguments)

        monkeypatch.setattr(one.state, "put_outcome", faulty)
        one.start()
        one.wait(State.VERIFIED, count=11)
        one.wait(State.QUARANTINED, count=1)
        assert one.state.get(bad).code == "STG-001"
        assert "pump-fault" in one.lines.getvalue()
