"""Codes of anatomic regions reach the gate: the object's own and those of its frames."""

import pytest
from pydicom.dataset import Dataset

from tarnhelm.common.errors import TarnhelmError

from .cleaning import chest_ct


def region(code="51185008", scheme="SCT", **more):
    item = Dataset()
    if code:
        item.CodeValue = code
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = "Region"
    for name, value in more.items():
        setattr(item, name, value)
    return item


def ct(**extra):
    """A slice whose only word on the body part is a code."""
    ds = chest_ct(StudyDescription="", **extra)
    del ds.BodyPartExamined
    return ds


def in_frames(*items, shared=True):
    anatomy, groups = Dataset(), Dataset()
    anatomy.AnatomicRegionSequence = list(items)
    groups.FrameAnatomySequence = [anatomy]
    return {"SharedFunctionalGroupsSequence" if shared else "PerFrameFunctionalGroupsSequence": [groups]}


def refusal(clean, ds):
    try:
        clean(ds, accept=False)
    except TarnhelmError as error:
        return error.code
    return ""


ROWS = [
    ({"AnatomicRegionSequence": [region()]}, ""),
    ({"AnatomicRegionSequence": [region("T-D3000", "SRT")]}, ""),
    ({"AnatomicRegionSequence": [region("", LongCodeValue="51185008")]}, ""),
    (in_frames(region()), ""),
    (in_frames(region(), shared=False), ""),
    ({}, "PIX-002"),
    ({"AnatomicRegionSequence": [region("69536005")]}, "PIX-002"),  # the head
    ({"AnatomicRegionSequence": [region(), region("69536005")]}, "PIX-002"),
    (in_frames(region(), region("69536005"), shared=False), "PIX-002"),
    ({"AnatomicRegionSequence": [region(scheme="99LOCAL")]}, "PIX-002"),  # a local code that looks like the chest's
    ({"RequestedProcedureCodeSequence": [region()]}, "PIX-002"),  # no region of the image
]


@pytest.mark.parametrize(("extra", "code"), ROWS)
def test_a_region_code_decides_about_the_face(cleaner, extra, code):
    assert refusal(cleaner(), ct(**extra)) == code


def test_slices_that_differ_in_their_region_are_judged_for_themselves(cleaner):
    clean = cleaner()
    codes = ["51185008", "69536005", "51185008", "12738006"]
    seen = [
        refusal(clean, ct(AnatomicRegionSequence=[region(code)], SOPInstanceUID=f"1.2.3.4.5.{number}"))
        for number, code in enumerate(codes, 1)
    ]
    assert seen == ["", "PIX-002", "", "PIX-002"]
