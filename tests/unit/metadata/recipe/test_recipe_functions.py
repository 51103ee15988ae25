"""The registry of functions, dates, conditions."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core.recipe import Condition, FunctionCall, Literal, holds, new_value, parse_recipe, registry
from tarnhelm.metadata.core.recipe.dates import move_dates
from tarnhelm.metadata.core.recipe.rules import Arguments

OWN = {"PatientName": "TREMBLAY^Anne-Marie^J", "PatientID": "99-1234", "AccessionNumber": "A77"}


def _value(line, context, key, attribute):
    decision = parse_recipe(f"FORMAT dicom\n%header\n{line}").decide(key(attribute))
    return new_value(decision, context)


@pytest.mark.parametrize(
    ("line", "attribute", "value", "vr", "expected"),
    [
        ("REPLACE PatientID x y", "PatientID", "1", "LO", "x y"),
        ("ADD PatientID ''", "PatientID", "1", "LO", ""),
        ("REPLACE PatientID var:new", "PatientID", "1", "LO", "N-1"),
        ("PSEUDO PatientName FULL_NAME", "PatientName", "A^B", "PN", "FULL_NAME(A^B)"),
        ("PSEUDO PatientID ID_NUMERICAL a=1", "PatientID", "7", "LO", "ID_NUMERICAL(7){'a': '1'}"),
        ("REPLACE PatientName func:replace_name", "PatientName", "A^B", "PN", "FULL_NAME(A^B)"),
        ("REPLACE PatientID func:replace_id", "PatientID", "7", "LO", "ID_ALPHANUMERICAL(7)"),
        # days are those of the line, of a variable, or of a function
        ("JITTER StudyDate -31", "StudyDate", "20240301", "DA", "20240130"),
        ("JITTER StudyDate var:days", "StudyDate", "20240301", "DA", "20240306"),
        ("JITTER StudyDate func:jitter days=1 years=1", "StudyDate", "20240301", "DA", "20250302"),
        ("JITTER StudyDate func:shift_date", "StudyDate", "20240301", "DA", "20231222"),
        ("REPLACE StudyDate func:remove_day", "StudyDate", "20240317", "DA", "20240301"),
        ("REPLACE StudyDate deid_func:jitter", "StudyDate", "20231231", "DA", "20240101"),
        # what is no date does not stay
        ("JITTER StudyDate 3", "StudyDate", "yesterday", "DA", None),
        ("JITTER StudyDate var:new", "StudyDate", "20240301", "DA", None),
        ("REPLACE StudyDate func:remove_day", "StudyDate", "20240231", "DA", None),
        # texts without the subject's own parts
        (
            "REPLACE ImageComments func:remove_identifiers",
            "ImageComments",
            "Ms tremblay, Anne-Marie 99-1234: fine",
            "LT",
            "Ms , : fine",
        ),
        (
            "REPLACE ImageComments func:remove_identifiers fields=AccessionNumber",
            "ImageComments",
            "A77 tremblay",
            "LT",
            "tremblay",
        ),
        ("REPLACE ImageComments func:replace_identifiers text='[-]'", "ImageComments", "Tremblay a77", "LT", "[-] [-]"),
        ("REPLACE ImageComments func:remove_identifiers minlength=9", "ImageComments", "Tremblay", "LT", "Tremblay"),
    ],
)
def test_a_value_is_made_as_the_line_says(line, attribute, value, vr, expected, key, context):
    element = context(value, vr, key(attribute).last.tag, OWN, {"new": "N-1", "days": "5"})
    assert _value(line, element, key, attribute) == expected


def test_a_variable_without_a_value_stops_the_run_and_is_not_told(key, context):
    with pytest.raises(TarnhelmError) as caught:
        _value("REPLACE PatientID var:secretname", context("1"), key, "PatientID")
    assert caught.value.code == "RCP-002"
    assert "secretname" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "value", "expected"),
    [
        (FunctionCall("is_name"), "Mme Tremblay", True),
        (FunctionCall("is_name"), "J", False),  # one letter is no name
        (FunctionCall("is_name", Arguments({"minlength": "1"})), "J", True),
        (FunctionCall("is_name", Arguments({"fields": "AccessionNumber"})), "xA77x", True),
        (FunctionCall("hasuid"), "see 1.2.840.113619.2.55.3", True),
        (FunctionCall("hasuid"), "version 1.2.3", False),
        (FunctionCall("is_empty"), " \0", True),
        (FunctionCall("is_empty"), "0", False),
    ],
)
def test_a_test_answers(call, value, expected, context):
    assert holds(Condition(None, call), context(value, fields=OWN), {}) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("Report of SIMPSON", True), ("simpsons", True), ("Homer", False), ("a.b", True), ("axb", False), ("", False)],
)
def test_a_value_group_is_found_as_text_in_any_case(value, expected, context):
    groups = {"own": frozenset({"Simpson", "A.B"})}
    assert holds(Condition("own"), context(value), groups) is expected


def test_a_condition_of_two_parts_needs_both(context):
    both = Condition("own", FunctionCall("hasuid"))
    groups = {"own": frozenset({"doe"})}
    assert holds(both, context("Doe 1.2.840.1.2.3"), groups)
    assert not holds(both, context("1.2.840.1.2.3"), groups)
    assert not holds(both, context("doe"), groups)
    assert not holds(both, context("doe"), {})


@pytest.mark.parametrize("name", ["dicom_uuid", "pydicom_uuid", "generate_uid", "basic_uuid", "hashuid"])
def test_uids_are_keyed_valid_and_stable(name, context):
    function = registry()[name].value
    one = function(context("1.2.3", "UI"), {})
    assert one == context().uid("1.2.3") == function(context("1.2.3 ", "UI"), {})
    assert function(context("1.2.3\\1.2.4", "UI"), {}) == f"{one}\\{context().uid('1.2.4')}"


@pytest.mark.parametrize("root", ["1.2.826.0.1.3680043.10.188", "1.55.", "1." + "9" * 36])
def test_uids_under_a_root_are_valid_and_keep_what_cannot_be_guessed(root, context):
    made = registry()["dicom_uuid"].value(context("1.2.3", "UI"), {"org_root": root})
    head, _, tail = made.rpartition(".")
    assert head == root.rstrip(".")
    assert len(made) <= 64
    assert tail == "0" or tail[0] != "0"
    assert len(tail) >= 24
    assert made != registry()["dicom_uuid"].value(context("1.2.4", "UI"), {"org_root": root})


def test_uuids_are_keyed_too(context):
    basic = registry()["basic_uuid"].value(context("doe"), {})
    assert uuid.UUID(basic).int == int(context().uid("doe").rpartition(".")[2])
    assert registry()["suffix_uuid"].value(context("doe", tag=0x00080060), {}) == f"modality-{basic}"
    assert registry()["suffix_uuid"].value(context("doe", tag=0x00291010), {}) == f"00291010-{basic}"


def test_every_function_either_gives_or_answers():
    for function in registry().values():
        assert (function.value is None) is not (function.test is None)
        assert function.summary


MOVES = [
    # (value, VR, days, result)
    ("20240228", "DA", 2, "20240301"),
    ("20240228\\\\19991231", "DA", 1, "20240229\\\\20000101"),
    ("2024.02.28", "DA", 1, "20240229"),
    ("", "DA", 1, ""),
    ("20240228101112.123456+0100", "DT", 1, "20240229101112.123456+0100"),
    ("2024022810-0500", "DT", 1, "2024022910-0500"),
    ("101112", "TM", 1, "101112"),
    ("202402", "DT", 1, None),  # a month has no day to move
    ("20240230", "DA", 1, None),
    ("99991231", "DA", 1, None),
    ("20240228", "LO", 1, "20240229"),
    ("twenty", "LO", 1, None),
    ("٢٠٢٤٠٢٢٨", "DA", 1, None),  # digits, but not of DICOM
    ("20240228\\\\x", "DA", 1, None),
    ("20240228 ", "LT", 1, "20240229"),
]


@pytest.mark.parametrize(("value", "vr", "days", "expected"), MOVES)
def test_dates_move_by_whole_days_and_nothing_else(value, vr, days, expected):
    assert move_dates(value.replace("\\\\", "\\"), vr, days) == (expected and expected.replace("\\\\", "\\"))


@given(st.dates(min_value=__import__("datetime").date(1900, 1, 1)), st.integers(-3650, 3650))
def test_a_move_and_its_contrary_give_the_date_back(day, days):
    text = day.strftime("%Y%m%d")
    moved = move_dates(text, "DA", days)
    if moved is not None:
        assert move_dates(moved, "DA", -days) == text


def test_a_call_cannot_be_changed():
    call = FunctionCall("jitter", Arguments({"days": "1"}))
    assert hash(call) == hash(FunctionCall("jitter", Arguments({"days": "1"})))
    assert call != FunctionCall("jitter", Arguments({"days": "2"}))
    assert call != Literal("jitter")
    with pytest.raises(TypeError):
        call.args["days"] = "3"
