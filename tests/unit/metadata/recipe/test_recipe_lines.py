"""How single lines are read."""

from __future__ import annotations

import pickle

import pytest

from tarnhelm.metadata.core.recipe import (
    ActionName,
    FunctionCall,
    Literal,
    PseudoCall,
    RecipeError,
    Variable,
    parse_recipe,
)
from tarnhelm.metadata.core.recipe.rules import Arguments

LINES = [
    # the fork's example, as it stands
    ("PSEUDO PatientName FULL_NAME", "PSEUDO", "(0010,0010)", PseudoCall("FULL_NAME")),
    ("PSEUDO InstitutionName HEALTH_INSTITUTION", "PSEUDO", "(0008,0080)", PseudoCall("HEALTH_INSTITUTION_CA")),
    # blanks, tabs and case
    ("\t pSeUdO\tpatientNAME   full-name  ", "PSEUDO", "(0010,0010)", PseudoCall("FULL_NAME")),
    # a long name without quotes
    ("PSEUDO Patient's Name FULL_NAME", "PSEUDO", "(0010,0010)", PseudoCall("FULL_NAME")),
    ("REPLACE Study Description brain", "REPLACE", "(0008,1030)", Literal("brain")),
    ("REMOVE Modality LUT Sequence", "REMOVE", "(0028,3000)", None),
    ("REPLACE Modality LUT Sequence", "REPLACE", "(0008,0060)", Literal("LUT Sequence")),
    # parameters of a class, quoted and not
    (
        "PSEUDO PatientID ID_NUMERICAL scope=project prefix='A B'",
        "PSEUDO",
        "(0010,0020)",
        PseudoCall("ID_NUMERICAL", Arguments({"scope": "project", "prefix": "A B"})),
    ),
    # the empty value in both kinds of quotes
    ("REPLACE PatientName ''", "REPLACE", "(0010,0010)", Literal("")),
    ('ADD PatientName ""  # gone', "ADD", "(0010,0010)", Literal("")),
    # an apostrophe is a letter, a glued # too
    ("REPLACE PatientName O'Brien#2", "REPLACE", "(0010,0010)", Literal("O'Brien#2")),
    # several values
    (r"REPLACE ImageType 'DERIVED\SECONDARY'", "REPLACE", "(0008,0008)", Literal("DERIVED\\SECONDARY")),
    # tags with blanks inside parentheses, deid's private form
    ("REMOVE (0010, 0020)", "REMOVE", "(0010,0020)", None),
    (
        'REMOVE (0033,"MITRA OBJECT UTF8 ATTRIBUTES 1.0",1E)',
        "REMOVE",
        '(0033,"MITRA OBJECT UTF8 ATTRIBUTES 1.0",1E)',
        None,
    ),
    ("REMOVE 0033,'A \"B\" #1',1e", "REMOVE", "(0033,'A \"B\" #1',1E)", None),
    # a keyword of eight hexadecimal letters would be a tag; a tag with x is no keyword
    ("REMOVE 60XX3000", "REMOVE", "(60xx,3000)", None),
    # expanders keep their expression, also with an open parenthesis
    ("REMOVE contains:Name|ID", "REMOVE", "contains:Name|ID", None),
    ("REMOVE allexcept:Name", "REMOVE", "except:Name", None),
    ("KEEP select:group:18", "KEEP", "select:GROUP:0018", None),
    ("KEEP select:vr:pn", "KEEP", "select:VR:PN", None),
    ("KEEP allfields", "KEEP", "ALL", None),
    # both ways to write a path
    ("REMOVE (0008,1115)/(0020,000E)", "REMOVE", "(0008,1115)/(0020,000E)", None),
    ("REMOVE ReferencedSeriesSequence__SeriesInstanceUID", "REMOVE", "(0008,1115)/(0020,000E)", None),
    ('REMOVE /*/(0029,"A/B",10)', "REMOVE", '/*/(0029,"A/B",10)', None),
    # values that are looked up
    ("JITTER StudyDate var:days", "JITTER", "(0008,0020)", Variable("days")),
    ("REPLACE PatientID VAR:a.b-c", "REPLACE", "(0010,0020)", Variable("a.b-c")),
    ("REPLACE PatientID func:hashuid", "REPLACE", "(0010,0020)", FunctionCall("generate_uid")),
    ("REPLACE SynchronizationFrameOfReferenceUID func:new_UID", "REPLACE", "(0020,0200)", FunctionCall("generate_uid")),
    (
        "REPLACE StudyDate deid_func:jitter_timestamp days=-3",
        "REPLACE",
        "(0008,0020)",
        FunctionCall("jitter", Arguments({"days": "-3"})),
    ),
]


@pytest.mark.parametrize(("line", "action", "selector", "value"), LINES, ids=[line[0].strip() for line in LINES])
def test_a_line_is_read_as_meant(line, action, selector, value):
    (rule,) = parse_recipe(f"FORMAT dicom\n%header\n{line}").header_rules
    assert (rule.action, str(rule.selector), rule.value) == (ActionName(action), selector, value)
    assert rule.line == 3


