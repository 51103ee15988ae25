"""Withdrawing: nothing that opens to the patient stays, later arrivals are refused, the order names surrogates alone."""

from __future__ import annotations

import json

import pytest
from steward_ward import code_of, study_of

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.orders import read_order
from tarnhelm.linkage.core.projects import ProjectSettings
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.steward.certificate import read_certificate
from tarnhelm.reveal.steward.links import link_work, merge_act, undo_act
from tarnhelm.reveal.steward.pairs import Pair, Patient
from tarnhelm.reveal.steward.withdrawal import by_patients, by_surrogates, withdraw_act, withdraw_work


def by_mrn(ward, *mrns):
    identities = ward.place.identities(ward.project)
    return withdraw_act(ward.project, by_patients(identities, [Patient(mrn, "HOSP") for mrn in mrns]))


def by_name(ward, *names):
    with ward.place.ledger(ward.project) as ledger:
        return withdraw_act(ward.project, by_surrogates(ledger, names))


def work(ward):
    return lambda office: withdraw_work(ward.place, ward.project, office.ends)


def writer_key(ward):
    return ward.here.people().load().writers()["local"]


def merge(ward, prior, surviving):
    identities = ward.place.identities(ward.project)
    act = merge_act(ward.project, identities, [Pair(Patient(prior, "HOSP"), Patient(surviving, "HOSP"))])
    return ward.done(act, link_work(ward.place, ward.project))


def unmerge(ward, number):
    with ward.place.ledger(ward.project) as ledger:
        act = undo_act(ward.project, ledger, [number], CaseKind.UNMERGE)
    return ward.done(act, link_work(ward.place, ward.project))


@pytest.mark.parametrize("way", ["mrn", "patient_id", "study"])
def test_after_a_withdrawal_no_record_opens_to_the_patient(ward, way):
    gone, stays = ward.send("MRN1"), ward.send("MRN2")
    assert "CANARY^MRN1" in ward.opened_text()
    assert "/in/CANARY^MRN1/1.dcm" in ward.opened_text()
    act = {"mrn": lambda: by_mrn(ward, "MRN1"), "patient_id": lambda: by_name(ward, gone[0])}.get(
        way, lambda: by_name(ward, gone[1])
    )()
    _, papers = ward.done(act, work(ward))
    text = ward.opened_text()
    assert "MRN1" not in text
    assert "CANARY^MRN2" in text
    assert "/in/CANARY^MRN2/1.dcm" in text
    with pytest.raises(TarnhelmError) as caught:
        ward.send("MRN1")
    assert caught.value.code == "LNK-017"
    assert ward.send("MRN2") == stays
    order = read_order(papers["order"], writer_key(ward))
    assert order.patient_ids == (gone[0],)
    assert order.studies == (gone[1],)
    certificate = read_certificate(papers["certificate"], {"local": writer_key(ward)}).document
    assert certificate["facts"]["records_left"] == 0
    assert certificate["facts"]["people_refused_from_now_on"] == 1
    assert [one["person"] for one in certificate["signatures"]] == ["sam", "alice"]


def test_no_file_of_the_state_holds_the_withdrawn_names(ward):
    ward.send("MRN1")
    ward.done(by_mrn(ward, "MRN1"), work(ward))
    for path in [*ward.state.rglob("*"), *ward.share.rglob("*")]:
        if path.is_file():
            content = path.read_bytes()
            assert b"MRN1" not in content, path
            assert b"CANARY" not in content, path


def test_who_was_merged_with_the_person_goes_too_and_who_was_split_off_stays(ward):
    one, other = ward.send("A"), ward.send("B")
    merge(ward, "A", "B")
    _, papers = ward.done(by_mrn(ward, "A"), work(ward))
    assert "CANARY" not in ward.opened_text()
    order = read_order(papers["order"], writer_key(ward))
    assert set(order.patient_ids) == {one[0], other[0]}
    assert set(order.studies) == {one[1], other[1]}
    for mrn in ("A", "B"):
        assert code_of(lambda mrn=mrn: ward.send(mrn)) == "LNK-017"


def test_a_surrogate_that_stood_for_two_people_is_not_ordered_to_go_as_a_whole(ward):
    ward.send("A")
    second = ward.send("B")
    merge(ward, "A", "B")
    third = ward.send("A", study="1.2.3.77")  # released under B's Patient ID
    assert third[0] == second[0]
    unmerge(ward, 1)
    assert code_of(lambda: by_name(ward, second[0])) == "STW-005"
    _, papers = ward.done(by_name(ward, third[1]), work(ward))
    order = read_order(papers["order"], writer_key(ward))
    assert second[0] not in order.patient_ids
    assert third[1] in order.studies
    assert second[1] not in order.studies
    assert "CANARY^B" in ward.opened_text()
    assert "CANARY^A" not in ward.opened_text()
    assert ward.send("B") == second


