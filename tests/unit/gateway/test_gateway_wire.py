"""Only the expected dataclass comes out of a message, whatever the bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.common.assign import AssignRequest, ValueKind, ValueQuery
from tarnhelm.common.sandbox import Codec, WireError
from tarnhelm.common.sandbox.parcel import pack, unpack
from tarnhelm.common.stage import ObjectFacts, StageJob, StageOutcome, Status

TEXT = st.text(max_size=20)
COUNTS = st.dictionaries(st.tuples(TEXT, TEXT), st.integers(0, 10**9), max_size=5)
OUTCOMES = st.builds(
    StageOutcome,
    status=st.sampled_from(Status),
    code=TEXT,
    message=TEXT,
    facts=st.none()
    | st.builds(ObjectFacts, modality=TEXT, image_type=st.tuples(TEXT, TEXT), needs=st.frozensets(TEXT, max_size=3)),
    source_bytes=st.integers(0, 2**40),
    actions=COUNTS,
    findings=COUNTS,
    methods=st.lists(TEXT, max_size=3).map(tuple),
    seconds=st.floats(0, 1e6),
)
REQUESTS = st.builds(
    AssignRequest,
    patient_id=TEXT,
    issuer=TEXT,
    study_uid=TEXT,
    sex=TEXT,
    uids=st.lists(TEXT, max_size=4).map(tuple),
    values=st.lists(st.builds(ValueQuery, st.sampled_from(ValueKind), TEXT, TEXT), max_size=3).map(tuple),
    way_back=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
)


@given(OUTCOMES)
def test_outcomes_come_back_as_they_were(outcome: StageOutcome) -> None:
    codec = Codec(StageOutcome)
    assert codec.decode(codec.encode(outcome)) == outcome


@given(REQUESTS)
def test_requests_come_back_as_they_were(request: AssignRequest) -> None:
    codec = Codec(AssignRequest)
    assert codec.decode(codec.encode(request)) == request


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        Codec(StageOutcome).decode(data)


@given(OUTCOMES, st.integers(0, 400), st.integers(0, 255))
def test_a_flipped_byte_gives_an_outcome_or_a_refusal(outcome: StageOutcome, place: int, value: int) -> None:
    data = bytearray(Codec(StageOutcome).encode(outcome))
    data[place % len(data)] = value
    try:
        decoded = Codec(StageOutcome).decode(bytes(data))
    except WireError:
        return
    assert type(decoded) is StageOutcome
    assert type(decoded.status) is Status


@dataclass(frozen=True)
class Small:
    number: int
    flag: bool
    names: tuple[str, ...]
    table: Mapping[str, int]


@pytest.mark.parametrize(
    "head",
    [
        ["1", True, []],  # text for a number
        [True, True, []],  # a truth value is no number here
        [1, 1, []],  # nor the other way
        [1, True, [1]],  # a number among texts
        [1, True, "ab"],  # a text is no list of texts
        [1, True],  # too few
        [1, True, [], 1],  # too many
        {"number": 1},  # not a list
        None,
    ],
)
def test_each_field_is_exactly_of_its_type(head: object) -> None:
    with pytest.raises(WireError):
        Codec(Small).decode(json.dumps(head).encode() + b"\n[]")


def test_a_type_without_a_strict_form_is_refused_when_the_codec_is_made() -> None:
    @dataclass
    class Loose:
        anything: object

    with pytest.raises(TypeError):
        Codec(Loose)


def test_a_parcel_opens_to_an_equal_job(tmp_path: object) -> None:
    from pathlib import Path

    job = StageJob("id", Path("/a/b"), Path("/c"), options={"x": "y"})
    assert unpack(pack(job)) == job
    assert unpack(pack("text")) == "text"
