"""Leaks, useful attributes and references of a contestant's results, by the judge of the leak test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tests.bench.ct_files import USEFUL
from tests.leak.judge import Terms, leaks_in, lost_values, references, scanner_of, tree_blobs
from tests.leak.reading import Output, read_outputs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.leak.corpus.manifest import Manifest

__all__ = ["Score", "score"]

EVERYTHING = Terms(frozenset({"basicProfile", "rtnLongModifDatesOpt", "cleanDescOpt", "rtnPatCharsOpt"}))


@dataclass(frozen=True, slots=True)
class Score:
    """One row's quality."""

    files: int
    leaks: int
    useful: int
    resolved: int
    dropped: int
    interval: bool


def score(folder: Path, manifest: Manifest) -> Score:
    """Judge a folder of results.

    Planted strings are counted in the file that leaks most of them; an attribute is kept if every file keeps it; references
    count by file; the interval holds if both studies moved by the same number of days.
    """
    outputs = [output for output in read_outputs(folder, manifest) if output.entry]
    blobs = [(name, data) for name, data in tree_blobs(folder) if not name.startswith("name of")]
    leaked = {leak.text for leak in leaks_in(scanner_of(manifest), blobs)}
    worst = max(sum(plant.text in leaked for plant in entry.plants) for entry in manifest.files)
    lost = {keep.path for _, keep in lost_values(outputs, EVERYTHING)} if outputs else set(USEFUL)
    found = references(outputs, "00081140")
    return Score(
        len(outputs),
        worst,
        len(USEFUL) - len(lost & set(USEFUL)),
        found.resolved,
        len(found.dropped),
        _interval(outputs),
    )


def _interval(outputs: list[Output]) -> bool:
    """Every study moved by the same number of days, and moved."""
    moved = set()
    for output in outputs:
        before = (
            next((dated.value for dated in output.entry.dates if dated.path == "00080020"), "") if output.entry else ""
        )
        after = str(output.dataset.get("StudyDate", "") or "")
        try:
            moved.add((datetime.strptime(after, "%Y%m%d") - datetime.strptime(before, "%Y%m%d")).days)  # noqa: DTZ007  (days only)
        except ValueError:
            return False
    return len(moved) == 1 and moved != {0}
