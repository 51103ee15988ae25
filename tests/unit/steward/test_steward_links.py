"""Merging and splitting: what changes, what the correction says, what is refused."""

from __future__ import annotations

import json

import pytest
from steward_ward import code_of, study_of

from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.steward.certificate import read_certificate
from tarnhelm.reveal.steward.links import history, link_work, merge_act, split_act, undo_act
from tarnhelm.reveal.steward.pairs import Pair, Patient
from tarnhelm.reveal.steward.withdrawal import by_patients, withdraw_act, withdraw_work


def pair(prior, surviving):
    return Pair(Patient(prior, "HOSP"), Patient(surviving, "HOSP"))


def merge(ward, *pairs):
    identities = ward.place.identities(ward.project)
    return merge_act(ward.project, identities, [pair(*one) for one in pairs])


def links(ward):
    return link_work(ward.place, ward.project)


def correction(ward, papers):
    return read_certificate(papers["correction"], ward.here.people().load().writers()).document


def numbers(ward, kind):
    with ward.place.ledger(ward.project) as ledger:
        return [event.id for event, holds in history(ledger) if holds and event.kind == kind]


def undo(ward, kind, events):
    with ward.place.ledger(ward.project) as ledger:
        return undo_act(ward.project, ledger, events, kind)


def test_a_merge_renames_and_the_correction_says_whom_without_an_identifier(ward):
    first, second = ward.send("MRN1"), ward.send("MRN2")
    _, papers = ward.done(merge(ward, ("MRN1", "MRN2")), links(ward))
    assert ward.send("MRN1")[0] == second[0]
    assert ward.send("MRN1")[1] == first[1]  # the study keeps its UID
    (change,) = correction(ward, papers)["changes"]
    (epoch,) = change["epochs"]
    assert (epoch["old_patient_id"], epoch["new_patient_id"]) == (first[0], second[0])
    assert epoch["date_shift_days"] == second[2] - first[2]
    assert change["studies"] == [first[1]]
    assert change["released_patient_ids"] == [first[0]]
    for word in ("MRN1", "MRN2", "CANARY", study_of("MRN1")):
        assert word.encode() not in papers["correction"]


def test_a_merge_is_taken_back_wholly(ward):
    first, second = ward.send("MRN1"), ward.send("MRN2")
    ward.done(merge(ward, ("MRN1", "MRN2")), links(ward))
    _, papers = ward.done(undo(ward, CaseKind.UNMERGE, numbers(ward, "link")), links(ward))
    assert ward.send("MRN1") == first
    assert ward.send("MRN2") == second
    (change,) = correction(ward, papers)["changes"]
    assert change["epochs"][0]["old_patient_id"] == second[0]
    assert change["epochs"][0]["new_patient_id"] == first[0]
    assert code_of(lambda: ward.done(undo(ward, CaseKind.UNMERGE, [1]), links(ward))) == "LNK-020"


def test_a_chain_of_merges_in_one_case_ends_at_the_last(ward):
    for mrn in ("A", "B", "C"):
        ward.send(mrn)
    last = ward.send("C")
    _, papers = ward.done(merge(ward, ("A", "B"), ("B", "C")), links(ward))
    assert ward.send("A")[0] == ward.send("B")[0] == last[0]
    assert len(correction(ward, papers)["changes"]) == 2


@pytest.mark.parametrize(
    "pairs",
    [
        [("A", "B"), ("B", "A")],
        [("A", "B"), ("B", "C"), ("C", "A")],
        [("A", "B"), ("A", "C")],
    ],
)
def test_a_circle_or_a_second_target_is_refused_and_the_case_is_not_spent(ward, pairs):
    for mrn in ("A", "B", "C"):
        ward.send(mrn)
    case = ward.approved(merge(ward, *pairs))
    assert code_of(lambda: ward.carried_out(case, links(ward))) == "LNK-019"
    assert numbers(ward, "link") == []
    with ward.office() as office:
        assert str(office.desk.view(case.id).state) == "approved"


