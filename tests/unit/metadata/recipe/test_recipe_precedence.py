"""Which of several rules decides."""

from __future__ import annotations

import itertools

import pytest

from tarnhelm.metadata.core.recipe import ActionName, conflicts, parse_recipe

ORDER = ["KEEP", "ADD", "REPLACE", "JITTER", "REMOVE", "BLANK"]
VALUE = {"ADD": " a", "REPLACE": " a", "JITTER": " 1"}


def _decide(lines, key):
    return parse_recipe("FORMAT dicom\n%header\n" + "\n".join(lines)).decide(key)


@pytest.mark.parametrize(("strong", "weak"), list(itertools.combinations(ORDER, 2)))
@pytest.mark.parametrize("turn", [1, -1])
def test_the_order_of_deids_actions_holds_whatever_the_lines(strong, weak, turn, key):
    lines = [f"{strong} StudyDate{VALUE.get(strong, '')}", f"{weak} StudyDate{VALUE.get(weak, '')}"][::turn]
    decision = _decide(lines, key("StudyDate"))
    assert decision.action is ActionName(strong)
    assert [rule.action for rule in decision.overridden] == [ActionName(weak)]


SELECTORS = [
    # from the weightiest to the lightest, all mean the element below
    '/ContentSequence/(0029,"V",10)',
    'ContentSequence/(0029,"V",10)',
    '*/(0029,"V",10)',
    "(0029,1010)",
    '(0029,"V",*)',
    "(0029,10xx)",
    "select:GROUP:0029",
    "contains:V",
    "except:Patient",
    "ALL",
]


@pytest.mark.parametrize(("strong", "weak"), list(itertools.pairwise(SELECTORS)))
@pytest.mark.parametrize("turn", [1, -1])
def test_the_more_specific_selector_wins(strong, weak, turn, key):
    lines = [f"REPLACE {strong} strong", f"REPLACE {weak} weak"][::turn]
    decision = _decide(lines, key('ContentSequence/(0029,"V",1010)'))
    assert decision.value.text == "strong"


def test_of_equals_the_later_line_wins(key):
    decision = _decide(["REPLACE StudyID 1", "REPLACE StudyID 3", "PSEUDO StudyID ID_NUMERICAL"], key("StudyID"))
    assert decision.action is ActionName.PSEUDO
    assert [rule.line for rule in decision.overridden] == [4, 3]


def test_pseudo_weighs_as_much_as_replace(key):
    decision = _decide(["REPLACE PatientName x", "PSEUDO contains:Name FULL_NAME", "REMOVE ALL"], key("PatientName"))
    assert decision.action is ActionName.REPLACE


def test_a_rule_without_a_condition_leaves_nothing_to_others(key):
    decision = _decide(["KEEP StudyID", "REMOVE StudyID"], key("StudyID"))
    assert decision.condition is None
    assert decision.otherwise is None


def test_a_private_attribute_is_found_by_its_form_with_parentheses(key):
    element = key('(0029,"V 1",1010)')
    assert _decide([r'REMOVE contains:^\(0029,"V.1",10\)$'], element) is not None
    assert _decide([r'REMOVE contains:^0029,"V.1",10$'], element) is not None
    assert _decide([r'REMOVE contains:^0029,"V.2",10$'], element) is None


def test_rules_hold_at_any_depth(key):
    recipe = parse_recipe("FORMAT dicom\n%header\nREMOVE PatientName")
    assert recipe.decide(key("ContentSequence/ContentSequence/PatientName")).action is ActionName.REMOVE


def test_keep_on_a_sequence_keeps_nothing_in_it(key):
    recipe = parse_recipe("FORMAT dicom\n%header\nKEEP ContentSequence")
    assert recipe.decide(key("ContentSequence")).action is ActionName.KEEP
    assert recipe.decide(key("ContentSequence/PersonName")) is None


def test_a_condition_leaves_the_other_values_to_the_next_rule(key):
    lines = [
        "%values v",
        "FIELD PatientID",
        "%header",
        "REPLACE values:v x",
        "REMOVE StudyID func:is_empty",
        "BLANK StudyID",
    ]
    decision = _decide(lines, key("StudyID"))
    chain = []
    while decision is not None:
        chain.append((decision.action.value, decision.condition is not None))
        decision = decision.otherwise
    assert chain == [("REPLACE", True), ("REMOVE", True), ("BLANK", False)]


