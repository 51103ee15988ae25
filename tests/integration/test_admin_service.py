"""The admin service over a real socket: who may what, two people, bulk, headers, and no identifier anywhere."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import grpc
import pydicom
import pytest
from pydicom.dataset import Dataset
from tarnhelm.v1 import admin_pb2 as pb
from tests.support.certificates import Authority
from tests.support.operating import Desk, eventually, running_hospital, world
from tools.demo_gateway import Running, cleaned_file

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.serve import ServerSettings
from tarnhelm.gateway.admin.client import channel_to
from tarnhelm.gateway.admin.server import AdminServer
from tarnhelm.gateway.admin.settings import AdminAddress, AdminCaller, Role
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state import Step
from tarnhelm.gateway.stream import road

__all__ = ["world"]

HELD = "a" * 32
FOUND = "b" * 32


@pytest.fixture
def ward(world):
    world.cleaned(world.add(HELD, State.QUARANTINED, code="PIX-001"))
    world.cleaned(
        world.add(FOUND, State.QUARANTINED, code="WIT-001"), cleaned_file(StudyDescription="Doe^Jane was here")
    )
    world.state.put_verdict(FOUND, {("WIT-001", "00081030 name"): 1}, "WIT-001")
    with running_hospital(world) as made:
        yield made


def decide(desk, decision, *ids, reason="a phantom"):
    return [
        (one.code, one.state)
        for one in desk("Decide", pb.DecideRequest(decision=decision, object_ids=ids, reason=reason)).results
    ]


def test_roles_are_held(ward) -> None:
    viewer, reviewer, admin = (ward.desk(f"local:{role.value}", role) for role in Role)
    for desk in (viewer, reviewer, admin):
        assert len(desk("ListObjects", pb.ListObjectsRequest()).objects) == 2
    assert (
        viewer.code("Decide", pb.DecideRequest(decision=pb.DECISION_RETRY, object_ids=[HELD], reason="why not"))
        == "WEB-002"
    )
    assert viewer.code("ShowHeader", pb.ShowHeaderRequest(object_id=HELD)) == "WEB-002"
    assert (
        viewer.code("DecideMatching", pb.DecideMatchingRequest(decision=pb.DECISION_REJECT, reason="why not"))
        == "WEB-002"
    )
    assert reviewer.code("GetSettings", pb.GetSettingsRequest()) == "WEB-002"
    assert admin("GetSettings", pb.GetSettingsRequest()).settings
    assert ward.world.state.get(HELD).state is State.QUARANTINED


@pytest.mark.parametrize(
    "metadata", [(), (("authorization", "Bearer " + "x" * 43),), (("authorization", "Basic abc"),)]
)
def test_a_stranger_gets_nothing(ward, metadata) -> None:
    desk = ward.desk("local:one", Role.ADMIN)
    desk.metadata = metadata
    assert desk.code("GetStatus", pb.GetStatusRequest()) == "WEB-001"
    assert desk.code("ListObjects", pb.ListObjectsRequest()) == "WEB-001"
    assert desk.code("Decide", pb.DecideRequest(decision=pb.DECISION_REJECT, object_ids=[HELD])) == "WEB-001"


def test_a_caller_that_speaks_for_people_must_name_one(ward) -> None:
    desk = ward.desk("local:one", Role.ADMIN)
    for changed in (("tarnhelm-role", "owner"), ("tarnhelm-subject", "No Body"), ("tarnhelm-subject", "")):
        given = dict(desk.metadata)
        given[changed[0]] = changed[1]
        desk.metadata = tuple(given.items())
        assert desk.code("GetStatus", pb.GetStatusRequest()) == "WEB-010"


def test_accepting_takes_two_people_and_the_witness_again(ward) -> None:
    first, second = ward.desk("local:one", Role.REVIEWER, "One"), ward.desk("local:two", Role.REVIEWER, "Two")
    assert decide(first, pb.DECISION_CONFIRM, HELD) == [("WEB-004", "")]
    assert decide(first, pb.DECISION_PROPOSE, HELD) == [("", "quarantined")]
    assert decide(first, pb.DECISION_CONFIRM, HELD) == [("WEB-003", "")]
    assert decide(second, pb.DECISION_PROPOSE, HELD) == [("WEB-029", "")]
    # The same subject under another name is the same person.
    assert decide(ward.desk("local:one", Role.REVIEWER, "Somebody else"), pb.DECISION_CONFIRM, HELD) == [
        ("WEB-003", "")
    ]
    shown = second("ShowObject", pb.ShowObjectRequest(object_id=HELD[:8]))
    assert (shown.object.proposed_by, shown.proposed_by_caller) == ("One", False)
    assert first("ShowObject", pb.ShowObjectRequest(object_id=HELD)).proposed_by_caller
    assert decide(second, pb.DECISION_CONFIRM, HELD) == [("", "admitted")]
    record = ward.world.state.get(HELD)
    assert (record.state, record.accepted, record.verdict, record.output_sha256) == (State.ADMITTED, True, "", "")
    ward.world.broker.flush(10)
    lag = ward.world.broker.lag(road.GROUPS["metadata"], [road.topic_of("metadata")])
    assert sum(lag.values()) == 1, "its first stage is woken"
    rows = first("ListDecisions", pb.ListDecisionsRequest()).decisions
    assert [(row.kind, row.person, row.subject) for row in rows] == [
        ("accept", "Two", "web:local:two"), ("propose", "One", "web:local:one")
    ]  # fmt: skip


def test_a_proposal_falls_with_the_next_decision(ward) -> None:
    first, second = ward.desk("local:one", Role.REVIEWER), ward.desk("local:two", Role.REVIEWER)
    decide(first, pb.DECISION_PROPOSE, HELD)
    decide(first, pb.DECISION_RETRY, HELD)
    record = ward.world.state.get(HELD)
    ward.world.state.save(
        record._replace(state=State.QUARANTINED, code="PIX-001", revision=record.revision + 1), record
    )
    assert decide(second, pb.DECISION_CONFIRM, HELD) == [("WEB-004", "")]


def test_what_the_witness_found_cannot_be_accepted(ward) -> None:
    first, second = ward.desk("local:one", Role.ADMIN), ward.desk("local:two", Role.ADMIN)
    assert decide(first, pb.DECISION_PROPOSE, FOUND) == [("RUN-008", "")]
    assert decide(second, pb.DECISION_CONFIRM, FOUND) == [("RUN-008", "")]
    assert decide(first, pb.DECISION_REJECT, FOUND) == [("", "rejected")]
    assert decide(first, pb.DECISION_RETRY, FOUND) == [("WEB-008", "")]


@pytest.mark.parametrize("reason", ["", "  a ", "x" * 501, "bell \x07 rings"])
def test_a_decision_needs_a_reason(ward, reason) -> None:
    desk = ward.desk("local:one", Role.REVIEWER)
    message = pb.DecideRequest(decision=pb.DECISION_REJECT, object_ids=[HELD], reason=reason)
    assert desk.code("Decide", message) == "WEB-009"
    assert ward.world.state.get(HELD).state is State.QUARANTINED


def test_bulk_holds_only_what_was_confirmed(ward) -> None:
    for number in range(12):
        ward.world.add(f"{number:032x}", State.QUARANTINED, code="PIX-002" if number % 2 else "PIX-001")
    desk = ward.desk("local:one", Role.REVIEWER)
    chosen = pb.ObjectFilter(codes=["PIX-001"])
    counted = desk("CountMatching", pb.CountMatchingRequest(filter=chosen, decision=pb.DECISION_RETRY))
    assert (counted.objects, counted.left_out) == (7, 0)
    wrong = pb.DecideMatchingRequest(filter=chosen, decision=pb.DECISION_RETRY, reason="new gate", expected_objects=6)
    assert desk.code("DecideMatching", wrong) == "WEB-005"
    wrong.expected_objects = 7
    done = desk("DecideMatching", wrong)
    assert (done.done, dict(done.refused)) == (7, {})
    states = ward.world.reading.tally()
    assert {(one.state.value, one.code): one.objects for one in states} == {
        ("admitted", ""): 7, ("quarantined", "PIX-002"): 6, ("quarantined", "WIT-001"): 1
    }  # fmt: skip
    whole = desk("CountMatching", pb.CountMatchingRequest(decision=pb.DECISION_PROPOSE))
    assert (whole.objects, whole.left_out) == (6, 8)


def test_a_list_goes_page_by_page(ward) -> None:
    for number in range(23):
        ward.world.add(f"{number:032x}", State.RELEASED, door="mr" if number % 2 else "ct")
    desk = ward.desk("local:one", Role.VIEWER)
    found, token = [], ""
    while True:
        page = desk(
            "ListObjects", pb.ListObjectsRequest(filter=pb.ObjectFilter(door="mr"), page_size=4, page_token=token)
        )
        found += [row.object_id for row in page.objects]
        token = page.next_page_token
        if not token:
            break
    assert found == [f"{number:032x}" for number in range(1, 23, 2)]
    assert desk.code("ListObjects", pb.ListObjectsRequest(filter=pb.ObjectFilter(states=["gone"]))) == "WEB-010"
    assert desk.code("ListObjects", pb.ListObjectsRequest(page_token="' OR 1=1")) == "WEB-010"  # noqa: S106 - a page
    assert desk.code("ShowObject", pb.ShowObjectRequest(object_id="000")) == "WEB-006"
    assert desk.code("ShowObject", pb.ShowObjectRequest(object_id="0000")) == "WEB-006", "several begin with it"


def test_a_cleaned_header_is_listed_by_a_worker(ward) -> None:
    desk = ward.desk("local:one", Role.REVIEWER)
    shown = desk("ShowHeader", pb.ShowHeaderRequest(object_id=HELD))
    lines = {one.keyword: (one.value, one.action) for one in shown.elements}
    assert lines["PatientName"] == ("Larsen^Marit", "REPLACE")
    assert lines["Rows"] == ("16", "KEEP")
    assert lines["CodeMeaning"] == ("Basic Profile", "")
    assert "PixelData" not in lines
    assert not shown.cut
    assert not shown.values_withheld
    assert not list(ward.world.folder.glob("header-*")), "nothing stays in the scratch"


def test_where_the_witness_found_something_no_value_is_shown(ward) -> None:
    desk = ward.desk("local:one", Role.ADMIN)
    shown = desk("ShowHeader", pb.ShowHeaderRequest(object_id=FOUND))
    assert shown.values_withheld
    assert {one.value for one in shown.elements} == {""}
    assert b"Jane" not in shown.SerializeToString()
    seen = desk("ShowObject", pb.ShowObjectRequest(object_id=FOUND))
    assert [(one.code, one.attribute) for one in seen.findings] == [("WIT-001", "StudyDescription name")]


def test_an_object_without_a_result_has_no_header(ward) -> None:
    ward.world.add("c" * 32, State.QUARANTINED, code="DCM-003")
    desk = ward.desk("local:one", Role.REVIEWER)
    assert desk.code("ShowHeader", pb.ShowHeaderRequest(object_id="c" * 32)) == "WEB-012"


@pytest.mark.parametrize("data", [b"", b"no DICOM at all", cleaned_file()[:400], cleaned_file()[:200] + b"\xff" * 500])
def test_a_damaged_result_is_no_fault_of_the_service(ward, data) -> None:
    ward.world.cleaned(ward.world.add("d" * 32, State.QUARANTINED, code="PIX-003"), data)
    desk = ward.desk("local:one", Role.REVIEWER)
    with contextlib.suppress(grpc.RpcError):  # with whichever code it is
        desk("ShowHeader", pb.ShowHeaderRequest(object_id="d" * 32))
    assert desk("ShowHeader", pb.ShowHeaderRequest(object_id=HELD)).elements


def test_what_a_worker_says_is_looked_at(ward) -> None:
    """A stage that a file has taken over could name a patient in what it counts."""
    from tarnhelm.common.stage import StageOutcome, Status

    record = ward.world.add("e" * 32, State.QUARANTINED, code="DCM-003")
    outcome = StageOutcome(
        Status.QUARANTINE, code="DCM-003", message="Doe^Jane 1957", actions={('(0019,"Jane Doe",10)', "Jane Doe"): 1},
        findings={("Doe^Jane", "Doe Jane"): 1},
    )  # fmt: skip
    ward.world.state.put_outcome(record.object_id, "metadata", road.outcome_key(record), outcome)
    shown = ward.desk("local:one", Role.ADMIN)("ShowObject", pb.ShowObjectRequest(object_id=record.object_id))
    assert b"Doe" not in shown.SerializeToString()
    assert b"Jane" not in shown.SerializeToString()


def test_the_status_follows_the_state(ward) -> None:
    desk = ward.desk("local:one", Role.VIEWER)
    answers = desk("WatchStatus", pb.WatchStatusRequest())
    first = next(answers).status
    ward.world.add("f" * 32, State.RELEASED, size=1_000_000)
    for answer in answers:
        status = answer.status
        if sum(one.objects for one in status.states) == 3:
            break
    answers.cancel()
    assert status.measured > first.measured
    assert {one.state: one.objects for one in status.states} == {"quarantined": 1, "released": 1} | {
        "quarantined": status.states[0].objects
    }
    assert any(sample.accepted > 0 and sample.bytes > 0 for sample in status.samples)


def test_a_certificate_is_a_caller(world, tmp_path) -> None:
    authority = Authority(tmp_path / "ca")
    server, page, person, stranger = (
        authority.issue(name, name) for name in ("admin.local", "web.local", "marie.local", "stranger.local")
    )
    served = ServerSettings(
        "127.0.0.1:0", server.certificate, server.key, authority.ca_file, drain_seconds=0.0, grace_seconds=1.0
    )
    callers = (
        AdminCaller("page", Role.REVIEWER, ("web.local",), speaks_for_people=True),
        AdminCaller("marie", Role.REVIEWER, ("marie.local",)),
    )
    settings = world.admin_settings()
    settings = type(settings)(server=served, callers=callers, scratch=tmp_path)
    with Running(AdminServer(settings, world.parts())) as port:
        found = []
        for pair in (page, person, stranger):
            address = AdminAddress(f"127.0.0.1:{port}", authority.ca_file, pair.certificate, pair.key)
            desk = Desk(port, "")
            desk.close()
            desk._channel = channel_to(address, asynchronous=False)
            from tarnhelm.v1 import admin_pb2_grpc

            desk._stub = admin_pb2_grpc.AdminServiceStub(desk._channel)
            if pair is page:
                desk.metadata = (
                    ("tarnhelm-subject", "local:one"),
                    ("tarnhelm-person-bin", b"One"),
                    ("tarnhelm-role", "admin"),
                )
            if pair is stranger:
                found.append(desk.code("WhoAmI", pb.WhoAmIRequest()))
            else:
                who = desk("WhoAmI", pb.WhoAmIRequest())
                found.append((who.subject, who.person, who.role))
            desk.close()
    assert found == [("page:local:one", "One", "reviewer"), ("caller:marie", "marie", "reviewer"), "WEB-001"]


def test_events_name_who_and_what(ward) -> None:
    desk = ward.desk("local:one", Role.REVIEWER, "Doe^Jane")
    decide(desk, pb.DECISION_REJECT, HELD, reason="Doe^Jane is no subject")
    eventually(lambda: "admin-decided" in ward.world.events.getvalue())
    text = ward.world.events.getvalue()
    assert '"subject":"web:local:one"' in text
    assert "Jane" not in text, "neither a name nor a reason gets into the log"


def test_a_deep_header_is_cut() -> None:
    from tarnhelm.gateway.admin.header import list_header

    innermost = Dataset()
    innermost.CodeValue = "1"
    for _ in range(12):
        outer = Dataset()
        outer.ContentSequence = [innermost]
        innermost = outer
    data = pydicom.dcmread(io.BytesIO(cleaned_file()))
    data.ContentSequence = innermost.ContentSequence
    stream = io.BytesIO()
    data.save_as(stream)
    listing = list_header(stream.getvalue(), len(stream.getvalue()), values=True)
    assert listing.cut
    assert max(line.depth for line in listing.lines) <= 9


def test_releases_are_listed_the_newest_first_and_after_the_purge(ward) -> None:
    for number in range(7):
        state = State.PURGED if number < 3 else State.RELEASED
        record = ward.world.add(f"{number:032x}", state, received=100.0 + number, output_sha256=f"{number:064x}")
        ward.world.state.add_step(record.object_id, Step(200.0 + number, "released"))
    ward.world.add("f" * 32, State.PURGED, received=300.0)  # was rejected: nothing of it left
    desk = ward.desk("local:one", Role.VIEWER)
    found, token = [], ""
    while True:
        page = desk("ListReleases", pb.ListReleasesRequest(page_size=2, page_token=token))
        found += [(row.object_id[-1], row.released) for row in page.releases]
        token = page.next_page_token
        if not token:
            break
    assert found == [(str(number), 200.0 + number) for number in range(6, -1, -1)]
    for wrong in ("released:zz", "gone:", "purged:1234"):
        assert desk.code("ListReleases", pb.ListReleasesRequest(page_token=wrong)) == "WEB-010"


@pytest.mark.parametrize(
    "changed", [{"sample_seconds": 0.0}, {"max_bulk_objects": 0}, {"header_workers": 0}, {"callers": "twice"}, {"callers": "none"},
                {"callers": "short"}, {"callers": "open"}, {"callers": "name"}],
)  # fmt: skip
def test_settings_that_do_not_fit_together(world, tmp_path, changed) -> None:
    short, other = tmp_path / "short", tmp_path / "open"
    short.write_text("x" * 31)
    short.chmod(0o600)
    other.write_text("x" * 43)
    other.chmod(0o644)
    callers = {
        "twice": (AdminCaller("one", certificate_names=("a",)), AdminCaller("two", certificate_names=("a",))),
        "none": (AdminCaller("one"),),
        "short": (AdminCaller("one", token_file=short),),
        "open": (AdminCaller("one", token_file=other),),
        "name": (AdminCaller("Doe^Jane", certificate_names=("a",)),),
    }
    if "callers" in changed:
        changed = {"callers": callers[changed["callers"]]}
    with pytest.raises(TarnhelmError) as caught:
        AdminServer(replace(world.admin_settings(), **changed), world.parts())
    assert caught.value.code == "WEB-024"


def test_off_this_machine_callers_need_certificates(world, tmp_path) -> None:
    pair = Authority(tmp_path / "ca").issue("admin.local", "admin.local")
    served = ServerSettings("0.0.0.0:0", pair.certificate, pair.key)
    with pytest.raises(TarnhelmError) as caught:
        AdminServer(replace(world.admin_settings(), server=served), world.parts())
    assert caught.value.code == "WEB-024"
