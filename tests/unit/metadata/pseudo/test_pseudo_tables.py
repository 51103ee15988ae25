"""What stands in the frozen tables, row by row."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import sys
from importlib import resources
from pathlib import Path

import pytest

from tarnhelm.metadata.core.pseudo import tables
from tarnhelm.metadata.core.pseudo.normalise import fold, text_key, to_ascii

WORDS = resources.files(tables.__package__).joinpath("words", "v1")
TOOL = Path(__file__).parents[4] / "tools" / "build_words.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("build_words", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_names():
    loaded = tables.load_names()
    return {name for rows in (*loaded.given.values(), *loaded.surname.values()) for name in rows}


@pytest.mark.parametrize("name", tables.SHA256)
def test_the_files_are_the_pinned_ones(name):
    assert hashlib.sha256(WORDS.joinpath(name).read_bytes()).hexdigest() == tables.SHA256[name]


def test_a_changed_table_is_refused(monkeypatch):
    monkeypatch.setitem(tables.SHA256, "places.json", "0" * 64)
    with pytest.raises(RuntimeError, match=r"places\.json"):
        tables._read("places.json")


def test_names_are_valid_in_every_vr_and_character_set():
    """Letters, hyphens and apostrophes only: no DICOM delimiter, Latin-1, spelled in ASCII letter by letter."""
    for name in all_names():
        assert re.fullmatch(r"[^\W\d_]+(?:['-][^\W\d_]+)*", name)
        assert 3 <= len(name) <= 14
        assert name.encode("latin-1")
        assert len(to_ascii(name)) == len(name)


def test_no_name_stands_twice_in_a_table():
    loaded = tables.load_names()
    for rows in (*loaded.given.values(), *loaded.surname.values()):
        assert len({*rows}) == len(rows)
    for rows in loaded.surname.values():
        assert len({fold(name) for name in rows}) == len(rows)


def test_tables_are_large_enough_to_hide_in():
    loaded = tables.load_names()
    assert {key: len(rows) for key, rows in loaded.surname.items()} == {"en": 995, "fr": 250}
    assert min(map(len, loaded.given.values())) >= 75
    assert len(tables.load_places()) == 277
    assert len(tables.load_places("BC")) == 56


def test_places_fit_short_strings():
    for place in tables.load_places():
        assert 4 <= len(place.city) <= 16
        assert "\\" not in place.city
        assert re.fullmatch(r"[A-Z]{2}", place.province)
        assert place.city.encode("latin-1")


def test_places_are_no_small_communities():
    """Some that everybody in the province knows to be under ten thousand."""
    small = "Alert Bay|Tofino|Ucluelet|Bella Coola|Haida Gwaii|Lytton|Kaslo|Atlin|Iqaluit|Hope|Fernie|Osoyoos|Masset"
    assert not {place.city for place in tables.load_places()} & set(small.split("|"))


def institutions():
    loaded = tables.load_institutions()
    for language, stems in loaded.stems.items():
        for long, short in loaded.forms[language]:
            for stem in stems:
                yield long.replace("{}", stem), short.replace("{}", stem), stem


def test_institutions_fit_their_vr():
    for long, short, stem in institutions():
        assert len(long) <= 64
        assert len(short) <= 16
        assert stem in long
        assert stem in short
        assert long.encode("latin-1")


def test_no_institution_is_a_real_one(tool):
    real = {text_key(name) for name in tool.REAL_INSTITUTIONS}
    words = {text_key(word) for name in tool.REAL_INSTITUTIONS for word in re.split(r"[\s'-]+", name)}
    places = {text_key(place.city) for place in tables.load_places()}
    assert len(real) > 100
    for long, short, stem in institutions():
        assert text_key(long) not in real
        assert text_key(short) not in real
        assert text_key(stem) not in words | places


def test_institutions_are_all_different():
    longs = [text_key(long) for long, _, _ in institutions()]
    assert len(set(longs)) == len(longs)


def test_the_tool_makes_the_facts_of_the_committed_tables_and_overwrites_none(tool, tmp_path, monkeypatch, capsys):
    """Places and institutions come from the tool alone; names come from Faker, which may have moved on."""
    for name, table in (("places.json", tool.place_table()), ("institutions.json", tool.institution_tables())):
        assert tool.written(table) == WORDS.joinpath(name).read_bytes()
    monkeypatch.setattr(tool, "person_tables", lambda: json.loads(WORDS.joinpath("names.json").read_text("utf-8")))
    monkeypatch.setattr(sys, "argv", ["build_words.py", "--out", str(tmp_path)])
    assert tool.main() == 0
    assert (tmp_path / "names.json").read_bytes() == WORDS.joinpath("names.json").read_bytes()
    (tmp_path / "names.json").write_bytes(b"{}")
    assert tool.main() == 1
    assert (tmp_path / "names.json").read_bytes() == b"{}"
    assert "frozen" in capsys.readouterr().out
