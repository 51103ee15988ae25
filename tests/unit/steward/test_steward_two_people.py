"""Attacks on the two signatures: each of them has to fail, and leave a trace."""

from __future__ import annotations

import pytest
from steward_ward import DAY, REASONS, code_of

from tarnhelm.reveal.core import cases
from tarnhelm.reveal.core.cases import CaseKind, Step
from tarnhelm.reveal.core.keyring import new_keys
from tarnhelm.reveal.core.people import Role
from tarnhelm.reveal.steward.acts import Act
from tarnhelm.reveal.steward.links import link_work, merge_act
from tarnhelm.reveal.steward.office import Work
from tarnhelm.reveal.steward.pairs import Pair, Patient


def merge(ward, prior="A", surviving="B"):
    identities = ward.place.identities(ward.project)
    return merge_act(ward.project, identities, [Pair(Patient(prior, "HOSP"), Patient(surviving, "HOSP"))])


def links(ward):
    return link_work(ward.place, ward.project)


def events(ward):
    with ward.place.ledger(ward.project) as ledger:
        return list(ledger.links())


def audited(ward):
    return (ward.here.folder / "audit" / "local.jsonl").read_text()


def test_one_person_alone_does_nothing(ward):
    case = ward.opened(merge(ward))
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "RVL-015"
    # Sam has the role of an approver as well: his own case he cannot approve.
    assert code_of(lambda: ward.decided(case, approver="sam")) == "RVL-011"
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "RVL-015"
    assert events(ward) == []
    assert '"event":"alarm"' in audited(ward)


def test_the_same_key_under_a_second_name_is_not_a_second_person(ward):
    assert code_of(lambda: ward.enrol("sam2", Role.APPROVER, keys=ward.keys["sam"])) == "RVL-002"
    assert code_of(lambda: ward.enrol("sam3", Role.APPROVER, keys=new_keys(), subject="idp#sam")) == "RVL-002"
    case = ward.opened(merge(ward))
    stranger = new_keys()
    with ward.office() as office:
        digest = office.desk.view(case.id).digest
        assert code_of(lambda: office.decide(case.id, digest, stranger, Step.APPROVE)) == "RVL-001"


def test_only_a_steward_opens_and_only_who_opened_carries_out(ward):
    assert code_of(lambda: ward.opened(merge(ward), by="carol")) == "RVL-003"
    case = ward.approved(merge(ward))
    assert code_of(lambda: ward.carried_out(case, links(ward), by="tom")) == "RVL-012"
    assert code_of(lambda: ward.carried_out(case, links(ward), by="alice")) in {"RVL-003", "RVL-012"}
    assert events(ward) == []


def test_an_approval_is_not_replayed_on_another_case(ward):
    first = ward.opened(merge(ward))
    second = ward.opened(merge(ward, "C", "D"))
    register = ward.here.people().load()
    with ward.office() as office:
        digest = office.desk.view(first.id).digest
        alice = register.active("alice")
        signed = cases.decide(ward.keys["alice"], alice, digest, Step.APPROVE, ward.clock())
        assert code_of(lambda: office.desk.decide(second.id, signed)) == "RVL-012"
        office.desk.decide(first.id, signed)
        assert code_of(lambda: office.desk.decide(first.id, signed)) == "RVL-018"
    assert code_of(lambda: ward.carried_out(second, links(ward))) == "RVL-015"


def test_a_case_is_carried_out_once_even_if_its_files_are_put_back(ward):
    act = merge(ward)
    case = ward.approved(act)
    store = ward.here.folder / "cases.sqlite"
    copy = store.read_bytes()
    ward.carried_out(case, links(ward))
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    store.write_bytes(copy)
    with ward.office() as office:
        office.acts.keep(act)
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "STW-002"
    assert len(events(ward)) == 1
    assert '"code":"STW-002"' in audited(ward)


def test_an_approval_holds_for_the_arguments_that_were_signed_and_no_others(ward):
    signed, other = merge(ward), merge(ward, "X", "Y")
    case = ward.approved(signed)
    path = ward.here.folder / "acts" / f"{case.arguments}.json"
    path.write_bytes(other.to_bytes())
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "STW-001"
    path.write_bytes(signed.to_bytes() + b" ")
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "STW-001"
    path.unlink()
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "STW-001"
    assert events(ward) == []


def test_nothing_is_approved_that_is_not_on_file_as_it_was_signed(ward):
    case = ward.opened(merge(ward))
    (ward.here.folder / "acts" / f"{case.arguments}.json").write_bytes(merge(ward, "X", "Y").to_bytes())
    assert code_of(lambda: ward.decided(case)) == "STW-001"


def test_an_act_of_one_kind_is_not_carried_out_by_a_case_of_another(ward):
    act = merge(ward)
    mislabelled = Act(CaseKind.UNMERGE, act.project, act.arguments)
    assert mislabelled.digest != act.digest
    case = ward.opened(act)
    with ward.office() as office:
        assert code_of(lambda: office.compare(case.id, mislabelled)) == "STW-006"
        assert code_of(lambda: office.compare(case.id, merge(ward, "X", "Y"))) == "STW-006"
        office.compare(case.id, act)


def test_a_stale_case_is_refused(ward):
    case = ward.approved(merge(ward), days=1)
    ward.clock.now += DAY + 1
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "RVL-014"
    # A clock that is put back does not revive it.
    ward.clock.now -= 200
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "RVL-014"
    assert events(ward) == []


def test_a_denial_takes_an_approval_back(ward):
    case = ward.approved(merge(ward))
    ward.decided(case, approver="carol", step=Step.DENY)
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "RVL-016"


def test_a_person_who_was_revoked_carries_nothing_out_and_approved_nothing(ward):
    case = ward.approved(merge(ward), approver="carol")
    with ward.here.audit() as audit:
        ward.here.people().change(
            audit,
            lambda register: register.revoke("carol", ward.keys["alice"], ward.clock()),
            person="carol",
            by="alice",
            what="revoke",
        )
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "RVL-004"


def test_the_audit_says_it_before_anything_is_done(ward):
    case = ward.approved(merge(ward))
    seen = []

    def do(_):
        lines = audited(ward).splitlines()
        seen.extend(line for line in lines if case.id in line)
        heads = (ward.share / "local.heads").read_text()
        # What happened is anchored elsewhere before it happens.
        assert f'"seq":{len(lines)}' in heads
        return {}

    ward.carried_out(case, Work(lambda _: {}, do))
    assert [
        word for line in seen for word in ("case-opened", "case-approved", "use-begun", '"used"') if word in line
    ] == [
        "case-opened",
        "case-approved",
        "use-begun",
        '"used"',
    ]


def test_without_an_anchor_that_takes_it_nothing_is_done(ward):
    case = ward.approved(merge(ward))
    for path in ward.share.iterdir():
        path.unlink()
    ward.share.rmdir()
    ward.share.write_text("a file in the way")
    with pytest.raises(Exception, match="anchor"):
        ward.carried_out(case, links(ward))
    assert events(ward) == []


def test_reasons_are_wanted(ward):
    with ward.office() as office:
        act = merge(ward)
        assert code_of(lambda: office.open(act, ward.keys["sam"], days=1, **{**REASONS, "purpose": "no"})) == "RVL-009"
