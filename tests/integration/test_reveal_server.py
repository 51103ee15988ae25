"""The reveal server on the real OpenBao and PostgreSQL: log in, ask, approve, answer once, verify."""

from __future__ import annotations

import io
import re
import threading
import time

import grpc
import psycopg
import pytest
from tarnhelm.v1 import reveal_pb2 as pb
from tarnhelm.v1 import reveal_pb2_grpc
from tests.support.postgres import postgres
from tests.support.reveal_server import CANARIES, as_role, new_hospital
from tests.support.vault_sessions import error_of

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.client.channel import RevealChannel
from tarnhelm.reveal.client.office import LOGIN_NAME
from tarnhelm.reveal.core.answer import read_answer
from tarnhelm.reveal.core.audit.verify import read_chain
from tarnhelm.reveal.core.cases import CaseKind, Verdict
from tarnhelm.reveal.core.people import Register, make_card
from tarnhelm.reveal.core.store_postgres import PostgresCases
from tarnhelm.reveal.identity.login import Login, read_login

__all__ = ["postgres"]


@pytest.fixture
def hospital(tmp_path, bao, postgres):
    found = new_hospital(tmp_path, bao, postgres)
    yield found
    found.close()


def values(rows):
    return {value for row in rows for _, value in row.values}


def answered(hospital, office, view, who="bob"):
    spool = io.BytesIO()
    office.answer(view, hospital.wish(view, who), spool)
    return list(read_answer(spool, hospital.keys[who], office.register().writers()))


def approved(hospital, replica, kind=CaseKind.ANSWER, *names, offices=None):
    bob, alice = offices or (hospital.office("bob", replica.port), hospital.office("alice", replica.port))
    opened = hospital.case(bob, "bob", kind, *names)
    return bob, alice.decide(opened.case.id, hospital.decision("alice", opened))


def events(replica, name="local"):
    """Events of a replica's audit with their codes."""
    chain = read_chain((replica.here.folder / "audit" / f"{name}.jsonl").read_bytes(), name)
    return [(line.event, line.fields.get("code", "")) for line in chain.lines]


def second_replica(hospital, admin, change=None):
    """Start a replica with an audit of its own; ``admin`` is alice's office at the first."""
    place = hospital.place("two")
    public = place.found_replica("two", hospital.root, anchors=[str(hospital.folder / "share")])
    if change is not None:
        change(place)
    assert error_of(lambda: hospital.start("two")).code == "RVL-001"
    admin.change(
        lambda people: people.enrol_writer("two", public, hospital.keys["alice"], hospital.clock()),
        person="two", by="alice", what="writer",
    )  # fmt: skip
    return hospital.start("two")


def test_ask_approve_answer_once_and_verify(hospital):
    replica = hospital.start()
    bob, alice = hospital.office("bob", replica.port), hospital.office("alice", replica.port)
    opened = hospital.case(bob)
    assert bob.labels() == {hospital.project.id: hospital.project.label}
    assert error_of(bob.answer, opened, hospital.wish(opened), io.BytesIO()).code == "RVL-015"
    decided = alice.decide(opened.case.id, hospital.decision("alice", opened))
    assert decided.state is Verdict.APPROVED
    found = values(answered(hospital, bob, decided))
    assert set(CANARIES.values()) <= found
    assert error_of(bob.answer, decided, hospital.wish(decided), io.BytesIO()).code == "RVL-017"
    assert alice.case(opened.case.id).state is Verdict.USED
    replica.close()
    reports = replica.here.verify()
    assert [report.problem for report in reports] == [None]
    assert reports[0].anchored == reports[0].lines


def test_mapping_and_locate_give_what_a_case_of_their_kind_asks(hospital):
    replica = hospital.start()
    bob, view = approved(hospital, replica, CaseKind.MAPPING)
    spool = io.BytesIO()
    assert error_of(bob.answer, view, hospital.wish(view), io.BytesIO()).code == "RVL-032"
    bob.mapping(view, hospital.wish(view), spool)
    rows = list(read_answer(spool, hospital.keys["bob"], bob.register().writers()))
    assert {row.kind for row in rows} == {"subject", "study"}
    surrogate = hospital.reply.uids[hospital.series]
    bob, view = approved(hospital, replica, CaseKind.LOCATE, surrogate, "2.25.999")
    spool = io.BytesIO()
    candidates = [f"1.2.3.{number}" for number in range(50_000)] + [hospital.series]
    bob.locate(view, hospital.wish(view), candidates, spool)
    rows = {row.surrogate: row for row in read_answer(spool, hospital.keys["bob"], bob.register().writers())}
    assert rows[surrogate].values == (("uid", hospital.series),)
    assert not rows["2.25.999"].found


