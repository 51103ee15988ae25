"""``tarnhelm quarantine``: opaque ids, recorded decisions, and the witness has the last word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fakecores
import pytest


@pytest.fixture
def held(tarnhelm: Any, tmp_path: Path) -> dict[str, str]:
    """Code → id of what a run held back."""
    for number, behaviour in enumerate(("text", "leak", "die", "good")):
        fakecores.write_fake(tmp_path / "in" / f"Doe^Jane-{behaviour}", "Doe^Jane", number + 1, behaviour)
    tarnhelm("clean", tmp_path / "in", tmp_path / "out", code=1)
    lines = [line.split() for line in tarnhelm("quarantine", "list").stdout.splitlines()]
    return {line[1]: line[0] for line in lines if len(line) > 2 and "-" in line[1]}


def released(tmp_path: Path) -> int:
    return len(list((tmp_path / "out").rglob("*.dcm")))


def test_entries_are_opaque(tarnhelm: Any, held: dict[str, str]) -> None:
    assert set(held) == {"PIX-001", "WIT-001", "LIM-007"}
    shown = tarnhelm("quarantine", "list").stdout + tarnhelm("quarantine", "show", held["WIT-001"]).stdout
    assert "Doe" not in shown
    assert "PatientName" in shown  # where the witness found something, not what


def test_accepting_pixels_is_recorded_and_goes_through_the_witness(
    tarnhelm: Any, held: dict[str, str], tmp_path: Path
) -> None:
    tarnhelm("quarantine", "accept", held["PIX-001"], code=2)  # without a name and a reason
    tarnhelm("quarantine", "accept", held["PIX-001"], "--by", "M. Tremblay", "--reason", "a phantom")
    assert released(tmp_path) == 2
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "M. Tremblay" in page
    assert "a phantom" in page


@pytest.mark.parametrize("code", ["WIT-001", "LIM-007"])
def test_nothing_else_can_be_accepted(tarnhelm: Any, held: dict[str, str], code: str, tmp_path: Path) -> None:
    done = tarnhelm("quarantine", "accept", held[code], "--by", "x", "--reason", "y", code=2)
    assert "RUN-008" in done.stderr
    assert released(tmp_path) == 1


def test_a_retry_finds_the_repaired_source(tarnhelm: Any, held: dict[str, str], tmp_path: Path) -> None:
    tarnhelm("quarantine", "retry", held["LIM-007"], "--by", "x", code=1)
    assert released(tmp_path) == 1
    fakecores.write_fake(tmp_path / "in" / "Doe^Jane-die", "Doe^Jane", 3)
    assert "RUN-014" in tarnhelm("quarantine", "retry", held["LIM-007"], code=2).stderr  # other bytes, another object
    assert held["LIM-007"] in tarnhelm("quarantine", "list").stdout
    tarnhelm("clean", tmp_path / "in", tmp_path / "out", "--resume", code=1)
    assert released(tmp_path) == 2


def test_a_rejected_entry_is_gone_for_good(tarnhelm: Any, held: dict[str, str], tmp_path: Path) -> None:
    tarnhelm("quarantine", "reject", held["WIT-001"], "--by", "x", "--reason", "y")
    assert held["WIT-001"] not in tarnhelm("quarantine", "list").stdout
    tarnhelm("clean", tmp_path / "in", tmp_path / "out", "--resume", "--accept-unchecked-pixels", code=1)
    assert released(tmp_path) == 2  # the accepted one; the rejected one stays out


def test_a_source_that_has_gone_is_said_to_have_gone(tarnhelm: Any, held: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in" / "Doe^Jane-text").unlink()
    done = tarnhelm("quarantine", "accept", held["PIX-001"], "--by", "x", "--reason", "y", code=2)
    assert "RUN-014" in done.stderr
    assert held["PIX-001"] in tarnhelm("quarantine", "list").stdout
