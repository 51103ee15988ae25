"""What is said of a recipe with mistakes."""

from __future__ import annotations

import pickle

import pytest

from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.metadata.core.recipe import RecipeError, RecipeProblem, parse_recipe, render_problems

MISTAKES = [
    # (text, line, column, part of the message, suggestion)
    ("%header\nREMOV PatientID", 2, 1, "is no action", "REMOVE"),
    ("%header\nREMOVE", 2, 7, "needs an attribute", ""),
    ("%header\nFIELD PatientID", 2, 1, "is no action of %header", ""),
    ("%header\nLABEL x", 2, 1, "is no action of %header", ""),
    ("%header\nPSEUDO PatientName", 2, 19, "needs a class", ""),
    ("%header\nPSEUDO PatientName UUID", 2, 20, "is no PSEUDO class", "UID"),
    ("%header\nPSEUDO PatientName DATE x", 2, 25, "is no parameter of DATE", ""),
    ("%header\nPSEUDO PatientName DATE a=1 a=2", 2, 29, "given twice", ""),
    ("%header\n  KEEP PatientSxe", 2, 8, "no attribute of the dictionary", "PatientSex"),
    ("%header\nREPLACE xyzzyx 1", 2, 9, "no attribute of the dictionary", ""),
    ("%header\nREMOVE (0010,0020", 2, 8, "is no tag", ""),
    ('%header\nREMOVE (0010,"EVEN GROUP",10)', 2, 8, "is no tag", ""),
    ("%header\nREPLACE PatientID 'a' b", 2, 19, "quoted value", ""),
    ("%header\nREMOVE PatientID func:hasuid x=1", 2, 30, "has no parameter", ""),
    ("%header\nREMOVE PatientID func:generate_uid", 2, 23, "answers no question", ""),
    ("%header\nREMOVE */**", 2, 8, "at least one attribute", ""),
    ("%header\nREMOVE contains:", 2, 17, "nothing stands after", ""),
    ("%header\nREMOVE contains:a**", 2, 19, "two repetitions", ""),
    ("%header\nREMOVE select:VM:1", 2, 15, "cannot be selected by", ""),
    ("%header\nREMOVE select:GROUP:XYZ", 2, 21, "no group number", ""),
    ("%header x\nREMOVE PatientID", 1, 9, "takes no name", ""),
    ("%values\nFIELD PatientID", 1, 8, "has a name", ""),
    ("%values a\nSPLIT PatientID by='^';minlength=x", 2, 34, "minlength cannot be", ""),
    ("%values a\nFELD PatientID", 2, 1, "cannot stand in a %values", "FIELD"),
    ("%fields a\nFIELD PatientID StudyID", 2, 17, "takes one attribute", ""),
    ("%fields a\nFIELD fields:b", 2, 14, "no group %fields", ""),
    ("%filter a\ncontains Modality CT", 2, 1, "begins with a LABEL", ""),
    ("%filter a\nLABEL x\nmissing Modality CT", 3, 18, "takes no value", ""),
    ("%filter a\nLABEL x\ncontains Modality (CT", 3, 19, "is not closed", ""),
    ("%filter a\nLABEL x\ncontains Modality CT || equals", 3, 31, "needs an attribute", ""),
    ("%filter a\nLABEL x\ncontains Modality CT + cntains Rows 1", 3, 22, "+ joins criteria", ""),
    ("%filter a\nLABEL x\nequals (0019,10xx) 1", 3, 8, "looks at one attribute", ""),
    ("%filter a\nLABEL x\ncoordinates 10,10,10,20", 3, 13, "holds no pixel", ""),
    ("%filter a\nLABEL x\ncoordinates from:Nowhere", 3, 18, "no attribute of the dictionary", ""),
    ("%labels\nSET a b", 2, 1, "is no action", ""),
    ("%labels\nADD", 2, 4, "has a name", ""),
    ("FORMAT nifti", 1, 8, "for DICOM", ""),
    ("%header\nREMOVE Pat\x00ient", 2, 11, "control character", ""),
    ("%header\nREMOVE " + "x" * 5000, 2, 4001, "too long", ""),
    ("x" * 1_000_001, 1, 1, "too long", ""),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "suggestion"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_with_place_and_way_out(text, line, column, message, suggestion):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.suggestion) == (line, column, suggestion)
    assert message in problem.message
    assert problem.expected or "twice" in message or "quoted" in message


def test_all_mistakes_of_a_file_are_told_in_its_order():
    text = "\n".join(["%fields f", "SPLIT x", "%header", *["KEEP Rwos"] * 100, "%filter a", "LABEL"])
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    lines = [problem.line for problem in caught.value.problems]
    assert lines == [2, *range(4, 104), 105]
    assert {problem.suggestion for problem in caught.value.problems[1:101]} == {"Rows"}


def test_the_caret_stands_under_the_mistake():
    text = "FORMAT dicom\r\n%header\r\n\tKEEP Rwos # x\r\n"
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    shown = render_problems(text, caught.value.problems).split("\n")
    assert shown[0].startswith("line 3, column 7: ")
    assert shown[0].endswith("did you mean Rows?")
    assert shown[1:] == ["  | \tKEEP Rwos # x", "  | \t     ^"]


def test_the_error_itself_holds_a_number_only_and_survives_a_process():
    with pytest.raises(TarnhelmError) as caught:
        parse_recipe("%header\nKEEP Doe^Jane\nKEEP Rwos")
    error = caught.value
    assert error.code == "RCP-001"
    assert error.disposition is Disposition.USAGE
    assert str(error) == "Mistakes in the recipe: 2."
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert isinstance(again, RecipeError)
    assert again.problems == error.problems


def test_a_problem_outside_the_text_is_rendered_too():
    assert render_problems("", [RecipeProblem(9, 4, "gone")]) == "line 9, column 4: gone\n  | \n  | ^"


def test_remarks_are_no_mistakes():
    recipe = parse_recipe("%header\nREMOVE jitter\nADD (0029,1010) x\n%filter a\nLABEL x\nequals Manfacturer GE\n")
    assert [(warning.line, warning.suggestion) for warning in recipe.warnings] == [
        (1, ""),  # no FORMAT
        (2, ""),
        (3, ""),
        (6, "Manufacturer"),
    ]
    assert len(recipe.header_rules) == 1
