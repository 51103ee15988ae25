"""What a recipe says is what happens to the file."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tarnhelm.common.errors import TarnhelmError

from .cleaning import chest_ct

ROWS = [
    # (rule, attribute, expected: a value, a callable, or None for "gone")
    ("KEEP StudyDescription", "StudyDescription", "Chest for Bramwell"),
    ("REMOVE KVP", "KVP", None),
    ("BLANK Manufacturer", "Manufacturer", ""),
    ("REPLACE Manufacturer Nobody", "Manufacturer", "Nobody"),
    ("REPLACE Manufacturer ''", "Manufacturer", ""),
    ("ADD ClinicalTrialProtocolID TRIAL-7", "ClinicalTrialProtocolID", "TRIAL-7"),
    ("ADD Manufacturer Nobody", "Manufacturer", "Nobody"),
    ("JITTER StudyDate 31", "StudyDate", "20210404"),
    ("JITTER StudyDate -31", "StudyDate", "20210201"),
    ("REPLACE SeriesNumber 77", "SeriesNumber", 77),
    ("PSEUDO PatientName FULL_NAME", "PatientName", lambda v: "^" in str(v) and "Bramwell" not in str(v)),
    ("PSEUDO PatientID ID_ALPHANUMERICAL", "PatientID", lambda v: len(v) == 9 and v != "MRN445566"),
    ("PSEUDO InstitutionName HEALTH_INSTITUTION", "InstitutionName", lambda v: v and "Fernwood" not in v),
    ("PSEUDO StudyInstanceUID UID", "StudyInstanceUID", lambda v: v.startswith("2.25.")),
    ("REPLACE StudyID func:generate_uid", "StudyID", lambda v: "S9911" not in v),
    ("REPLACE StudyID var:study", "StudyID", "X12"),
    ("REMOVE endswith:Thickness", "SliceThickness", None),
    ("BLANK contains:Manufact", "Manufacturer", ""),
    ("KEEP PatientID", "PatientID", "MRN445566"),
]


@pytest.mark.parametrize(("rule", "name", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_each_action(cleaner, rule, name, expected):
    ds = cleaner(f"FORMAT dicom\n%header\n{rule}\n", variables={"study": "X12"})(chest_ct()).ds
    if expected is None:
        assert name not in ds
    elif callable(expected):
        assert expected(ds[name].value)
    else:
        assert ds[name].value == expected


def test_a_recipe_alone_stands_on_the_basic_profile(cleaner):
    clean = cleaner("FORMAT dicom\n%header\nKEEP StudyDescription\n")(chest_ct(StudyDescription="Chest"))
    assert clean.ds.StudyDescription == "Chest"
    assert clean.holds("Bramwell", "MRN445566", "Fernwood") == []


def test_keeping_a_sequence_does_not_keep_what_is_nested_in_it(cleaner):
    item = Dataset()
    item.PatientName = "Bramwell^Tobias"
    item.RequestedProcedureID = "RP1"
    clean = cleaner("FORMAT dicom\n%header\nKEEP RequestAttributesSequence\n")(
        chest_ct(RequestAttributesSequence=Sequence([item]))
    )
    assert len(clean.ds.RequestAttributesSequence) == 1
    assert clean.holds("Bramwell") == []


def test_a_path_means_the_nested_attribute_alone(cleaner):
    item = Dataset()
    item.RequestedProcedureDescription = "Bramwell study"
    recipe = "FORMAT dicom\n%header\nKEEP RequestAttributesSequence\nKEEP RequestAttributesSequence/RequestedProcedureDescription\n"
    ds = cleaner(recipe)(
        chest_ct(RequestAttributesSequence=Sequence([item]), RequestedProcedureDescription="Bramwell study")
    ).ds
    assert ds.RequestAttributesSequence[0].RequestedProcedureDescription == "Bramwell study"
    assert "RequestedProcedureDescription" not in ds


def test_a_private_attribute_is_kept_by_creator(cleaner):
    ds = chest_ct()
    ds.private_block(0x0019, "ACME 1", create=True).add_new(0x05, "LO", "useful")
    ds.private_block(0x0019, "ACME 2", create=True).add_new(0x05, "LO", "useless")
    clean = cleaner('FORMAT dicom\n%header\nKEEP (0019,"ACME 1",05)\n')(ds)
    assert clean.holds("useless", "ACME 2") == []
    assert clean.ds.private_block(0x0019, "ACME 1")[0x05].value == "useful"


def test_values_of_a_group_are_found_wherever_they_stand(cleaner):
    recipe = "FORMAT dicom\n%values own\nSPLIT PatientName by=^;minlength=4\n%header\nREMOVE values:own\n"
    clean = cleaner(recipe, profiles=["rtnPatCharsOpt"])(chest_ct(ConvolutionKernel="TOBIAS 3", FilterType="FLAT"))
    assert "ConvolutionKernel" not in clean.ds
    assert clean.ds.FilterType == "FLAT"


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ("%filter blacklist\nLABEL Ours\ncontains Manufacturer ACME\n", "MET-004"),
        ("%filter graylist\nLABEL Ours\ncontains Manufacturer ACME\n  coordinates 0,0,10,10\n", "PIX-004"),
    ],
)
def test_filters_set_objects_aside(cleaner, section, code):
    with pytest.raises(TarnhelmError) as caught:
        cleaner(f"FORMAT dicom\n{section}\n%header\nREMOVE KVP\n")(chest_ct())
    assert caught.value.code == code
    assert (
        cleaner(f"FORMAT dicom\n{section}\n%header\nREMOVE KVP\n")(chest_ct(Manufacturer="OTHER")).ds.Modality == "CT"
    )


def test_a_variable_without_a_value_is_an_error_not_the_old_value(cleaner):
    with pytest.raises(TarnhelmError):
        cleaner("FORMAT dicom\n%header\nREPLACE StudyID var:missing\n")(chest_ct())


def test_the_same_person_has_the_same_name_across_spellings(cleaner):
    clean = cleaner()
    names = {
        str(clean(chest_ct(PatientName=name, SOPInstanceUID=f"1.2.3.{n}")).ds.PatientName)
        for n, name in enumerate(["Bramwell^Tobias", "BRAMWELL^TOBIAS", "Bràmwell^Tobias", "Bramwell^Tobias^^^"])
    }
    assert len(names) == 1


def test_an_added_attribute_stands_at_its_place(cleaner):
    ds = cleaner("FORMAT dicom\n%header\nADD PatientComments ok\n")(chest_ct()).ds
    assert ds.PatientComments == "ok"
    assert [e.tag for e in ds] == sorted(e.tag for e in ds)
