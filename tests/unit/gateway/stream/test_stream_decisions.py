"""Reviewers' decisions: each by a name, with a reason, and none of them releases anything by itself."""

from __future__ import annotations

import pytest
from tests.support.stream import POLICY, PROJECT, fake, world

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.plans import ProjectPlan
from tarnhelm.gateway.record import State


@pytest.fixture
def one(tmp_path):
    with world(tmp_path) as made:
        made.start()
        yield made


def held(one, behaviour="text"):
    object_id = one.send(fake(1, behaviour=behaviour)).object_id
    one.wait(State.QUARANTINED, count=1)
    return object_id


def code_of(call, *arguments, **named):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments, **named)
    return caught.value.code


def test_accepting_unchecked_pixels_takes_two_people_and_the_witness(one):
    object_id = held(one)
    decisions = one.decisions
    assert code_of(decisions.accept, object_id, by="ann", reason="r") == "GTW-028"
    decisions.propose(object_id, by="ann", reason="no text in it")
    assert decisions.proposal(object_id).by == "ann"
    assert code_of(decisions.accept, object_id, by="ann", reason="r") == "GTW-027"
    decisions.accept(object_id, by="bob", reason="seen")
    one.wait(State.VERIFIED, count=1)
    assert one.state.get(object_id).accepted
    assert [(decision.kind, decision.by) for decision in one.state.decisions()] == [
        ("propose", "ann"),
        ("accept", "bob"),
    ]
    assert one.judge.calls[object_id] == 1
    assert decisions.proposal(object_id) is None
    assert b"metadata=done" in one.result(object_id)


def test_a_finding_of_the_witness_cannot_be_accepted(one):
    object_id = held(one, "leak")
    assert code_of(one.decisions.propose, object_id, by="ann", reason="r") == "RUN-008"
    assert code_of(one.decisions.accept, object_id, by="bob", reason="r") == "GTW-028"


def test_a_retry_goes_through_everything_again_under_the_present_plan(one):
    object_id = held(one, "leak")
    plan = ProjectPlan(PROJECT, "a better core", "{}", "{}", POLICY)
    one.state.put_plan(plan)
    one.plan = plan
    one.decisions.retry(object_id, by="ann", reason="new recipe")
    one.wait(State.QUARANTINED, count=1)
    record = one.state.get(object_id)
    assert record.plan_digest == plan.digest
    one.ended()
    assert one.stage.calls[object_id] == 2
    assert one.judge.calls[object_id] == 2
    assert code_of(one.decisions.retry, object_id, by="ann", reason="r", plan="f" * 64) == "GTW-021"


def test_a_rejected_object_is_never_released(one):
    object_id = held(one)
    one.decisions.propose(object_id, by="ann", reason="r")
    one.decisions.reject(object_id, by="bob", reason="not ours")
    record = one.state.get(object_id)
    assert (record.state, record.code) == (State.REJECTED, "GTW-009")
    for call in (one.decisions.retry, one.decisions.reject, one.decisions.propose, one.decisions.accept):
        assert code_of(call, object_id, by="eve", reason="r") == "GTW-028"
    assert code_of(one.decisions.retry, "unknown", by="eve", reason="r") == "GTW-028"
