"""Texts that a rule keeps lose numbers of persons, whether or not the object's own identifiers stand in them."""

import pytest

from .cleaning import chest_ct

ONTARIO = "9876543217"  # passes modulus 10
BRITISH_COLUMBIA = "9698658215"  # passes modulus 11
QUEBEC = "TREM55530312"


def test_the_numbers_are_what_they_are_called():
    from tarnhelm.metadata.core.text.health_numbers import (
        is_british_columbia,
        is_ontario,
        is_quebec,
    )

    assert is_ontario(ONTARIO)
    assert is_british_columbia(BRITISH_COLUMBIA)
    assert is_quebec(QUEBEC)


@pytest.mark.parametrize("number", [ONTARIO, BRITISH_COLUMBIA, QUEBEC, "9876 543 217", "PHN 9698-658-215"])
@pytest.mark.parametrize("name", ["Manufacturer", "ManufacturerModelName"])
def test_health_numbers_go_out_of_kept_text(cleaner, name, number):
    clean = cleaner()(chest_ct(**{name: f"B30f {number}"}))
    assert clean.holds(number) == []
    assert clean.ds[name].value.startswith("B30f")
    assert ("identifier-in-text", name) in clean.outcome.findings


def test_a_code_string_that_is_a_health_number_goes(cleaner):
    clean = cleaner()(chest_ct(FilterType=ONTARIO, ScanOptions=["HELIX", BRITISH_COLUMBIA]))
    assert clean.holds(ONTARIO, BRITISH_COLUMBIA) == []


def test_a_site_s_record_numbers_go_out_of_kept_text(cleaner):
    ds = chest_ct(Manufacturer="B30f KGH-12345 sharp")
    assert cleaner()(ds).ds.Manufacturer == "B30f KGH-12345 sharp"
    clean = cleaner(site_mrn_patterns=(r"KGH-\d{5}",))(ds)
    assert clean.ds.Manufacturer == "B30f sharp"


def test_meanings_of_standard_codes_lose_them_too(cleaner):
    ds = chest_ct()
    item = type(ds)()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "R-10206", "SRT", f"frontal {ONTARIO}"
    ds.ViewCodeSequence = [item]
    assert cleaner()(ds).holds(ONTARIO) == []


@pytest.mark.parametrize("text", ["B30f", "SOMATOM Definition AS+", "1.2.3", "VB10A 20140101", "64x0.6"])
def test_other_texts_stay_byte_for_byte(cleaner, text):
    assert cleaner()(chest_ct(ManufacturerModelName=text)).ds.ManufacturerModelName == text
