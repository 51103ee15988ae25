"""Opening through the real OpenBao: batches, rotation, destroyed keys, and control groups as a second lock."""

from __future__ import annotations

import io
import json
import secrets
import threading

import pytest
from tests.integration.test_reveal_server import approved, events, hospital, values
from tests.support.openbao import POLICIES
from tests.support.postgres import postgres
from tests.support.reveal_server import CANARIES
from tests.support.vault_sessions import error_of, new_project, private, until

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.ledger import SealedRecord, record_context
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.transit_names import root_key
from tarnhelm.reveal.client.release import release
from tarnhelm.reveal.core.answer import read_answer
from tarnhelm.reveal.core.cases import CaseKind, Verdict
from tarnhelm.reveal.core.openers.transit import ControlGroup, TransitOpener

__all__ = ["hospital", "postgres"]


def sealed(bao, project, count):
    items = [
        SealItem(
            json.dumps({"v": 1, "values": [["patient_id", f"MRN{n}"]]}).encode(), record_context("subject", f"S-{n}")
        )
        for n in range(count)
    ]
    blobs = bao.vault().seal_batch(project, items)
    return [SealedRecord(project, "subject", f"S-{n}", blob) for n, blob in enumerate(blobs)]


def test_many_records_open_in_their_order(bao, project):
    records = sealed(bao, project, 450)
    opened = list(TransitOpener(bao.session("reveal")).open(iter(records)))
    assert [row.handle for row in opened] == [f"S-{n}" for n in range(450)]
    assert opened[449].values == (("patient_id", "MRN449"),)
    assert "MRN449" not in repr(opened[449])


def test_a_record_opens_in_its_own_place_alone(bao, project):
    records = sealed(bao, project, 3)
    opener = TransitOpener(bao.session("reveal"))
    moved = SealedRecord(project, "subject", "S-0", records[1].sealed)
    cut = SealedRecord(project, "subject", "S-1", records[1].sealed[:-8])
    foreign = SealedRecord(new_project(bao), "subject", "S-2", records[2].sealed)
    for wrong in (moved, cut, SealedRecord(project, "study", "S-2", records[2].sealed)):
        error = error_of(list, opener.open([records[0], wrong]))
        assert (error.code, error.facts) == ("LNK-015", {"index": 1})
    assert error_of(list, opener.open([foreign])).code == "LNK-015"
    assert error_of(list, opener.open([SealedRecord(project, "subject", "S-1", b"TSL1xxxx")])).code == "LNK-015"


def test_rotation_closed_versions_and_destruction(bao, project):
    records = sealed(bao, project, 2)
    keeper, opener = bao.keeper(), TransitOpener(bao.session("reveal"))
    keeper.rotate(project)
    assert len(list(opener.open(records))) == 2
    keeper.set_min_decryption_version(project, 2)
    assert error_of(list, opener.open(records)).code == "LNK-033"
    renewed = sealed(bao, project, 2)
    assert len(list(opener.open(renewed))) == 2
    keeper.destroy(project)
    assert error_of(list, opener.open(renewed)).code == "LNK-009"
    strange = [SealedRecord(secrets.token_hex(16), "subject", "S-0", renewed[0].sealed)]
    assert error_of(list, opener.open(strange)).code == "LNK-010"


def test_other_roles_cannot_open(bao, project):
    records = sealed(bao, project, 1)
    for role in ("assign", "steward"):
        assert error_of(list, TransitOpener(bao.session(role)).open(records)).code == "LNK-030"


# --- a second person in the vault ------------------------------------------------------------------------------------


@pytest.fixture
def guarded(hospital, bao):
    """A server whose vault wants a second person, and Alice's own token of the vault."""
    for name in ("reveal-two-person", "approver"):
        policy = (POLICIES / f"{name}.hcl").read_text()
        bao.admin("PUT", f"sys/policies/acl/tarnhelm-{name}", {"policy": policy})
    provider = hospital.provider
    members = {"name": "tarnhelm-approvers", "member_entity_ids": [provider.entity("alice")]}
    bao.admin("POST", "identity/group", members)
    tokens = {
        name: private(hospital.folder / f"{name}.vault-token", provider.token_for(name, "tarnhelm-approver"))
        for name in ("alice", "bob")
    }
    replica = hospital.start(role="reveal-two-person", extra="two_person = true\ntwo_person_minutes = 1")
    return replica, tokens