@pytest.mark.parametrize("vr", ["SQ", "OB", "OW"])
def test_what_has_no_text_is_emptied_and_never_given_one(vr, key):
    element = key("(0029,1010)", vr)
    assert _decide(["REPLACE ALL x"], element).action is ActionName.BLANK
    assert _decide(["REPLACE ALL x"], element).value is None
    assert _decide(["PSEUDO ALL FULL_NAME"], element) is None
    assert _decide(["JITTER ALL 3"], element) is None
    assert _decide(["REMOVE ALL func:is_name"], element) is None
    assert _decide(["REMOVE ALL"], element).action is ActionName.REMOVE


def test_pixel_data_are_protected_but_those_of_an_icon_are_not(key):
    recipe = parse_recipe("FORMAT dicom\n%header\nREMOVE ALL")
    assert recipe.decide(key("PixelData", "OW")) is None
    assert recipe.decide(key("TransferSyntaxUID")) is None
    assert recipe.decide(key("IconImageSequence/PixelData", "OW")).action is ActionName.REMOVE


@pytest.mark.parametrize(
    ("steps", "path", "fits"),
    [
        # a free path fits the end
        ("ContentSequence/PersonName", "ContentSequence/PersonName", True),
        ("ContentSequence/PersonName", "ContentSequence/ContentSequence/PersonName", True),
        ("ContentSequence/PersonName", "PersonName", False),
        ("ContentSequence/PersonName", "ContentSequence/ConceptCodeSequence/PersonName", False),
        # an anchored one the whole
        ("/ContentSequence/PersonName", "ContentSequence/ContentSequence/PersonName", False),
        ("/ContentSequence/*/PersonName", "ContentSequence/ConceptCodeSequence/PersonName", True),
        ("/ContentSequence/*/PersonName", "ContentSequence/PersonName", False),
        # any number of steps, none included
        ("/ContentSequence/**/PersonName", "ContentSequence/PersonName", True),
        ("/ContentSequence/**/PersonName", "ContentSequence/ContentSequence/ConceptCodeSequence/PersonName", True),
        ("/ContentSequence/**", "ContentSequence/ContentSequence/CodeValue", True),
        ("/ContentSequence/**", "ConceptCodeSequence/CodeValue", False),
        ("ContentSequence/*", "ContentSequence/CodeValue", True),
        ("ContentSequence/*", "ContentSequence", False),
        ("/PatientID", "PatientID", True),
        ("/PatientID", "ContentSequence/PatientID", False),
    ],
)
def test_paths_fit_where_they_say(steps, path, fits, key):
    assert (_decide([f"REMOVE {steps}"], key(path)) is not None) is fits


@pytest.mark.parametrize(
    ("tag", "element", "means"),
    [
        # a creator is compared without case and outer blanks, in any block
        ('(0029,"ACME 1",10)', '(0029,"acme 1 ",4210)', True),
        ('(0029,"ACME 1",10)', '(0029,"ACME 2",1010)', False),
        ('(0029,"ACME 1",10)', "(0029,1010)", False),
        # the element that holds the creator's name is no part of the block
        ('(0029,"ACME 1",10)', '(0029,"ACME 1",0010)', False),
        ('(0029,"ACME 1",*)', '(0029,"ACME 1",10FF)', True),
        # repeating groups by keyword: even groups only
        ("OverlayData", "(601E,3000)", True),
        ("OverlayData", "(6001,3000)", False),
        ("CurveDimensions", "(50FE,0005)", True),
        ("(50xx,*)", "(5001,0010)", True),
    ],
)
def test_tags_mean_what_they_say(tag, element, means, key):
    assert (_decide([f"REMOVE {tag}"], key(element)) is not None) is means


def test_conflicts_are_found_and_peace_is_not():
    clean = parse_recipe(
        "FORMAT dicom\n%header\nREMOVE ALL\nKEEP Modality\nPSEUDO PatientName FULL_NAME\nKEEP select:GROUP:0028"
    )
    assert conflicts(clean) == ()
    bad = parse_recipe(
        "FORMAT dicom\n%header\nKEEP startswith:Patient\nREMOVE endswith:Name\nREPLACE StudyID 1\nREPLACE StudyID 2\n"
        'KEEP ContentSequence/PersonName\nREMOVE ContentSequence/PersonName\nREMOVE (0029,"A",10)\nKEEP (0029,"A",10)\n'
    )
    found = {(c.rule_a.line, c.rule_b.line) for c in conflicts(bad)}
    assert found == {(3, 4), (6, 5), (7, 8), (10, 9)}
    told = [str(conflict) for conflict in conflicts(bad)]
    assert told[0] == "lines 3 and 4 of recipe: both mean PatientName: KEEP comes before REMOVE, whatever their order"


def test_a_conditional_rule_takes_nothing_from_the_next():
    recipe = parse_recipe("FORMAT dicom\n%header\nREMOVE StudyID func:is_empty\nBLANK StudyID")
    assert conflicts(recipe) == ()
