"""The files of the benchmark: CT images of one patient in two studies 45 days apart, 89 planted strings in each.

Series of a hundred slices, as scanners make them: the texts are those of the series, while instance UIDs, numbers,
positions and pixels differ from slice to slice. Each slice refers to the one before it.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
from tests.leak.corpus.carriers import phantom
from tests.leak.corpus.draft import Draft
from tests.leak.corpus.images import IMAGES, build_image
from tests.leak.corpus.manifest import Expected, FileEntry, Manifest, Match
from tests.leak.corpus.names import Coiner
from tests.leak.corpus.people import cast
from tests.leak.corpus.places_sequences import refer_to
from tests.leak.corpus.plan import INTERVAL_DAYS, plant, write_draft

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PLANTED", "SIZES", "USEFUL", "make_files"]

PLANTED: Final = 89
SLICES: Final = 100
SIZES: Final = {"16 KB": (75, 64), "513 KB": (506, 512)}
"""Rows and columns that bring a file to 16 and 513 KiB."""

PLACES: Final = (
    "preamble", "meta-ae-titles", "meta-private", "padding", "unknown-public", "un-standard", "overlay", "curve", "icon",
    "private-texts", "private-csa", "private-decoy", "private-safe", "deep-nesting", "kept-sequence", "local-code",
    "contributing-equipment", "original-attributes", "request-attributes", "descriptions", "kept-text",
)  # fmt: skip

# Thirty values that a researcher of CT wants: what the machine did, who the patient is in broad terms, what was looked for.
USEFUL: Final = (
    "00080060", "00080008", "00080070", "00081090", "00180015", "00180050", "00180060", "00180088", "00181100", "00181120", "00181150",
    "00181151", "00181152", "00181160", "00181210", "00185100", "00200011", "00200012", "00280030", "00281050", "00281052", "00281053",
    "00200032", "00200037", "00100040", "00101020", "00101030", "00081030", "0008103E", "00204000",
)  # fmt: skip


def make_files(folder: Path, count: int, size: str, seed: int = 7, *, alike: int = SLICES) -> Manifest:
    """Write ``count`` files; the manifest holds exactly ``PLANTED`` distinct strings for each of them.

    ``alike`` is how many files in a row share their texts: the slices of a series; with 1 no two are alike.
    """
    rng = random.Random(seed)
    coin = Coiner(rng)
    subject = cast(rng, coin)[0]
    rows, columns = SIZES[size]
    base = phantom(rows, columns)
    manifest = Manifest(seed, 1)
    before: dict[int, tuple[str, str, str]] = {}
    for index in range(count):
        visit = int(index >= count // 2)
        day = subject.first_study + timedelta(days=INTERVAL_DAYS * visit)
        stem = f"1.2.826.0.1.3680043.9.7433.{subject.patient_id}.{day:%Y%m%d}"
        uids = {
            "study": stem,
            "series": f"{stem}.{index // alike}",
            "sop": f"{stem}.{index // alike}.{index + 1}",
            "frame": f"{stem}.0",
        }
        # The same words in every slice of a series: a header that changes from slice to slice is nobody's.
        rng = random.Random(f"{seed} {index // alike}")
        coin = Coiner(rng)
        entry = FileEntry(
            f"ct_{index:05d}.dcm", 1001 + index, "CT", Expected.RELEASED, subject.key, syntax="explicit", uids=uids
        )
        draft = Draft(subject, entry, rng, coin, day)
        build_image(draft, IMAGES["CT"], "explicit", 0, (8, 8))
        plant(draft, list(PLACES))
        draft.keep("Rows", rows)
        draft.keep("Columns", columns)
        draft.frames = [np.roll(base, index, axis=1).tobytes()]
        if visit in before:
            refer_to(draft, *before[visit])
        before[visit] = (entry.sop_class, uids["sop"], uids["study"])
        _settle(entry)
        write_draft(draft, folder / entry.path)
        manifest.files.append(entry)
    return manifest


def _settle(entry: FileEntry) -> None:
    """89 distinct strings: the first of each place, then the second, and so on; the surplus is not counted."""
    seen: set[str] = set()
    numbered = []
    for each in entry.plants:
        if each.text not in seen and each.match is not Match.PLACE:
            seen.add(each.text)
            numbered.append(each)
    rank: dict[str, int] = {}
    ranked = []
    for position, each in enumerate(numbered):
        rank[each.place] = rank.get(each.place, -1) + 1
        ranked.append((rank[each.place], position, each))
    if len(ranked) < PLANTED:
        raise ValueError(len(ranked))
    entry.plants[:] = [each for _, _, each in sorted(ranked, key=lambda row: row[:2])[:PLANTED]]
    entry.keeps[:] = list({(k.path, k.value): k for k in entry.keeps if k.path in USEFUL}.values())
