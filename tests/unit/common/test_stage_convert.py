"""Outcomes over the wire: what was said comes back the same, and nothing gets through that no stage may say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tarnhelm.v1 import stage_pb2

from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.common.sandbox.hand import StageFaultError
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status, outcome_of
from tarnhelm.common.stage_service.convert import (
    MalformedError,
    ResultWriter,
    facts_message,
    facts_of,
    outcome_from,
    result_message,
)

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64) | st.just("")
UIDS = st.from_regex(r"[0-9.]{0,64}", fullmatch=True)
WORDS = st.from_regex(r"[A-Z0-9_ ]{0,16}", fullmatch=True)
NUMBERS = st.integers(0, 2**32 - 1)
FACTS = st.builds(
    ObjectFacts,
    sop_class_uid=UIDS,
    study_uid=UIDS,
    modality=WORDS,
    image_type=st.lists(WORDS, max_size=4).map(tuple),
    subject_id=st.from_regex(r"[A-Z0-9-]{0,64}", fullmatch=True),
    rows=NUMBERS,
    frames=NUMBERS,
    instance_number=st.integers(-(2**31), 2**31),
    needs=st.frozensets(st.sampled_from(["ocr", "deface", "mask"])),
    gate_rule=st.just("ct-body"),
)
KEYS = st.tuples(
    st.sampled_from(["PatientName", '(0029,"SIEMENS CSA HEADER",10)']), st.sampled_from(["REMOVE", "JITTER 3"])
)
COUNTS = st.dictionaries(KEYS, st.integers(1, 1000), max_size=4)
DONE = st.builds(
    StageOutcome,
    st.just(Status.DONE),
    facts=st.none() | FACTS,
    source_sha256=DIGESTS,
    output_sha256=DIGESTS,
    source_bytes=st.integers(0, 2**40),
    output_bytes=st.integers(0, 2**40),
    actions=COUNTS,
    findings=COUNTS,
    methods=st.lists(st.from_regex(r"113[0-9]{3}", fullmatch=True), max_size=4).map(tuple),
    seconds=st.floats(0, 1000),
)


@given(DONE)
def test_an_outcome_comes_back_as_it_was(outcome):
    data = result_message("metadata", outcome).SerializeToString()
    assert outcome_from(stage_pb2.StageResult.FromString(data)) == outcome


@given(st.lists(DONE, min_size=1, max_size=4), st.lists(COUNTS, min_size=1, max_size=3))
def test_what_is_written_with_kept_counts_is_what_the_generated_class_reads(outcomes, counts):
    write = ResultWriter()
    for number, outcome in enumerate(outcomes * 40):
        shared = replace(outcome, actions=counts[number % len(counts)], findings=counts[number // 3 % len(counts)])
        for one in (shared, replace(shared, actions=dict(shared.actions)), outcome):
            found = stage_pb2.StageResult.FromString(write("metadata", one))
            assert found == result_message("metadata", one)


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_travels_and_its_text_holds_no_place_that_is_open(code):
    outcome = outcome_of(TarnhelmError(CATALOGUE[code]))
    back = outcome_from(result_message("metadata", outcome))
    assert (back.status, back.code) == (outcome.status, code)
    assert "{" not in back.message


def test_the_place_of_a_fault_travels_and_nothing_else_of_its_text():
    outcome = outcome_of(StageFaultError("ValueError tarnhelm.metadata.core.stage:12"))
    message = result_message("metadata", outcome)
    assert message.site == "ValueError:tarnhelm.metadata.core.stage:12"
    assert outcome_from(message).message == f"{errors.STAGE_FAULT.message} [{message.site}]"


GOOD = {"stage": "metadata", "status": stage_pb2.STAGE_STATUS_DONE}


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": stage_pb2.STAGE_STATUS_UNSPECIFIED},
        {"status": 77},
        {"code": "DCM-001"},
        {"status": stage_pb2.STAGE_STATUS_QUARANTINE},
        {"status": stage_pb2.STAGE_STATUS_QUARANTINE, "code": "DOE^JANE"},
        {"site": "Doe, Jane"},
        {"output_sha256": "DOE"},
        {"source_sha256": "g" * 64},
        {"methods": ["DOE^JANE"]},
        {"methods": ["113100"] * 100},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"actions": [stage_pb2.AttributeCount(first="x" * 400, second="y", count=1)]},
        {"findings": [stage_pb2.AttributeCount(first="a\nb", second="y", count=1)]},
        {"facts": {"study_uid": "1.2.DOE"}},
        {"facts": {"modality": "DOE^JANE"}},
        {"facts": {"subject_id": "J\u00e9r\u00f4me"}},
        {"facts": {"subject_id": "x" * 65}},
        {"facts": {"needs": ["everything"]}},
        {"facts": {"image_type": ["DOE^JANE"]}},
        {"facts": {"image_type": ["A"] * 17}},
    ],
)
def test_what_no_stage_may_say_is_not_taken_over(wrong):
    with pytest.raises(MalformedError) as caught:
        outcome_from(stage_pb2.StageResult(**GOOD | wrong))
    assert str(caught.value) == ""


@given(st.binary(max_size=300))
def test_no_bytes_do_harm(data):
    message = stage_pb2.StageResult()
    try:
        message.ParseFromString(data)
    except Exception:  # noqa: BLE001 - the error's class differs between protobuf's implementations
        return
    try:
        outcome = outcome_from(message)
    except MalformedError:
        return
    assert outcome.status in Status


@given(FACTS)
def test_facts_come_back_as_they_were(facts):
    assert facts_of(facts_message(facts)) == facts