def asked(hospital, view, replica, take):
    """Ask for an answer in a thread: what it waits for comes first."""
    told, done = [], {}

    def ask():
        bob = hospital.office("bob", replica.port, waits=told.append, login=False)
        spool = io.BytesIO()
        try:
            take(bob)(view, hospital.wish(view), spool)
            done["rows"] = list(read_answer(spool, hospital.keys["bob"], bob.register().writers()))
        except TarnhelmError as error:
            done["error"] = error

    thread = threading.Thread(target=ask)
    thread.start()
    return told, done, thread


def test_an_answer_waits_for_the_approver_in_the_vault(hospital, guarded, bao):
    replica, tokens = guarded
    _, view = approved(hospital, replica)
    told, done, thread = asked(hospital, view, replica, lambda office: office.answer)
    until(lambda: told, "nothing waits")
    project = hospital.project.id
    settings = hospital.remote(replica.port)
    # The accessor opens nothing, for nobody.
    for token in ("alice", "bob"):
        status, _ = bao.call("POST", "sys/wrapping/unwrap", {"token": told[0][0]}, token=tokens[token].read_text())
        assert status in {400, 403}
    assert not done
    assert error_of(release, settings, tokens["alice"], new_project(bao), told[0]).code == "RVL-049"
    release(settings, tokens["bob"], project, told[0])  # not a member: it does not count
    thread.join(2)
    assert thread.is_alive()
    passed = 0
    while thread.is_alive():
        for accessors in told[passed:]:
            assert release(settings, tokens["alice"], project, accessors) == len(accessors)
            passed += 1
        thread.join(0.2)
    assert set(CANARIES.values()) <= values(done["rows"])
    assert passed == 2  # the study, then its patient
    assert hospital.office("bob", replica.port, login=False).case(view.case.id).state is Verdict.USED


def test_a_mapping_is_let_pass_in_one_go(hospital, guarded):
    replica, tokens = guarded
    _, view = approved(hospital, replica, CaseKind.MAPPING)
    told, done, thread = asked(hospital, view, replica, lambda office: office.mapping)
    until(lambda: told, "nothing waits")
    release(hospital.remote(replica.port), tokens["alice"], hospital.project.id, told[0])
    thread.join(30)
    assert {row.kind for row in done["rows"]} == {"subject", "study"}
    assert len(told) == 1


def test_whom_nobody_lets_pass_spends_nothing(bao, hospital, guarded):
    replica, _ = guarded
    clock = iter(range(0, 10_000, 10))
    group = ControlGroup(30.0, clock=lambda: float(next(clock)), sleep=lambda _: None)
    session = bao.session("reveal", token_policies=["tarnhelm-reveal-two-person"])
    records = sealed(bao, hospital.project.id, 1)
    assert error_of(list, TransitOpener(session, group=group).open(records)).code == "RVL-048"
    # A server that is not told of the second person refuses at once instead of answering.
    assert error_of(list, TransitOpener(session).open(records)).code == "LNK-030"
    assert replica.port


def test_who_leaves_while_the_vault_waits_has_spent_nothing(hospital, guarded):
    replica, _ = guarded
    bob, view = approved(hospital, replica)
    told = []
    office = hospital.office("bob", replica.port, waits=told.append, login=False)
    parts = office._channel.answer(view.case.id, hospital.wish(view).to_bytes(), told.append)
    gone = []
    thread = threading.Thread(target=lambda: gone.append(error_of(list, parts).code))
    thread.start()
    until(lambda: told, "nothing waits")
    office.close()
    until(lambda: ("refused", "RVL-048") in events(replica) or ("refused", "RVL-045") in events(replica), "nobody left")
    assert bob.case(view.case.id).state is Verdict.APPROVED
    thread.join(10)
    assert gone == ["RVL-045"]


def test_the_approvers_policy_opens_nothing(bao, hospital, guarded):
    _, tokens = guarded
    token = tokens["alice"].read_text()
    for path in (
        f"transit/hmac/{root_key(hospital.project.id, 1)}",
        f"transit/decrypt/tarnhelm-seal-{hospital.project.id}",
    ):
        assert bao.call("POST", path, {"input": ""}, token=token)[0] == 403
