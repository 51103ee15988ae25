"""There is a decision for every tag there can be, and basicProfile keeps nothing that the standard removes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.profiles import OPTION_OF, combine, resolve

TAGS = st.one_of(
    st.integers(min_value=0, max_value=0xFFFFFFFF),
    st.sampled_from(sorted(standard.attribute_rules())),
    st.builds(lambda group, element: group << 16 | element, st.integers(0x5000, 0x60FF), st.integers(0, 0xFFFF)),
    st.builds(lambda group, element: group << 16 | element, st.sampled_from([0, 2, 4, 8, 0x10, 0x7FE0, 0xFFFE]), st.integers(0, 0xFFFF)),
)  # fmt: skip
SOME_OPTIONS = st.lists(st.sampled_from(sorted(set(OPTION_OF) - {"rtnLongFullDatesOpt"})), unique=True)
CREATORS = st.one_of(
    st.none(), st.text(max_size=20), st.sampled_from(sorted({key[0] for key in standard.safe_private_rows()}))
)
TYPES = st.sampled_from(["1", "1C", "2", "2C", "3", None])


@given(TAGS, SOME_OPTIONS, CREATORS, TYPES, st.booleans())
@settings(max_examples=400)
def test_any_tag_gets_one_action_and_a_reason(tag, options, creator, kind, known):
    decision = combine(options).decide(tag, creator)
    assert resolve(decision, kind, iod_known=known) in {"X", "Z", "D", "K", "C", "U"}
    assert decision.row
    assert decision.reason


@given(TAGS, CREATORS, TYPES, st.booleans())
@settings(max_examples=400)
def test_basic_never_keeps_a_row_of_the_table_nor_anything_undefined(tag, creator, kind, known):
    action = resolve(combine([]).decide(tag, creator), kind, iod_known=known)
    if standard.attribute_rule(tag) is not None or not standard.is_known_attribute(tag):
        assert action not in {"K", "C"}
    if action == "K":
        assert standard.is_known_attribute(tag)


@given(st.integers(0, 0x7FFF), st.integers(0, 0xFFFF), CREATORS)
@settings(max_examples=400)
def test_a_private_element_stays_only_by_option_and_list(half, element, creator):
    group = half * 2 + 1
    tag = group << 16 | element
    assert combine([]).decide(tag, creator).action == "X"
    kept = combine(["rtnSafePrivOpt"]).decide(tag, creator).action == "K"
    if kept:
        assert creator is not None
        listed = standard.safe_private(creator, group, element) is not None
        own_creator = 0x10 <= element <= 0xFF and standard.is_safe_creator(creator, group)
        assert listed or own_creator


@pytest.mark.parametrize(
    ("tag", "basic", "graphics", "row"),
    [
        # overlay rows of the standard
        (0x60003000, "X", "C", "E.1-1 (60xx,3000)"),
        (0x60024000, "X", "C", "E.1-1 (60xx,4000)"),
        # the rest of the plane goes with its data
        (0x60000010, "X", "K", "house overlay-plane"),  # Overlay Rows
        (0x60000050, "X", "K", "house overlay-plane"),  # Overlay Origin
        (0x60000102, "X", "K", "house overlay-plane"),  # Overlay Bit Position
        (0x60000022, "X", "C", "house overlay-plane"),  # Overlay Description
        (0x60FE1500, "X", "C", "house overlay-plane"),  # Overlay Label
        # curves, whatever the element
        (0x50002500, "X", "C", "E.1-1 (50xx,xxxx)"),  # Curve Label
        (0x50FE3000, "X", "C", "E.1-1 (50xx,xxxx)"),
        # neither of both
        (0x60000000, "X", "X", "house group-length"),
        (0x50000000, "X", "X", "house group-length"),
        (0x50010010, "X", "X", "E.1-1 (odd group)"),
        (0x7F000010, "X", "X", "house retired-repeating"),  # Variable Pixel Data
        (0x00203155, "X", "X", "house retired-repeating"),  # Source Image IDs
    ],
)
def test_overlays_curves_and_other_repeating_groups(tag, basic, graphics, row):
    assert combine([]).decide(tag).action == basic
    assert combine([]).decide(tag).row == row
    assert combine(["cleanGraphOpt"]).decide(tag).action == graphics


def test_an_undefined_overlay_attribute_goes_under_every_profile():
    assert combine([]).decide(0x60007777).action == "X"
    assert combine(["cleanGraphOpt"]).decide(0x60007777).action == "X"


@pytest.mark.parametrize(
    ("tag", "creator", "action"),
    [
        (0x00E11021, "ELSCINT1", "K"),
        (0x00E12121, "ELSCINT1  ", "K"),  # another block, padded creator
        (0x00E10010, "ELSCINT1", "K"),  # the creator's own element
        (0x00E30010, "ELSCINT1", "X"),  # it has nothing safe in this group
        (0x00E11022, "ELSCINT1", "X"),  # not listed
        (0x00E11021, "ELSCINT2", "X"),  # a decoy
        (0x00E11021, None, "X"),  # a block that nobody reserved
        (0x00E10010, "JOHN DOE", "X"),  # a creator's name can be anything
        (0x00E10110, "ELSCINT1", "X"),  # no private element can have this number
        (0x00E10005, "ELSCINT1", "X"),
        (0x00E10000, "ELSCINT1", "X"),  # group length
        (0x00051010, "ELSCINT1", "X"),  # no private group can have this number
    ],
)
def test_private_attributes_by_creator(tag, creator, action):
    assert combine(["rtnSafePrivOpt"]).decide(tag, creator).action == action
    assert combine([]).decide(tag, creator).action == "X"


@pytest.mark.parametrize(
    ("tag", "action"),
    [
        (0x00080060, "K"),  # Modality
        (0x00280010, "K"),  # Rows
        (0x7FE00010, "K"),  # Pixel Data: other stages look into it
        (0x00080016, "K"),  # SOP Class UID
        (0x00080000, "X"),  # group length
        (0x00100FFF, "X"),  # not in PS3.6
        (0x00020010, "X"),  # file meta information inside the data set
        (0x00041500, "X"),  # File ID of a DICOMDIR
        (0xFFFEE000, "X"),  # an item where none can be
        (0xFFFCFFFC, "X"),  # Data Set Trailing Padding
    ],
)
def test_public_attributes_without_a_row_and_other_tags(tag, action):
    assert combine([]).decide(tag).action == action
    assert combine(["rtnUIDsOpt", "cleanDescOpt", "cleanGraphOpt"]).decide(tag).action == action


def test_content_items_follow_their_own_table():
    profile = combine(["cleanStructContOpt", "cleanDescOpt", "rtnLongModifDatesOpt"])
    for rule in standard.content_item_rules():
        codes = {code for option, code in rule.options.items() if profile.keeps(option)}
        expected = rule.basic if not codes else "C" if "C" in codes else "K"
        decision = profile.decide_content_item(rule.scheme, rule.code, rule.value_type)
        assert decision is not None
        assert decision.action == expected
    assert profile.decide_content_item("DCM", "0") is None
