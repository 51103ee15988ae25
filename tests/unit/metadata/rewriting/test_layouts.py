"""Slices of a series are cleaned by what they differ in: the result is that of cleaning each for itself."""

import copy
import itertools
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.unit.metadata.rewriting.cleaning import Cleaner, chest_ct, file_bytes

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core.rewriting.layout import Layout, LayoutCache
from tarnhelm.metadata.core.rewriting.write import Writer

LITTLE, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
SAFE = ("basicProfile", "rtnLongModifDatesOpt", "rtnSafePrivOpt", "cleanDescOpt")


def reference(uid, meaning="Previous slice"):
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    item.ReferencedSOPInstanceUID = uid
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "99", "99LOCAL", meaning
    item.PurposeOfReferenceCodeSequence = Sequence([purpose])
    return item


def region(code):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "Region"
    return item


def slice_with(**changes):
    """A slice with everything that layouts treat differently: sequences, private blocks, elements behind the pixels."""
    ds = chest_ct()
    ds.ContentTime = "101113.5"
    ds.SeriesDescription = "Thorax axial"
    ds.ReferencedImageSequence = Sequence([reference("1.2.3.4.5.0")])
    dropped = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    dropped.add_new(0x10, "OB", b"SV10 Bramwell one")
    dropped.add_new(0x20, "LO", "one")
    kept = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    kept.add_new(0x0C, "IS", "400")
    kept.add_new(0x0D, "CS", "DIRECTIONAL")
    ds.add_new(0xFFFCFFFC, "OB", b"\0" * 8)
    for name, value in changes.items():
        if name == "csa":
            ds[0x0029, 0x1010].value = value
        elif name == "safe":
            ds[0x0019, 0x100C].value = value
        elif name == "padding":
            ds[0xFFFC, 0xFFFC].value = value
        elif name == "behind":
            ds.private_block(0x7FE1, "ACME BEHIND", create=True).add_new(1, "LO", value)
        elif name == "drop":
            for keyword in value:
                if keyword in ds:
                    delattr(ds, keyword)
        else:
            setattr(ds, name, value)
    return ds


