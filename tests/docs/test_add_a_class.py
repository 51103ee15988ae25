"""The guide to a new PSEUDO class is followed in a copy of the source: its file is all that a class needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/guides/add-a-pseudo-class.md").read_text("utf-8")
PAGE = (ROOT / "docs/reference/pseudo.md").read_text("utf-8")
PACKAGE = "services/metadata/tarnhelm/metadata"
CLEAN = """
from tests.unit.metadata.rewriting.cleaning import KeyedAssigner, chest_ct, file_bytes
from tarnhelm.common.stage import StageJob
from tarnhelm.metadata.core.stage import MetadataConfig, make_core
from pathlib import Path
import pydicom
Path("a").write_bytes(file_bytes(chest_ct(StudyDescription="auburn")))
core = make_core(MetadataConfig("FORMAT dicom\\n%header\\nPSEUDO StudyDescription HAIR_COLOUR\\n"))
core(StageJob("o", Path("a"), Path("b"), "d"), KeyedAssigner())
print("written:", pydicom.dcmread("b").StudyDescription)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the guide touches, with the class of the page put where the guide says."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (PACKAGE, "tests/unit/metadata/pseudo", "tests/unit/metadata/rewriting", "docs/reference", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    code = PAGE.split("## Adding a class")[1].split("```python\n")[1].split("```")[0]
    place = re.search(r"`(services/[^`]+/classes/)`, for example `(\w+\.py)`", GUIDE)
    assert place is not None
    (tmp_path / place[1] / place[2]).write_text(code, "utf-8")
    return tmp_path


def follow(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy: its package stands before the installed one."""
    path = [str(checkout / "services/metadata"), str(checkout), str(ROOT)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def commands() -> list[list[str]]:
    console = GUIDE.split("```console\n")[1].split("```")[0]
    lines = [line.removeprefix("$ ").split() for line in console.splitlines()]
    return [words[1:] for words in lines if words[0] == ".venv/bin/python"]


def test_the_file_alone_makes_the_class_known_documented_and_usable(checkout: Path) -> None:
    (reference,) = (words for words in commands() if "pytest" not in words)
    done = follow(checkout, *reference)
    assert done.returncode == 0, done.stderr
    written = (checkout / "docs/reference/pseudo.md").read_text("utf-8")
    assert "### HAIR_COLOUR" in written
    assert "### HAIR_COLOUR" not in PAGE
    made = follow(checkout, "-c", CLEAN)
    assert re.search(r"written: (black|blond|brown|grey|red|white)\n", made.stdout), made.stderr


@pytest.mark.slow
def test_the_new_class_passes_all_tests_but_those_two_that_the_guide_says_ask_for_a_row(checkout: Path) -> None:
    tests, reference = sorted(commands(), key=lambda words: "pytest" not in words)
    assert follow(checkout, *reference).returncode == 0
    done = follow(checkout, *tests, "-q", "-p", "no:cacheprovider", "-n0", "-c", str(ROOT / "pyproject.toml"))
    failed = set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE))
    assert failed == set(re.findall(r"`(test_\w+)`", GUIDE)), done.stdout[-3000:]
    assert len(failed) == 2
