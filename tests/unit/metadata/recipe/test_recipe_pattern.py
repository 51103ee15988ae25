"""Expressions: the same answers as Python's engine, in linear time."""

from __future__ import annotations

import pickle
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.metadata.core.recipe.pattern import PatternError, compile_pattern

ATOMS = st.sampled_from(["a", "b", "Ab", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\W", r"\.", "(?:ab|c)", "(a|)", "()"])
REPEATS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?"])
PIECES = st.lists(st.tuples(ATOMS, REPEATS).map("".join), max_size=5).map("".join)
BRANCHES = st.tuples(st.sampled_from(["", "^"]), PIECES, st.sampled_from(["", "$"])).map("".join)
EXPRESSIONS = st.lists(BRANCHES, min_size=1, max_size=3).map("|".join)


@given(EXPRESSIONS, st.text("abcAB.1 ", max_size=12))
def test_answers_agree_with_pythons_engine(expression, text):
    assert compile_pattern(expression).search(text) is (re.search(expression, text, re.IGNORECASE) is not None)


@given(EXPRESSIONS, st.text("abcAB.1 ", max_size=12))
def test_anchored_answers_agree_with_deids_way_to_anchor(expression, text):
    begins = re.search(f"^({expression})", text, re.IGNORECASE) is not None
    ends = re.search(f"({expression})$", text, re.IGNORECASE) is not None
    assert compile_pattern(expression, at_start=True).search(text) is begins
    assert compile_pattern(expression, at_end=True).search(text) is ends


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_refused_with_a_place(text):
    try:
        compile_pattern(text).search("Patient's Name")
    except PatternError as error:
        assert 0 <= error.offset <= len(text)  # noqa: PT017


@pytest.mark.parametrize(
    "expression",
    [
        "(a+)+$",  # exponential in an engine that goes back
        "(a|a)*b",
        "(a|b|ab)*c",
        "a?" * 30 + "a" * 30 + "$",
        "(.*)(.*)(.*)(.*)x",
    ],
)
def test_time_does_not_explode(expression):
    pattern = compile_pattern(expression)
    begin = time.process_time()
    pattern.search("a" * 5000 + "!")
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("expression", "offset"),
    [
        ("a(?=b)", 1),  # look-around
        (r"(a)\1", 3),  # back-reference
        ("(a", 0),
        ("a)", 1),
        ("[a", 0),
        ("*a", 0),
        ("a**", 2),
        ("^*", 0),
        ("a{3,2}", 1),
        ("a{1,999}", 1),
        ("[b-a]", 3),
        ("a\\", 1),
        ("(" * 40 + ")" * 40, 20),
        ("((a{200}){200}){200}", 0),  # would need eight million steps
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(expression, offset):
    with pytest.raises(PatternError) as caught:
        compile_pattern(expression)
    assert caught.value.offset == offset


def test_an_empty_part_repeated_often_costs_nothing():
    begin = time.process_time()
    assert compile_pattern("(" * 15 + ")" + "{200})" * 14).search("x")
    assert time.process_time() - begin < 1


def test_a_pattern_survives_a_process():
    for pattern in (compile_pattern("a|b", at_start=True), compile_pattern("x.+", at_end=True)):
        assert pickle.loads(pickle.dumps(pattern)) == pattern  # noqa: S301


def test_the_memo_stays_small():
    pattern = compile_pattern(".é")
    for start in range(0, 40_000, 500):
        pattern.search("".join(map(chr, range(0x4E00 + start % 20000, 0x4E00 + start % 20000 + 500))))
    assert len(pattern._memo) <= 4096
