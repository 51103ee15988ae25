"""How a name is written in each VR."""

from __future__ import annotations

import re

import pytest

from tarnhelm.metadata.core.pseudo.tables import load_names


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("DOE^JOHN", r"[^^]+\^[^^]+"),  # surname and given name
        ("DOE^JOHN^^DR^MD", r"[^^]+\^[^^]+"),  # prefix and suffix dropped
        ("DOE^JOHN^ALLAN", r"[^^]+\^[^^]+\^[^^]{2,}"),  # a middle name for a middle name
        ("DOE^JOHN^A.", r"[^^]+\^[^^]+\^[^^]"),  # an initial for an initial
        ("DOE", r"[^^]+\^[^^]+"),  # a name all the same
        ("Doe^John=山田^太郎", r"[^^=]+\^[^^=]+"),  # other groups dropped
        ("DOE^JOHN\\ROE^JANE^B", r"[^^]+\^[^^]+\\[^^]+\^[^^]+\^[^^]"),  # each value for itself
        ("DOE^JOHN\\\\ROE^JANE", r"[^^\\]+\^[^^\\]+\\\\[^^\\]+\^[^^\\]+"),  # an empty value stays empty
        ("", r""),
        ("  ", r""),
        ("^^^^", r""),  # components without content are an empty name
    ],
)
def test_person_names_have_sensible_components(surrogate, value, shape):
    assert re.fullmatch(shape, surrogate("FULL_NAME", value, "PN"))


def test_all_spellings_and_companies_get_one_surname_and_given_name(surrogate):
    spellings = ["O'BRIEN^MARY-ANN", "Obrien^Maryann^J", "O’Brien^Mary Ann^Jean^Dr", "OBRIEN^MARYANN=山田^太郎"]
    assert len({"^".join(surrogate("FULL_NAME", one, "PN").split("^")[:2]) for one in spellings}) == 1


def test_an_initial_is_that_of_the_middle_name(surrogate):
    whole = surrogate("FULL_NAME", "DOE^JOHN^ALLAN", "PN").split("^")
    short = surrogate("FULL_NAME", "DOE^JOHN^A", "PN").split("^")
    assert short == [*whole[:2], whole[2][0]]
    assert whole[1] != whole[2]


def test_text_names_the_same_person_as_pn(surrogate):
    family, given = surrogate("FULL_NAME", "DOE^JOHN", "PN").split("^")
    assert surrogate("FULL_NAME", "Dr. John A. Doe", "LO") == f"{given} {family}"


def test_short_string_fits_and_keeps_the_surname(surrogate):
    values = [f"Name{chr(97 + number % 26)}{number}x^A" for number in range(3000)]
    for value in values:
        short, long = surrogate("FULL_NAME", value, "SH"), surrogate("FULL_NAME", value, "LO")
        assert len(short) <= 16
        assert short == long or short == f"{long[0]} {long.partition(' ')[2]}"


@pytest.mark.parametrize(("sex", "other"), [("F", "M"), ("M", "F")])
def test_given_names_follow_the_recorded_sex(surrogate, sex, other):
    table = load_names().given
    for number in range(300):
        value = f"X{number}Y"
        assert surrogate("GIVEN_NAME", value, given={"language": "fr"}, sex=sex) in table["fr", sex]
        assert surrogate("FULL_NAME", value, "PN", {"language": "en"}, sex=sex).split("^")[1] in table["en", sex]
    assert not set(table["fr", sex]) <= set(table["fr", other])


@pytest.mark.parametrize("sex", ["", "O", "X"])
def test_without_a_sex_all_given_names_are_possible(surrogate, sex):
    table = load_names().given
    found = {surrogate("GIVEN_NAME", f"X{number}Y", given={"language": "en"}, sex=sex) for number in range(500)}
    assert found & set(table["en", "F"])
    assert found & set(table["en", "M"])


def test_any_sex_on_request(surrogate):
    found = {
        surrogate("GIVEN_NAME", f"X{number}Y", given={"sex": "any", "language": "en"}, sex="F") for number in range(500)
    }
    assert found - set(load_names().given["en", "F"])


def test_parts_take_their_component_of_a_pn(surrogate):
    assert surrogate("SURNAME", "DOE^JOHN", "PN") == surrogate("SURNAME", "Doe")
    assert surrogate("GIVEN_NAME", "DOE^JOHN", "PN") == "^" + surrogate("GIVEN_NAME", "John")
    assert surrogate("SURNAME", "^JOHN", "PN") == surrogate("SURNAME", "John"), "no surname: the rest keys it"
    assert surrogate("GIVEN_NAME", "DOE^", "PN") == "^" + surrogate("GIVEN_NAME", "Doe")


@pytest.mark.parametrize("name", ["FULL_NAME", "GIVEN_NAME", "SURNAME", "LOCATION_CA", "HEALTH_INSTITUTION"])
def test_ascii_objects_get_the_same_value_without_accents(surrogate, name):
    from tarnhelm.metadata.core.pseudo.normalise import fold

    accented = 0
    for number in range(400):
        whole = surrogate(name, f"X{number}Y", given={} if name == "LOCATION_CA" else {"language": "fr"})
        plain = surrogate(
            name, f"X{number}Y", given={} if name == "LOCATION_CA" else {"language": "fr"}, ascii_only=True
        )
        assert plain.isascii()
        assert fold(plain) == fold(whole)
        accented += plain != whole
    assert accented