digits = st.text("0123456789", min_size=1, max_size=6)
words = st.sampled_from(["Thorax axial", "Thorax for Bramwell", "MRN445566 lung", "Bramwell", "Fernwood", ""])
changes = st.fixed_dictionaries(
    {},
    optional={
        "SOPInstanceUID": st.builds("1.2.3.4.5.{}".format, st.integers(1, 999)),
        "InstanceNumber": st.integers(1, 2000).map(str),
        "ContentTime": st.sampled_from(["101114", "101115.25", "101116"]),
        "AcquisitionDate": st.sampled_from(["20210304", "20210305"]),
        "ImagePositionPatient": st.lists(digits, min_size=3, max_size=3),
        "SeriesDescription": words,
        "ImageComments": words,
        "PatientName": st.sampled_from(["Bramwell^Tobias", "BRAMWELL^TOBIAS", "Quillan^Odette"]),
        "PatientID": st.sampled_from(["MRN445566", "MRN445567"]),
        "SpecificCharacterSet": st.sampled_from(["ISO_IR 100", "ISO_IR 192"]),
        "Modality": st.sampled_from(["CT", "MR"]),
        "Rows": st.sampled_from([8, 4]),
        "ReferencedImageSequence": st.lists(
            st.builds(reference, st.builds("1.2.3.4.5.{}".format, st.integers(1, 99)), words), max_size=2
        ),
        "csa": st.binary(max_size=24).map(lambda raw: raw + b" " * (len(raw) % 2)),
        "safe": digits,
        "padding": st.binary(max_size=12).map(lambda raw: raw + b"\0" * (len(raw) % 2)),
        "behind": words,
        "AnatomicRegionSequence": st.lists(st.builds(region, st.sampled_from(["69536005", "51185008"])), max_size=1),
        "drop": st.lists(st.sampled_from(["StudyID", "ContentTime", "KVP", "ReferencedImageSequence"]), max_size=1),
        "PixelData": st.binary(min_size=128, max_size=128).map(lambda raw: bytes(byte & 0x0F for byte in raw)),
    },
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """By profiles: a cleaner that remembers layouts, and one that walks every object itself."""
    made = {}
    for profiles in ((), SAFE):
        warm = Cleaner(tmp_path_factory.mktemp("warm"), profiles=profiles)
        cold = Cleaner(tmp_path_factory.mktemp("cold"), profiles=profiles)
        cold.core._rewriter._parser._layouts = None
        made[profiles] = warm, cold
    return made


def result(cleaner, data):
    try:
        cleaned = cleaner(data)
    except TarnhelmError as error:
        return error.code, error.facts
    outcome = cleaned.outcome
    return cleaned.data, outcome.facts.needs, dict(outcome.actions), dict(outcome.findings), outcome.facts


def fits(cleaner):
    """Count the objects that a layout was found for."""
    cache = cleaner.core._rewriter._parser._layouts
    found = []
    original = cache.find

    def counting(*arguments):
        fit = original(*arguments)
        found.append(fit is not None)
        return fit

    cache.find = counting
    return found


@pytest.mark.parametrize("profiles", [(), SAFE], ids=["default", "safe-private"])
@given(
    series=st.lists(changes, min_size=2, max_size=6), syntax=st.sampled_from([LITTLE, LITTLE, IMPLICIT, BIG, DEFLATED])
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_slice_comes_out_as_if_it_were_alone(pairs, profiles, series, syntax):
    warm, cold = pairs[profiles]
    warm.core._rewriter._parser._layouts = LayoutCache()
    for each in series:
        data = file_bytes(slice_with(**copy.deepcopy(each)), syntax)
        assert result(warm, data) == result(cold, data)


@given(
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3),
    number=st.integers(1, 9999),
)
@settings(max_examples=150, deadline=None)
def test_flipped_bytes_are_judged_as_if_the_slice_were_alone(pairs, places, number):
    warm, cold = pairs[()]
    data = bytearray(file_bytes(slice_with(InstanceNumber=str(number))))
    for place, value in places:
        data[int(place * (len(data) - 1))] = value
    data = bytes(data)
    assert result(warm, data) == result(cold, data)


@pytest.mark.parametrize("syntax", [LITTLE, IMPLICIT, BIG])
def test_slices_whose_values_differ_in_length_share_a_layout(tmp_path, syntax):
    cleaner = Cleaner(tmp_path)
    found = fits(cleaner)
    for number in (1, 7, 10, 99, 100, 1000, 12345):
        position = ["-100", str(-number), f"{number / 3:.4f}"]
        cleaner(
            file_bytes(
                slice_with(
                    InstanceNumber=str(number),
                    SOPInstanceUID=f"1.2.3.4.5.{number}",
                    ImagePositionPatient=position,
                    csa=b"x" * 2 * number,
                    ReferencedImageSequence=Sequence([reference(f"1.2.3.4.5.{number - 1}")]),
                ),
                syntax,
            )
        )
    assert found == [False, False, True, True, True, True, True]


def test_a_name_that_only_one_slice_holds_is_found_in_its_texts(tmp_path):
    cleaner = Cleaner(tmp_path)
    found = fits(cleaner)
    for number in range(1, 5):
        cleaner(slice_with(InstanceNumber=str(number), ImageComments=f"thorax {number}"))
    assert found[-1]
    other = cleaner(slice_with(InstanceNumber="5", ImageComments="thorax Quillan"))
    assert not other.holds("Quillan")


def test_many_series_in_turns_have_their_layouts_and_their_contexts_at_hand(tmp_path, pairs, monkeypatch):
    cleaner, (_, cold) = Cleaner(tmp_path), pairs[()]
    found, tried, made = fits(cleaner), [], []
    fit, frame = Layout.fit, Writer._frame
    for number in range(1, 7):
        with monkeypatch.context() as patch:
            if number > 4:
                patch.setattr(Layout, "fit", lambda *given: tried.append(1) or fit(*given))
                patch.setattr(Writer, "_frame", lambda *given: made.append(1) or frame(*given))
            for series in range(14):
                data = file_bytes(
                    slice_with(
                        InstanceNumber=str(number),
                        SOPInstanceUID=f"1.2.3.4.{series}.{number}",
                        SeriesInstanceUID=f"1.2.3.5.{series}",
                        SeriesDescription=f"Thorax axial {series}",
                        PatientID=f"MRN44{series:04}",
                    )
                )
                assert series or result(cleaner, data) == result(cold, data)
                cleaner(data)
    assert all(found[-28:])
    assert len(tried) <= 30 + 2 * len(made)
    assert not made, "each is written as its series was before"


def test_slices_of_two_series_in_turn_stay_apart(tmp_path):
    cleaner = Cleaner(tmp_path, profiles=SAFE)
    found = fits(cleaner)
    for number, name in itertools.product(range(1, 6), ("Thorax axial", "Thorax coronal")):
        uid = "1.2.3.4.5.6" if name == "Thorax axial" else "1.2.3.4.5.8"
        ds = slice_with(InstanceNumber=str(number), SeriesInstanceUID=uid, SeriesDescription=name)
        made = cleaner(ds).ds
        assert re.search(name.split()[1], made.SeriesDescription, re.IGNORECASE)
    assert found[-1]
