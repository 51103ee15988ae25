"""Objects that are read together and written later come out as if each had been cleaned by itself."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.metadata.rewriting.cleaning import Cleaner, KeyedAssigner, file_bytes
from tests.unit.metadata.rewriting.test_layouts import changes, result, slice_with

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import StageJob
from tarnhelm.metadata.core.rewriting.layout import LayoutCache


def together(core, assigner, folder, batch):
    """Take each object of a batch up to its question, then all to their ends; as ``result`` gives them."""
    found = [None] * len(batch)
    waiting = []
    for place, data in enumerate(batch):
        source, target = folder / f"{place}.in", folder / f"{place}.out"
        source.write_bytes(data)
        target.unlink(missing_ok=True)
        steps = core.steps(StageJob(f"{place:032x}", source, target, accept_unchecked_pixels=True))
        try:
            waiting.append((place, steps, next(steps)))
        except TarnhelmError as error:
            found[place] = error.code, error.facts
    for place, steps, request in waiting:
        try:
            steps.send(assigner.assign(request))
        except StopIteration as done:
            outcome = done.value
            counts = dict(outcome.actions), dict(outcome.findings)
            found[place] = (folder / f"{place}.out").read_bytes(), outcome.facts.needs, *counts, outcome.facts
        except TarnhelmError as error:
            found[place] = error.code, error.facts
    return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A cleaner that remembers layouts, and one that walks every object itself."""
    cold = Cleaner(tmp_path_factory.mktemp("cold"))
    cold.core._rewriter._parser._layouts = None
    return Cleaner(tmp_path_factory.mktemp("warm")), cold


@given(series=st.lists(changes, min_size=2, max_size=8), size=st.integers(2, 8))
@settings(max_examples=60, deadline=None)
def test_slices_of_a_batch_come_out_as_if_each_were_alone(pair, series, size):
    warm, cold = pair
    warm.core._rewriter._parser._layouts = LayoutCache()
    files = [file_bytes(slice_with(**copy.deepcopy(each))) for each in series]
    for batch in (files[at : at + size] for at in range(0, len(files), size)):
        assert together(warm.core, KeyedAssigner(), warm.folder, batch) == [result(cold, data) for data in batch]


def test_a_layout_that_learns_while_slices_wait_leaves_them_as_they_were_read(pair):
    """The third slice fits a layout, the fourth widens it, and only then the third is written."""
    warm, cold = pair
    warm.core._rewriter._parser._layouts = LayoutCache()
    named = [{"InstanceNumber": str(n), "SOPInstanceUID": f"1.2.3.4.5.{n}"} for n in range(1, 5)]
    named[3]["ContentTime"] = "101116"
    files = [file_bytes(slice_with(**each)) for each in named]
    assert together(warm.core, KeyedAssigner(), warm.folder, files) == [result(cold, data) for data in files]
