"""The benchmark counts what it says it counts."""

from __future__ import annotations

import shutil
import sys

from tests.bench.ct_files import PLANTED, SIZES, USEFUL, make_files
from tests.bench.measure import measure
from tests.bench.score import score
from tests.bench.table import BEGIN, END, goals_section, witness_section, write_page


def test_a_copy_leaks_all_and_keeps_all(tmp_path):
    manifest = make_files(tmp_path / "in", 6, "16 KB")
    shutil.copytree(tmp_path / "in", tmp_path / "out")
    found = score(tmp_path / "out", manifest)
    assert (found.files, found.leaks, found.useful, found.resolved, found.dropped) == (6, PLANTED, len(USEFUL), 4, 0)
    assert not found.interval  # nothing moved


def test_files_have_their_sizes(tmp_path):
    for size, wanted in (("16 KB", 16), ("513 KB", 513)):
        make_files(tmp_path / size, 1, size)
        assert abs((tmp_path / size / "ct_00000.dcm").stat().st_size / 1024 - wanted) < 1
    assert set(SIZES) == {"16 KB", "513 KB"}


def test_cost_of_a_grandchild_that_nobody_waits_for_counts(tmp_path):
    burn = "import time\nwhile time.process_time() < 0.6: pass"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {burn!r}])"
    cost = measure([sys.executable, "-c", orphan], tmp_path / "log")
    assert cost.code == 0
    assert cost.cpu_seconds > 0.6


def test_the_page_keeps_its_prose(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    row = {"label": "tool", "files_per_cpu_second": 1234.5, "peak_rss_mib": 12.3}
    absent = {"label": "other", "absent": True}
    document = {
        "date": "2026-01-02", "machine": "M", "python": "3", "files": 10, "planted": 89, "useful": 30, "flat": None,
        "load": (0.5, 1.25),
        "sizes": {"16 KB": {"a": row, "b": absent}, "513 KB": {"a": row, "b": absent}},
    }  # fmt: skip
    write_page(page, document)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| tool | 1,234 | 1,234 | 12 | 12 |" in text
    assert "| other | not installed |" in text
    assert "old" not in text
    assert "Load average 0.5 before, 1.2 after." in text
    assert "Beside the goals" not in text


def test_goals_are_told_beside_what_the_machine_can():
    def rows(copy, pydicom, rewriter, witness, command):
        speeds = {
            "copy": copy, "pydicom-undecoded": pydicom, "rewriter": rewriter, "witness": witness, "command": command,
        }  # fmt: skip
        return {name: {"files_per_cpu_second": speed, "peak_rss_mib": 50.0} for name, speed in speeds.items()}

    # A machine that takes twice as long for all it does.
    document = {
        "sizes": {"16 KB": rows(24_625.5, 360.5, 4_000, 1_000, 700), "513 KB": rows(3_220.5, 299.5, 2_100, 630, 315)}
    }
    text = "\n".join(goals_section(document))
    assert "| rewriter alone, 16 KB | 5,000 | 4,000 | 20% short | 8,000 |" in text
    assert "| rewriter alone, 513 KB | 2,000 | 2,100 | reached | 4,200 |" in text
    assert "| rewriter, both hashes and witness, 513 KB | 700 | 630 | 10% short | 1,260 |" in text
    assert "| 60% | 70% | reached | |" in text
    assert "| 60% | 50% | 17% short | |" in text
    assert "takes 2.0 and 2.0 times as long" in text


def test_findings_in_other_tools_results_are_told_by_code():
    finds = {"judged": 1000, "stopped": 999, "codes": {"WIT-001": 999, "WIT-005": 4}}
    sizes = {"16 KB": {"a": {"label": "tool", "witness_finds": finds}, "b": {"label": "other", "absent": True}}}
    assert witness_section({"sizes": sizes})[2:] == ["| tool | 1,000 | 999 | `WIT-001` 999, `WIT-005` 4 |"]
