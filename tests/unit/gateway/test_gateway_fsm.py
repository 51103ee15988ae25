"""RELEASED only from VERIFIED; VERIFIED only by a signed clean verdict on the bytes that are released."""

from __future__ import annotations

import itertools

import fakecores
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import ACCEPTABLE, TABLE, TERMINAL, Event, Lifecycle, UnknownTransitionError, next_state
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.verdict import SignedVerdict

KEY = b"k" * 32
POLICY = "p" * 64
SHA = "a" * 64
LIFE = Lifecycle(fakecores.verify_with(KEY))


def verdict(**changes: object) -> SignedVerdict:
    """A verdict signed as it stands; ``signature`` may be given to forge one."""
    fields = {"object_id": "one", "policy_digest": POLICY, "output_sha256": SHA, "clean": True, "code": ""} | changes
    made = SignedVerdict(**{**fields, "signature": ""})
    signature = str(fields.get("signature") or fakecores.sign(KEY, made))
    return SignedVerdict(**{**fields, "signature": signature})


def witnessing() -> ObjectRecord:
    return ObjectRecord("one", State.WITNESSING, 4, policy_digest=POLICY)


def test_every_pair_that_the_table_does_not_hold_raises() -> None:
    for state, event in itertools.product(State, Event):
        if (state, event) in TABLE:
            assert next_state(state, event) is TABLE[state, event]
        else:
            with pytest.raises(UnknownTransitionError):
                next_state(state, event)


def test_the_table_leads_to_released_only_from_verified_and_to_verified_only_from_witnessing() -> None:
    assert {state for (state, _), after in TABLE.items() if after is State.RELEASED} == {State.VERIFIED}
    assert {(state, event) for (state, event), after in TABLE.items() if after is State.VERIFIED} == {
        (State.WITNESSING, Event.CLEAN_VERDICT)
    }


def test_every_state_can_reach_an_end_and_every_admitted_one_recovers() -> None:
    for state in State:
        if state not in TERMINAL and state is not State.RECEIVED:
            assert (state, Event.RECOVER) in TABLE
    for state in TERMINAL - {State.QUARANTINED, State.PURGED}:
        assert {after for (before, _), after in TABLE.items() if before is state} <= {State.PURGED}


@pytest.mark.parametrize(
    "wrong",
    [
        verdict(clean=False, code="WIT-001"),  # not clean
        verdict(object_id="two"),  # another object's
        verdict(policy_digest="q" * 64),  # under another policy
        verdict(signature="0" * 64),  # not signed by the witness
        verdict(output_sha256=""),  # vouches for no bytes
    ],
)
def test_a_verdict_that_does_not_fit_verifies_nothing(wrong: SignedVerdict) -> None:
    with pytest.raises(TarnhelmError) as caught:
        LIFE.verified(witnessing(), wrong)
    assert caught.value.code == "WIT-006"


def test_a_result_whose_stage_named_other_bytes_is_not_verified() -> None:
    with pytest.raises(TarnhelmError, match="does not fit"):
        LIFE.verified(witnessing()._replace(output_sha256="b" * 64), verdict())


def test_other_bytes_than_the_verified_ones_are_not_released() -> None:
    record = LIFE.verified(witnessing(), verdict())
    with pytest.raises(TarnhelmError) as caught:
        LIFE.released(record, "b" * 64)
    assert caught.value.code == "GTW-003"
    assert LIFE.released(record, SHA).state is State.RELEASED


def test_guarded_events_need_their_evidence() -> None:
    with pytest.raises(UnknownTransitionError):
        LIFE.step(witnessing(), Event.CLEAN_VERDICT)
    with pytest.raises(UnknownTransitionError):
        LIFE.step(LIFE.verified(witnessing(), verdict()), Event.RELEASE)


@pytest.mark.parametrize("code", sorted(errors.CATALOGUE))
def test_only_unchecked_pixels_can_be_accepted(code: str) -> None:
    held = ObjectRecord("one", State.QUARANTINED, 3, code=code)
    if code in ("PIX-001", "PIX-002", "PIX-003"):
        assert code in ACCEPTABLE
        assert LIFE.step(held, Event.ACCEPT).accepted
    else:
        with pytest.raises(TarnhelmError):
            LIFE.step(held, Event.ACCEPT)


STEPS = st.one_of(
    st.sampled_from(Event),
    st.builds(
        verdict,
        object_id=st.sampled_from(["one", "two"]),
        policy_digest=st.sampled_from([POLICY, "q" * 64]),
        output_sha256=st.sampled_from([SHA, "b" * 64]),
        clean=st.booleans(),
        signature=st.sampled_from(["", "0" * 64]),
    ),
    st.sampled_from([SHA, "b" * 64]).map(lambda sha: ("release", sha)),
)


@settings(max_examples=500)
@given(st.lists(STEPS, max_size=25), st.integers(0, 3))
def test_no_sequence_of_events_releases_what_was_not_verified(steps: list[object], head_start: int) -> None:
    record = ObjectRecord("one", policy_digest=POLICY)
    for event in (Event.ADMIT, Event.START, Event.STAGE_DONE, Event.JUDGE)[: head_start + 1]:
        record = LIFE.step(record, event)
    vouched: str | None = None
    for step in steps:
        before = record
        try:
            if isinstance(step, SignedVerdict):
                record = LIFE.verified(record, step)
                assert before.state is State.WITNESSING
                assert step.clean
                assert step.policy_digest == POLICY
                assert fakecores.verify_with(KEY)(step)
                vouched = step.output_sha256
            elif isinstance(step, tuple):
                record = LIFE.released(record, step[1])
                assert before.state is State.VERIFIED
                assert step[1] == vouched
            elif isinstance(step, Event):
                record = LIFE.step(record, step)
                assert record.state not in (State.VERIFIED, State.RELEASED)
        except (UnknownTransitionError, TarnhelmError):
            assert record is before
        assert record is before or record.revision == before.revision + 1
