"""Attributes for which Table E.1-1 has no row: whatever somebody may have typed goes, what a machine wrote stays."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.profiles import combine
from tarnhelm.metadata.core.rules.unlisted import Treatment, treatment

from .cleaning import chest_ct, file_bytes

WORDS = ("LO", "LT", "SH", "ST", "UC", "UT")
MACHINE_WRITTEN = {
    "AcquisitionDeviceProcessingCode", "AlgorithmName", "AlgorithmVersion", "ApplicationManufacturer", "ApplicationName",
    "ApplicationVersion", "AttenuationCorrectionMethod", "CardiacFramingType", "CodeValue", "CodingSchemeDesignator",
    "CodingSchemeRegistry", "CodingSchemeVersion", "CollimatorGridName", "ConvolutionKernel", "DetectorLinesOfResponseUsed",
    "DetectorManufacturerModelName", "DetectorManufacturerName", "DigitalImageFormatAcquired", "EXIFVersion",
    "EnergyWindowName", "FilterType", "ImageFilter", "ImagedNucleus", "LongCodeValue", "Manufacturer",
    "ManufacturerModelName", "ManufacturerModelVersion", "MappingResourceName", "ModalityLUTType", "MultiCoilConfiguration",
    "MultiCoilElementName", "OpticalPathIdentifier", "OutputPower", "PVCRejection", "PhosphorType", "PlateType",
    "PostprocessingFunction", "ProcessingFunction", "PulseSequenceName", "Radiopharmaceutical", "ReceiveCoilManufacturerName",
    "ReceiveCoilName", "ReconstructionMethod", "ReferencedOpticalPathIdentifier", "RescaleType", "ScatterCorrectionMethod",
    "SecondaryCaptureDeviceManufacturer", "SecondaryCaptureDeviceManufacturerModelName",
    "SecondaryCaptureDeviceSoftwareVersions", "SequenceName", "SoftwareVersions", "StackID", "TransmitCoilManufacturerName",
    "TransmitCoilName", "TriggerSourceOrType", "TypeOfFilters", "URNCodeValue", "VideoImageFormatAcquired",
}  # fmt: skip


def unlisted():
    """(tag, VRs, keyword) of every attribute without a row."""
    profile = combine(("basicProfile",))
    for tag in standard.known_attributes():
        if profile.decide(tag).row == "house no-row":
            yield tag, frozenset((standard.vr_of(tag) or "UN").split(" or ")), standard.keyword_of(tag) or ""


def by_dictionary(tag, known, keyword):
    return {treatment(tag, vr, keyword, known) for vr in known}


def test_no_words_stay_as_they_are():
    for tag, known, keyword in unlisted():
        for vr in (*WORDS, "AE", "UR", "PN", "CS"):
            assert treatment(tag, vr, keyword, known) is not Treatment.COPIED, (keyword, vr)


def test_only_what_a_machine_writes_is_not_cleaned():
    checked = {
        keyword
        for tag, known, keyword in unlisted()
        if known & {*WORDS, "AE", "UR", "PN"} and Treatment.CHECKED in by_dictionary(tag, known, keyword)
    }
    assert checked - {"CodeMeaning"} == MACHINE_WRITTEN


def test_a_text_that_the_file_calls_a_number_goes():
    for tag, known, keyword in unlisted():
        if known & {*WORDS, "AE", "UR"}:
            for vr in ("DS", "FD", "US", "OB", "OW", "AT", "IS", "UN"):
                assert treatment(tag, vr, keyword, known) is Treatment.REMOVED, (keyword, vr)


@pytest.mark.parametrize(
    ("keyword", "vrs"),
    [
        ("KVP", ("US", "FD", "OW", "OB")),
        ("ReferencedImageSequence", ("OW", "US", "OB", "LO")),
        ("Rows", ("OW", "OB", "OL")),
    ],
)
def test_items_and_numbers_that_the_file_calls_something_else_go(keyword, vrs):
    tag = standard.tag_of(keyword)
    known = frozenset((standard.vr_of(tag) or "").split(" or "))
    assert {treatment(tag, vr, keyword, known) for vr in vrs} == {Treatment.REMOVED}


def test_identifiers_go_whatever_their_words():
    wanted = {"ImageID", "DeviceID", "GridID", "ItineraryID", "StorageMediaFileSetID", "PlacerOrderNumberProcedure"}
    found = {keyword for row in unlisted() for keyword in [row[2]] if by_dictionary(*row) == {Treatment.REMOVED}}
    assert wanted <= found
    assert not found & MACHINE_WRITTEN


def test_bytes_that_may_hold_anything_go_and_pixels_and_tables_stay():
    kept = {keyword for tag, known, keyword in unlisted() if treatment(tag, "OB", keyword, known) is Treatment.COPIED}
    assert {"PixelData", "ICCProfile", "RedPaletteColorLookupTableData", "ExtendedOffsetTable", "WaveformData"} <= kept
    assert not {"HPGLDocument", "EncryptedContent", "RecordKey", "FillPattern", "InteroperabilityVersion"} & kept


@pytest.mark.parametrize("keyword", ["ReceiveCoilName", "SoftwareVersions", "ConvolutionKernel", "SequenceName"])
def test_what_a_machine_writes_keeps_words_that_no_dictionary_has(cleaner, keyword):
    ds = cleaner()(chest_ct(**{keyword: "*qzvx12_f"})).ds
    assert getattr(ds, keyword) == "*qzvx12_f"


def test_free_words_go_and_useful_ones_stay_at_any_depth(cleaner):
    inner = Dataset()
    inner.LUTExplanation = "Window of Ozzelbrunn"
    inner.AssignedLocation = "Ozzelbrunn 4"
    ds = chest_ct(WindowCenterWidthExplanation="BONE Ozzelbrunn", ModalityLUTSequence=Sequence([inner]))
    clean = cleaner()(ds)
    assert clean.holds("Ozzelbrunn") == []
    assert clean.ds.WindowCenterWidthExplanation == "BONE"
    assert clean.ds.ModalityLUTSequence[0].LUTExplanation == "Window of"


def test_a_text_that_must_have_a_value_gets_one(cleaner):
    # Patient Species Description is of Type 1C (PS3.3 C.7.1.1).
    assert cleaner()(chest_ct(PatientSpeciesDescription="Ozzelbrunn")).ds.PatientSpeciesDescription == "REMOVED"


@pytest.mark.parametrize(
    ("keyword", "number", "word"),
    [
        ("KVP", b"DS\x04\x00120 ", b"DS\x04\x00OZZB"),
        ("SeriesNumber", b"IS\x02\x002 ", b"IS\x02\x00OZ"),
        ("StudyTime", b"TM\x06\x00101112", b"TM\x06\x00OZZELB"),
    ],
)
def test_a_word_is_no_number_and_no_time(cleaner, keyword, number, word):
    data = file_bytes(chest_ct())
    assert data.count(number) == 1
    clean = cleaner()(data.replace(number, word))
    assert word not in clean.data
    assert ("odd-value", keyword) in clean.outcome.findings
    assert number in cleaner()(data).data


def test_a_code_string_that_is_none_is_cleaned_as_text(cleaner):
    plain = file_bytes(chest_ct(BodyPartExamined="CHEST OZZELBRUNN"))
    clean = cleaner()(plain.replace(b"CHEST OZZELBRUNN", b"Chest Ozzelbrunn"))
    assert clean.ds.BodyPartExamined == "Chest"
    assert cleaner()(chest_ct(BodyPartExamined="CHEST")).ds.BodyPartExamined == "CHEST"


def test_pixels_are_found_before_many_elements(cleaner):
    ds = chest_ct()
    for group in range(0x7FE1, 0x7FF9, 2):
        ds.add_new((group, 0x10), "LO", "SOMEBODY")
        ds.add_new((group, 0x1001), "LO", "x")
    assert cleaner()(ds).ds.PixelData == chest_ct().PixelData


@pytest.mark.parametrize(
    ("vr", "value", "stays"), [("IS", "1000", True), ("UN", b"1000", True), ("LO", "Ozzelbrunn", False)]
)
def test_a_safe_private_number_is_one(cleaner, vr, value, stays):
    ds = chest_ct()
    ds.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    ds.add_new(0x0019100C, vr, value)
    clean = cleaner(profiles=["basicProfile", "rtnSafePrivOpt"])(ds)
    assert (0x0019100C in clean.ds) is stays
    assert clean.holds("Ozzelbrunn") == []


@pytest.mark.parametrize("keyword", ["SynchronizationFrameOfReferenceUID", "PatientWeight", "StudyDate"])
def test_a_word_in_place_of_a_uid_or_a_number_goes_under_every_option(cleaner, keyword):
    ds = chest_ct()
    tag = standard.tag_of(keyword)
    if tag in ds:
        del ds[tag]
    ds.add_new(tag, "LO", "Ozzelbrunn")
    for profiles in ((), ("rtnPatCharsOpt", "rtnLongFullDatesOpt"), ("cleanDescOpt", "rtnUIDsOpt")):
        assert cleaner(profiles=profiles)(ds).holds("Ozzelbrunn") == []