@pytest.mark.parametrize("line", [line[0] for line in LINES])
def test_the_canonical_selector_is_read_as_itself(line):
    (rule,) = parse_recipe(f"FORMAT dicom\n%header\n{line}").header_rules
    (again,) = parse_recipe(f"FORMAT dicom\n%header\nREMOVE {rule.selector}").header_rules
    assert str(again.selector) == str(rule.selector)
    assert again.selector == rule.selector


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_byte_order_mark_do_not_matter(end):
    plain = "FORMAT dicom\n%header\nREMOVE PatientID\nKEEP Rows\n"
    other = "\ufeff" + plain.replace("\n", end)
    assert parse_recipe(other) == parse_recipe(plain)


def test_the_digest_is_of_the_meaning_only():
    one = parse_recipe("FORMAT dicom\n%header\nREMOVE (0010,0020)\nPSEUDO PatientName FULL_NAME a=1 b=2\n")
    same = parse_recipe(
        "# hello\nformat DICOM\n\n%header # x\n\n  remove patientid\nPSEUDO 00100010 full_name b=2 a=1 # y\n", "other"
    )
    other = parse_recipe("FORMAT dicom\n%header\nREMOVE (0010,0020)\nPSEUDO PatientName FULL_NAME a=1 b=3\n")
    swapped = parse_recipe("FORMAT dicom\n%header\nPSEUDO PatientName FULL_NAME a=1 b=2\nREMOVE (0010,0020)\n")
    assert one.digest == same.digest
    assert len({one.digest, other.digest, swapped.digest}) == 3
    assert len(one.digest) == 64


def test_the_digest_counts_every_section():
    texts = [
        "%header\nREMOVE PatientID",
        "%values a\nFIELD PatientID\n%header\nREMOVE PatientID",
        "%values a\nSPLIT PatientID\n%header\nREMOVE PatientID",
        "%fields a\nFIELD PatientID\n%header\nREMOVE PatientID",
        "%filter a\nLABEL x\nempty PatientID\n%header\nREMOVE PatientID",
        "%filter a\nLABEL x\nnotempty PatientID\n%header\nREMOVE PatientID",
        "%filter a\nLABEL x\nempty PatientID\ncoordinates all\n%header\nREMOVE PatientID",
        "%labels\nADD a b\n%header\nREMOVE PatientID",
    ]
    assert len({parse_recipe("FORMAT dicom\n" + text).digest for text in texts}) == len(texts)


def test_a_recipe_goes_to_a_worker_and_decides_the_same(key):
    recipe = parse_recipe(
        "FORMAT dicom\n%fields a\nFIELD contains:Na.e\n%values v\nFIELD PatientID\n%header\n"
        "PSEUDO fields:a FULL_NAME x=1\nREMOVE values:v\nREPLACE StudyID func:jitter days=1\n"
    )
    recipe.decide(key("PatientName"))
    again = pickle.loads(pickle.dumps(recipe))  # noqa: S301
    assert again == recipe
    assert again.digest == recipe.digest
    assert again.decide(key("PatientName")) == recipe.decide(key("PatientName"))
    assert hash(again.header_rules) == hash(recipe.header_rules)


def test_variables_and_functions_of_a_recipe_are_listed():
    recipe = parse_recipe(
        "FORMAT dicom\n%header\nADD PatientID var:a\nJITTER StudyDate var:b\nREMOVE ALL func:has_name\n"
        "REPLACE StudyID func:hash\n"
    )
    assert recipe.variables == {"a", "b"}
    assert recipe.functions == {"is_name", "replace_id"}


def test_a_site_may_bring_classes_of_its_own():
    classes = {"POSTCODE": frozenset({"scope"}), "FULL_NAME": None}
    (rule,) = parse_recipe("%header\nPSEUDO PatientAddress postcode scope=x", classes=classes).header_rules
    assert rule.value == PseudoCall("POSTCODE", Arguments({"scope": "x"}))
    with pytest.raises(RecipeError) as caught:
        parse_recipe("%header\nPSEUDO PatientAddress postcode scop=x", classes=classes)
    assert caught.value.problems[0].suggestion == "scope"


def test_only_add_of_one_tag_without_a_condition_creates_an_attribute():
    recipe = parse_recipe(
        "FORMAT dicom\n%values v\nFIELD PatientID\n%header\nADD StudyID 1\nADD StudyID 2\nADD contains:Date x\n"
        'REPLACE SeriesNumber 1\nADD (0029,"OURS",10) yes\nADD StudyTime values:v 12\nADD PatientAge var:age\n'
    )
    assert [str(rule.selector) for rule in recipe.additions] == ["(0020,0010)", '(0029,"OURS",10)', "(0010,1010)"]
    assert recipe.additions[0].value == Literal("2")


def test_an_apostrophe_hides_no_comment():
    recipe = parse_recipe("FORMAT dicom\n%header\nREMOVE Patient's Address # it's gone\n")
    assert [rule.text for rule in recipe.header_rules] == ["REMOVE Patient's Address"]
