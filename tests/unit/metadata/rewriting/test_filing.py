"""What an archive files an object by stays valid, whatever a recipe says of it."""

import pydicom
import pytest

from tarnhelm.common.errors import TarnhelmError

from .cleaning import CT, chest_ct

HEADER = "FORMAT dicom\n%header\n"
FILED_BY = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@pytest.mark.parametrize(
    "rules", ["REMOVE ALL", "REMOVE endswith:UID", "BLANK select:VR:UI", "REPLACE endswith:UID ''", "REPLACE endswith:UID nobody",
              "REMOVE SOPInstanceUID\nREMOVE StudyInstanceUID\nBLANK SeriesInstanceUID\nREMOVE SOPClassUID", "REMOVE ALL func:hasuid"],
)  # fmt: skip
def test_rules_that_would_take_it_away_map_it(cleaner, rules):
    plain, clean = cleaner()(chest_ct()), cleaner(HEADER + rules)(chest_ct())
    assert [clean.ds[name].value for name in FILED_BY] == [plain.ds[name].value for name in FILED_BY]
    assert clean.ds.SOPClassUID == CT
    assert clean.ds.file_meta.MediaStorageSOPInstanceUID == clean.ds.SOPInstanceUID
    assert clean.holds("1.2.3.4.5.1", "1.2.3.4.5.6") == []
    assert clean.outcome.actions["SOPInstanceUID", "PSEUDO"] == 1


@pytest.mark.parametrize(
    "rule",
    [
        "PSEUDO SOPInstanceUID UID",
        "REPLACE SOPInstanceUID func:generate_uid",
        "REPLACE SOPInstanceUID func:dicom_uuid org_root=1.2.826.0.1.3680043.10.188",
        "KEEP SOPInstanceUID",
        "REPLACE SOPInstanceUID var:uid",
    ],
)
def test_the_meta_information_repeats_what_the_rule_made(cleaner, rule):
    clean = cleaner(HEADER + rule, variables={"uid": "1.2.77"})
    for number in range(3):  # the first object of a series and those that follow
        ds = clean(chest_ct(SOPInstanceUID=f"1.2.3.4.5.{number + 1}")).ds
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert pydicom.uid.UID(ds.SOPInstanceUID).is_valid
        if rule.endswith("188"):
            assert ds.SOPInstanceUID.startswith("1.2.826.0.1.3680043.10.188.")


def test_a_rule_that_makes_no_uid_of_it_holds_the_object_back(cleaner):
    with pytest.raises(TarnhelmError) as caught:
        cleaner(HEADER + "REPLACE SOPInstanceUID var:uid", variables={"uid": "nobody"})(chest_ct())
    assert caught.value.code == "MET-005"


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("REPLACE StudyDate yesterday", "StudyDate"),
        ("REPLACE StudyTime noon", "StudyTime"),
        ("REPLACE PatientAge 95", "PatientAge"),
        ("REPLACE KVP high", "KVP"),
        ("REPLACE SeriesNumber 1.5", "SeriesNumber"),
        ("REPLACE FrameOfReferenceUID 1.02", "FrameOfReferenceUID"),
    ],
)
def test_a_text_that_is_no_value_of_its_vr_is_never_written(cleaner, rule, name):
    assert cleaner(HEADER + rule)(chest_ct(PatientAge="063Y")).ds[name].value in ("", None)


@pytest.mark.parametrize(
    ("rule", "name", "value"),
    [
        ("REPLACE StudyDate 20200229", "StudyDate", "20200229"),
        ("REPLACE StudyTime 1015", "StudyTime", "1015"),
        ("REPLACE PatientAge 042Y", "PatientAge", "042Y"),
        ("REPLACE KVP 1.2e2", "KVP", 120),
        ("REPLACE ImageOrientationPatient '1\\0\\0\\0\\1\\0'", "ImageOrientationPatient", [1, 0, 0, 0, 1, 0]),
        ("REPLACE SeriesNumber -3", "SeriesNumber", -3),
    ],
)
def test_a_text_that_is_one_is_written(cleaner, rule, name, value):
    assert cleaner(HEADER + rule)(chest_ct(PatientAge="063Y")).ds[name].value == value
