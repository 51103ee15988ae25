"""The end of a project on one machine: what dies half-way is carried on, and no certificate says what is not so."""

from __future__ import annotations

import pytest
from steward_ward import code_of

from tarnhelm.linkage.core.derive import patient_id_for, subject_key
from tarnhelm.linkage.core.identities import project_keys
from tarnhelm.reveal.steward.certificate import read_certificate
from tarnhelm.reveal.steward.keys import destroy_act, destroy_work, epoch_act, epoch_work
from tarnhelm.reveal.steward.places import LocalPlace


def destroying(ward):
    return ward.approved(destroy_act(ward.project, 90))


def carried_out(ward, case):
    return ward.carried_out(case, lambda office: destroy_work(ward.place, ward.project, office.ends))


def test_whoever_kept_a_surrogate_and_guesses_finds_nothing_any_more(ward):
    name = ward.send("MRN1")[0]
    keys = project_keys(ward.place.vault, ward.project)
    subject = ward.place.identities(ward.project).patient("MRN1", "HOSP")
    assert patient_id_for(subject_key(keys.project, subject), ward.project.settings.prefix) in name
    carried_out(ward, destroying(ward))
    assert code_of(lambda: project_keys(ward.place.vault, ward.project)) == "LNK-009"
    assert code_of(lambda: ward.place.identities(ward.project)) == "LNK-009"


def test_a_destruction_that_died_half_way_is_carried_on(ward, monkeypatch):
    ward.send("MRN1")
    case = destroying(ward)
    with monkeypatch.context() as patched:
        patched.setattr("tarnhelm.linkage.local.LocalLinkage._destroy_ledger", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            carried_out(ward, case)
    # The keys went first, and the book knows of it: nothing serves in between.
    assert code_of(lambda: ward.send("MRN1")) == "LNK-009"
    papers = carried_out(ward, case)
    document = read_certificate(papers["certificate"], ward.here.people().load().writers()).document
    assert document["facts"]["records"] == 3
    assert document["facts"]["ways_that_answer"] == 0
    assert len((ward.here.folder / "ends.jsonl").read_bytes().splitlines()) == 1
    assert not list((ward.state / "ledger").glob(f"{ward.project.id}*"))


def test_there_is_no_certificate_while_a_way_still_answers(ward, monkeypatch):
    ward.send("MRN1")
    case = destroying(ward)
    with monkeypatch.context() as patched:
        patched.setattr(LocalPlace, "destroy", lambda *_: None)
        assert code_of(lambda: carried_out(ward, case)) == "STW-016"
    assert not list((ward.here.folder / "papers").glob("*"))
    assert carried_out(ward, case)
    assert code_of(lambda: ward.send("MRN1")) == "LNK-009"


def test_an_epoch_that_somebody_else_opened_meanwhile_is_not_opened_twice(ward):
    first, second = ward.approved(epoch_act(ward.project)), ward.approved(epoch_act(ward.project), by="tom")
    ward.carried_out(first, epoch_work(ward.place, ward.project))
    current = ward.place.projects.get("trial-7")
    assert current.epoch == 2
    # Both signed the same act, and it was carried out.
    assert code_of(lambda: ward.carried_out(second, epoch_work(ward.place, current), by="tom")) == "STW-001"
    assert ward.place.projects.get("trial-7").epoch == 2
    act = epoch_act(ward.project)  # to epoch 2, asked for by somebody who looked before
    stale = ward.approved(act)
    assert code_of(lambda: ward.carried_out(stale, epoch_work(ward.place, current))) == "LNK-002"
