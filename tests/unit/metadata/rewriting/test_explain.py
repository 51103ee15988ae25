"""``tarnhelm explain``: for each attribute the rule that decides, the rules it overrules, and why; never a value."""

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from tarnhelm.metadata.core.explain import explain_file
from tarnhelm.metadata.core.plan import MetadataConfig

from .cleaning import chest_ct, file_bytes

HEADER = "FORMAT dicom\n%header\n"


@pytest.fixture
def explained(tmp_path):
    def run(rules, ds=None, profiles=(), **config):
        path = tmp_path / "one.dcm"
        path.write_bytes(file_bytes(ds or chest_ct()))
        text = HEADER + rules if rules and not rules.startswith("FORMAT") else rules or None
        return {
            row.path or row.name: row
            for row in explain_file(path, MetadataConfig(text, profiles=tuple(profiles), **config))
        }

    return run


def test_the_line_that_decides_and_all_it_overrules_are_named(explained):
    rows = explained("REMOVE ALL\nKEEP StudyDescription\nBLANK contains:Description\nPSEUDO PatientName FULL_NAME\n")
    kept = rows["(0008,1030)"]
    assert (kept.name, kept.action, kept.source) == ("StudyDescription", "KEEP", "recipe line 4")
    assert kept.reason == "KEEP StudyDescription (kept by the recipe)"
    assert kept.overruled == (
        "recipe line 3 (REMOVE ALL)",
        "recipe line 5 (BLANK contains:Description)",
        "profile E.1-1 (0008,1030) (REMOVE: basicProfile removes Study Description)",
    )
    assert rows["(0010,0010)"].overruled[0] == "recipe line 3 (REMOVE ALL)"


def test_a_rule_that_says_what_the_profile_says_overrules_nothing(explained):
    assert explained("REMOVE StudyDescription\n")["(0008,1030)"].overruled == ()


def test_a_row_of_the_profile_is_named_with_the_type_that_decided(explained):
    row = explained("", profiles=["basicProfile"])["(0008,0021)"]
    assert row.source == "profile E.1-1 (0008,0021)"
    assert row.action == "REMOVE"
    assert row.reason == "basicProfile removes or replaces Series Date; it is Type 3 here"


def test_options_that_differ_are_named(explained):
    ds = chest_ct(DateOfLastCalibration="20200101")
    row = explained("", ds, ["rtnDevIdOpt", "rtnLongModifDatesOpt"])["(0018,1200)"]
    assert (row.action, row.overruled) == ("JITTER", ("rtnDevIdOpt says K",))


def test_nested_attributes_have_rows_of_their_own(explained):
    item = Dataset()
    item.RequestedProcedureID = "RP1"
    item.RequestedProcedureDescription = "Chest"
    ds = chest_ct(RequestAttributesSequence=[item, item])
    rows = explained(
        "KEEP RequestAttributesSequence\nKEEP RequestAttributesSequence/RequestedProcedureDescription\n", ds
    )
    assert rows["(0040,0275)"].action == "KEEP, items by their own rules"
    for number in (1, 2):
        nested = rows[f"(0040,0275)[{number}](0032,1060)"]
        assert (nested.action, nested.source) == ("KEEP", "recipe line 4")
        assert nested.overruled[0].startswith("profile E.1-1 (0032,1060) (REMOVE")
        assert rows[f"(0040,0275)[{number}](0040,1001)"].source == "profile E.1-1 (0040,1001)"
    gone = explained("REMOVE RequestAttributesSequence\n", ds)
    assert gone["(0040,0275)"].action == "REMOVE, with its items"
    assert not [path for path in gone if path.startswith("(0040,0275)[")]


def test_conditions_are_shown_with_what_happens_otherwise(explained):
    recipe = (
        "FORMAT dicom\n%values own\nSPLIT PatientName by=^\n%header\nREMOVE ALL values:own\nBLANK KVP func:is_empty\n"
    )
    rows = explained(recipe)
    assert rows["(0018,0060)"].action == "REMOVE if values:own, else BLANK if is_empty, else KEEP"
    assert rows["(0018,0060)"].reason.count("else ") == 2
    assert rows["(0008,0080)"].action == "REMOVE"  # one way or the other


def test_a_value_that_cannot_stand_is_explained(explained):
    rows = explained("REPLACE StudyDate yesterday\nPSEUDO StudyTime FULL_NAME\n")
    assert (rows["(0008,0020)"].action, rows["(0008,0030)"].action) == ("BLANK", "REMOVE")
    assert "none of VR DA" in rows["(0008,0020)"].reason
    assert "cannot write VR TM" in rows["(0008,0030)"].reason


def test_what_is_written_besides_is_told(explained):
    rows = explained("ADD PatientComments ok\n")
    assert rows["preamble and file meta information"].action == "WRITE"
    assert (rows["(0010,4000)"].action, rows["(0010,4000)"].source) == ("ADD", "recipe line 3")
    assert rows["(0012,0062)"].source == "finalise"
    assert explained("REMOVE KVP", chest_ct(PatientIdentityRemoved="NO"))["(0012,0062)"].action == "REPLACE"
    assert list(rows) == sorted(rows, key=lambda path: path[:11] if path.startswith("(") else "")


def test_private_attributes_are_named_by_creator_only_where_they_stay(explained):
    ds = chest_ct()
    ds.private_block(0x0029, "ACME", create=True).add_new(0x01, "LO", "x")
    ds.private_block(0x0031, "Tobias Bramwell", create=True).add_new(0x02, "LO", "y")
    rows = explained('KEEP (0029,"ACME",*)\nREMOVE ALL\n', ds)
    assert (rows["(0029,1001)"].name, rows["(0029,1001)"].action) == ('(0029,"ACME",01)', "KEEP")
    assert rows["(0031,1002)"].name == "(0031,xx02)"
    assert "Bramwell" not in repr(rows)


RECIPES = [
    None,
    HEADER + "REMOVE ALL\nKEEP Rows\n",
    HEADER + "KEEP ALL\n",
    "FORMAT dicom\n%values own\nSPLIT PatientName by=^\nFIELD PatientID\n%header\nREMOVE values:own\n",
    HEADER + "REPLACE contains:Name func:replace_name\nJITTER endswith:Date 10\nKEEP (0009,10xx)\n",
]


@pytest.mark.parametrize("recipe", RECIPES, ids=["default", "remove all", "keep all", "values", "functions"])
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_implicit.dcm", "examples_ybr_color.dcm", "MR_small_bigendian.dcm"]
)
def test_every_attribute_of_real_files_is_explained_without_values(name, recipe):
    path = get_testdata_file(name, download=False)
    rows = explain_file(path, MetadataConfig(recipe))
    assert all(row.name and row.action and row.source and row.reason for row in rows)
    shown = repr(rows)
    for value in ("CompressedSamples", "1CT1", "4MR1", "JFK IMAGING", "1.3.6.1.4.1.5962"):
        assert value not in shown
