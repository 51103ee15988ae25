"""The recipes and the meaning of the deid package, where it is installed."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tarnhelm.metadata.core.recipe import ActionName, ElementKey, PathStep, parse_recipe


def _shipped() -> list[Path]:
    spec = importlib.util.find_spec("deid")
    if spec is None or spec.origin is None:
        return []
    found = []
    for path in sorted(Path(spec.origin).parent.rglob("*")):
        if path.is_file() and path.suffix not in {".py", ".pyc", ".dcm"}:
            head = path.read_bytes()[:4000].decode("utf-8", "replace")
            if any(line.strip().upper().startswith("FORMAT ") for line in head.splitlines()):
                found.append(path)
    return found


SHIPPED = _shipped()
needs_deid = pytest.mark.skipif(not SHIPPED, reason="the deid package is not installed")


@needs_deid
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_recipe_that_deid_ships_is_read_whole(path):
    text = path.read_text(encoding="utf-8")
    recipe = parse_recipe(text, path.name)
    lines = [line.strip() for line in text.splitlines()]
    actions = [line for line in lines if line.split(" ")[0] in {*ActionName} and line != "REMOVE jitter"]
    assert len(recipe.header_rules) == len(actions)
    assert sum(len(section.labels) for section in recipe.filters) == sum(line.startswith("LABEL") for line in lines)
    regions = sum(len(label.regions) for section in recipe.filters for label in section.labels)
    assert regions == sum("coordinates" in line.split(" ")[0] for line in lines)


@needs_deid
def test_deid_ships_recipes():
    assert {path.name for path in SHIPPED} >= {"deid.dicom", "deid.dicom.ultrasound", "deid.dicom.xray.chest"}


def _elements(dataset, path=(), uid=""):
    """Each element with its path and deid's name for it."""
    for element in dataset:
        creator = element.private_creator if element.is_private and not element.tag.is_private_creator else None
        here = (*path, PathStep(int(element.tag), creator))
        name = f"{uid}__{element.tag}" if uid else str(element.tag)
        yield name, ElementKey(here, element.VR)
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from _elements(item, here, f"{name}__{number}")


EXPRESSIONS = [
    "PatientID", "patientid", "(0010,0020)", "00100020", "contains:Name", "contains:patient|study", "startswith:Patient",
    "endswith:Date", "endswith:date$", "contains:^Image", "select:VR:DS", "select:GROUP:0018", "select:group:9", "ALL",
    "except:Date", "except:StudyDate|StudyTime", "contains:0043", "startswith:0009", '(0009,"GEMS_IDEN_01",27)',
    '0009,"GEMS_IDEN_01",27', 'contains:(0009,"GEMS_IDEN_01",0[1-4])', "contains:P.*I", "contains:Patient's", "NoSuchThing",
]  # fmt: skip


@needs_deid
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "MR_small.dcm"])
def test_selectors_mean_what_they_mean_in_deid(name):
    fields = pytest.importorskip("deid.dicom.fields")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(get_testdata_file(name, download=False))
        elements = {uid: key for uid, key in _elements(dataset) if (key.last.tag >> 16) != 2}
        contenders = fields.get_fields_with_lookup(dataset)
        for expression in EXPRESSIONS:
            theirs = set(fields.expand_field_expression(expression, dataset, contenders)) & set(elements)
            ours = set()
            for rule in parse_recipe(f"FORMAT dicom\n%header\nBLANK {expression}").header_rules:
                ours = {uid for uid, key in elements.items() if rule.selector.matches(key)}
            # There, expressions see the names of the sequences around an element and pydicom's own names of private
            # tags; here, an attribute is judged by itself.
            by_itself = {uid for uid in theirs ^ ours if "__" not in uid and not int(elements[uid].last.tag) >> 16 & 1}
            assert by_itself == set(), expression
            if ":" not in expression and expression != "ALL":
                assert theirs == ours, expression


@needs_deid
@pytest.mark.filterwarnings("ignore")
def test_the_order_of_actions_is_deids(tmp_path):
    parser = pytest.importorskip("deid.dicom.parser")
    text = (
        "FORMAT dicom\n%header\nREMOVE ALL\nKEEP StudyID\nREPLACE PatientName Nobody\nJITTER StudyDate 1\nBLANK PatientAge\n"
        "ADD PatientComments hello\nREPLACE StudyID x\nREMOVE StudyDate\nREMOVE PatientName\n"
    )
    path = tmp_path / "deid.dicom"
    path.write_text(text, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
        before = {element.tag: element.value for element in source}
        cleaner = parser.DicomParser(source, recipe=str(path))
        cleaner.parse()
        after = {element.tag: element.value for element in cleaner.dicom}
    recipe = parse_recipe(text)
    for tag, value in before.items():
        element = source.get(tag)
        decision = recipe.decide(ElementKey((PathStep(int(tag)),), element.VR if element else "LO"))
        if tag not in after:
            assert decision.action is ActionName.REMOVE, tag
        elif after[tag] == value:
            assert decision is None or decision.action is ActionName.KEEP, tag
        else:
            assert decision.action in {ActionName.REPLACE, ActionName.JITTER, ActionName.ADD}, tag
    assert {rule.selector.tag.value for rule in recipe.additions} == {tag for tag in after if tag not in before}
