"""X/Z/D becomes one action by the Type that the attribute has in its IOD."""

import pytest

from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.profiles import combine, resolve

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
PET = "1.2.840.10008.5.1.4.1.1.128"
ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"

# code → actions under Type 1, 1C, 2, 2C, 3, none in a known IOD, none in an unknown IOD
TABLE = {
    "X": "DXZXXXX",
    "Z": "DDZZZZZ",
    "D": "DDDDDDD",
    "K": "KKKKKKK",
    "C": "CCCCCCC",
    "U": "UUUUUUU",
    "X/Z": "DDZZXXZ",
    "X/D": "DDDDXXD",
    "Z/D": "DDZZZZD",
    "X/Z/D": "DDZZXXD",
    "X/Z/U*": "UUZZXXU",
    "X/D/U": "UUUUXXU",
}
COLUMNS = [("1", True), ("1C", True), ("2", True), ("2C", True), ("3", True), (None, True), (None, False)]


@pytest.mark.parametrize(("code", "actions"), TABLE.items())
def test_every_code_under_every_type(code, actions):
    assert "".join(resolve(code, kind, iod_known=known) for kind, known in COLUMNS) == actions


@pytest.mark.parametrize("code", TABLE)
def test_a_required_value_is_never_removed_nor_emptied(code):
    for kind in ("1", "1C"):
        assert resolve(code, kind) not in ({"X", "Z"} if kind == "1" else {"Z"})


def test_every_code_of_the_standard_is_in_the_table_above():
    rules = (*standard.attribute_rules().values(), *standard.repeating_rules().values(), *standard.content_item_rules())
    assert {rule.basic for rule in rules} <= set(TABLE)


@pytest.mark.parametrize("code", ["", "Q", "X/Q", "x", "X//Z", "XZ"])
def test_other_codes_are_refused(code):
    with pytest.raises(ValueError, match=r"PS3\.15"):
        resolve(code, "3")


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="Type"):
        resolve("X", "4")


@pytest.mark.parametrize(
    ("keyword", "code", "actions"),
    [
        # actions in CT, MR, US, SC, Enhanced MR, PET; codes of edition 2026d
        ("PatientName", "Z", "ZZZZZZ"),
        ("PatientBirthDate", "Z", "ZZZZZZ"),
        ("PatientID", "Z/D", "ZZZZZZ"),
        ("StudyDate", "Z", "ZZZZZZ"),
        ("StudyInstanceUID", "U", "UUUUUU"),
        ("SeriesDate", "X/D", "XXXXXD"),  # Type 1 in PET
        ("AcquisitionDate", "X/Z", "XXXXXZ"),  # Type 2 in PET
        ("ContentDate", "Z/D", "ZZZZDZ"),  # Type 1 in Enhanced MR
        ("DeviceSerialNumber", "X/Z/D", "XXXXDX"),  # Type 1 in Enhanced MR
        ("OperatorsName", "X/Z/D", "XXXXXX"),
        ("AcquisitionContextSequence", "X/Z", "XXXXZZ"),  # not in CT, MR, US, SC
        ("ReferencedImageSequence", "X/Z/U*", "XXXXXX"),
        ("PatientAge", "X", "XXXXXX"),
    ],
)
def test_well_known_attributes_in_six_iods(keyword, code, actions):
    profile, tag = combine([]), standard.tag_of(keyword)
    decision = profile.decide(tag)
    assert decision.action == code
    found = "".join(
        resolve(decision, standard.attribute_type(uid, (tag,)), iod_known=standard.is_known_iod(uid))
        for uid in (CT, MR, ULTRASOUND, SECONDARY_CAPTURE, ENHANCED_MR, PET)
    )
    assert found == actions


def test_a_bare_x_that_an_iod_requires_is_replaced():
    path = (
        standard.tag_of("RadiopharmaceuticalInformationSequence"),
        standard.tag_of("RadiopharmaceuticalStartDateTime"),
    )
    decision = combine([]).decide(path[-1])
    assert decision.action == "X"
    assert resolve(decision, standard.attribute_type(ENHANCED_PET, path)) == "D"
    assert resolve(decision, standard.attribute_type(PET, path)) == "X"


def test_under_an_unknown_iod_what_may_be_required_stays_valid():
    tag = standard.tag_of("DeviceSerialNumber")
    kind = standard.attribute_type(PRIVATE_CLASS, (tag,))
    assert kind is None
    assert resolve(combine([]).decide(tag), kind, iod_known=standard.is_known_iod(PRIVATE_CLASS)) == "D"


def test_overlay_data_is_removed_in_every_iod():
    for uid in standard.known_sop_classes():
        kind = standard.attribute_type(uid, (0x60003000,))
        assert resolve(combine([]).decide(0x60003000), kind, iod_known=True) == "X"