def test_who_signed_must_be_who_is_logged_in(hospital):
    replica = hospital.start()
    bob = hospital.office("bob", replica.port)
    opened = hospital.case(bob)
    # Bob got hold of Alice's key, and is himself at the identity provider.
    assert error_of(bob.decide, opened.case.id, hospital.decision("alice", opened)).code == "RVL-042"
    assert error_of(bob.open, hospital.signed_case("dave", CaseKind.ANSWER, "S-1")).code == "RVL-042"
    alice = hospital.office("alice", replica.port)
    assert error_of(alice.answer, opened, hospital.wish(opened), io.BytesIO()).code == "RVL-042"
    assert error_of(bob.decide, opened.case.id, hospital.decision("bob", opened)).code in {"RVL-003", "RVL-011"}
    assert events(replica).count(("alarm", "RVL-042")) == 3


def test_one_human_under_two_names_is_refused(hospital):
    replica = hospital.start()
    bob, alice = hospital.office("bob", replica.port), hospital.office("alice", replica.port)
    opened = hospital.case(bob)
    # Carol's key and card, but the account of Bob: the token names Bob, the login statement is Carol's.
    hospital.log_in("carol", replica.port, account="bob")
    carol = hospital.office("carol", replica.port, login=False)
    assert error_of(carol.decide, opened.case.id, hospital.decision("carol", opened)).code == "RVL-041"
    # A second name for Bob's subject cannot be enrolled, whoever the admin is.
    twin = make_card(hospital.keys["dave"], "bob-2", "Bob", hospital.subjects["bob"])
    refused = error_of(
        lambda: alice.change(
            lambda people: people.enrol(twin, ["approver"], hospital.keys["alice"], hospital.clock()),
            person="bob-2", by="alice", what="enrol",
        )
    )  # fmt: skip
    assert refused.code == "RVL-002"
    assert ("alarm", "RVL-041") in events(replica)


def test_without_a_login_of_today_nobody_is_let_in(hospital):
    replica = hospital.start()
    home = hospital.log_in("bob", replica.port)
    good = read_login(home / "reveal" / LOGIN_NAME, hospital.clock())
    stale = (home / "reveal" / LOGIN_NAME).read_bytes()
    assert b'"token"' in stale
    other = hospital.log_in("dave", replica.port)
    others = read_login(other / "reveal" / LOGIN_NAME, hospital.clock())
    head, body, signature = good.token.split(".")
    tried = {
        "": "RVL-040",
        "x": "RVL-041",
        f"{head}.{body}.": "RVL-041",
        f"{head}.{others.token.split('.')[1]}.{signature}": "RVL-041",
        "A" * 4_000: "RVL-041",
    }
    for token, code in tried.items():
        assert refusal(hospital, replica, Login(token, good.statement, good.expires)) == code, token[:20]
    # Another login's statement, of the same person's key too, is not the one that the token was asked with.
    again = read_login(hospital.log_in("bob", replica.port) / "reveal" / LOGIN_NAME, hospital.clock())
    for statement in (b"", b"{}", others.statement, again.statement):
        assert refusal(hospital, replica, Login(good.token, statement, good.expires)) == "RVL-041"
    assert refusal(hospital, replica, good) == ""


def refusal(hospital, replica, login):
    channel = RevealChannel(hospital.remote(replica.port), lambda: login)
    try:
        channel.projects()
    except TarnhelmError as error:
        return error.code
    finally:
        channel.close()
    return ""


def test_a_flood_at_the_door_takes_ten_lines_a_minute(hospital):
    replica = hospital.start()
    before = len(events(replica))
    home = hospital.log_in("bob", replica.port)
    good = read_login(home / "reveal" / LOGIN_NAME, hospital.clock())
    for _ in range(40):
        assert refusal(hospital, replica, Login(good.token, b"", good.expires)) == "RVL-041"
    assert len(events(replica)) - before in range(10, 22)


