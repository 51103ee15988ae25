from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tarnhelm.metadata.core.text.words import lexicon

HERE = Path(__file__).parent
TOOL = Path(__file__).parents[4] / "tools/build_lexicon.py"


def load_tool():
    spec = importlib.util.spec_from_file_location("build_lexicon", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tool():
    return load_tool()


def common_names():
    lines = (HERE / "common_names.txt").read_text(encoding="utf-8").splitlines()
    return {word for line in lines if not line.startswith("#") for word in line.split()}


def test_the_lexicon_is_in_order(tool):
    assert list(tool.problems()) == []


def test_common_names_in_the_lexicon_are_exactly_the_documented_ones():
    assert lexicon().words & common_names() == lexicon().dual


def test_eponyms_that_are_names_do_not_stay_alone():
    assert lexicon().eponyms & lexicon().words <= lexicon().dual  # ordinary words: bright, little
    assert {"baker", "wilson", "parkinson"} <= lexicon().eponyms
    assert {"hodgkin", "crohn", "alzheimer"} <= lexicon().words


def test_the_lexicon_has_several_thousand_words_of_both_languages():
    assert len(lexicon().words) > 7000
    english = "liver kidney lesion contrast sagittal fracture without follow scan biopsy"
    french = "foie rein lesion contraste sagittale fracture sans controle examen biopsie"
    short = "ax sag cor flair dwi adc tse gre mprage bravo spgr stir wb lung bone recon mip mpr scout loc topo"
    assert set(f"{english} {french} {short}".split()) <= lexicon().words


@pytest.mark.parametrize(
    "name", ["smith", "tremblay", "nguyen", "patel", "wong", "singh", "marie", "jean", "vancouver", "toronto"]
)
def test_names_and_places_are_no_words(name):
    assert name not in lexicon().words


def test_the_check_sees_a_name_that_slips_in(tool, tmp_path, monkeypatch):
    for path in tool.LEXICON.glob("*.txt"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    with (tmp_path / "english.txt").open("a", encoding="utf-8") as file:
        file.write("tremblay\nLivér\ntoronto\n")
    monkeypatch.setattr(tool, "LEXICON", tmp_path)
    found = "\n".join(tool.problems())
    assert "'tremblay' is a common name" in found
    assert "'Livér' is not folded" in found
    assert "'toronto' is a place" in found
