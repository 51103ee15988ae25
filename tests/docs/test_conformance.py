"""CONFORMANCE.md names tests that exist, and lists what the code handles."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tarnhelm.common.dicom.codecs import Family, family_of
from tarnhelm.common.errors import CATALOGUE
from tarnhelm.metadata.core.profiles import combine
from tarnhelm.metadata.core.rules.kinds import IMAGE_SOP_CLASSES, KNOWN_SYNTAXES, VIDEO_SYNTAXES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/CONFORMANCE.md").read_text("utf-8")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@cache
def _tests_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _rows(name: str) -> dict[str, list[str]]:
    table = PAGE.split(f"<!-- {name} -->")[1].split("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    return {row[1].strip("`"): row for row in rows}


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) >= 30
    missing = [f"{path}::{name}" for path, name in named if not (ROOT / path).exists() or name not in _tests_of(path)]
    assert not missing


def test_the_transfer_syntaxes_are_those_of_the_cleaner() -> None:
    rows = _rows("syntaxes")
    assert set(rows) == KNOWN_SYNTAXES
    for uid, row in rows.items():
        native = uid in {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
        refused = uid in VIDEO_SYNTAXES or (not native and family_of(uid) is Family.OPAQUE)
        assert row[2:] == (["`MET-001`", "–"] if refused else ["yes", "as read"]), uid


def test_the_sop_classes_are_those_of_the_cleaner() -> None:
    assert set(_rows("classes")) == IMAGE_SOP_CLASSES


def test_the_codes_of_the_options_are_those_of_cid_7050() -> None:
    names = ["cleanDescOpt", "cleanGraphOpt", "cleanStructContOpt", "rtnDevIdOpt", "rtnInstIdOpt", "rtnPatCharsOpt"]
    every = combine([*names, "rtnSafePrivOpt", "rtnUIDsOpt", "rtnLongModifDatesOpt"])
    for code in every.method_codes:
        assert re.search(rf"^\| [^|]+ \| {code.value} \| (?!refused)", PAGE, re.MULTILINE), code.value


def test_every_error_code_that_a_page_names_is_in_the_catalogue() -> None:
    unknown = {
        f"{page.name}: {code}"
        for page in PAGES
        for code in re.findall(r"`([A-Z]{3}-\d{3})`", page.read_text("utf-8"))
        if code not in CATALOGUE
    }
    assert not unknown
