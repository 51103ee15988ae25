"""Identifiers and UIDs: what is asked, and what is refused because it cannot be replaced as a whole."""

from __future__ import annotations

import pytest

from tarnhelm.common.assign import ValueKind, ValueQuery
from tarnhelm.metadata.core.pseudo import OddValue, get_class

NUMBER, MIXED = ValueKind.ID_NUMERICAL, ValueKind.ID_ALPHANUMERICAL


@pytest.mark.parametrize(
    ("name", "value", "asked"),
    [
        ("ID_NUMERICAL", "0012345", [(NUMBER, "0012345")]),
        ("ID_NUMERICAL", " 9012-345-678 ", [(NUMBER, "9012-345-678")]),  # padding does not count
        ("ID_NUMERICAL", "SMITH-1", [(MIXED, "SMITH-1")]),  # letters left in place would be a name
        ("ID_ALPHANUMERICAL", "Ab12", [(MIXED, "Ab12")]),
        ("ID_ALPHANUMERICAL", "A1\\\\B2\\A1", [(MIXED, "A1"), (MIXED, "B2")]),  # each value, once
        ("ID_ALPHANUMERICAL", "", []),
        ("ID_ALPHANUMERICAL", "Müller1", []),  # odd: not asked for
    ],
)
def test_identifiers_ask(name, value, asked):
    chosen = get_class(name)
    assert chosen.queries(value, chosen.validate("LO", {})) == tuple(
        ValueQuery(kind, "id", text) for kind, text in asked
    )


def test_domains_are_asked_apart():
    chosen = get_class("ID_NUMERICAL")
    (query,) = chosen.queries("12", chosen.validate("SH", {"domain": "accession"}))
    assert query.domain == "accession"


def test_identifiers_are_the_answers_behind_the_prefix(surrogate):
    assert surrogate("ID_ALPHANUMERICAL", "Ab-129\\\\Z9 ", "LO", {"prefix": "P-"}) == "P-De-452\\\\P-C2"
    assert surrogate("ID_NUMERICAL", "0012345") == "3345678"
    assert surrogate("ID_NUMERICAL", "") == ""


@pytest.mark.parametrize("value", ["Müller1", "１２３", "---", "山田1", "A\n1"])
def test_identifiers_that_a_permutation_cannot_reach_are_odd(surrogate, value):
    """A permutation of ASCII letters and digits would leave the rest in place."""
    for name in ("ID_NUMERICAL", "ID_ALPHANUMERICAL"):
        with pytest.raises(OddValue):
            surrogate(name, value)


def test_a_prefix_that_makes_a_value_too_long_makes_it_odd(surrogate):
    assert len(surrogate("ID_NUMERICAL", "1" * 14, "SH", {"prefix": "P-"})) == 16
    with pytest.raises(OddValue):
        surrogate("ID_NUMERICAL", "1" * 15, "SH", {"prefix": "P-"})


def test_uids_are_looked_up_each(surrogate):
    uids = {"1.2.3": "2.25.1", "1.2.4": "2.25.2"}
    assert surrogate("UID", "1.2.3\\1.2.4\0", "UI", uids=uids) == "2.25.1\\2.25.2"
    assert surrogate("UID", "", "UI") == ""


def test_standard_uids_stay_and_unknown_ones_do_not(surrogate):
    standard = "1.2.840.10008.1.2.1"
    assert surrogate("UID", standard, "UI", is_standard=standard.__eq__) == standard
    with pytest.raises(LookupError) as caught:
        surrogate("UID", "1.2.840.10008.1.2.1.4711", "UI", is_standard=standard.__eq__)
    assert "4711" not in repr(caught.value)


@pytest.mark.parametrize("value", ["1.2.x", "MRN12345", "1..2", "1.2.", "1." * 40 + "1", "１.2"])
def test_what_is_no_uid_is_odd(surrogate, value):
    with pytest.raises(OddValue):
        surrogate("UID", value, "UI")
