"""Assigning on each ledger: merged, moved, withdrawn and listed subjects, noticed while it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.canaries import canary_requests
from tests.support.ledgers import code_of

from tarnhelm.common.assign import AssignReply
from tarnhelm.common.errors import CATALOGUE, VAULT_UNAVAILABLE, Disposition, TarnhelmError
from tarnhelm.linkage.core.assign import NOTICE_SECONDS, CacheSizes, LocalAssigner
from tarnhelm.linkage.core.identities import Identities
from tarnhelm.linkage.core.ledger import CohortEntry
from tarnhelm.linkage.local import LocalLinkage

REQUESTS = canary_requests(8)
A, B, C = REQUESTS[:3]
WITHOUT_ID = REQUESTS[-1]


class Stopwatch:
    now = 100.0

    def __call__(self):
        return self.now


class Site:
    """One project; assigners and the steward meet in its ledger only."""

    def __init__(self, state, place):
        self.linkage = LocalLinkage(state)
        self.project = self.linkage.create("lung")
        place.project = self.project.id
        self.place = place
        self.names = Identities.of(self.linkage.vault, self.project)
        self.ledger = place.open()
        self.clock = Stopwatch()

    def assigner(self, **more):
        return LocalAssigner(self.project, self.linkage.vault, self.place.open(), monotonic=self.clock, **more)

    def name(self, request):
        return self.names.patient(request.patient_id, request.issuer)

    def accession(self, request):
        return self.names.accession(dict(request.way_back)["accession_number"], request.issuer)


@pytest.fixture
def site(tmp_path, place):
    return Site(tmp_path / "state", place)


def material(reply):
    return (reply.subject_id, reply.subject_key, reply.date_offset_days)


def test_a_merged_subject_gets_the_others_surrogates_and_its_own_again(site):
    running = site.assigner()
    a, b = (material(running.assign(request)) for request in (A, B))
    link = site.ledger.link(site.name(A), site.name(B), "case")
    assert material(site.assigner().assign(A)) == b
    site.ledger.unlink(link, "case")
    assert material(site.assigner().assign(A)) == a


def test_uids_do_not_change_when_subjects_are_merged(site):
    before = site.assigner().assign(A).uids
    site.ledger.link(site.name(A), site.name(B), "case")
    assert site.assigner().assign(A).uids == before


def test_a_running_assigner_notices_within_the_time_it_says(site):
    running = site.assigner()
    a, b = (material(running.assign(request)) for request in (A, B))
    site.ledger.link(site.name(A), site.name(B), "case")
    site.clock.now += NOTICE_SECONDS * 0.99
    assert material(running.assign(A)) == a  # as before, from memory
    site.clock.now += NOTICE_SECONDS * 0.02
    assert material(running.assign(A)) == b


def test_moved_studies_get_the_new_subjects_keys(site):
    other = replace(A, study_uid="1.2.840.99.0.77")
    first = material(site.assigner().assign(A))
    new = site.names.split_off(site.name(A), "case")
    split = site.ledger.split(site.name(A), [site.names.study(other.study_uid)], new, "case")
    running = site.assigner()
    assert material(running.assign(A)) == first
    moved = material(running.assign(other))
    assert not set(moved) & set(first)
    site.ledger.unsplit(split, "case")
    assert material(site.assigner().assign(other)) == first


def test_a_withdrawn_subject_is_refused_and_nothing_of_it_is_written(site):
    running = site.assigner()
    replies = [running.assign(request) for request in (A, B)]
    assert site.ledger.withdraw(site.name(A), "case") == 2
    site.clock.now += NOTICE_SECONDS
    spelt_otherwise = replace(A, patient_id=f" {A.patient_id.lower()} ", study_uid="1.2.840.99.5")
    for request in (A, spelt_otherwise):
        assert code_of(running.assign, request) == "LNK-017"
        assert code_of(site.assigner().assign, request) == "LNK-017"
    assert CATALOGUE["LNK-017"].disposition is Disposition.REJECT
    assert {record.handle for record in site.ledger.records("subject")} == {replies[1].subject_id}
    assert site.ledger.counts().subjects == 1
    assert running.assign(B) == replies[1]


def test_what_was_in_memory_does_not_bring_a_withdrawn_subject_back(site):
    """Before the change is noticed a new spelling may come: it is refused where it would be written."""
    running = site.assigner()
    running.assign(A)
    site.ledger.withdraw(site.name(A), "case")
    assert code_of(running.assign, replace(A, way_back=(("patient_name", "OTHER^NAME"), *A.way_back))) == "LNK-017"
    assert list(site.ledger.records()) == []


def test_the_unknown_patient_of_a_study_can_be_withdrawn(site):
    site.assigner().assign(WITHOUT_ID)
    site.ledger.withdraw(site.names.unknown_patient(WITHOUT_ID.study_uid), "case")
    assert code_of(site.assigner().assign, WITHOUT_ID) == "LNK-017"


def test_who_is_listed_gets_the_studys_id_and_offset(site):
    running = site.assigner()
    free = {request: running.assign(request) for request in (A, B)}
    site.ledger.put_cohort([CohortEntry(site.name(A), "P-001", -77), CohortEntry(site.name(B), "P-002")])
    site.clock.now += NOTICE_SECONDS
    a, b = (running.assign(request) for request in (A, B))
    assert (a.subject_id, a.date_offset_days, a.subject_key) == ("P-001", -77, free[A].subject_key)
    assert (b.subject_id, b.date_offset_days) == ("P-002", free[B].date_offset_days)
    assert {record.handle for record in site.ledger.records("subject")} >= {"P-001", "P-002"}


def test_who_is_not_listed_is_refused_and_nothing_of_it_is_written(site):
    site.ledger.put_cohort([CohortEntry(site.name(A), "P-001")])
    running = site.assigner()
    for request in (B, WITHOUT_ID):
        assert code_of(running.assign, request) == "LNK-018"
    assert CATALOGUE["LNK-018"].disposition is Disposition.QUARANTINE
    assert site.ledger.counts().records == site.ledger.counts().subjects == 0
    assert running.assign(A).subject_id == "P-001"


def test_an_accession_number_on_the_list_lets_its_study_in_and_no_other(site):
    site.ledger.put_cohort([CohortEntry(site.accession(A), "P-001", -5, by_accession=True)])
    running = site.assigner()
    assert material(running.assign(A))[::2] == ("P-001", -5)
    assert code_of(running.assign, replace(A, way_back=())) == "LNK-018"
    assert code_of(running.assign, B) == "LNK-018"


def test_the_sex_recorded_first_is_known_to_a_new_assigner(site):
    site.assigner().assign(replace(A, sex="O"))
    assert site.assigner().assign(replace(A, sex="F", study_uid="1.2.3")).sex == "O"


def test_in_a_new_epoch_surrogates_are_new_and_merges_and_withdrawals_hold(site):
    before = [site.assigner().assign(request) for request in REQUESTS]
    site.ledger.link(site.name(A), site.name(B), "case")
    site.ledger.withdraw(site.name(C), "case")
    site.project = site.linkage.projects.open_epoch(
        "lung", before=lambda project: site.linkage.vault.create(project.id, project.epoch, None)
    )
    assert site.project.epoch == 2
    running = site.assigner()
    a, b = (running.assign(request) for request in (A, B))
    assert material(a) == material(b)
    assert not {a.subject_id, a.subject_key, *a.uids.values()} & {
        part for reply in before for part in (reply.subject_id, reply.subject_key, *reply.uids.values())
    }
    assert a.sex == before[1].sex
    assert code_of(running.assign, C) == "LNK-017"


# --- many at once -----------------------------------------------------------------------------------------------------


def test_many_at_once_are_answered_as_each_alone(site):
    together = site.assigner().assign_many([*REQUESTS, *REQUESTS])
    one_by_one = [site.assigner().assign(request) for request in REQUESTS]
    assert together == one_by_one * 2
    assert site.ledger.counts().records == 2 * len(REQUESTS)
    assert site.assigner().assign_many([]) == []


def test_many_at_once_are_sealed_in_one_call(site, monkeypatch):
    calls = []
    seal = site.linkage.vault.seal_batch
    monkeypatch.setattr(
        site.linkage.vault, "seal_batch", lambda project, items: calls.append(len(items)) or seal(project, items)
    )
    running = site.assigner()
    running.assign_many(REQUESTS)
    running.assign_many(REQUESTS)
    assert calls == [2 * len(REQUESTS)]


def test_one_that_fails_does_not_hold_up_the_others(site):
    running = site.assigner()
    site.ledger.withdraw(site.name(A), "case")
    nobody = replace(A, patient_id="", study_uid="")
    found = running.assign_many([A, B, nobody, C])
    assert [answer.code if isinstance(answer, TarnhelmError) else "" for answer in found] == [
        "LNK-017",
        "",
        "DCM-012",
        "",
    ]


def test_one_withdrawn_in_the_midst_does_not_hold_up_the_others(site):
    running = site.assigner()
    running.assign(A)
    site.ledger.withdraw(site.name(A), "case")  # not noticed yet
    late = replace(A, way_back=(("patient_name", "OTHER^NAME"), *A.way_back))
    found = running.assign_many([B, late, C])
    assert [isinstance(answer, AssignReply) for answer in found] == [True, False, True]
    assert found[1].code == "LNK-017"
    assert site.ledger.counts().records == 4


def test_while_the_vault_is_away_the_known_are_answered_and_nothing_is_written(site, monkeypatch):
    running = site.assigner()
    known = running.assign(A)
    calls = []

    def away(*_):
        calls.append(1)
        raise TarnhelmError(VAULT_UNAVAILABLE)

    monkeypatch.setattr(site.linkage.vault, "seal_batch", away)
    found = running.assign_many([B, A, C])
    assert found[1] == known
    assert [found[0].code, found[2].code] == ["LNK-007", "LNK-007"]
    assert len(calls) == 1  # not one time-out for each
    monkeypatch.undo()
    assert all(isinstance(answer, AssignReply) for answer in running.assign_many([B, A, C]))
    assert site.ledger.counts().records == 6


def test_memory_is_bounded_with_many_at_once(site):
    small = site.assigner(caches=CacheSizes(2, 2, 2, 2))
    first = small.assign_many(REQUESTS)
    assert small.assign_many(REQUESTS) == first
    assert len(small._recorded) == len(small._subjects) == 2
