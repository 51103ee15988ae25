"""Version 1 of the surrogates, frozen: a change of any line gives known persons other names."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from tarnhelm.metadata.core.pseudo import ALGORITHM_VERSION, class_names
from tarnhelm.metadata.core.pseudo.registry import get_class
from tarnhelm.metadata.core.pseudo.tables import SHA256, load_names

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))

# class, value, VR, parameters; surrogate of a woman under KEY, -400 days; of a man under OTHER_KEY, -3650 days
VECTORS = [
    ("FULL_NAME", "O'BRIEN^MARY-ANN^J^DR", "PN", {}, "Swanson^Sonia^N", "Weeks^Leonard^E"),
    (
        "FULL_NAME",
        "O'BRIEN^MARY-ANN^JEAN",
        "PN",
        {"language": "fr"},
        "Raymond^Jessica^Amélie",
        "Grenier^Tristan^Étienne",
    ),
    ("FULL_NAME", "山田^太郎", "PN", {"sex": "any"}, "Short^Jimmy", "Ortiz^Derrick"),
    ("FULL_NAME", "Dr. Jane Roe", "LO", {"scope": "project"}, "Norman Gallegos", "Norman Gallegos"),
    ("FULL_NAME", "Bartholomew Featherstonehaugh", "SH", {"language": "en"}, "Pam Hayes", "Max Shepherd"),
    ("GIVEN_NAME", "Mary-Ann", "LO", {}, "Christy", "Luc"),
    ("GIVEN_NAME", "Marie", "LO", {"language": "fr"}, "Juliette", "Gilbert"),
    ("SURNAME", "Müller", "LO", {}, "Potter", "Mathis"),
    ("SURNAME", "MÜLLER^EVA", "PN", {"language": "fr"}, "Thibodeau", "Deschênes"),
    ("LOCATION_CA", "Alert Bay, BC", "LO", {}, "Corner Brook, NL", "Central Saanich, BC"),
    ("LOCATION_CA", "Iqaluit", "SH", {"format": "province"}, "QC", "BC"),
    ("LOCATION_BC", "Alert Bay, BC", "LO", {}, "Kamloops, BC", "West Kelowna, BC"),
    ("LOCATION_BC", "12 Main St, Alert Bay", "ST", {"format": "city"}, "Comox", "West Vancouver"),
    (
        "HEALTH_INSTITUTION_CA",
        "St. Paul's Hospital",
        "LO",
        {},
        "Eiderreach Regional Hospital",
        "Alderrigg General Hospital",
    ),
    ("HEALTH_INSTITUTION_CA", "St. Paul's Hospital", "SH", {}, "Eiderreach RH", "Alderrigg GH"),
    (
        "HEALTH_INSTITUTION",
        "CHUM",
        "LO",
        {"language": "fr", "scope": "project"},
        "Centre de santé de Fontchêne",
        "Centre de santé de Fontchêne",
    ),
    ("DATE", "20240301", "DA", {}, "20230126", "20140304"),
    ("DATE", "19520229", "DA", {"birth": "shift"}, "19510125", "19420303"),
    ("DATETIME", "20240301081530.25-0800", "DT", {}, "20230126081530.25-0800", "20140304081530.25-0800"),
    ("DATETIME", "20240301081530.25-0800", "DT", {"shift": "true"}, "20230125100405.25-0800", "20140304062003.25-0800"),
    ("TIME", "081530", "TM", {"shift": "true"}, "100405", "062003"),
    ("ID_NUMERICAL", "0012345", "LO", {}, "3345678", "3345678"),
    ("ID_ALPHANUMERICAL", "Ab-129", "LO", {"prefix": "P-"}, "P-De-452", "P-De-452"),
    ("UID", "1.2.3", "UI", {}, "2.25.7", "2.25.7"),
]
TABLES = {
    "names.json": "9e855fa4a5b9ee450ed53bf0df6daf6ae76902fd51a33dcb25e73cbcc90364f0",
    "places.json": "05fd31feba40e8c1764289f1b62754674f0f98f0d396dda541f0719faf397fcf",
    "institutions.json": "bbe8055915b4009e505dd59e5f6d58bef4746883c43694b3deb0067c0b8d8b40",
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda row: f"{row[0]}-{row[1]}-{row[2]}")
def test_surrogates_are_those_of_version_1(surrogate, vector):
    name, value, vr, given, hers, his = vector
    facts = {"uids": {"1.2.3": "2.25.7"}, "study_date": "20240301"}
    assert surrogate(name, value, vr, given, **facts) == hers
    changes = {"subject_key": OTHER_KEY, "sex": "M", "date_offset_days": -3650}
    assert surrogate(name, value, vr, given, **facts, **changes) == his


def test_every_class_has_a_vector():
    assert {get_class(row[0]).name for row in VECTORS} == set(class_names())


def test_the_version_changes_when_a_table_does():
    assert SHA256 == TABLES
    assert ALGORITHM_VERSION == 1


def test_a_surname_is_picked_as_the_page_says(surrogate):
    """The documented derivation, computed here from its parts."""
    material = hmac.new(KEY, b"SURNAME\0muller", hashlib.sha256).digest()
    language = "en" if int.from_bytes(material[:8], "big") % 4 < 3 else "fr"
    table = load_names().surname[language]
    assert surrogate("SURNAME", "MÜLLER") == table[int.from_bytes(material[8:16], "big") % len(table)]
