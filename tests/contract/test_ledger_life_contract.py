"""What every ledger must do with merges, splits, withdrawals and the list of a study."""

from __future__ import annotations

import pytest
from tests.support.ledgers import code_of, record, subject

from tarnhelm.linkage.core.derive import tombstone_tag
from tarnhelm.linkage.core.ledger import CohortEntry, LinkEvent, LinkKind, Tombstone

A, B, C, D, N = (subject(name) for name in "abcdn")
S1, S2, S3 = (subject(f"study {number}") for number in (1, 2, 3))
ALL = (A, B, C, D, N)


def standings(ledger):
    return [ledger.resolve(one, study) for one in ALL for study in (b"", S1, S2, S3)]


# --- merging ----------------------------------------------------------------------------------------------------


def test_a_subject_stands_for_itself_until_it_is_merged(ledger, place):
    assert ledger.canonical(A) == ledger.resolve(A, S1).canonical == A
    link = ledger.link(A, B, "case-1")
    assert ledger.canonical(A) == ledger.resolve(A, S1).canonical == B
    assert ledger.canonical(B) == B
    assert place.open().canonical(A) == B
    ledger.unlink(link, "case-2")
    assert ledger.canonical(A) == A


def test_chains_are_followed_to_their_end(ledger):
    ledger.link(A, B, "x")
    second = ledger.link(B, C, "x")
    ledger.link(D, A, "x")
    assert {ledger.canonical(one) for one in (A, B, C, D)} == {C}
    ledger.unlink(second, "y")
    assert {ledger.canonical(one) for one in (A, B, D)} == {B}
    assert ledger.canonical(C) == C


def test_a_circle_is_never_made(ledger):
    ledger.link(A, B, "x")
    assert code_of(ledger.link, B, A, "x") == "LNK-019"
    assert code_of(ledger.link, C, C, "x") == "LNK-019"
    ledger.link(B, C, "x")
    assert code_of(ledger.link, C, A, "x") == "LNK-019"


def test_a_merged_subject_is_not_merged_a_second_time(ledger):
    first = ledger.link(A, B, "x")
    assert ledger.link(A, B, "again") == first  # the same merge, told twice
    assert code_of(ledger.link, A, C, "x") == "LNK-019"
    assert len(list(ledger.links())) == 1


def test_what_was_undone_or_never_was_is_not_undone(ledger):
    link = ledger.link(A, B, "x")
    split = ledger.split(A, [S1], N, "x")
    assert code_of(ledger.unlink, split, "y") == "LNK-020"
    assert code_of(ledger.unsplit, link, "y") == "LNK-020"
    assert code_of(ledger.unlink, 12345678, "y") == "LNK-020"
    ledger.unlink(link, "y")
    ledger.unlink(link, "y")  # told twice
    assert code_of(ledger.unlink, link, "z") == "LNK-020"
    assert [event.kind for event in ledger.links()].count(LinkKind.UNLINK) == 1


def test_the_sex_is_the_canonical_subjects_and_comes_back(ledger):
    ledger.first_sex(A, b"f")
    ledger.first_sex(B, b"m")
    link = ledger.link(A, B, "x")
    assert ledger.resolve(A, b"").sex_token == b"m"
    ledger.unlink(link, "x")
    assert ledger.resolve(A, b"").sex_token == b"f"


def test_the_history_only_grows(place):
    ledger = place.open(clock=lambda: 1234.9)
    link = ledger.link(A, B, "case-1")
    split = ledger.split(C, [S2, S1, S2], N, "case-2")
    ledger.unlink(link, "case-3")
    ledger.unsplit(split, "case-4")
    events = list(ledger.links())
    ids = [event.id for event in events]
    assert ids == sorted(set(ids))
    studies = tuple(sorted((S1, S2)))
    assert events == [
        LinkEvent(link, LinkKind.LINK, A, B, (), None, "case-1", 1234),
        LinkEvent(split, LinkKind.SPLIT, C, N, studies, None, "case-2", 1234),
        LinkEvent(ids[2], LinkKind.UNLINK, A, B, (), link, "case-3", 1234),
        LinkEvent(ids[3], LinkKind.UNSPLIT, C, N, studies, split, "case-4", 1234),
    ]


def test_whatever_changes_an_answer_is_counted(ledger, place):
    other = place.open()
    seen = [other.changes()]

    def changed():
        seen.append(other.changes())
        return seen[-1] > seen[-2]

    link = ledger.link(A, B, "x")
    assert changed()
    ledger.unlink(link, "x")
    assert changed()
    split = ledger.split(A, [S1], N, "x")
    assert changed()
    ledger.unsplit(split, "x")
    assert changed()
    ledger.put_cohort([CohortEntry(A, "P-1")])
    assert changed()
    ledger.withdraw(A, "x")
    assert changed()
    ledger.put_tombstones([Tombstone(tombstone_tag(B), "x", 0)])
    assert changed()
    ledger.first_sex(C, b"f")
    ledger.put_records([record(1)])
    assert not changed()


