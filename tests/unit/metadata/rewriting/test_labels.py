"""What is counted for the report always names an attribute and an action."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.common.dicom.header import Encoding
from tarnhelm.metadata.core.plan import MetadataConfig, compile_rules
from tarnhelm.metadata.core.rules.compiler import MARKER_TAGS
from tarnhelm.metadata.core.rules.operations import Operation, OperationCode

from .cleaning import chest_ct

COMPILER = compile_rules(
    MetadataConfig("FORMAT dicom\n%values own\nFIELD PatientID\n%header\nBLANK ALL values:own\nKEEP (0029,*)\n")
)[0]


def test_markers_of_the_source_are_counted_as_replaced(cleaner):
    outcome = cleaner()(chest_ct(PatientIdentityRemoved="YES", DeidentificationMethod="theirs")).outcome
    assert outcome.actions["PatientIdentityRemoved", "REPLACE"] == 1
    assert outcome.actions["DeidentificationMethod", "REPLACE"] == 1


def test_a_condition_that_holds_nowhere_still_names_its_attribute(cleaner):
    ds = chest_ct()
    ds.private_block(0x0029, "ACME", create=True).add_new(0x01, "LO", "x")
    outcome = cleaner('FORMAT dicom\n%header\nKEEP (0029,"ACME",01) func:is_empty\n')(ds).outcome
    assert all(attribute and action for attribute, action in outcome.actions)
    assert ("(0029,xxxx)", "REMOVE") in outcome.actions


def test_an_operation_cannot_be_made_without_a_label():
    with pytest.raises(TypeError):
        Operation(OperationCode.DROP)


@given(
    st.integers(0x00080000, 0x7FE0FFFF) | st.sampled_from(sorted(MARKER_TAGS)),
    st.sampled_from(["LO", "SQ", "UI", "UN", "DA", "OB", "PN"]),
)
def test_every_rule_of_every_tag_has_a_label(tag, vr):
    table = COMPILER.root("", Encoding.EXPLICIT_LITTLE)
    assert all(COMPILER.operation(table, tag, vr).label)
