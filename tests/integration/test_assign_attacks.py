"""What attacks on the assign server yield; docs/reference/admission-ticket.md tells the same in words."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tarnhelm.v1 import linkage_pb2 as pb
from tests.support.assign_server import METHOD, Gateway, LocalPlace, counts_of
from tests.support.canaries import canary_requests

from tarnhelm.common.assign_client import query_bytes
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.linkage.core.ledger import CohortEntry

RAW = {"request_serializer": None, "response_deserializer": None}
ONE, TWO = canary_requests(2)[:2]


def code(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.code


def raw(channel, data):
    """What the wire says to some bytes: status, code, details; or the answer."""
    try:
        return channel.unary_unary(METHOD, **RAW)(data, timeout=20)
    except grpc.RpcError as error:
        return error.code().name, dict(error.trailing_metadata() or ()).get("tarnhelm-code"), error.details()


def changed(ticket, place):
    return ticket[:place] + bytes([ticket[place] ^ 1]) + ticket[place + 1 :]


def test_without_a_good_ticket_nothing_is_told_or_written(assign_place, launch, gateway, tmp_path):
    project = assign_place.create("lung")
    server = launch(assign_place)
    stranger = Gateway(tmp_path, "stranger")
    now = time.time
    good = gateway.ticket(project.id)
    tickets = {
        "none": (b"", "LNK-040"),
        "garbage": (b"TKT1" + os.urandom(150), "LNK-040"),
        "of a stranger": (stranger.ticket(project.id), "LNK-040"),
        "another project put in": (good.replace(project.id.encode(), b"0" * 32), "LNK-040"),
        "a later expiry put in": (changed(good, 14 + 6), "LNK-040"),
        "cut": (good[:-1], "LNK-040"),
        "expired": (gateway.ticket(project.id, clock=lambda: now() - 1000), "LNK-041"),
        "of a clock a day ahead": (gateway.ticket(project.id, clock=lambda: now() + 90_000), "LNK-040"),
    }
    for what, (ticket, wanted) in tickets.items():
        assert code(server.ask, ticket, ONE) == wanted, what
    assert counts_of(assign_place, project) == (0, 0, 0)
    # Clocks may differ a little: this one was issued by a gateway that is behind.
    assert server.ask(gateway.ticket(project.id, clock=lambda: now() - 910), ONE)


def test_a_stolen_ticket_is_good_for_the_question_that_was_asked_with_it(assign_place, launch, gateway):
    project = assign_place.create("lung")
    servers = [launch(assign_place), launch(assign_place)]
    ticket = gateway.ticket(project.id)
    first = servers[0].ask(ticket, ONE)
    written = counts_of(assign_place, project)
    for server in servers:
        assert server.ask(ticket, ONE) == first
        assert code(server.ask, ticket, TWO) == "LNK-042"
    assert counts_of(assign_place, project) == written
    for server in servers:
        (alarm,) = map(json.loads, server.events("assign-alarm"))
        assert alarm["reason"] == "ticket"
        assert alarm["project"] == project.id
    servers[0].stop(kill=True)
    assert code(launch(assign_place).ask, ticket, TWO) == "LNK-042"


def test_a_ticket_opens_its_own_project_alone(assign_place, launch, gateway):
    one, two = assign_place.create("lung"), assign_place.create("heart")
    server = launch(assign_place)
    ours, theirs = (server.ask(gateway.ticket(project.id), ONE) for project in (one, two))
    assert ours.subject_key != theirs.subject_key
    assert not set(ours.uids.values()) & set(theirs.uids.values())
    assert not set(ours.values) & set(theirs.values)
    assert code(server.ask, gateway.ticket("0" * 32), ONE) == "LNK-001"
    assert code(server.ask, gateway.ticket("lung"), ONE) == "LNK-001"


GARBAGE = st.binary(max_size=200)
QUERIES = st.builds(
    pb.AssignQuery,
    patient_id=GARBAGE,
    issuer=GARBAGE,
    study_uid=GARBAGE,
    sex=GARBAGE,
    uids=st.lists(GARBAGE, max_size=4),
    values=st.lists(
        st.builds(pb.ValueQuestion, kind=st.integers(0, 3), domain=st.text(max_size=80), value=GARBAGE), max_size=3
    ),
    way_back=st.lists(
        st.builds(pb.WayBackValue, kind=st.sampled_from(["patient_id", "x", ""]), value=GARBAGE), max_size=3
    ),
)


def test_garbage_ends_with_a_code_and_without_its_text(assign_place, launch, gateway):
    project = assign_place.create("lung")
    server = launch(assign_place)
    ticket = gateway.ticket(project.id)
    asked = pb.AssignRequest(ticket=ticket, query=query_bytes(ONE)).SerializeToString()

    def spoilt(data):
        return pb.AssignRequest(ticket=ticket, query=data).SerializeToString()

    def refused(answer):
        if isinstance(answer, bytes):
            return False
        status, found, details = answer
        assert found in CATALOGUE, answer
        assert status not in {"INTERNAL", "UNKNOWN"}, answer
        assert details == TarnhelmError(CATALOGUE[found]).safe_message
        return True

    with grpc.insecure_channel(server.target) as channel:

        @settings(
            max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
        )
        @given(
            st.binary(max_size=300)
            | st.binary(max_size=300).map(spoilt)
            | st.tuples(st.integers(0, len(asked) - 1), st.binary(min_size=1, max_size=4)).map(
                lambda cut: asked[: cut[0]] + cut[1] + asked[cut[0] + len(cut[1]) :]
            )
        )
        def check(data):
            # What passes can only be the one question that was asked in full.
            if not refused(raw(channel, data)):
                parsed = pb.AssignRequest.FromString(data)
                assert parsed.ticket == ticket

        assert not refused(raw(channel, asked))
        before = counts_of(assign_place, project)
        check()
        assert counts_of(assign_place, project) == before
        assert not refused(raw(channel, asked))
    assert not [line for line in server.lines if "Traceback" in line or "CANARY" in line]


def test_questions_of_random_bytes_are_answered_or_refused_with_a_code(assign_place, launch, gateway):
    project = assign_place.create("lung")
    server = launch(assign_place)
    seen = set()
    with grpc.insecure_channel(server.target) as channel:

        @settings(
            max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
        )
        @given(QUERIES)
        def check(query):
            request = pb.AssignRequest(ticket=gateway.ticket(project.id), query=query.SerializeToString())
            answer = raw(channel, request.SerializeToString())
            seen.add("" if isinstance(answer, bytes) else answer[1])

        check()
    assert seen <= {"", "LNK-044", "DCM-012"}
    assert "LNK-044" in seen


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"uids": tuple(f"1.2.{number}" for number in range(20_000))}, ""),  # thousands of UIDs are a large object
        ({"uids": tuple(f"1.2.{number}" for number in range(20_001))}, "LNK-044"),
        ({"uids": ("1" * 4096,)}, ""),
        ({"uids": ("1" * 4097,)}, "LNK-044"),
        ({"patient_id": "é" * 2049}, "LNK-044"),  # bytes count
        ({"way_back": tuple(("other_id", str(number)) for number in range(2001))}, "LNK-044"),
        ({"way_back": (("shoe_size", "1"),)}, "LNK-044"),
        ({"way_back": tuple(("other_id", f"{number:04}" * 1000) for number in range(2000))}, "LNK-044"),  # 8 MB
    ],
)
def test_a_question_has_bounds(tmp_path, launch, gateway, change, wanted):
    place = LocalPlace(tmp_path)
    project = place.create("lung")
    server = launch(place)
    request = replace(ONE, **change)
    if wanted:
        assert code(server.ask, gateway.ticket(project.id), request) == wanted
        assert counts_of(place, project) == (0, 0, 0)
    else:
        answer = server.ask(gateway.ticket(project.id), request)
        assert len(answer.uids) == len(request.uids)


def test_an_oversized_message_is_not_read(tmp_path, launch, gateway):
    place = LocalPlace(tmp_path)
    server = launch(place)
    with grpc.insecure_channel(server.target) as channel:
        assert raw(channel, b"\0" * (7 << 20))[0] == "RESOURCE_EXHAUSTED"
        assert raw(channel, b"")[1] == "LNK-040"


def test_the_withdrawn_and_those_not_on_the_list_are_refused_and_nothing_is_kept(assign_place, launch, gateway):
    project = assign_place.create("lung")
    server = launch(assign_place)
    identities = assign_place.identities(project)
    ledger = assign_place.ledger(project)
    server.ask(gateway.ticket(project.id), ONE)
    ledger.withdraw(identities.patient(ONE.patient_id, ONE.issuer), "case-1")
    ledger.put_cohort([CohortEntry(identities.patient("MRN777777", "HOSPITAL"), "STUDY-1")])
    ledger.close()
    time.sleep(1.1)  # NOTICE_SECONDS
    assert code(server.ask, gateway.ticket(project.id), ONE) == "LNK-017"
    assert code(server.ask, gateway.ticket(project.id), TWO) == "LNK-018"
    assert counts_of(assign_place, project) == (0, 0, 0)


def test_a_stolen_identity_with_many_tickets_meets_the_quota_and_the_alarm(assign_place, launch, gateway):
    """A pod that was taken over spends the tickets of its objects on guesses."""
    project = assign_place.create("lung")
    server = launch(assign_place, "--subjects-per-hour", 220)
    guesses = canary_requests(225)
    outcomes = []
    for guess in guesses[:225]:
        try:
            server.ask(gateway.ticket(project.id), guess)
            outcomes.append("")
        except TarnhelmError as error:
            outcomes.append(error.code)
    assert outcomes == [""] * 220 + ["LNK-043"] * 5
    assert counts_of(assign_place, project)[0] == 220
    server.stop()
    alarms = [json.loads(line) for line in server.events("assign-alarm")]
    assert [alarm["reason"] for alarm in alarms] == ["share", "quota"]
    assert all(alarm["project"] == project.id and alarm["event"] == 310 for alarm in alarms)
