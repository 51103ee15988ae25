"""What holds for any text."""

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tarnhelm.metadata.core.recipe import RecipeError, conflicts, evaluate_filters, parse_recipe, render_problems

WORDS = st.sampled_from(
    [
        "FORMAT",
        "dicom",
        "%header",
        "%filter",
        "%values",
        "%fields",
        "%labels",
        "a",
        "b",
        "ADD",
        "BLANK",
        "JITTER",
        "KEEP",
        "REPLACE",
        "REMOVE",
        "PSEUDO",
        "LABEL",
        "FIELD",
        "SPLIT",
        "PatientName",
        "PatientID",
        "Patient's",
        "Name",
        "StudyDate",
        "(0010,0010)",
        "60xx3000",
        '(0029,"A',
        'B",10)',
        "Modality/*",
        "**/CodeValue",
        "ALL",
        "contains:Name|ID",
        "endswith:(",
        "startswith:^P.*e",
        "except:ID",
        "select:VR:PN",
        "select:GROUP:0010",
        "fields:a",
        "values:a",
        "func:hasuid",
        "func:jitter",
        "deid_func:dicom_uuid",
        "var:x",
        "''",
        '"x',
        "'",
        "#",
        "+",
        "||",
        "contains",
        "equals",
        "missing",
        "coordinates",
        "1,2,3,4",
        "ctpcoordinates",
        "all",
        "from:SequenceOfUltrasoundRegions",
        "by='^';minlength=2",
        "days=1",
        "FULL_NAME",
        "HEALTH",
        "INSTITUTION",
        "scope=project",
        "-31",
        "\t",
    ]
)
LINES = st.lists(WORDS, max_size=6).map(" ".join)
RECIPES = st.lists(st.one_of(LINES, st.text(max_size=20)), max_size=12).map("\n".join)


def _parse(text):
    recipe, problems = None, ()
    try:
        recipe = parse_recipe(text)
    except RecipeError as error:
        problems = error.problems
    assert (recipe is None) is bool(problems)
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message
    if problems:
        assert render_problems(text, problems).count("\n") >= 2
    return recipe


@given(st.text(max_size=400))
def test_any_text_is_a_recipe_or_a_list_of_mistakes(text):
    _parse(text)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(RECIPES)
def test_words_of_the_grammar_in_any_order_are_a_recipe_or_a_list_of_mistakes(text):
    recipe = _parse("FORMAT dicom\n%header\n" + text)
    if recipe is None:
        return
    evaluate_filters(recipe, {"Modality": ["CT"], "PatientID": ["1"]}.get)
    recipe.collect_values(lambda _: ["a b"])
    assert recipe.digest


@settings(max_examples=100, deadline=None)
@given(RECIPES, st.sampled_from(["\n", "\r\n", "\r"]), st.integers(0, 3))
def test_blanks_blank_lines_comments_and_line_ends_do_not_change_the_digest(text, end, blanks):
    plain = "FORMAT dicom\n%header\n" + text
    recipe = _parse(plain)
    if recipe is None:
        return
    lines = [
        " " * blanks + line.rstrip() + "\t # note"
        for line in plain.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ]
    assert parse_recipe("\ufeff" + end.join([*lines, "", "# end"])).digest == recipe.digest


@settings(max_examples=25, deadline=None)
@given(RECIPES)
def test_the_search_for_conflicts_ends_for_any_recipe(text):
    recipe = _parse("FORMAT dicom\n%header\n" + text)
    if recipe is not None:
        for conflict in conflicts(recipe):
            assert conflict.why


def _seconds(text):
    begin = time.process_time()
    _parse(text)
    return time.process_time() - begin


@pytest.mark.parametrize(
    "line",
    [
        "REMOVE PatientName\n",
        "KEEP Rwos\n",  # the same slip again and again
        "KEEP Rwos{}\n",  # another slip in each line
        "REMOVE contains:(a+)+{}\n",
        "REPLACE PatientName " + "'" * 400 + "\n",
        "REPLACE PatientName " + " '#" * 400 + "\n",
        "REMOVE " + "(" * 400 + "\n",
        "REMOVE " + "a/" * 400 + "\n",
        "PSEUDO " + "Patient " * 400 + "\n",
        "REMOVE " + "x " * 400 + "\n",
        "REMOVE contains:" + "(a|" * 15 + "{}\n",
    ],
)
def test_time_is_linear_in_the_text(line):
    def lines(count):
        return "FORMAT dicom\n%header\n" + "".join(line.replace("{}", str(number)) for number in range(count))

    _seconds(lines(100))
    short = min(_seconds(lines(200)) for _ in range(2))
    long = min(_seconds(lines(1600)) for _ in range(2))
    assert long < 8 * short * 2.5 + 0.2
    assert long < 4


def test_a_text_without_a_line_end_is_refused_quickly():
    assert _seconds("%header\nREMOVE " + "'" * 990_000) < 2
    assert _seconds("\n" * 1_000_000) < 4
    assert sys.getrecursionlimit() >= 1000
    assert _seconds("%header\nREMOVE contains:" + "(" * 3000) < 1
