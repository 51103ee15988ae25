"""The walker over hostile and mutated bytes, by the same check that the fuzz target runs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

header = pytest.importorskip("tarnhelm.common.dicom.header")

from tests.hostile.files import CASES  # noqa: E402
from tests.hostile.fuzz_header import check  # noqa: E402
from tests.hostile.pieces import small_file  # noqa: E402

VALID = small_file()


@pytest.mark.parametrize("name", [name for name in CASES if "bomb" not in name])
def test_hostile_files_break_no_invariant(name):
    check(CASES[name]())


@settings(max_examples=400, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(132, len(VALID) - 1), st.integers(1, 255)), min_size=1, max_size=6))
def test_flipped_bytes_break_no_invariant(flips):
    data = bytearray(VALID)
    for at, value in flips:
        data[at] ^= value
    check(bytes(data))


@settings(max_examples=300, deadline=None)
@given(tail=st.binary(max_size=200), cut=st.integers(140, len(VALID)))
def test_any_tail_breaks_no_invariant(tail, cut):
    check(VALID[:cut] + tail)
