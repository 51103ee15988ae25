"""Tags, UIDs, private attributes, content items and Types are found, and near misses are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import datadict
from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import UID_dictionary

from tarnhelm.metadata.core import standard

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
PET = "1.2.840.10008.5.1.4.1.1.128"
ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"


def test_the_dictionary_is_that_of_pydicom():
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        assert standard.is_known_attribute(tag)
        assert standard.vr_of(tag) == (None if vr == "NONE" else vr)
        assert (standard.keyword_of(tag) or "") == keyword
        if keyword:
            assert standard.tag_of(keyword) == tag


@given(st.integers(min_value=0, max_value=0xFFFFFFFF))
def test_any_tag_is_known_exactly_when_pydicom_knows_it(tag):
    expected = tag in DicomDictionary or (not (tag >> 16) & 1 and datadict.repeater_has_tag(tag))
    assert standard.is_known_attribute(tag) == expected


@pytest.mark.parametrize(
    ("tag", "vr", "keyword"),
    [
        (0x60003000, "OB or OW", "OverlayData"),
        (0x601E0022, "LO", "OverlayDescription"),
        (0x50020005, "US", "CurveDimensions"),
        (0x7F020010, "OB or OW", "VariablePixelData"),
        (0x002031AB, "CS", "SourceImageIDs"),
    ],
)
def test_repeating_groups_are_known_by_pattern(tag, vr, keyword):
    assert standard.is_repeating(tag)
    assert (standard.vr_of(tag), standard.keyword_of(tag)) == (vr, keyword)


@pytest.mark.parametrize("tag", [0x00100011 + 0x0E00, 0x60010010, 0x50033000, 0x00091001, 0x60007777])
def test_undefined_and_private_tags_are_unknown(tag):
    assert not standard.is_known_attribute(tag)
    assert standard.vr_of(tag) is None
    assert standard.keyword_of(tag) is None


@pytest.mark.parametrize(
    ("tag", "pattern"),
    [
        (0x00100010, "00100010"),
        (0x50000000, "50xxxxxx"),  # every element of a curve group
        (0x50FE3000, "50xxxxxx"),  # a number that only old writers used
        (0x60003000, "60xx3000"),
        (0x601E4000, "60xx4000"),
        (0x60FE3000, "60xx3000"),
        (0x60013000, "PRIVATE"),  # an odd group is private, whatever stands around it
        (0x50010010, "PRIVATE"),
        (0x00090010, "PRIVATE"),
    ],
)
def test_a_rule_covers_its_tags(tag, pattern):
    rule = standard.attribute_rule(tag)
    assert rule is not None
    assert (rule.tag, rule.pattern) == (tag, pattern)


@pytest.mark.parametrize("tag", [0x00080060, 0x00180050, 0x60000010, 0x60001500, 0x7FE00010])
def test_attributes_without_a_row_have_no_rule(tag):
    assert standard.attribute_rule(tag) is None


def test_a_keyword_is_made_for_attributes_newer_than_the_dictionary():
    rule = standard.attribute_rule(0x00100012)
    assert rule is not None
    assert rule.keyword == "NameToUse"


@pytest.mark.parametrize("uid", sorted(UID_dictionary))
def test_every_uid_of_the_registry_is_standard(uid):
    assert standard.is_standard_uid(uid)


@pytest.mark.parametrize(
    ("uid", "expected"),
    [
        ("2.16.840.1.113883.6.96", True),  # SNOMED CT, outside of NEMA's root
        ("2.16.840.1.113883.6.8", True),  # UCUM
        ("1.2.840.10008.2.16.4", True),  # DCM
        ("1.2.840.10008.1.4.1.1", True),  # Talairach frame of reference
        ("1.2.840.10008.1.5.1", True),  # a palette, well-known instance
        ("1.2.840.10008.6.1.1211", True),  # a context group
        ("1.2.840.10008.1.2.1\0", True),  # padded as in a file
        ("1.2.840.10008.6.1.19550412", False),  # a birth date on the arc of context groups
        ("1.2.840.10008.6.1.0", False),
        ("1.2.840.10008.5.1.4.1.1.2.20240101.1", False),  # an instance UID under a SOP class
        ("1.2.840.10008.99.1", False),
        ("1.2.840.10008", False),
        ("2.16.840.1.113883.6.9", False),
        ("2.25.1234", False),
        ("", False),
    ],
)
def test_only_registered_uids_are_standard(uid, expected):
    assert standard.is_standard_uid(uid) is expected


def test_every_safe_private_row_is_found_in_every_block():
    for (creator, group, element), row in standard.safe_private_rows().items():
        for block in (0x10, 0x21, 0xFF):
            assert standard.safe_private(creator, group, block << 8 | element) == row
        assert standard.safe_private(creator + "  ", group, 0x1000 | element) == row
        assert standard.is_safe_creator(creator, group)


@pytest.mark.parametrize(
    ("creator", "group", "element"),
    [
        ("elscint1", 0x00E1, 0x1021),  # another case
        (" ELSCINT1", 0x00E1, 0x1021),  # a leading space
        ("ELSCINT1", 0x00E3, 0x1021),  # another group
        ("ELSCINT1", 0x00E1, 0x1022),  # another element
        ("ELSCINT1", 0x00E1, 0x0021),  # a creator element
        ("SIEMENS MR HEADER", 0x00E1, 0x1021),  # a decoy: a safe place of another creator
        ("", 0x00E1, 0x1021),
    ],
)
def test_near_misses_are_not_safe(creator, group, element):
    assert standard.safe_private(creator, group, element) is None


@pytest.mark.parametrize(
    ("sop_class", "keywords", "expected"),
    [
        # patient and study are the same everywhere
        *[(uid, ("PatientName",), "2") for uid in (CT, MR, ULTRASOUND, SECONDARY_CAPTURE, ENHANCED_MR, PET)],
        *[(uid, ("StudyInstanceUID",), "1") for uid in (CT, MR, ULTRASOUND, SECONDARY_CAPTURE, ENHANCED_MR, PET)],
        # PET needs the dates that its decay correction uses
        (PET, ("SeriesDate",), "1"),
        (PET, ("AcquisitionDate",), "2"),
        (CT, ("SeriesDate",), "3"),
        (CT, ("AcquisitionDate",), "3"),
        (ULTRASOUND, ("ContentDate",), "2C"),
        # enhanced objects ask for more, and have attributes in functional groups
        (ENHANCED_MR, ("ContentDate",), "1"),
        (ENHANCED_MR, ("DeviceSerialNumber",), "1"),
        (MR, ("DeviceSerialNumber",), "3"),
        (ENHANCED_MR, ("AcquisitionDate",), None),
        (ENHANCED_MR, ("PerFrameFunctionalGroupsSequence", "FrameContentSequence", "FrameAcquisitionDateTime"), "1C"),
        (ENHANCED_PET, ("RadiopharmaceuticalInformationSequence", "RadiopharmaceuticalStartDateTime"), "1"),
        # nested
        (CT, ("RequestAttributesSequence", "ScheduledProcedureStepID"), "1C"),
        (CT, ("ReferencedImageSequence", "ReferencedSOPInstanceUID"), "1"),
        (CT, ("ReferencedSOPInstanceUID",), None),
        (CT, ("PatientName", "PatientName"), None),
        # a structured report nests to any depth
        (BASIC_TEXT_SR, ("ContentSequence",), "1C"),
        (BASIC_TEXT_SR, ("ContentSequence",) * 9, "1C"),
        (BASIC_TEXT_SR, (*("ContentSequence",) * 9, "ValueType"), "1"),
        (CT, ("ContentSequence", "ContentSequence"), None),
        # unknown
        ("1.2.3.4", ("PatientName",), None),
        (CT, (), None),
    ],
)
def test_types_are_those_of_the_iod(sop_class, keywords, expected):
    path = tuple(standard.tag_of(keyword) for keyword in keywords)
    assert standard.attribute_type(sop_class, path) == expected


def test_an_overlay_has_no_type_because_the_plane_goes_as_a_whole():
    assert standard.attribute_type(CT, (0x60003000,)) is None


def test_iods_are_known_or_not():
    assert standard.is_known_iod(CT)
    assert not standard.is_known_iod("1.2.3.4")
    assert len(standard.known_sop_classes()) >= 175


@pytest.mark.parametrize(
    ("scheme", "code", "value_type", "basic"),
    [
        ("DCM", "121022", "TEXT", "X"),
        ("DCM", "121112", "IMAGE", "D"),  # one concept, two rows
        ("DCM", "121112", "WAVEFORM", "X"),
        ("DCM", "121112", None, "X"),  # which of them is open: the one that removes
        ("DCM", "121112", "NUM", "X"),
        ("SCT", "371524004", "TEXT", "X"),
        ("SRT", "R-42B89", "TEXT", "X"),  # the retired code of the same concept
        ("99SDM", "R-42B89", "TEXT", "X"),
        ("NCDR", "52", "DATETIME", "D"),  # the version of the scheme is no part of its designator
    ],
)
def test_content_items_are_found_by_concept_and_value_type(scheme, code, value_type, basic):
    rule = standard.content_item_rule(scheme, code, value_type)
    assert rule is not None
    assert rule.basic == basic


@pytest.mark.parametrize(("scheme", "code"), [("DCM", "0"), ("SCT", "R-42B89"), ("LN", "121022"), ("SRT", "R-00000")])
def test_other_concepts_have_no_rule(scheme, code):
    assert standard.content_item_rule(scheme, code) is None
