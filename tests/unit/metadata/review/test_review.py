"""``tarnhelm review``: what the author of a recipe is told before it meets a file."""

import pytest

from tarnhelm.metadata.core.plan import MetadataConfig, compile_plan, default_recipe
from tarnhelm.metadata.core.recipe import RecipeError
from tarnhelm.metadata.core.review.checks import review

HEADER = "FORMAT dicom\n%header\n"


def findings(rules, *profiles):
    return {str(one) for one in review(MetadataConfig(HEADER + rules, profiles=profiles)).findings}


def kinds(rules, *profiles):
    return {(one.line, one.kind) for one in review(MetadataConfig(HEADER + rules, profiles=profiles)).findings}


def test_the_default_recipe_and_careful_rules_have_no_findings():
    assert review(MetadataConfig()).findings == ()
    assert review(MetadataConfig(default_recipe(), profiles=("rtnLongModifDatesOpt",))).findings == ()
    assert findings("PSEUDO PatientName FULL_NAME\nREMOVE PatientAddress\nKEEP KVP\nKEEP Modality\n") == set()


ROWS = [
    # (rules, profiles, line and kind of what is found, words of the sentence)
    ("KEEP PatientName", (), (3, "identity"), "keeps PatientName; basicProfile empties"),
    ("KEEP StudyInstanceUID", (), (3, "identity"), "maps Study Instance UID"),
    ("KEEP endswith:Name", (), (3, "identity"), "keeps what the profile would not leave as it is:"),
    ("KEEP StudyDescription", ("cleanDescOpt",), (3, "identity"), "cleanDescOpt cleans"),
    ("KEEP RequestAttributesSequence/RequestedProcedureID", (), (3, "identity"), "keeps RequestedProcedureID"),
    ("KEEP PatientSex\nREMOVE ALL func:is_name", (), (3, "identity"), "PatientSex"),
    ("JITTER StudyDate 31", (), (3, "identity"), "can be moved back"),
    ("REPLACE StudyDate yesterday", (), (3, "value"), "'yesterday' is no value of VR DA: StudyDate"),
    ("REPLACE contains:Date x", (), (3, "value"), "'x' is no value of VR DT"),
    ("REPLACE Modality lower", (), (3, "value"), "'lower' is no value of VR CS: Modality"),
    ("ADD PatientAge 95", (), (3, "value"), "'95' is no value of VR AS"),
    ("REPLACE AccessionNumber 12345678901234567", (), (3, "value"), "VR SH"),
    ("REPLACE Rows many", (), (3, "value"), "VR US"),
    ("REPLACE StudyInstanceUID 1.02", (), (3, "value"), "VR UI"),
    ("REMOVE PhotometricInterpretation", (), (3, "type"), "removes attributes of Type 1: PhotometricInterpretation (in"),
    ("BLANK PixelSpacing", (), (3, "type"), "leaves no value in attributes of Type 1"),
    ("REMOVE SOPInstanceUID", (), (3, "type"), "maps SOPInstanceUID: without them an object cannot be filed"),
    ("REPLACE Modality ''", (), (3, "type"), "leaves no value in"),
    ("REMOVE PatientID", (), (3, "type"), "removes attributes of Type 2: PatientID"),
    ("REMOVE ALL func:is_name", (), (3, "type"), "where its condition holds, removes"),
    ("PSEUDO StudyDate FULL_NAME", (), (3, "class"), "FULL_NAME writes LO"),
    ("PSEUDO endswith:Time TIME", (), (3, "class"), "AcquisitionDateTime"),
    ("PSEUDO StudyTime TIME shift=true", ("rtnLongModifDatesOpt",), (0, "interval"), "SeriesTime"),
    ("KEEP KVP\nREMOVE KVP", (), (4, "conflict"), "line 3: both mean KVP: KEEP comes before REMOVE"),
    ("REMOVE contains:Zebra", (), (3, "conflict"), "means no attribute"),
    ("KEEP KVP", ("rtnDevIdOpt", "rtnLongModifDatesOpt"), (0, "conflict"), "rtnLongModifDatesOpt decides"),
    ("KEEP (0029,10xx)", (), (3, "remark"), 'better (gggg,"CREATOR",ee)'),
    ("REMOVE jitter", (), (3, "remark"), "the line does nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "profiles", "place", "words"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_what_is_found(rules, profiles, place, words):
    assert place in kinds(rules, *profiles)
    assert [text for text in findings(rules, *profiles) if words in text]


SILENT = [
    ("KEEP RequestAttributesSequence", (), "identity"),  # what is in it is decided by itself
    ("KEEP PatientSex", ("rtnPatCharsOpt",), "identity"),
    ("KEEP StudyDate", ("rtnLongFullDatesOpt",), "identity"),
    ("JITTER StudyDate func:shift_date", (), "identity"),
    ("REPLACE StudyDate 20200101", (), "value"),
    ("REPLACE ImageType 'DERIVED\\SECONDARY'", (), "value"),
    ("REPLACE StudyDate ''", (), "value"),
    ("REPLACE PatientAge 042Y", (), "value"),
    ("BLANK PatientID", (), "type"),
    ("REMOVE PatientAddress", (), "type"),
    ("PSEUDO PatientName SURNAME", (), "class"),
    ("PSEUDO select:VR:TM TIME shift=true\nPSEUDO select:VR:DT DATETIME shift=true", ("rtnLongModifDatesOpt",), "interval"),
    ('KEEP (0029,"ACME",*)', (), "remark"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "profiles", "kind"), SILENT, ids=[f"{row[0]} {row[1]}" for row in SILENT])
def test_what_is_in_order_is_not_found(rules, profiles, kind):
    assert kind not in {found for _, found in kinds(rules, *profiles)}


def test_findings_stand_in_the_order_of_the_lines():
    lines = [
        one.line
        for one in review(
            MetadataConfig(HEADER + "KEEP PatientName\nREMOVE SOPInstanceUID\nREPLACE StudyDate x\n")
        ).findings
    ]
    assert lines == [3, 4, 5]


def test_notes_say_what_the_profile_decides_besides():
    notes = review(MetadataConfig(HEADER + "REMOVE PatientName\nREMOVE KVP\n", profiles=("rtnDevIdOpt",))).notes
    assert "the recipe decides 1, the profile 652" in notes[0]
    assert notes[1].startswith("rtnDevIdOpt keeps ")
    assert "1 attributes for which the table has no row" in notes[2]


def test_a_run_s_report_names_what_is_kept_against_the_profile():
    plan = compile_plan(MetadataConfig(HEADER + "KEEP PatientName\n", "site.recipe"))
    assert [text for text in plan.conflicts if "keeps PatientName" in text and "site.recipe" in text]
    assert compile_plan(MetadataConfig()).conflicts == ()


MISTAKES = [
    ("PSEUDO PatientName FULLNAME", 20, "no PSEUDO class", "GIVEN_NAME", "FULL_NAME"),
    ("PSEUDO PatientName FULL_NAME scpe=project", 30, "has no parameter 'scpe'", "scope", "scope"),
    ("PSEUDO PatientName FULL_NAME scope=projct", 36, "cannot be 'projct'", "patient or project", "project"),
    ("PSEUDO StudyDate DATE birth=maybe", 29, "cannot be 'maybe'", "no or shift or year", ""),
    ("PSEUDO PatientID ID_NUMERICAL prefix=lower", 38, "cannot be 'lower'", "at most 8 of A-Z 0-9 _ -", ""),
    ("PSEUDO PatientID ID_NUMERICAL domain=UP", 38, "cannot be 'UP'", "a lower-case word", ""),
    ("PSEUDO StudyInstanceUID UID root=1.2", 29, "UID has no parameter 'root'", "none", ""),
    ("REMOVE PatientNmae", 8, "no attribute of the dictionary", "a keyword", "PatientName"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "column", "message", "expected", "suggestion"), MISTAKES, ids=[row[0] for row in MISTAKES]
)
def test_mistakes_name_line_column_expectation_and_suggestion(line, column, message, expected, suggestion):
    for check in (review, compile_plan):
        with pytest.raises(RecipeError) as caught:
            check(MetadataConfig(HEADER + line))
        (problem,) = caught.value.problems
        assert (problem.line, problem.column) == (3, column)
        assert message in problem.message
        assert expected in problem.expected
        assert problem.suggestion == suggestion