# --- splitting ------------------------------------------------------------------------------------------------------


def test_moved_studies_are_the_other_subjects(ledger):
    before = standings(ledger)
    split = ledger.split(A, [S1, S2], N, "x")
    assert [ledger.resolve(A, study).canonical for study in (b"", S1, S2, S3)] == [A, N, N, A]
    assert [ledger.resolve(A, study).moved for study in (b"", S1, S2, S3)] == [False, True, True, False]
    assert ledger.resolve(B, S1).canonical == B
    ledger.unsplit(split, "y")
    assert standings(ledger) == before


def test_a_split_goes_before_a_merge_and_the_merge_comes_back(ledger):
    ledger.link(A, B, "x")
    split = ledger.split(A, [S1], N, "x")
    assert ledger.resolve(A, S1).canonical == N
    assert ledger.resolve(A, S2).canonical == B
    ledger.unsplit(split, "x")
    assert ledger.resolve(A, S1).canonical == B


def test_a_split_of_whom_a_subject_stands_for_counts_for_it(ledger):
    ledger.link(A, B, "x")
    ledger.split(B, [S1], N, "x")
    ledger.link(N, C, "x")
    assert ledger.resolve(A, S1).canonical == ledger.resolve(B, S1).canonical == C
    assert ledger.resolve(A, S2).canonical == B


def test_two_patients_whose_studies_were_exchanged_are_put_right(ledger):
    ledger.split(A, [S1], B, "x")
    ledger.split(B, [S2], A, "x")
    assert (ledger.resolve(A, S1).canonical, ledger.resolve(B, S2).canonical) == (B, A)
    assert (ledger.resolve(A, S2).canonical, ledger.resolve(B, S1).canonical) == (A, B)


def test_a_split_that_cannot_be_is_refused(ledger):
    split = ledger.split(A, [S1], B, "x")
    assert ledger.split(A, [S1], B, "again") == split
    for studies, target in (([S1], C), ([S1, S2], B), ([], C), ([b""], C), ([S3], A)):
        assert code_of(ledger.split, A, studies, target, "x") == "LNK-019"
    assert code_of(ledger.split, B, [S1], A, "x") == "LNK-019"  # in a circle
    assert code_of(ledger.link, B, A, "x") == "LNK-019"  # in a circle for that study
    assert len(list(ledger.links())) == 1


def test_a_circle_that_an_undoing_would_bring_to_light_is_not_made(ledger):
    ledger.link(A, B, "x")
    ledger.split(A, [S1], N, "x")  # goes before the link, which is there all the same
    assert code_of(ledger.split, B, [S1], A, "x") == "LNK-019"


# --- withdrawing ------------------------------------------------------------------------------------------------------


def test_a_withdrawn_subject_is_gone_and_stays_refused(ledger, place):
    ledger.first_sex(A, b"f")
    ledger.put_records(
        [record(1, about=A), record(2, "study", about=A, study=S1), record(3, about=B), record(4, "paths")]
    )
    assert ledger.withdraw(A, "case") == 2
    assert [found.sealed for found in ledger.records()] == [b"sealed3", b"sealed4"]
    other = place.open()
    assert other.withdrawn(A)
    assert other.resolve(A, S1).withdrawn
    assert other.resolve(A, b"").sex_token is None
    assert not other.withdrawn(B)
    assert other.withdraw(A, "again") == 0
    assert code_of(other.put_records, [record(9, about=B), record(1, about=A)]) == "LNK-017"
    assert code_of(other.first_sex, A, b"f") == "LNK-017"
    assert len(list(other.records())) == 2


def test_the_whole_person_is_withdrawn_and_nobody_else(ledger):
    first = ledger.link(A, B, "x")
    ledger.split(A, [S1], N, "x")
    ledger.put_records(
        [
            record(1, about=A),
            record(2, about=B),
            record(3, "study", about=A, study=S1),  # of N
            record(4, "study", about=A, study=S2),
            record(5, about=C),
        ]
    )
    assert ledger.withdraw(A, "case") == 3
    assert [found.sealed for found in ledger.records()] == [b"sealed3", b"sealed5"]
    assert [ledger.withdrawn(one) for one in (A, B, C, N)] == [True, True, False, False]
    assert not ledger.resolve(A, S1).withdrawn
    ledger.unlink(first, "y")
    assert [ledger.withdrawn(one) for one in (A, B)] == [True, True]  # it was the person of both


def test_moved_studies_go_with_whom_they_were_moved_to(ledger):
    ledger.split(A, [S1], N, "x")
    ledger.put_records([record(1, about=A), record(2, "study", about=A, study=S1)])
    assert ledger.withdraw(N, "case") == 1
    assert [found.sealed for found in ledger.records()] == [b"sealed1"]
    assert ledger.resolve(A, S1).withdrawn
    assert not ledger.withdrawn(A)


