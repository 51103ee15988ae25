"""The list of a study: what is read, what is refused and in which line, and that no value is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.cohort import (
    CohortFile,
    CohortLimits,
    CohortRow,
    FaultKind,
    checked_rows,
    cohort_entries,
    read_cohort,
)
from tarnhelm.linkage.core.derive import ProjectKeys
from tarnhelm.linkage.core.identities import Identities
from tarnhelm.linkage.core.projects import ProjectSettings


def read(*lines, **limits):
    return read_cohort([f"{line}\n".encode() for line in lines], CohortLimits(**limits))


def faults(*lines, **limits):
    return [(fault.line, fault.kind, fault.earlier) for fault in read(*lines, **limits).faults]


def test_a_list_by_patient_id_is_read():
    found = read("patient_id,issuer,study_id,offset_days", "MRN 1,HOSPITAL,P-001,-12", "", "MRN 2,,P-002,")
    assert found.faults == ()
    assert found.rows == (
        CohortRow(2, "MRN 1", "", "HOSPITAL", "P-001", -12),
        CohortRow(4, "MRN 2", "", "", "P-002", None),
    )


@pytest.mark.parametrize(
    "lines",
    [
        ("PatientID;AccessionNumber;Study ID", "M1;;P-1", ";A2;P-2"),
        ("STUDY_ID\tAccession\tPatient ID", "P-1\t\tM1", "P-2\tA2\t"),
        ('\ufeff"patientid","accession_number","StudyID"', '" M1 ",,"P-1"', ',"A2","P-2"\r'),
    ],
    ids=["semicolons", "tabs, other order", "byte order mark and quotes"],
)
def test_spreadsheets_in_their_ways_of_writing_are_read(lines):
    found = read(*lines)
    assert found.faults == ()
    assert [(row.patient_id, row.accession_number, row.study_id) for row in found.rows] == [
        ("M1", "", "P-1"),
        ("", "A2", "P-2"),
    ]


HEAD = "patient_id,accession_number,issuer,study_id,offset_days"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("M1,,,P-1", FaultKind.COLUMNS),
        ("M1,,,P-1,,", FaultKind.COLUMNS),
        (",,,P-1,", FaultKind.WHO),
        ("M1,A1,,P-1,", FaultKind.WHO),
        (f"{'M' * 65},,,P-1,", FaultKind.VALUE),
        ("M1,,a\\b,P-1,", FaultKind.VALUE),
        ("M1,,,,", FaultKind.STUDY_ID),
        (f"M1,,,{'P' * 65},", FaultKind.STUDY_ID),
        ("M1,,,P\\1,", FaultKind.STUDY_ID),
        ("M1,,,P\x071,", FaultKind.STUDY_ID),
        ("M1,,,m1 ,", FaultKind.ORIGINAL),
        ("M1,,,P-1,0", FaultKind.OFFSET),
        ("M1,,,P-1,12", FaultKind.OFFSET),
        ("M1,,,P-1,-3651", FaultKind.OFFSET),
        ("M1,,,P-1,-1.5", FaultKind.OFFSET),
        ("M1,,,P-1,-²", FaultKind.OFFSET),
        ("M1,,,P-1,-" + "9" * 900, FaultKind.OFFSET),
    ],
)
def test_a_line_that_cannot_be_is_named(line, kind):
    assert [(number, found) for number, found, _ in faults(HEAD, "M9,,,P-9,-1", line)] == [(3, kind)]


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("M1,,H,P-1,", "m1 ,,h,P-1,", FaultKind.DUPLICATE),
        ("M1,,H,P-1,", "M1,,H,P-2,", FaultKind.CONFLICT),
        ("M1,,H,P-1,-1", "M1,,H,P-1,-2", FaultKind.CONFLICT),
        (",A1,,P-1,-1", ",A2,,P-1,-2", FaultKind.CONFLICT),
        (",A1,,P-1,", ",A1,,P-2,", FaultKind.CONFLICT),
        ("M1,,,P-1,", "M2,,,P-1,", FaultKind.SHARED),
    ],
)
def test_lines_that_contradict_each_other_are_named(one, other, kind):
    assert faults(HEAD, one, "M9,,,P-9,", other) == [(4, kind, 2)]


def test_two_studies_of_a_subject_and_two_issuers_of_an_id_are_no_conflict():
    assert faults(HEAD, ",A1,,P-1,-3", ",A2,,P-1,-3", "M1,,H,P-2,", "M1,,G,P-3,") == []


def test_an_original_id_is_found_wherever_it_stands():
    assert faults(HEAD, "M1,,,A7,", ",A7,,P-2,") == [(2, FaultKind.ORIGINAL, 3)]


@pytest.mark.parametrize(
    "head",
    [
        "",
        "patient_id,issuer",
        "study_id,issuer",
        "patient_id,patient_id,study_id",
        "patient_id,study_id,name",
        "M1,P-1",
    ],
)
def test_headings_that_cannot_be_are_refused(head):
    found = read(head, "M1,P-1")
    assert [(fault.line, fault.kind) for fault in found.faults] == [(1, FaultKind.HEADINGS)]
    assert found.rows == ()


def test_bytes_that_are_no_text_are_refused():
    for content in (
        b"patient_id,study_id\nM\xff,P-1\n",
        b"patient_id,study_id\nM\x00,P-1\n",
        b'patient_id,study_id\n"M,P-1\n',
    ):
        found = read_cohort(content.splitlines(keepends=True))
        assert [fault.kind for fault in found.faults] == [FaultKind.UNREADABLE]
    assert [kind for _, kind, _ in faults("patient_id,study_id", "M" * 5000 + ",P")] == [FaultKind.UNREADABLE]


def test_reading_is_bounded():
    lines = [f"M{number},,,P-{number}," for number in range(50)]
    assert faults(HEAD, *lines, lines=20)[0] == (22, FaultKind.TOO_MANY_LINES, None)
    assert len(faults(HEAD, *["x"] * 50, faults=7)) == 7


def test_with_a_fault_nothing_is_taken_and_no_value_is_told():
    found = read(HEAD, "CANARY1,,,P-1,", "CANARY1,,,P-2,", "CANARY2,,,,")
    with pytest.raises(TarnhelmError) as caught:
        checked_rows(found)
    assert (caught.value.code, caught.value.facts) == ("LNK-022", {"count": 2, "line": 3})
    assert "CANARY" not in repr(found) + repr(found.rows) + str(caught.value)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_whatever_stands_in_the_file_it_is_read_or_refused(lines):
    found = read_cohort(lines)
    assert isinstance(found, CohortFile)
    assert found.faults or found.rows == () or checked_rows(found)


def test_entries_carry_tags_that_assigning_makes_too():
    identities = Identities(ProjectKeys.from_project_key(bytes(32)), ProjectSettings(default_issuer="H"))
    rows = checked_rows(read(HEAD, "M1,,,P-1,-7", ",A1,h,P-2,"))
    patient, accession = cohort_entries(rows, identities)
    assert patient.tag == identities.patient(" m1", "h")
    assert accession.tag == identities.accession("A1", "")
    assert (patient.offset_days, patient.by_accession, accession.by_accession) == (-7, False, True)
    with pytest.raises(TarnhelmError) as caught:
        cohort_entries(checked_rows(read(HEAD, "M1,,,P-1,", "UNKNOWN,,,P-3,")), identities)
    assert caught.value.facts == {"count": 1, "line": 3}