def test_only_listed_certificates_reach_the_server(hospital):
    replica = hospital.start()
    target = f"127.0.0.1:{replica.port}"
    authority = hospital.authority.ca_file.read_bytes()
    plain = grpc.secure_channel(target, grpc.ssl_channel_credentials(authority))
    with plain, pytest.raises(grpc.RpcError) as caught:
        reveal_pb2_grpc.RevealServiceStub(plain).ListProjects(pb.ListProjectsRequest(), timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    wrong = hospital.authority.issue("assign", "assign.example")
    given = grpc.ssl_channel_credentials(authority, wrong.key.read_bytes(), wrong.certificate.read_bytes())
    with grpc.secure_channel(target, given) as channel, pytest.raises(grpc.RpcError) as caught:
        reveal_pb2_grpc.RevealServiceStub(channel).ListProjects(pb.ListProjectsRequest(), timeout=5)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_requester_sees_own_cases_alone(hospital):
    replica = hospital.start()
    bob, dave, erin = (hospital.office(name, replica.port) for name in ("bob", "dave", "erin"))
    opened = hospital.case(bob)
    assert [view.case.id for view in bob.cases("")] == [opened.case.id] == [view.case.id for view in erin.cases("")]
    assert list(dave.cases("")) == []
    assert error_of(dave.case, opened.case.id).code == "RVL-008"
    assert error_of(dave.audit_head).code == "RVL-003"
    assert b'"head"' in erin.audit_head()


def test_a_revocation_works_on_every_replica_at_once(hospital):
    one = hospital.start()
    alice = hospital.office("alice", one.port)
    two = second_replica(hospital, alice)
    bob, view = approved(hospital, one)
    elsewhere = hospital.office("bob", two.port)
    assert elsewhere.case(view.case.id).state is Verdict.APPROVED
    alice.change(
        lambda people: people.revoke("bob", hospital.keys["alice"], hospital.clock()),
        person="bob", by="alice", what="revoke",
    )  # fmt: skip
    for office in (bob, elsewhere):
        assert error_of(office.answer, view, hospital.wish(view), io.BytesIO()).code == "RVL-004"


def test_of_many_askers_on_two_replicas_one_is_answered(hospital):
    one = hospital.start()
    alice = hospital.office("alice", one.port)
    two = second_replica(hospital, alice)
    bob, view = approved(hospital, one)
    elsewhere = hospital.office("bob", two.port)
    spools, codes = [], []

    def ask(office):
        spool = io.BytesIO()
        try:
            office.answer(view, hospital.wish(view), spool)
            spools.append(spool)
        except TarnhelmError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=ask, args=(office,)) for office in (bob, elsewhere) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(spools) == 1
    assert set(codes) <= {"RVL-017", "RVL-024"}
    used = sum(
        event == "used" for replica, name in ((one, "local"), (two, "two")) for event, _ in events(replica, name)
    )
    assert used >= 1
    writers = bob.register().writers()
    assert set(CANARIES.values()) <= values(read_answer(spools[0], hospital.keys["bob"], writers))


@pytest.fixture
def one_a_day(hospital):
    """Two replicas whose limit is one answer a day, offices of Bob at each, and two approved cases."""

    def limit(place):
        path = place.folder / "reveal.toml"
        path.write_text(re.sub(r"(answers_per_day_of_requester) = 20", r"\1 = 1", path.read_text()))

    limit(hospital.place("one"))
    one = hospital.start()
    alice, bob = hospital.office("alice", one.port), hospital.office("bob", one.port)
    two = second_replica(hospital, alice, limit)
    views = [approved(hospital, one, offices=(bob, alice))[1] for _ in range(2)]
    return two, (bob, hospital.office("bob", two.port)), views


def test_the_limit_of_a_day_counts_on_all_replicas_together(hospital, one_a_day):
    two, offices, views = one_a_day
    answered(hospital, offices[0], views[0])
    refused = error_of(offices[1].answer, views[1], hospital.wish(views[1]), io.BytesIO())
    assert (refused.code, refused.facts) == ("RVL-019", {"limit": 1})
    assert ("alarm", "RVL-019") in events(two, "two")


def test_the_limit_holds_where_two_replicas_count_at_the_same_time(hospital, one_a_day, monkeypatch):
    _, offices, views = one_a_day
    count = PostgresCases.uses

    def slowly(self, *given):
        found = count(self, *given)
        time.sleep(0.5)  # what another replica adds meanwhile must not be missed
        return found

    monkeypatch.setattr(PostgresCases, "uses", slowly)
    ended = []

    def ask(office, view):
        try:
            office.answer(view, hospital.wish(view), io.BytesIO())
            ended.append("answered")
        except TarnhelmError as error:
            ended.append(error.code)

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(offices, views, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ended) == ["RVL-019", "answered"]


