"""Groups of values and filters on headers."""

from __future__ import annotations

import pytest

from tarnhelm.metadata.core.recipe import Region, evaluate_filters, parse_recipe

HEADER = {
    "PatientID": ["000991"],
    "PatientName": ["SIMPSON^HOMER^J"],
    "OtherPatientIDs": ["E1", " E2 "],
    "OperatorsName": ["Doe^Jo"],
    "Rows": ["512"],
    "WindowWidth": ["1.0"],
    "ImageType": ["DERIVED", "SECONDARY"],
    "ManufacturerModelName": ["SOMATOM Definition AS+ "],
    "StudyID": [""],
    "(6002,0022)": ["Graphics"],
}


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("FIELD PatientID", {"000991"}),
        ("FIELD OtherPatientIDs", {"E1", "E2"}),
        ("FIELD endswith:PatientIDs|Operators'.Name", {"E1", "E2", "Doe^Jo"}),
        ("FIELD select:VR:PN", {"SIMPSON^HOMER^J", "Doe^Jo"}),
        # deid's three spellings of a SPLIT
        ('SPLIT PatientName by="^";minlength=4', {"SIMPSON", "HOMER"}),
        ("SPLIT PatientName splitval='^';minlength='4'", {"SIMPSON", "HOMER"}),
        ("SPLIT PatientName by=^ ; minlength=1", {"SIMPSON", "HOMER", "J"}),
        # a semicolon to divide at, and the blank if nothing is said
        ("SPLIT PatientName by=';'", {"SIMPSON^HOMER^J"}),
        ("SPLIT ManufacturerModelName", {"SOMATOM", "Definition", "AS+"}),
        # nothing is taken from what is empty or absent
        ("FIELD StudyID", set()),
        ("FIELD AccessionNumber", set()),
    ],
)
def test_values_are_collected_as_the_line_says(line, values):
    recipe = parse_recipe(f"FORMAT dicom\n%values own\n{line}\n")
    assert recipe.collect_values(lambda name: HEADER.get(name, ())) == {"own": values}


def test_values_are_collected_from_nested_and_private_elements_too(key):
    recipe = parse_recipe(
        'FORMAT dicom\n%values own\nFIELD PatientID\nFIELD (0029,"V",10)\nFIELD ContentSequence/PersonName\n'
    )
    elements = [
        (key("PatientID"), ["1"]),
        (key("ContentSequence/PatientID"), ["2"]),
        (key('(0029,"V",1010)'), ["3"]),
        (key("ContentSequence/PersonName"), ["4"]),
        (key("PersonName"), ["5"]),
    ]
    assert recipe.collect_values_from(elements) == {"own": {"1", "2", "3", "4"}}


def test_a_private_source_is_asked_for_by_its_creator():
    recipe = parse_recipe('FORMAT dicom\n%values own\nFIELD (0029,"V",10)\n')
    asked = []
    recipe.collect_values(lambda name: asked.append(name) or ())
    assert asked == ['(0029,"V",10)']


def test_sections_of_one_name_are_one_group():
    recipe = parse_recipe(
        "FORMAT dicom\n%values a\nFIELD PatientID\n%header\nREMOVE values:a\n%values a\nFIELD StudyID\n"
    )
    assert [len(group.sources) for group in recipe.value_groups] == [2]