def test_whoever_is_merged_with_a_withdrawn_subject_is_refused_while_it_lasts(ledger):
    ledger.withdraw(A, "case")
    link = ledger.link(B, A, "x")
    other = ledger.link(A, C, "x")
    assert all(ledger.withdrawn(one) for one in (A, B, C))
    ledger.unlink(link, "y")
    ledger.unlink(other, "y")
    assert [ledger.withdrawn(one) for one in (A, B, C)] == [True, False, False]


def test_tombstones_are_kept_outside_and_applied_to_what_was_restored(ledger, place):
    ledger.link(A, B, "x")
    ledger.withdraw(A, "case-7")
    kept = list(ledger.tombstones())
    assert {stone.tag for stone in kept} == {tombstone_tag(A), tombstone_tag(B)}
    assert {stone.case for stone in kept} == {"case-7"}
    assert not {A, B} & {stone.tag for stone in kept}
    # The backup is older than the withdrawal.
    beside = place.other()
    restored = beside.open()
    restored.first_sex(A, b"f")
    restored.put_records([record(1, about=A), record(2, "study", about=A, study=S1), record(3, about=C)])
    assert restored.put_tombstones(kept) == 2
    assert [found.sealed for found in restored.records()] == [b"sealed3"]
    assert [restored.withdrawn(one) for one in (A, B, C)] == [True, True, False]
    assert restored.put_tombstones(kept) == 0
    assert list(restored.tombstones()) == kept
    assert restored.put_tombstones([]) == 0
    beside.release()


# --- the list of a study ----------------------------------------------------------------------------------------------


def test_without_a_list_everybody_is_accepted(ledger):
    standing = ledger.resolve(A, S1)
    assert (standing.has_cohort, standing.cohort, ledger.cohort_size()) == (False, None, 0)


def test_who_is_on_the_list_has_an_entry_and_nobody_else(ledger):
    entry = CohortEntry(A, "P-1", -30)
    assert ledger.put_cohort([entry, CohortEntry(B, "P-2"), entry]) == 2
    assert ledger.put_cohort([entry, CohortEntry(C, "P-3")]) == 1
    assert ledger.cohort_size() == 3
    assert ledger.resolve(A, S1).cohort == entry
    assert ledger.resolve(B, S1).cohort == CohortEntry(B, "P-2", None)
    assert (ledger.resolve(D, S1).has_cohort, ledger.resolve(D, S1).cohort) == (True, None)


def test_an_accession_number_on_the_list_lets_its_study_in(ledger):
    entry = CohortEntry(S1, "P-1", by_accession=True)
    ledger.put_cohort([entry, CohortEntry(S2, "P-1", by_accession=True), CohortEntry(B, "P-2")])
    assert ledger.resolve(A, b"", S1).cohort == entry
    assert ledger.resolve(A, b"", S3).cohort is None
    assert ledger.resolve(A, b"", B).cohort is None  # a patient's tag is no accession number's
    assert ledger.resolve(S1, b"").cohort is None
    assert ledger.resolve(B, b"", S1).cohort.study_id == "P-2"  # the patient goes before the study


def test_one_entry_serves_a_merged_person(ledger):
    ledger.put_cohort([CohortEntry(C, "P-3"), CohortEntry(A, "P-1")])
    link = ledger.link(A, B, "x")
    assert {ledger.resolve(one, b"").cohort.study_id for one in (A, B)} == {"P-1"}
    ledger.link(C, B, "x")
    # Neither is the canonical subject's: the one that was put first, for all three.
    assert {ledger.resolve(one, b"").cohort.study_id for one in (A, B, C)} == {"P-3"}
    ledger.unlink(link, "x")
    assert ledger.resolve(A, b"").cohort.study_id == "P-1"


@pytest.mark.parametrize(
    "other",
    [
        [CohortEntry(A, "P-9")],
        [CohortEntry(A, "P-1", -8)],
        [CohortEntry(B, "P-1")],
        [CohortEntry(B, "P-2"), CohortEntry(B, "P-3")],
        [CohortEntry(B, "P-2"), CohortEntry(D, "P-2")],
    ],
    ids=["another id", "another offset", "an id of somebody else", "two ids", "two people"],
)
def test_a_conflict_refuses_the_whole_list(ledger, other):
    ledger.put_cohort([CohortEntry(A, "P-1", -7)])
    assert code_of(ledger.put_cohort, [CohortEntry(C, "P-7"), *other]) == "LNK-021"
    assert ledger.cohort_size() == 1


def test_when_the_last_of_the_list_was_withdrawn_the_project_is_not_open_to_all(ledger):
    ledger.put_cohort([CohortEntry(A, "P-1")])
    ledger.withdraw(A, "case")
    assert ledger.cohort_size() == 0
    assert ledger.resolve(B, b"").has_cohort
    assert ledger.resolve(A, b"").cohort is None
    assert ledger.put_cohort([CohortEntry(A, "P-1")]) == 0  # withdrawn stays withdrawn
    assert ledger.cohort_size() == 0
