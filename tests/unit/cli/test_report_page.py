"""The report's page: what stands on it, for which outcomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tarnhelm.cli.report.collect import Collected
from tarnhelm.cli.report.facts import RunFacts
from tarnhelm.cli.report.page import page_of
from tarnhelm.cli.report.words import attribute_note
from tarnhelm.cli.report.write import _template

FACTS = RunFacts(
    run_id="r", project="trial-7", project_id="p", revision=1, version="0", plan_digest="a" * 64, policy_digest="b" * 64,
    recipe_name="", recipe_digest="c" * 64, profiles=("basicProfile",), methods=(("113100", "Basic"),), conflicts=(),
    edition="2026d", who_can_reidentify="The custodian.", accept_unchecked_pixels=False, dry_run=False, sample=0,
    started=0.0, outcome_keys=(), finished=2.0,
)  # fmt: skip


def collected(**changes: Any) -> Collected:
    made = Collected()
    made.states.update({"released": 3, "quarantined": 1, "skipped": 1})
    made.codes["quarantined"]["STG-001"] = 1
    made.codes["skipped"]["DCM-002"] = 1
    made.gate_rules["T-PRIMARY F-HEAD", "deface"] = 2
    made.actions["PatientName"].update({"PSEUDO": 3})
    made.actions["(0009,xxxx)"].update({"REMOVE": 6})
    made.actions["InstitutionName"].update({"KEEP": 1, "BLANK": 2})
    made.findings["odd-value", "StudyDate"] = 1
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def render(facts: RunFacts = FACTS, **changes: Any) -> str:
    return _template().render(page_of(facts, collected(**changes), []))


def test_attributes_stand_under_what_happened_to_them() -> None:
    page = page_of(FACTS, collected(), [])
    groups = {group.title: [name for name, _, _ in rows] for group, rows in page["attributes"]}
    assert groups == {
        "Replaced": ["PatientName"],
        "Removed or emptied": ["(0009,xxxx)", "InstitutionName"],
        "Kept by a rule": ["InstitutionName"],
    }
    assert [word for word, _, _ in page["words"]] == ["PSEUDO", "REMOVE", "BLANK", "KEEP"]


def test_codes_stand_in_the_order_of_their_counts_and_then_of_their_names() -> None:
    made = collected()
    made.codes["quarantined"].update({"DCM-005": 1, "DCM-003": 1, "PIX-002": 13})
    assert [row["code"] for row in page_of(FACTS, made, [])["held"]] == ["PIX-002", "DCM-003", "DCM-005", "STG-001"]


def test_litter_is_not_said_to_be_held_back() -> None:
    page = page_of(FACTS, collected(), [])
    assert [row["code"] for row in page["held"]] == ["STG-001"]
    assert [row["code"] for row in page["passed"]] == ["DCM-002"]


def test_the_gate_is_explained_in_words() -> None:
    page = render()
    assert "names the head, the face, the neck or the whole body" in page
    assert "a face" in page


def test_unchecked_pixels_are_told_before_everything_else() -> None:
    assert "Pixels were accepted unchecked" not in render()
    told = render(unchecked=2)
    assert told.index("Pixels were accepted unchecked") < told.index("Who can go back to the patient")
    assert "Unchecked pixels were allowed" in render(replace(FACTS, accept_unchecked_pixels=True))


def test_a_dry_run_claims_no_witness_and_no_way_back() -> None:
    page = render(replace(FACTS, dry_run=True))
    assert "the witness, which judges finished objects, was not asked" in page
    assert "Who can go back" not in page
    assert "compared with its original" not in page


def test_commands_in_a_remedy_are_set_as_code() -> None:
    assert "<code>tarnhelm quarantine show</code>" in render()


def test_the_page_loads_and_runs_nothing() -> None:
    page = render()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_text_of_a_reviewer_is_escaped(tmp_path: Path) -> None:
    assert "<b>x</b>" not in render(replace(FACTS, project="<b>x</b>"))


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("PatientName", ""),
        ("(0009,xxxx)", "private"),
        ("(0008,0000)", "group length"),
        ("(0008,fff0)", "not in the dictionary"),
        ("(60xx,3000)", "repeating group"),
    ],
)
def test_attributes_without_a_name_have_a_note(name: str, note: str) -> None:
    assert attribute_note(name) == note
