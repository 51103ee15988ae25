"""Private attributes stay by rules that name them, and the witness, which is told of the same rules, agrees."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.ids import canonical_digest
from tarnhelm.metadata.core.plan import MetadataConfig, compile_plan
from tarnhelm.witness.core import Policy, Witness

from .cleaning import chest_ct, file_bytes

HEADER = "FORMAT dicom\n%header\n"


@pytest.fixture
def released(cleaner):
    """Clean a data set by one rule and let the witness judge the result: the private attributes left, its findings."""

    def run(rules, ds, **config):
        data = file_bytes(ds)
        settings = MetadataConfig(recipe_text=HEADER + rules, **config)
        clean = cleaner(settings.recipe_text, **config)(data)
        policy = Policy.from_json(json.dumps(dict(compile_plan(settings).policy)))
        verdict = Witness(policy, Ed25519PrivateKey.generate()).judge(data, clean.data, "object")
        left = {
            (element.tag.group, element.private_creator, element.tag.element & 0xFF): element.value
            for element in clean.ds.iterall()
            if element.tag.is_private and not element.tag.is_private_creator
        }
        return left, list(verdict.findings)

    return run


def vendor_ct():
    ds = chest_ct()
    block = ds.private_block(0x0029, "ACME CSA", create=True)
    block.add_new(0x01, "LO", "first")
    block.add_new(0x0A, "DS", "1.25")
    ds.private_block(0x0029, "OTHER", create=True).add_new(0x01, "LO", "other")
    ds.private_block(0x0031, "THIRD", create=True).add_new(0x02, "IS", "7")
    return ds


ACME = {(0x0029, "ACME CSA", 0x01): "first", (0x0029, "ACME CSA", 0x0A): 1.25}
OTHER = {(0x0029, "OTHER", 0x01): "other"}
THIRD = {(0x0031, "THIRD", 0x02): 7}

ROWS = [
    ('KEEP (0029,"ACME CSA",01)', {(0x0029, "ACME CSA", 0x01): "first"}),
    ('KEEP (0029,"ACME CSA",*)', ACME),
    ('KEEP (0029,"acme csa ",*)', ACME),  # creators are compared without case and outer blanks
    ("KEEP (0029,1001)", {(0x0029, "ACME CSA", 0x01): "first"}),
    ("KEEP (0029,10xx)", ACME),
    ("KEEP (0029,11xx)", OTHER),
    ("KEEP (0029,*)", ACME | OTHER),
    ("KEEP select:GROUP:0031", THIRD),
    ('%fields ours\nFIELD (0031,"THIRD",02)\n%header\nKEEP fields:ours', THIRD),
    ('BLANK (0029,"ACME CSA",*)', dict.fromkeys(ACME) | {(0x0029, "ACME CSA", 0x01): ""}),
    ('REPLACE (0029,"ACME CSA",01) x', {(0x0029, "ACME CSA", 0x01): "x"}),
    ('PSEUDO (0029,"OTHER",01) FULL_NAME', ...),
    # what does not name private attributes keeps none
    ("KEEP ALL", {}),
    ("KEEP select:VR:DS", {}),
    ("KEEP contains:ACME", {}),
    ("KEEP except:PatientName", {}),
    ("REPLACE select:VR:LO x", {}),
    ("BLANK ALL", {}),
    ("KEEP Manufacturer", {}),
    ('KEEP (0029,"ACME CSA",01) func:is_empty', {}),  # the condition does not hold
    ('KEEP (0029,"ACME CSA",*)\nREMOVE (0029,"ACME CSA",01)', ACME),  # KEEP is the strongest
]


@pytest.mark.parametrize(("rules", "expected"), ROWS, ids=[row[0].replace("\n", "; ") for row in ROWS])
def test_what_a_rule_names_stays_and_the_witness_finds_nothing(released, rules, expected):
    general = rules.startswith(("KEEP ALL", "KEEP except", "KEEP select:VR", "BLANK ALL", "REPLACE select:VR"))
    left, findings = released(rules, vendor_ct())
    if expected is ...:
        assert set(left) == set(OTHER)
        assert left != OTHER
    else:
        assert left == expected
    assert [f for f in findings if f.position[:4] in ("0029", "0031")] == []
    if not general:
        assert findings == []


def test_an_attribute_kept_by_another_rule_is_still_found_by_the_witness(cleaner):
    """The policy of one rule does not cover what another one keeps."""
    data = file_bytes(vendor_ct())
    clean = cleaner(HEADER + "KEEP (0029,*)")(data)
    policy = compile_plan(MetadataConfig(recipe_text=HEADER + "KEEP (0029,10xx)")).policy
    verdict = Witness(Policy.from_json(json.dumps(dict(policy))), Ed25519PrivateKey.generate()).judge(
        data, clean.data, "object"
    )
    assert {(f.position, f.identifier_class) for f in verdict.findings} == {
        ("00290011", "private-creator"),
        ("00291101", "private"),
    }


def test_a_kept_block_inside_a_sequence_stays_too(released):
    ds = chest_ct()
    item = type(ds)()
    item.private_block(0x0029, "ACME CSA", create=True).add_new(0x01, "LO", "inside")
    ds.ReferencedImageSequence = [item]
    left, findings = released('KEEP (0029,"ACME CSA",*)', ds)
    assert list(left.values()) == ["inside"]
    assert findings == []


def nested(depth, **values):
    """A data set with the same item at the given depth of Referenced Image Sequence, and the private block in it."""
    ds = chest_ct()
    at = ds
    for _ in range(depth):
        item = type(ds)()
        at.ReferencedImageSequence = [item]
        at = item
    for name, value in values.items():
        setattr(at, name, value)
    at.private_block(0x0029, "ACME CSA", create=True).add_new(0x01, "LO", "inside")
    return ds


PATHS = [
    # rule, depth of the item, whether private attribute and comment stay there
    ('KEEP ReferencedImageSequence/(0029,"ACME CSA",01)', 1, True),
    ('KEEP ReferencedImageSequence/(0029,"ACME CSA",01)', 2, True),
    ('KEEP /ReferencedImageSequence/(0029,"ACME CSA",01)', 1, True),
    ('KEEP /ReferencedImageSequence/(0029,"ACME CSA",01)', 2, False),
    ('KEEP /ReferencedImageSequence/*/(0029,"ACME CSA",01)', 2, True),
    ('KEEP /ReferencedImageSequence/**/(0029,"ACME CSA",*)', 3, True),
    ("KEEP ReferencedImageSequence/(0029,10xx)", 2, True),
]


@pytest.mark.parametrize(("rule", "depth", "stays"), PATHS)
def test_a_path_to_a_private_attribute_means_the_same_to_cleaner_and_witness(released, rule, depth, stays):
    left, findings = released(rule, nested(depth))
    assert list(left.values()) == (["inside"] if stays else [])
    assert findings == []


@pytest.mark.parametrize(
    ("rule", "depth", "stays"),
    [
        ("KEEP ReferencedImageSequence/OperatorsName", 1, True),
        ("KEEP ReferencedImageSequence/OperatorsName", 2, True),
        ("KEEP /ReferencedImageSequence/OperatorsName", 1, True),
        ("KEEP /ReferencedImageSequence/OperatorsName", 2, False),
        ("KEEP ReferencedImageSequence/**/OperatorsName", 3, True),
        ("KEEP /OperatorsName", 0, True),
        ("KEEP /OperatorsName", 1, False),
        ("KEEP ReferencedImageSequence/*", 1, True),
    ],
)
def test_a_path_to_a_name_means_the_same_to_cleaner_and_witness(cleaner, rule, depth, stays):
    data = file_bytes(nested(depth, OperatorsName="Okonjo^Beatrice"))
    settings = MetadataConfig(recipe_text=HEADER + "KEEP ReferencedImageSequence\n" + rule)
    clean = cleaner(settings.recipe_text)(data)
    assert (clean.holds("Okonjo") != []) == stays
    policy = Policy.from_json(json.dumps(dict(compile_plan(settings).policy)))
    assert Witness(policy, Ed25519PrivateKey.generate()).judge(data, clean.data, "object").findings == ()


@pytest.mark.parametrize(
    ("told", "depth"),
    [
        ('KEEP /ReferencedImageSequence/(0029,"ACME CSA",01)', 2),
        ('KEEP ReferencedImageSequence/(0029,"ACME CSA",01)', 0),
        ('KEEP ReferencedImageSequence/(0029,"ACME CSA",02)', 1),
        ('KEEP ReferencedImageSequence/(0029,"OTHER",01)', 1),
        ("KEEP ReferencedImageSequence/*", 1),
    ],
)
def test_a_private_attribute_beside_the_path_that_the_policy_names_is_found(cleaner, told, depth):
    data = file_bytes(nested(depth))
    clean = cleaner(HEADER + 'KEEP ReferencedImageSequence\nKEEP (0029,"ACME CSA",*)')(data)
    policy = compile_plan(MetadataConfig(recipe_text=HEADER + "KEEP ReferencedImageSequence\n" + told)).policy
    verdict = Witness(Policy.from_json(json.dumps(dict(policy))), Ed25519PrivateKey.generate()).judge(
        data, clean.data, "object"
    )
    assert {f.identifier_class for f in verdict.findings} & {"private", "private-creator"}


@pytest.mark.parametrize("cls", ["ID_ALPHANUMERICAL", "ID_NUMERICAL", "FULL_NAME scope=project", "LOCATION_CA"])
def test_surrogates_of_private_attributes_are_asked_for_like_any_other(released, cls):
    ds = chest_ct()
    ds.private_block(0x0029, "ACME", create=True).add_new(0x01, "LO", "A7788")
    item = type(ds)()
    item.private_block(0x0029, "ACME", create=True).add_new(0x01, "LO", "A7788")
    ds.ReferencedImageSequence = [item]
    left, findings = released(f'PSEUDO (0029,"ACME",01) {cls}', ds)
    (made,) = set(left.values())
    assert made
    assert made != "A7788"
    assert findings == []


def test_a_creator_that_is_somebodys_name_never_stays(released):
    ds = chest_ct()
    ds.private_block(0x0029, "Bramwell Tobias", create=True).add_new(0x01, "LO", "useful")
    left, findings = released("KEEP (0029,*)", ds)
    assert left == {}
    assert findings == []


def test_general_rules_change_safe_private_attributes_and_keep_no_others(cleaner):
    ds = chest_ct()
    block = ds.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x23, "DS", "1.25")
    block.add_new(0x99, "LO", "unsafe")
    kept = cleaner(HEADER + "KEEP KVP", profiles=["rtnSafePrivOpt"])(ds)
    blanked = cleaner(HEADER + "BLANK select:VR:DS", profiles=["rtnSafePrivOpt"])(ds)
    assert kept.ds.private_block(0x0019, "GEMS_ACQU_01")[0x23].value == 1.25
    assert blanked.ds.private_block(0x0019, "GEMS_ACQU_01")[0x23].value is None
    assert blanked.holds("unsafe") == []


def test_a_kept_overlay_is_in_the_policy(released):
    ds = chest_ct()
    ds.add_new(0x60000010, "US", 4)
    ds.add_new(0x60000011, "US", 4)
    ds.add_new(0x60003000, "OW", b"\1\2")
    policy = compile_plan(MetadataConfig(recipe_text=HEADER + "KEEP OverlayData\nKEEP 60020010")).policy
    assert policy["keep"]["60xx3000"] == ["*"]
    assert policy["keep"]["60020010"] == ["*"]
    _, findings = released("KEEP OverlayData", ds)
    assert findings == []


GOOD = ["002910xx", "0029xxxx", "0xx91001", "0029xx01", '0029"ACME"xx', '0029"A "quoted" B"01']
BAD = ["002810xx", "00281xxx", "0029", '0029"ACME"x1', '0028"ACME', "0029gg01", "xxxxxxxx"]


@pytest.mark.parametrize(("position", "good"), [*((one, True) for one in GOOD), *((one, False) for one in BAD)])
def test_the_witness_reads_positions_of_private_attributes_strictly(position, good):
    document = {"version": 1, "keep": {position: ["*"]}}
    text = json.dumps({**document, "digest": canonical_digest(document)})
    if good:
        assert Policy.from_json(text).keep.masked or Policy.from_json(text).keep.private
    else:
        with pytest.raises(TarnhelmError) as caught:
            Policy.from_json(text)
        assert caught.value.code == "WIT-007"
