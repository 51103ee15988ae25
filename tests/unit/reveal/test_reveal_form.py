"""The record of a case says who, what, why and how to check it; texts of people stay texts."""

from __future__ import annotations

import pytest
from reveal_hospital import DAY, LEGAL, PURPOSE

from tarnhelm.reveal.core.cases import CaseKind, Step
from tarnhelm.reveal.core.form import case_record_html, case_record_markdown, in_words

FORMS = [case_record_markdown, case_record_html]


def record(hospital, case, form):
    return form(hospital.desk.view(case.id), hospital.register, "trial-7", hospital.clock())


@pytest.mark.parametrize("form", FORMS)
def test_the_record_has_the_facts_of_every_signature(hospital, form):
    case = hospital.approved(surrogates=("TRIAL7X1", "TRIAL7X2"))
    receipt = hospital.use(case)
    text = record(hospital, case, form)
    view = hospital.desk.view(case.id)
    for step in view.steps:
        assert step.signature.hex() in text
        assert step.digest in text
        assert step.audit in text
    for word in (
        "Alice Tremblay",
        "Bob",
        "TRIAL7X1",
        "TRIAL7X2",
        view.digest,
        "2027-01-15",
        f"local:{receipt.line.sequence}",
    ):
        assert word in text
    if form is case_record_html:
        assert PURPOSE in text
        assert LEGAL in text


def test_texts_of_people_are_no_markup(hospital):
    case = hospital.opened(purpose="Because <script>alert(1)</script> | *bold* [x](http://example.org)")
    html = record(hospital, case, case_record_html)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    markdown = record(hospital, case, case_record_markdown)
    assert "\\<script\\>" in markdown
    assert "\\| \\*bold\\* \\[x\\](http" in markdown


def test_a_surrogate_with_backticks_stays_one(hospital):
    case = hospital.opened(surrogates=("A``B", "A_B"))
    markdown = record(hospital, case, case_record_markdown)
    assert "- `A_B`\n- ``` A``B ```\n" in markdown


@pytest.mark.parametrize("form", FORMS)
def test_a_denied_and_an_expired_case_say_so(hospital, form):
    denied, left = hospital.opened(), hospital.opened(days=1)
    hospital.decide(denied, "carol", Step.DENY)
    assert "denied" in record(hospital, denied, form)
    hospital.clock.now += 2 * DAY
    text = record(hospital, left, form)
    assert "expired" in text


def test_every_kind_has_words():
    assert all(in_words(kind) for kind in CaseKind)