def test_the_servers_roles_in_the_databases_can_only_read_and_add(hospital):
    replica = hospital.start()
    _, view = approved(hospital, replica)
    ledger = as_role(hospital.ledger_address, hospital.role)
    cases = as_role(hospital.cases_address, hospital.role)
    allowed = {ledger: ["SELECT count(*) FROM linkage.record"], cases: ["SELECT count(*) FROM reveal.event"]}
    denied = {
        ledger: [
            "DELETE FROM linkage.record",
            "UPDATE linkage.record SET handle = 'x'",
            "INSERT INTO linkage.book (name) VALUES ('x')",
            "SELECT count(*) FROM linkage.sex",
            "SELECT count(*) FROM linkage.ticket",
        ],
        cases: [
            "DELETE FROM reveal.event",
            "UPDATE reveal.event SET step = 'open'",
            "TRUNCATE reveal.event",
            "DELETE FROM reveal.person",
            "DROP TABLE reveal.event",
        ],
    }
    for address in (ledger, cases):
        with psycopg.connect(address, autocommit=True) as connection:
            for statement in allowed[address]:
                connection.execute(statement)
            for statement in denied[address]:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
    with psycopg.connect(hospital.cases_address, autocommit=True) as owner:
        # Its owner is stopped by the triggers, unless the owner takes them away: the audit shows what then is missing.
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("UPDATE reveal.event SET step = 'open'")
        assert owner.execute("SELECT count(*) FROM reveal.event WHERE case_id = %s", (view.case.id,)).fetchone() == (2,)


def test_people_who_were_put_into_the_table_are_not_believed(hospital):
    replica = hospital.start()
    bob = hospital.office("bob", replica.port)
    forged = Register()
    forged.enrol(
        make_card(hospital.keys["dave"], "dave", "Dave", hospital.subjects["dave"]), ["admin"], hospital.keys["dave"], 1
    )
    with psycopg.connect(hospital.cases_address, autocommit=True) as owner:
        owner.execute("INSERT INTO reveal.person VALUES (99, %s)", (forged.lines()[0],))
    assert error_of(bob.labels).code == "RVL-005"


def test_a_vault_that_refuses_spends_nothing(hospital, bao):
    replica = hospital.start()
    bob, view = approved(hospital, replica)
    bao.admin("POST", "sys/policies/acl/tarnhelm-reveal", {"policy": 'path "x" { capabilities = ["read"] }'})
    try:
        assert error_of(bob.answer, view, hospital.wish(view), io.BytesIO()).code == "LNK-030"
    finally:
        bao.configure()
    assert bob.case(view.case.id).state is Verdict.APPROVED
    assert ("refused", "LNK-030") in events(replica)
    assert values(answered(hospital, bob, view))


def test_fuzzed_requests_end_with_a_code_and_the_server_lives(hospital):
    replica = hospital.start()
    home = hospital.log_in("bob", replica.port)
    login = read_login(home / "reveal" / LOGIN_NAME, hospital.clock())
    given = (("authorization", f"Bearer {login.token}"), ("tarnhelm-login-bin", login.statement))
    pair = hospital.person_pair
    secure = grpc.ssl_channel_credentials(
        hospital.authority.ca_file.read_bytes(), pair.key.read_bytes(), pair.certificate.read_bytes()
    )
    wrong = [b"", b"\x00", b"{}", b'{"label":"case","document":{},"signature":"00"}', b"\xff" * 5000, b"[" * 100_000]
    with grpc.secure_channel(f"127.0.0.1:{replica.port}", secure) as channel:
        stub = reveal_pb2_grpc.RevealServiceStub(channel)
        for document in wrong:
            for ask in asks(stub, document, given):
                with pytest.raises(grpc.RpcError) as caught:
                    ask()
                code = dict(caught.value.trailing_metadata())["tarnhelm-code"]
                assert code != "RVL-047"
        raw = channel.unary_unary("/tarnhelm.v1.RevealService/OpenCase", lambda data: data, lambda data: data)
        with pytest.raises(grpc.RpcError) as caught:
            raw(b"\xff\xff\xff", timeout=10, metadata=given)
        assert dict(caught.value.trailing_metadata())["tarnhelm-code"] == "RVL-046"
        assert stub.ListProjects(pb.ListProjectsRequest(), timeout=10, metadata=given).projects


def asks(stub, document, given):
    """Every call with the same odd bytes."""
    rest = {"timeout": 10, "metadata": given}
    case = "0" * 32
    return (
        lambda: stub.OpenCase(pb.OpenCaseRequest(document=document), **rest),
        lambda: stub.DecideCase(pb.DecideCaseRequest(case_id=case, document=document), **rest),
        lambda: list(stub.AnswerCase(pb.AnswerCaseRequest(case_id=case, document=document), **rest)),
        lambda: list(stub.ExportMapping(pb.ExportMappingRequest(case_id=case, document=document), **rest)),
        lambda: stub.AddRegisterLine(pb.AddRegisterLineRequest(line=document), **rest),
        lambda: stub.GetCase(pb.GetCaseRequest(case_id=repr(document)[:4000]), **rest),
        lambda: list(stub.Locate(iter([pb.LocateRequest(originals=["x"])]), **rest)),
    )
