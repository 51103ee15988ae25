"""The committed tables are what their sources give, and stay small and quick."""

import json
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.standard.load import TABLES

DATA = Path(standard.__file__).with_name("data")


def named_source(name):
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["source"]


def test_the_committed_tables_have_not_drifted_from_their_sources(build_standard, standard_facts, facts_folder):
    for package, table in (("highdicom", "iods"), ("pydicom", "dictionary")):
        if f"{package} {version(package)} " not in named_source(table):
            pytest.skip(f"the tables were made with another version of {package}")
    tables = build_standard.build(standard_facts.read_facts(facts_folder))
    assert build_standard.differing(tables, DATA) == []


def test_every_table_names_its_source_and_none_is_large():
    assert {path.stem for path in DATA.iterdir()} == set(TABLES)
    for name in TABLES:
        assert named_source(name).startswith("DICOM PS3.")
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 600_000


def test_a_worker_loads_all_tables_within_its_budget():
    """Measured as processor time in a process of its own, modules of the standard library excluded."""
    program = (
        "import time, json, re, hashlib, dataclasses, pathlib, difflib\n"
        "start = time.process_time()\n"
        "from tarnhelm.metadata.core import standard\n"
        "standard.is_known_attribute(0x00100010); standard.attribute_rule(0x00100010)\n"
        "standard.attribute_type('1.2.840.10008.5.1.4.1.1.2', (0x00100010,)); standard.is_standard_uid('1.2')\n"
        "standard.safe_private('A', 9, 0x1001); standard.content_item_rule('DCM', '1'); standard.digest()\n"
        "import sys; print(time.process_time() - start, 'pydicom' in sys.modules)\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
        for _ in range(3)
    ]
    assert min(float(seconds) for seconds, _ in runs) < 0.060
    assert {loaded for _, loaded in runs} == {"False"}


def test_rows_and_actions_are_counted_as_in_edition_2026d():
    if standard.edition() != "2026d":
        pytest.skip("counts are of edition 2026d")
    rules = [*standard.attribute_rules().values(), *standard.repeating_rules().values()]
    assert Counter(rule.basic for rule in rules) == {
        "X": 417, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2,
    }  # fmt: skip
    assert len(rules) == 657
    assert len(standard.content_item_rules()) == 214
    assert len(standard.safe_private_rows()) == 87


def test_the_raw_facts_and_the_committed_table_say_the_same(facts_folder):
    """Read with code of its own, so that a fault of the builder cannot hide in both sides."""
    (path,) = facts_folder.glob("table_e1_1_*.json")
    rules = dict(standard.repeating_rules())
    rules |= {f"{tag:08X}": rule for tag, rule in standard.attribute_rules().items()}
    rows = json.loads(path.read_text(encoding="utf-8"))["attributes"]
    assert len(rows) == len(rules)
    for tag, _, basic, options, retired, in_standard in rows:
        rule = rules[tag]
        assert (rule.basic, dict(rule.options)) == (basic, options)
        assert (rule.retired, rule.in_standard) == (retired == "retired", in_standard == "std")
