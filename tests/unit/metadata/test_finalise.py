"""The markers of an object that more than one stage worked on; every other byte stays."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts, StageJob, StageOutcome, Status
from tarnhelm.metadata.core.finalise import FinaliseCore
from tarnhelm.metadata.core.plan import MetadataConfig

MARKERS = (0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280302, 0x00280303)
METADATA = StageOutcome(
    Status.DONE, facts=ObjectFacts(modality="US", needs=frozenset({"ocr"})), methods=("113100", "113107")
)
FACE = replace(METADATA, facts=ObjectFacts(modality="CT", needs=frozenset({"deface"})))
OCR = StageOutcome(Status.DONE, methods=("113101",))
DEFACE = StageOutcome(Status.DONE, methods=("113102",))
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@pytest.fixture(scope="module")
def core() -> FinaliseCore:
    return FinaliseCore(MetadataConfig())


def written(syntax: str = ExplicitVRLittleEndian, **values: str) -> bytes:
    """A file as a later stage leaves it: a sequence, pixels, whatever markers are given."""
    little = syntax != ExplicitVRBigEndian
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm" if little else "ExplVR_BigEnd.dcm", download=False))
    for keyword in ("PatientIdentityRemoved", "BurnedInAnnotation", "RecognizableVisualFeatures"):
        if keyword in dataset:
            delattr(dataset, keyword)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    stream = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(
        stream, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little, enforce_file_format=True
    )
    return stream.getvalue()


def finalised(
    core: FinaliseCore, folder: Path, data: bytes, *earlier: tuple[str, StageOutcome], **changes: object
) -> tuple[StageOutcome, bytes]:
    source, target = folder / "source", folder / "target"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    outcome = core(StageJob("object", source, target, earlier=earlier, **changes))
    return outcome, target.read_bytes() if target.exists() else b""


def without_markers(data: bytes) -> list[object]:
    dataset = pydicom.dcmread(io.BytesIO(data))
    return [(element.tag, element.VR, element.value) for element in dataset if element.tag not in MARKERS]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_that_were_cleaned_are_said_to_be(core, tmp_path, syntax):
    data = written(syntax, BurnedInAnnotation="YES", PatientIdentityRemoved="NO")
    outcome, back = finalised(core, tmp_path, data, ("metadata", METADATA), ("ocr", OCR))
    dataset = pydicom.dcmread(io.BytesIO(back))
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.BurnedInAnnotation == "NO"
    assert "RecognizableVisualFeatures" not in dataset
    assert [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence] == ["113100", "113107", "113101"]
    assert "113101" in dataset.DeidentificationMethod
    assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
    assert outcome.methods == ("113100", "113107", "113101")
    assert without_markers(back) == without_markers(data)
    tags = [element.tag for element in dataset]
    assert tags == sorted(tags)


def test_bytes_that_are_no_marker_stay_as_they_are(core, tmp_path):
    first = finalised(core, tmp_path, written(), ("metadata", FACE), ("imaging", DEFACE))[1]
    outcome, again = finalised(core, tmp_path, first, ("metadata", FACE), ("imaging", DEFACE))
    assert again == first  # the markers stand already, and nothing else moves
    assert outcome.output_bytes == len(first)
    bare = written()
    start = bare.index(b"\x08\x00\x05\x00CS")
    assert first.startswith(bare[: start + 100])
    assert first.endswith(bare[bare.index(b"\xe0\x7f\x10\x00OW") :])
    assert pydicom.dcmread(io.BytesIO(first)).RecognizableVisualFeatures == "NO"


@pytest.mark.parametrize(
    ("needs", "earlier", "removed"),
    [
        ({"ocr"}, (), "NO"),
        ({"ocr", "deface"}, (("ocr", OCR),), "NO"),
        ({"ocr", "deface"}, (("ocr", OCR), ("imaging", DEFACE)), "YES"),
        ({"deface"}, (("ocr", OCR),), "NO"),
        ({"mask"}, (), "NO"),
        (set(), (), "YES"),
        ({"ocr"}, (("ocr", replace(OCR, status=Status.QUARANTINE)),), "NO"),
    ],
)
def test_identity_is_removed_only_where_all_that_was_needed_was_done(core, tmp_path, needs, earlier, removed):
    metadata = replace(METADATA, facts=ObjectFacts(needs=frozenset(needs)))
    back = finalised(core, tmp_path, written(), ("metadata", metadata), *earlier)[1]
    assert pydicom.dcmread(io.BytesIO(back)).PatientIdentityRemoved == removed


def test_no_stage_earns_a_code_of_another(core, tmp_path):
    boasting = replace(METADATA, methods=("113100", "113101", "113102", "999999"))
    outcome, back = finalised(
        core, tmp_path, written(), ("metadata", boasting), ("ocr", replace(OCR, methods=("113109", "113101")))
    )
    assert outcome.methods == ("113100", "113101")
    codes = [item.CodeValue for item in pydicom.dcmread(io.BytesIO(back)).DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101"]


def test_without_the_outcome_of_the_metadata_stage_nothing_is_written(core, tmp_path):
    for earlier in ((), (("ocr", OCR),), (("metadata", replace(METADATA, status=Status.RETRY)),)):
        with pytest.raises(TarnhelmError) as caught:
            finalised(core, tmp_path, written(), *earlier)
        assert caught.value.code == "STG-003"
        assert not (tmp_path / "target").exists()


def test_what_a_stage_left_broken_is_refused(core, tmp_path):
    with pytest.raises(TarnhelmError) as caught:
        finalised(core, tmp_path, written()[:-100], ("metadata", METADATA))
    assert caught.value.code.startswith("DCM")


def test_a_dry_run_writes_nothing(core, tmp_path):
    outcome, back = finalised(core, tmp_path, written(), ("metadata", METADATA), dry_run=True)
    assert (outcome.status, back) == (Status.DONE, b"")