def test_a_circle_over_two_cases_is_refused(ward):
    ward.done(merge(ward, ("A", "B")), links(ward))
    assert code_of(lambda: ward.done(merge(ward, ("B", "A")), links(ward))) == "LNK-019"
    assert code_of(lambda: merge(ward, ("A", "A"))) == "LNK-019"


def test_who_was_withdrawn_is_merged_with_nobody(ward):
    ward.send("A")
    ward.send("B")
    identities = ward.place.identities(ward.project)
    act = withdraw_act(ward.project, by_patients(identities, [Patient("A", "HOSP")]))
    ward.done(act, lambda office: withdraw_work(ward.place, ward.project, office.ends))
    for pairs in (("A", "B"), ("B", "A")):
        assert code_of(lambda pairs=pairs: ward.done(merge(ward, pairs), links(ward))) == "LNK-017"
    assert "CANARY^B" in ward.opened_text()


def test_a_merge_that_was_approved_before_a_withdrawal_is_refused_after_it(ward):
    ward.send("A")
    ward.send("B")
    waiting = ward.approved(merge(ward, ("B", "A")))
    identities = ward.place.identities(ward.project)
    act = withdraw_act(ward.project, by_patients(identities, [Patient("A", "HOSP")]))
    ward.done(act, lambda office: withdraw_work(ward.place, ward.project, office.ends), by="tom")
    assert code_of(lambda: ward.carried_out(waiting, links(ward))) == "LNK-017"


def test_a_split_moves_one_study_and_leaves_the_other(ward):
    first = ward.send("A", study="1.2.3.1")
    second = ward.send("A", study="1.2.3.2")
    with ward.place.ledger(ward.project) as ledger:
        act = split_act(ward.project, ledger, [second[1]], b"")
    _, papers = ward.done(act, links(ward))
    moved = ward.send("A", study="1.2.3.2")
    assert moved[0] != second[0]
    assert moved[1] == second[1]
    assert ward.send("A", study="1.2.3.1") == first
    (change,) = correction(ward, papers)["changes"]
    assert change["studies"] == [second[1]]
    assert change["epochs"][0]["new_patient_id"] == moved[0]
    ward.done(undo(ward, CaseKind.UNSPLIT, numbers(ward, "split")), links(ward))
    assert ward.send("A", study="1.2.3.2") == second


def test_studies_of_two_patients_are_not_split_off_together(ward):
    first, second = ward.send("A"), ward.send("B")
    with ward.place.ledger(ward.project) as ledger:
        assert code_of(lambda: split_act(ward.project, ledger, [first[1], second[1]], b"")) == "LNK-019"
        assert code_of(lambda: split_act(ward.project, ledger, ["2.25.1"], b"")) == "STW-004"


def test_the_correction_of_a_merge_that_died_half_way_still_names_what_was(ward, monkeypatch):
    first, second = ward.send("MRN1"), ward.send("MRN2")
    case = ward.approved(merge(ward, ("MRN1", "MRN2")))
    monkeypatch.setattr("tarnhelm.reveal.steward.links.difference", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ward.carried_out(case, links(ward))
    monkeypatch.undo()
    assert code_of(lambda: ward.carried_out(case, links(ward), by="tom")) == "RVL-012"
    papers = ward.carried_out(case, links(ward))
    (change,) = correction(ward, papers)["changes"]
    assert change["epochs"][0]["old_patient_id"] == first[0]
    assert change["epochs"][0]["new_patient_id"] == second[0]
    assert numbers(ward, "link") == [1]


def test_an_act_that_was_carried_out_lies_on_no_disk_any_more(ward):
    ward.send("A")
    _, papers = ward.done(merge(ward, ("A", "B")), links(ward))
    assert list((ward.here.folder / "acts").iterdir()) == []
    assert json.loads(papers["correction"])["document"]["kind"] == "merge"