@pytest.mark.parametrize(
    ("criteria", "fits"),
    [
        ("contains ImageType second", True),  # in any case, in any value
        ("contains ImageType DERIVED+SECONDARY", False),  # an expression, as in deid
        ("contains ManufacturerModelName SOMATOM Definition AS+", True),
        ("contains ManufacturerModelName 'AS\\+$'", True),
        ("notcontains ImageType PRIMARY", True),
        ("notcontains AccessionNumber x", True),  # an absent attribute contains nothing
        ("contains AccessionNumber .*", False),
        ("equals Rows 512", True),
        ("equals Rows 600|512.0", True),  # as a number
        ("equals WindowWidth 1", True),
        ("equals Rows 51", False),
        ("equals ImageType SECONDARY", True),
        (r"equals ImageType DERIVED\SECONDARY", True),
        ("notequals Rows 512", False),
        ("notequals AccessionNumber 1", True),
        ("missing AccessionNumber", True),
        ("missing StudyID", False),
        ("present StudyID", True),
        ("empty StudyID", True),
        ("empty AccessionNumber", False),
        ("notempty StudyID", False),
        ("notempty Rows", True),
        ("contains OverlayDescription graph", True),  # in one of the repeating groups
        ("missing OverlayComments", True),
        ("EQUALS 0x00280010 512", True),  # deid's form of a tag
        ("present (0028,0010)", True),
        ("present Manfacturer", False),  # a name that nothing has
        # left to right on one line
        ("equals Rows 1 || equals Rows 512 + present StudyID", True),
        ("equals Rows 512 || present StudyID + equals Rows 1", False),
        ("equals Rows 1 ||equals Rows 512", True),
        # lines join what stands above them
        ("equals Rows 1\n|| equals Rows 512\n+ present StudyID", True),
        ("equals Rows 512\n|| present StudyID\n+ equals Rows 1", False),
        ("equals Rows 512\n+ equals Rows 1 || present StudyID", True),
        # a line without a joint is a check of its own
        ("equals Rows 1\nequals Rows 512", True),
        ("equals Rows 512\n+ equals Rows 1\nequals Rows 2", False),
        ("equals Rows 512\nequals Rows 1\nequals Rows 2", True),
        # a joint before the first line joins nothing
        ("+ equals Rows 512", True),
        # no criteria: every object
        ("coordinates all", True),
    ],
)
def test_a_label_fits_as_its_criteria_say(criteria, fits):
    recipe = parse_recipe(f"FORMAT dicom\n%filter f\nLABEL x\n{criteria}\n")
    assert bool(evaluate_filters(recipe, HEADER.get)) is fits


@pytest.mark.parametrize(
    ("line", "region"),
    [
        ("coordinates 1,2,30,40", Region(boxes=((1, 2, 30, 40),))),
        ("coordinates 450,0,672, 85", Region(boxes=((450, 0, 672, 85),))),
        ("keepcoordinates 1,2,30,40", Region(keep=True, boxes=((1, 2, 30, 40),))),
        ("ctpcoordinates 1,2,30,40", Region(boxes=((1, 2, 31, 42),))),
        ("ctpkeepcoordinates 1,2,30,40", Region(keep=True, boxes=((1, 2, 31, 42),))),
        ("COORDINATES all", Region(whole=True)),
        ("keepcoordinates all", Region(keep=True, whole=True)),
    ],
)
def test_regions_are_left_top_right_bottom(line, region):
    recipe = parse_recipe(f"FORMAT dicom\n%filter f\nLABEL x\n{line}\n")
    (match,) = evaluate_filters(recipe, HEADER.get)
    assert match.regions == (region,)


def test_regions_of_the_object_itself_are_looked_up_and_odd_ones_left_out():
    recipe = parse_recipe("FORMAT dicom\n%filter f\nLABEL x\nkeepcoordinates from:SequenceOfUltrasoundRegions\n")
    base = "SequenceOfUltrasoundRegions/RegionLocation"
    view = {
        f"{base}MinX0": ["1", "a"],
        f"{base}MinY0": ["2", "6"],
        f"{base}MaxX1": ["3", "7"],
        f"{base}MaxY1": ["4", "8"],
    }
    (match,) = evaluate_filters(recipe, view.get)
    assert match.regions == (Region(keep=True, boxes=((1, 2, 3, 4),)),)
    (match,) = evaluate_filters(recipe, {}.get)
    assert match.regions == (Region(keep=True),)


def test_matches_stand_in_the_order_of_the_recipe():
    recipe = parse_recipe(
        "FORMAT dicom\n%filter graylist\nLABEL one # (CTP)\npresent Rows\nLABEL two\nmissing Rows\n"
        "%filter blacklist\nLABEL three\npresent Rows\n%filter graylist\nLABEL four\npresent Rows\n"
    )
    found = [(match.filter, match.label) for match in evaluate_filters(recipe, HEADER.get)]
    assert found == [("graylist", "one"), ("graylist", "four"), ("blacklist", "three")]
