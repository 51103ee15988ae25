"""Without the key nothing can be told; with it, equal spellings agree."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from tarnhelm.common.assign import ValueKind, ValueQuery
from tarnhelm.metadata.core.pseudo import ObjectContext, get_class
from tarnhelm.metadata.core.pseudo.tables import load_institutions, load_names, load_places

KEYED = [
    ("FULL_NAME", "PN"),
    ("GIVEN_NAME", "LO"),
    ("SURNAME", "LO"),
    ("LOCATION_CA", "LO"),
    ("LOCATION_BC", "LO"),
    ("HEALTH_INSTITUTION_CA", "LO"),
]


def many(name, vr, values, *, key=b"k" * 32, given=None):
    chosen = get_class(name)
    settings = chosen.validate(vr, given or {})
    context = ObjectContext(subject_key=key, date_offset_days=-1, vr=vr, sex="F")
    return [chosen.surrogate(value, settings, context) for value in values]


NAMES = [f"N{number:05d}X" for number in range(4000)]


@pytest.mark.parametrize(("name", "vr"), KEYED)
def test_two_subjects_agree_no_more_often_than_by_chance(name, vr):
    mine, yours = many(name, vr, NAMES, key=b"a" * 32), many(name, vr, NAMES, key=b"b" * 32)
    shares = [count / len(mine) for count in Counter(mine).values()]
    chance = sum(share * share for share in shares)
    same = sum(one == other for one, other in zip(mine, yours, strict=True)) / len(NAMES)
    assert same <= chance + 5 * math.sqrt(chance / len(NAMES))


@pytest.mark.parametrize(
    ("name", "given", "table"),
    [
        ("SURNAME", {"language": "en"}, lambda: load_names().surname["en"]),
        ("SURNAME", {"language": "fr"}, lambda: load_names().surname["fr"]),
        ("GIVEN_NAME", {"language": "en"}, lambda: load_names().given["en", "F"]),
        ("LOCATION_BC", {"format": "city"}, lambda: [place.city for place in load_places("BC")]),
    ],
)
def test_every_row_of_a_table_is_as_likely_as_any_other(name, given, table):
    rows = table()
    count = Counter(many(name, "LO", [f"N{number:06d}X" for number in range(20 * len(rows))], given=given))
    chi_square = sum((count[row] - 20) ** 2 / 20 for row in rows)
    degrees = len(rows) - 1
    assert set(count) <= set(rows)
    assert abs(chi_square - degrees) < 5 * math.sqrt(2 * degrees)


def test_mixed_is_french_in_one_of_four():
    french = set(load_institutions().stems["fr"])
    found = many("HEALTH_INSTITUTION_CA", "LO", NAMES)
    share = sum(
        any(text.endswith(f" {stem}") for stem in (text.rsplit(" ", 1)[-1],) if stem in french) for text in found
    )
    assert share / len(found) == pytest.approx(0.25, abs=0.04)


def test_classes_do_not_agree_about_one_value():
    """The class is part of the key, so a surname alone does not give the full name's surname away."""
    full = [text.partition("^")[0] for text in many("FULL_NAME", "PN", NAMES)]
    alone = many("SURNAME", "LO", NAMES)
    assert sum(one == other for one, other in zip(full, alone, strict=True)) < 40


@pytest.mark.parametrize(("name", "vr"), KEYED)
def test_project_scope_asks_first_and_does_not_see_the_subject(context, name, vr):
    chosen = get_class(name)
    settings = chosen.validate(vr, {"scope": "project"})
    asked = chosen.queries("Roe^Jane\\ROE^JANE\\", settings)
    assert len(asked) == 1, "equal spellings are one question"
    assert asked[0].kind is ValueKind.KEY
    assert asked[0].domain == name
    answers = {(asked[0].kind, asked[0].domain, asked[0].value): "5a" * 32}
    results = {
        chosen.surrogate("Roe^Jane", settings, context(vr=vr, subject_key=key, sex=sex, answers=answers))
        for key in (b"a" * 32, b"b" * 32)
        for sex in ("M", "F", "")
    }
    assert len(results) == 1, "a physician's name must not depend on the patient"


@pytest.mark.parametrize(("name", "vr"), KEYED)
def test_patient_scope_asks_nothing(name, vr):
    chosen = get_class(name)
    assert chosen.queries("Roe^Jane", chosen.validate(vr, {})) == ()


def test_a_question_that_was_not_announced_is_refused_without_the_value(context):
    chosen = get_class("SURNAME")
    settings = chosen.validate("LO", {"scope": "project"})
    with pytest.raises(LookupError) as caught:
        chosen.surrogate("Roe", settings, context(answers={}))
    assert "roe" not in repr(caught.value).lower()


def test_queries_are_hashable_values_of_the_seam():
    chosen = get_class("SURNAME")
    (query,) = chosen.queries("Smith", chosen.validate("LO", {"scope": "project"}))
    assert query == ValueQuery(ValueKind.KEY, "SURNAME", "smith")
