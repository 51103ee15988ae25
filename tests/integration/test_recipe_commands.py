"""``tarnhelm review``, ``explain`` and ``clean -r`` on a recipe, as one types them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom.data import get_testdata_file

from tarnhelm.cli.main import run
from tarnhelm.cli.services import TarnhelmServices

HEADER = "FORMAT dicom\n%header\n"
Call = Callable[..., "Said"]


class Said(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: object) -> Said:
        code = run([str(argument) for argument in arguments], TarnhelmServices())
        return Said(code, *capfd.readouterr())

    return call


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    def write(rules: str) -> Path:
        path = tmp_path / "site.recipe"
        path.write_text(HEADER + rules, encoding="utf-8")
        return path

    return write


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "one.dcm"
    path.parent.mkdir()
    shutil.copy(str(get_testdata_file("CT_small.dcm", download=False)), path)
    return path


def test_a_review_ends_with_the_codes_of_the_style_guide(said: Call, recipe: Callable[[str], Path]) -> None:
    good = said("review", recipe("REMOVE PatientAddress\n"))
    assert (good.code, "No findings." in good.out) == (0, True)
    found = said("review", recipe("KEEP PatientName\nREPLACE StudyDate x\nREMOVE SOPInstanceUID\n"))
    assert found.code == 1
    assert [line.split(":")[0] for line in found.out.splitlines() if line.startswith("- ")] == [
        "- line 3",
        "- line 4",
        "- line 5",
    ]
    assert "3 findings." in found.out
    wrong = said("review", recipe("PSEUDO PatientName FULLNAME\n"))
    assert wrong.code == 2
    assert "line 3, column 20: 'FULLNAME' is no PSEUDO class" in wrong.err
    assert "did you mean FULL_NAME?" in wrong.err
    assert said("review", "no-such.recipe").code == 2


@pytest.mark.parametrize("command", ["clean", "review", "explain"])
def test_unknown_classes_and_parameters_stop_every_command(
    said: Call, recipe: Callable[[str], Path], ct: Path, tmp_path: Path, command: str
) -> None:
    path = recipe("PSEUDO PatientName FULL_NAME scpe=project\nPSEUDO PatientID ID_NUMERC\n")
    given = {"clean": [ct.parent, tmp_path / "out", "-r", path], "review": [path], "explain": [ct, "-r", path]}
    done = said(command, *given[command])
    assert done.code == 2
    assert "line 3, column 30: FULL_NAME has no parameter 'scpe'" in done.err
    assert "did you mean scope?" in done.err
    assert "line 4, column 18: 'ID_NUMERC' is no PSEUDO class" in done.err
    assert "did you mean ID_NUMERICAL?" in done.err
    assert not list((tmp_path / "out").rglob("*.dcm"))


def test_explain_names_the_rule_and_what_it_overrules(said: Call, recipe: Callable[[str], Path], ct: Path) -> None:
    done = said("explain", ct, "-r", recipe("REMOVE ALL\nKEEP StudyDescription\n"))
    assert done.code == 0
    lines = done.out.splitlines()
    at = next(index for index, line in enumerate(lines) if "StudyDescription" in line)
    assert lines[at] == "(0008,1030) LO StudyDescription  KEEP"
    assert lines[at + 1 : at + 4] == [
        "    recipe line 4: KEEP StudyDescription (kept by the recipe)",
        "    overrules recipe line 3 (REMOVE ALL)",
        "    overrules profile E.1-1 (0008,1030) (REMOVE: basicProfile removes Study Description)",
    ]
    assert "CompressedSamples" not in done.out
