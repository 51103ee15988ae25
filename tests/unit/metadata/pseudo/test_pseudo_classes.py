"""The registry, the rules' parameters, and how a class is added."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarnhelm.common.assign import AssignReply, AssignRequest, ValueKind, ValueQuery
from tarnhelm.metadata.core.pseudo import (
    ObjectContext,
    PseudoError,
    class_names,
    classes,
    describe,
    get_class,
    registry,
)
from tarnhelm.metadata.core.pseudo.reference import evaluate

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "pseudo.md"
NEW_CLASS = PAGE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]


@pytest.fixture
def fresh():
    registry._classes.cache_clear()
    yield
    registry._classes.cache_clear()


def test_the_classes_are_those_of_the_recipe_language():
    assert class_names() == (
        "DATE",
        "DATETIME",
        "FULL_NAME",
        "GIVEN_NAME",
        "HEALTH_INSTITUTION_CA",
        "ID_ALPHANUMERICAL",
        "ID_NUMERICAL",
        "LOCATION_BC",
        "LOCATION_CA",
        "SURNAME",
        "TIME",
        "UID",
    )
    assert get_class("HEALTH_INSTITUTION") is get_class("HEALTH_INSTITUTION_CA")


def test_a_new_class_is_one_file(fresh, tmp_path, monkeypatch, surrogate):
    (tmp_path / "hair_colour.py").write_text(NEW_CLASS, encoding="utf-8")
    monkeypatch.setattr(classes, "__path__", [*classes.__path__, str(tmp_path)])
    assert "HAIR_COLOUR" in class_names()
    assert surrogate("HAIR_COLOUR", "Auburn") == surrogate("HAIR_COLOUR", "AUBURN ")
    (described,) = (one for one in describe() if one.name == "HAIR_COLOUR")
    assert evaluate("HAIR_COLOUR", described.examples[0]) == described.examples[0].result


def test_two_classes_of_one_name_are_refused(fresh, tmp_path, monkeypatch):
    (tmp_path / "again.py").write_text(NEW_CLASS.replace("HAIR_COLOUR", "SURNAME"), encoding="utf-8")
    monkeypatch.setattr(classes, "__path__", [*classes.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match="SURNAME"):
        class_names()


@pytest.mark.parametrize(
    ("name", "vr", "given", "told"),
    [
        ("FULL_NAME", "PN", {"scop": "project"}, "did you mean 'scope'"),  # a slip of the key
        ("FULL_NAME", "PN", {"shade": "red"}, "it has scope, language, sex"),  # nothing near
        ("UID", "UI", {"scope": "project"}, "it has none"),
        ("FULL_NAME", "PN", {"scope": "world"}, "none of patient, project"),
        ("FULL_NAME", "DA", {}, "cannot write VR DA"),
        ("DATE", "PN", {}, "it writes DA, DT"),
        ("DATE", "DT", {"birth": "year"}, "for VR DA"),
        ("TIME", "TM", {"shift": "yes"}, "none of true, false"),
        ("ID_NUMERICAL", "LO", {"prefix": "a b"}, "at most 8"),
        ("ID_NUMERICAL", "LO", {"domain": "A"}, "lower-case word"),
    ],
)
def test_wrong_rules_are_told_what_is_wrong(name, vr, given, told):
    with pytest.raises(PseudoError, match="^" + name) as caught:
        get_class(name).validate(vr, given)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"), [("FULLNAME", "FULL_NAME"), ("date_time", "DATETIME"), ("XYZZY", "there are DATE")]
)
def test_unknown_classes_get_a_suggestion(name, told):
    with pytest.raises(PseudoError, match=told):
        get_class(name)


@pytest.mark.parametrize("name", class_names())
def test_defaults_are_valid_and_cannot_be_changed(name):
    chosen = get_class(name)
    for vr in (*chosen.vrs, ""):
        settings = chosen.validate(vr, {})
        assert set(settings) == set(chosen.parameters)
        with pytest.raises(TypeError):
            settings["scope"] = "project"
    for parameter, known in chosen.parameters.items():
        for choice in known.choices:
            assert parameter in chosen.validate("", {parameter: choice})
        assert known.help.endswith(".")


@pytest.mark.parametrize("name", class_names())
def test_empty_values_stay_empty(surrogate, name):
    for vr in get_class(name).vrs:
        assert surrogate(name, "", vr) == ""
        assert surrogate(name, " \\\0", vr) == "\\"


def test_a_reply_becomes_a_context():
    question = ValueQuery(ValueKind.ID_NUMERICAL, "id", "12")
    request = AssignRequest("1", "", "1.2", "M", ("1.2",), (question,))
    reply = AssignReply("P-1", b"k" * 32, -7, "F", {"1.2": "2.25.1"}, ("98",))
    context = ObjectContext.from_reply(request, reply, ascii_only=True, study_date="20240101").with_vr("SH")
    assert context.project_value(ValueKind.ID_NUMERICAL, "id", "12") == "98"
    assert context.uid("1.2") == "2.25.1"
    assert (context.sex, context.date_offset_days, context.vr) == ("F", -7, "SH"), "the sex recorded first counts"
    assert context.ascii_only
    assert context.study_date == "20240101"


@pytest.mark.parametrize("offset", [0, 1, 400])
def test_dates_may_not_stay_or_move_into_the_future(offset):
    with pytest.raises(ValueError, match="negative"):
        ObjectContext(subject_key=b"k" * 32, date_offset_days=offset)


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        ObjectContext(subject_key=b"k" * 16, date_offset_days=-1)


def test_a_context_does_not_print_its_secrets():
    shown = repr(ObjectContext(subject_key=b"k" * 32, date_offset_days=-1234, uids={"1.2.3": "2.25.1"}))
    assert "kkk" not in shown
    assert "1234" not in shown
    assert "1.2.3" not in shown