def test_somebody_who_never_came_is_refused_all_the_same(ward):
    ward.done(by_mrn(ward, "NEVER"), work(ward))
    assert code_of(lambda: ward.send("NEVER")) == "LNK-017"


def test_nobody_is_named_by_a_placeholder_or_an_unknown_surrogate(ward):
    assert code_of(lambda: by_mrn(ward, "")) == "STW-004"
    assert code_of(lambda: by_name(ward, "TRIAL7-NOBODY")) == "STW-004"
    assert code_of(lambda: by_mrn(ward)) == "STW-004"


def test_a_withdrawal_that_died_half_way_still_names_all_surrogates(ward, monkeypatch):
    gone = ward.send("MRN1")
    case = ward.approved(by_mrn(ward, "MRN1"))
    monkeypatch.setattr("tarnhelm.reveal.steward.withdrawal._order", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ward.carried_out(case, work(ward))
    assert "MRN1" not in ward.opened_text()
    monkeypatch.undo()
    papers = ward.carried_out(case, work(ward))
    order = read_order(papers["order"], writer_key(ward))
    assert (order.patient_ids, order.studies) == ((gone[0],), (gone[1],))
    assert code_of(lambda: ward.carried_out(case, work(ward))) == "STW-002"


def test_an_order_that_was_changed_or_is_of_another_key_is_refused(ward):
    ward.send("MRN1")
    _, papers = ward.done(by_mrn(ward, "MRN1"), work(ward))
    good, public = papers["order"], writer_key(ward)
    whole = json.loads(good)
    whole["document"]["patient_ids"] = []
    edited = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
    spaced = json.dumps(json.loads(good), sort_keys=True).encode()
    twice = good.rstrip(b"\n") + good
    for bad in (edited, spaced, twice, b"", b"[]", b"null", good[:-5]):
        assert code_of(lambda bad=bad: read_order(bad, public)) == "STW-008"
    assert code_of(lambda: read_order(good, bytes(32))) == "STW-008"
    assert code_of(lambda: read_order(papers["certificate"], public)) == "STW-008"
    assert code_of(lambda: read_certificate(good, {"local": public})) == "STW-008"


def test_the_uids_of_objects_go_with_the_person(ward):
    public = ward.project.settings.custodian_public_key
    project = ward.linkage.create("asks", ProjectSettings(custodian_public_key=public, record_uids=True))
    gone, stays = ward.send("MRN1", label="asks"), ward.send("MRN2", label="asks")
    assert ward.opened_text("asks").count("uids") == 2
    act = withdraw_act(project, by_patients(ward.place.identities(project), [Patient("MRN1", "HOSP")]))
    ward.done(act, lambda office: withdraw_work(ward.place, project, office.ends))
    text = ward.opened_text("asks")
    assert study_of("MRN1") not in text
    assert gone[1] not in text
    assert text.count("uids") == 1
    assert stays[1] in text


def test_paths_of_several_patients_in_one_batch_are_parted(ward):
    assigner = ward.linkage.assigner("trial-7")
    from tarnhelm.common.assign import AssignRequest

    owners = []
    for mrn in ("A", "B"):
        uid = study_of(mrn)
        reply = assigner.assign(AssignRequest(mrn, "HOSP", uid, "F", (uid,), (), ()))
        owners.append((reply.subject_id, reply.uids[uid]))
    pairs = [("/in/CANARY^A/1", "1"), ("/in/CANARY^B/1", "2"), ("/in/CANARY^A/2", "3")]
    assigner.record_paths("run", pairs, [owners[0], owners[1], owners[0]])
    assigner.close()
    assert ward.opened_text().count("/in/CANARY^A") == 2
    ward.done(by_mrn(ward, "A"), work(ward))
    text = ward.opened_text()
    assert "CANARY^A" not in text
    assert "/in/CANARY^B/1" in text


def test_paths_of_somebody_withdrawn_meanwhile_are_not_kept(ward):
    gone, stays = ward.send("A"), ward.send("B")
    assigner = ward.linkage.assigner("trial-7")
    ward.done(by_mrn(ward, "A"), work(ward))
    assigner.record_paths("late", [("/in/CANARY^A/9", "9"), ("/in/CANARY^B/9", "8")], [gone[:2], stays[:2]])
    assigner.close()
    assert "/in/CANARY^B/9" in ward.opened_text()
