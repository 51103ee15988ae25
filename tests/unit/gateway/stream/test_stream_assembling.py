"""Volumes: collected, closed when quiet, late ones that fit let in, all others held; with a stage that copies."""

from __future__ import annotations

import time

import pytest
from tests.support.stream import WorldSettings, fake, world

from tarnhelm.common import errors
from tarnhelm.common.stage import StageOutcome, Status
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state import StaleRecordError

STAGES = ("metadata", "imaging")


def slice_of(number, frame="2.25.9", rows=4, **more):
    return fake(number, frame=frame, rows=rows, needs="deface", **more)


@pytest.fixture(params=[STAGES, ("metadata", "ocr", "imaging", "finalise")])
def one(request, tmp_path):
    with world(tmp_path, WorldSettings(stages=request.param)) as made:
        made.start(housekeeping=True)
        yield made


def test_a_volume_goes_through_when_it_is_quiet(one):
    ids = [one.send(slice_of(number)).object_id for number in range(5)]
    other = [one.send(slice_of(number, frame="2.25.8")).object_id for number in range(2)]
    flat = one.send(fake(9)).object_id
    one.wait(State.VERIFIED, count=8)
    for object_id in (*ids, *other):
        assert "imaging" in [step.step for step in one.state.steps(object_id)]
        assert b"imaging=done" in one.result(object_id)
    assert "imaging" not in [step.step for step in one.state.steps(flat)], "it needs none and waits for none"
    volumes = {one.state.get(object_id).group for object_id in ids}
    assert len(volumes) == 1
    assert one.state.volume(volumes.pop()).members == 5
    assert one.lines.getvalue().count("volume-closed") == 2


def test_a_late_slice_that_fits_gets_in_and_one_that_does_not_is_held(one):
    for number in range(3):
        one.send(slice_of(number))
    one.wait(State.VERIFIED, count=3)
    fits = one.send(slice_of(7)).object_id
    one.wait(State.VERIFIED, count=4)
    assert b"imaging=done" in one.result(fits)
    odd = one.send(slice_of(8, rows=5)).object_id
    one.wait(State.QUARANTINED, count=1)
    assert one.state.get(odd).code == "GTW-029"


def test_a_lone_slice_and_one_without_a_frame_are_held(one):
    lone, nowhere = one.send(slice_of(1)).object_id, one.send(slice_of(2, frame="")).object_id
    one.wait(State.QUARANTINED, count=2)
    assert one.state.get(lone).code == one.state.get(nowhere).code == "GTW-030"
    one.send(slice_of(3))
    one.decisions.retry(lone, by="ann", reason="the rest has come")
    one.wait(State.VERIFIED, count=2)


def test_a_suspect_of_a_volume_does_not_hold_it_up(tmp_path):
    with world(tmp_path, WorldSettings(stages=STAGES)) as one:
        bad = one.send(slice_of(1)).object_id
        for number in range(2, 5):
            one.send(slice_of(number))
        process = one.stages["imaging"].process

        def losing(call, source, sink):
            if call.object_id == bad:
                return StageOutcome(Status.RETRY, code=errors.STAGE_LOST.code)
            return process(call, source, sink)

        one.stages["imaging"].process = losing
        one.start(housekeeping=True)
        one.wait(State.VERIFIED, count=3)
        one.wait(State.QUARANTINED, count=1)
        assert one.state.get(bad).code == "GTW-032"


def test_a_lost_message_of_a_volume_goes_out_again(tmp_path):
    with world(tmp_path, WorldSettings(stages=STAGES)) as one:
        send = one.publisher.send
        one.publisher.send = lambda record, step: None if step == "imaging" else send(record, step)
        for number in range(3):
            one.send(slice_of(number))
        one.start(housekeeping=True)
        one.wait(State.READY, count=3)
        until = time.monotonic() + 30
        while "volume-closed" not in one.lines.getvalue():
            assert time.monotonic() < until
            time.sleep(0.01)
        one.publisher.send = send
        one.wait(State.VERIFIED, count=3)


def test_a_volume_is_closed_by_one_process(tmp_path):
    with world(tmp_path, WorldSettings(stages=STAGES)) as one:
        for number in range(2):
            one.send(slice_of(number))
        one.start("metadata")
        one.wait(State.READY, count=2)
        volume = one.state.volume(next(one.state.records()).group)
        one.assembler._close(volume, 0.0)
        with pytest.raises(StaleRecordError):
            one.assembler._close(volume, 0.0)
