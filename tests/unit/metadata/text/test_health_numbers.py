from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarnhelm.metadata.core.text.health_numbers import Evidence, find, is_british_columbia, is_ontario, is_quebec


@pytest.mark.parametrize("digits", ["9698658215", "9698648215"])
def test_british_columbia_by_check_digit(digits):
    expected = digits == "9698658215"
    assert is_british_columbia(digits) is expected


@pytest.mark.parametrize(
    ("digits", "passes"),
    [
        ("1234567897", True),  # Luhn: 7 completes the sum
        ("1234567890", False),
        ("0000000000", False),  # none begins with zero
        ("123456789", False),  # nine digits
        ("１２３４５６７８９７", False),  # other digits than ASCII
    ],
)
def test_ontario_by_check_digit(digits, passes):
    assert is_ontario(digits) is passes


@settings(deadline=None)
@given(st.integers(10**8, 10**9 - 1))
def test_one_check_digit_in_ten_passes_in_ontario(stem):
    assert sum(is_ontario(f"{stem}{digit}") for digit in range(10)) == 1


@settings(deadline=None)
@given(st.integers(9 * 10**8, 10**9 - 1))
def test_at_most_one_check_digit_passes_in_british_columbia(stem):
    assert sum(is_british_columbia(f"{stem}{digit}") for digit in range(10)) <= 1


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("TREH80510412", True),  # a woman born in January
        ("TREJ 8012 3112", True),
        ("TREJ 8013 3112", False),  # no thirteenth month
        ("TREJ 8012 3212", False),
        ("TRE 8012 3112", False),
    ],
)
def test_quebec_by_its_birth_date(text, passes):
    assert is_quebec(text) is passes


FINDS = [
    # text, what is found, how sure, whose
    ("x 9698658215 y", "9698658215", Evidence.CHECKED, "BC"),
    ("x 9698 658 215 y", "9698 658 215", Evidence.CHECKED, "BC"),
    ("x 1234-567-897 y", "1234-567-897", Evidence.CHECKED, "ON"),
    ("OHIP: 1234567890", "1234567890", Evidence.LABELLED, "NS"),
    ("1234 567 890", "1234 567 890", Evidence.GROUPING, "NS"),
    ("12345-6789", "12345-6789", Evidence.GROUPING, "AB"),
    ("123 456 789", "123 456 789", Evidence.GROUPING, "SK"),
    ("123456789", "123456789", Evidence.LENGTH, "MB"),
    ("123 456 789 012", "123 456 789 012", Evidence.GROUPING, "NL"),
    ("health card 12345678", "12345678", Evidence.LABELLED, "PE"),
    ("N1234567", "N1234567", Evidence.LENGTH, "NT"),
    ("carte soleil TREH 8051 0412", "TREH 8051 0412", Evidence.LABELLED, "QC"),
    ("room 5 9698658215", "9698658215", Evidence.CHECKED, "BC"),  # a number before it does not hide it
]


@pytest.mark.parametrize(("text", "found", "evidence", "where"), FINDS)
def test_formats(text, found, evidence, where):
    [number] = find(text)
    assert text[number.start : number.end] == found
    assert number.evidence is evidence
    assert where in number.jurisdictions


@pytest.mark.parametrize(
    "text", ["", "T2 3mm", "1.2.840.10008.5.1.4", "b1000 1500", "2.123456789", "A123456789B", "12345"]
)
def test_other_numbers_are_none(text):
    assert find(text, Evidence.GROUPING) == []


@settings(deadline=None)
@given(st.text("0123456789 -.ABCN", max_size=40))
def test_finds_do_not_overlap(text):
    finds = find(text)
    assert all(a.end <= b.start for a, b in pairwise(finds))
    assert all(0 <= number.start < number.end <= len(text) for number in finds)
