"""The assign server from end to end: what it answers is what an assigner in process answers."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.assign_server import METHOD, counts_of
from tests.support.canaries import canary_requests
from tests.support.vault_sessions import until

from tarnhelm.common.assign import AssignRequest, ValueKind, ValueQuery
from tarnhelm.common.errors import TarnhelmError

# What a decoder gives: any text, and bytes that no charset explains as lone surrogates.
TEXTS = st.text(st.characters(), max_size=24) | st.text(st.sampled_from("aZ09\udc80\udcff\ud800é^ \x00"), max_size=12)
KINDS = (
    "patient_id",
    "issuer",
    "patient_name",
    "birth_date",
    "other_id",
    "study_uid",
    "accession_number",
    "study_date",
)
REQUESTS = st.builds(
    AssignRequest,
    patient_id=TEXTS,
    issuer=TEXTS,
    study_uid=TEXTS,
    sex=st.sampled_from(["M", "F", "O", "", " f", "x\udc80"]),
    uids=st.lists(TEXTS, max_size=4, unique=True).map(tuple),
    values=st.lists(
        st.builds(ValueQuery, st.sampled_from(list(ValueKind)), st.sampled_from(["accession", "SURNAME"]), TEXTS),
        max_size=3,
    ).map(tuple),
    way_back=st.lists(st.tuples(st.sampled_from(KINDS), TEXTS), max_size=4).map(tuple),
)


def answer_or_code(call, *arguments):
    try:
        return call(*arguments)
    except TarnhelmError as error:
        return error.code


def test_the_answer_over_the_wire_is_the_answer_in_process(assign_place, launch, gateway):
    project = assign_place.create("lung")
    channel, local = launch(assign_place).channel(), assign_place.assigner(project)

    @settings(
        max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
    )
    @given(st.lists(REQUESTS, min_size=1, max_size=4))
    def check(requests):
        for request in requests:
            remote = answer_or_code(channel.assigner(gateway.ticket(project.id)).assign, request)
            assert remote == answer_or_code(local.assign, request)

    check()
    local.close()


def test_the_same_ticket_and_question_get_the_same_answer_over_a_restart(assign_place, launch, gateway):
    project = assign_place.create("lung")
    asked = [(gateway.ticket(project.id), request) for request in canary_requests()]
    first = launch(assign_place)
    answers = [first.ask(*pair) for pair in asked]
    assert [first.ask(*pair) for pair in asked] == answers
    written = counts_of(assign_place, project)
    first.stop(kill=True)
    second = launch(assign_place)
    assert [second.ask(*pair) for pair in asked] == answers
    assert counts_of(assign_place, project) == written  # nothing was written twice


def test_two_replicas_agree_and_share_tickets(assign_place, launch, gateway):
    project = assign_place.create("lung")
    servers = [launch(assign_place), launch(assign_place)]
    requests = [request for request in canary_requests(8) for _ in range(3)]
    tickets = [gateway.ticket(project.id) for _ in requests]

    def ask(at):
        return servers[at % 2].ask(tickets[at], requests[at]), servers[1 - at % 2].ask(tickets[at], requests[at])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(len(requests))))
    assert all(one == other for one, other in answers)
    assert len({one.subject_id for one, _ in answers}) == 9
    assert counts_of(assign_place, project) == (9, 9, 18)


def test_a_second_revision_and_a_destroyed_project_are_noticed(assign_place, launch, gateway):
    project = assign_place.create("lung")
    server = launch(assign_place)
    request = canary_requests(1)[0]
    assert server.ask(gateway.ticket(project.id), request).revision == 1
    assign_place.destroy(project)

    def destroyed():
        return answer_or_code(server.ask, gateway.ticket(project.id), request) == "LNK-009"

    until(destroyed, "the project is still answered for")


def test_a_connection_ends_gracefully_on_sigterm(assign_place, launch, gateway):
    project = assign_place.create("lung")
    server = launch(assign_place)
    requests = canary_requests(60)
    tickets = [gateway.ticket(project.id) for _ in requests]
    channel = server.channel()
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(answer_or_code, channel.ask, *pair) for pair in zip(tickets, requests, strict=True)]
        asked[0].result()
        assert server.process.poll() is None
        server.process.terminate()
        answers = [one.result() for one in asked]
    assert server.process.wait(30) == 0
    # Each call was answered in full or not taken at all; none was broken off with something else.
    assert {answer for answer in answers if isinstance(answer, str)} <= {"LNK-045"}
    again = launch(assign_place)
    for pair, before in zip(zip(tickets, requests, strict=True), answers, strict=True):
        after = again.ask(*pair)
        assert before in ("LNK-045", after)


def test_metrics_count_by_code_and_name_nobody(assign_place, launch, gateway):
    project = assign_place.create("lung")
    server = launch(assign_place)
    for request in canary_requests(5):
        server.ask(gateway.ticket(project.id), request)
    spent = gateway.ticket(project.id)
    requests = canary_requests(2)
    server.ask(spent, requests[0])
    assert answer_or_code(server.ask, spent, requests[1]) == "LNK-042"
    assert answer_or_code(server.ask, b"", requests[1]) == "LNK-040"
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines[f'tarnhelm_calls_total{{code="OK",method="{METHOD}"}}'] == "7.0"
    assert lines[f'tarnhelm_calls_total{{code="LNK-042",method="{METHOD}"}}'] == "1.0"
    assert lines[f'tarnhelm_calls_total{{code="LNK-040",method="{METHOD}"}}'] == "1.0"
    assert lines[f'tarnhelm_call_seconds_count{{method="{METHOD}"}}'] == "9.0"
    assert lines["tarnhelm_assign_subjects_last_hour"] == "6.0"
    assert lines["tarnhelm_assign_waiting"] == "0.0"
    assert lines["tarnhelm_assign_available"] == "1.0"
    assert project.id not in text


@pytest.mark.parametrize("service", ["", "tarnhelm.v1.AssignService"])
def test_health_says_serving(assign_place, launch, service):
    assert launch(assign_place).health(service) == "SERVING"
