"""The judge: what leaked, what was lost, what no longer fits. Pure functions over a manifest and results.

It knows nothing of the cleaner: no import of it, no report of it. The same functions judge other tools.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from tests.leak.corpus.manifest import Expected, FileEntry, Keep, Manifest, Match
from tests.leak.forms import Scanner
from tests.leak.reading import Output, bare_stream, frames_of, inflated, parse, value_at, walk_values

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "Leak", "Terms", "changed_pixels", "leaks_in", "lost_values", "moved_dates", "placed_leaks", "private_faults",
    "references", "scanner_of", "split_subjects", "unaccounted",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """What a configuration promises.

    Attributes
    ----------
    profiles
        Its profiles: they decide which values stay.
    allowed
        Kinds of planted strings that it retains by intent.
    dates
        ``shifted``, ``gone`` or ``kept``.
    """

    profiles: frozenset[str] = frozenset({"basicProfile", "rtnLongModifDatesOpt"})
    allowed: frozenset[str] = frozenset()
    dates: str = "shifted"


@dataclass(frozen=True, slots=True)
class Leak:
    """One planted string that came out."""

    place: str
    kind: str
    text: str
    where: str


@dataclass(slots=True)
class PlantScanner:
    """A scanner over the plants of a manifest."""

    plants: list[tuple[str, str, str]] = field(default_factory=list)
    scanner: Scanner | None = None


def scanner_of(manifest: Manifest, terms: Terms = Terms()) -> PlantScanner:
    """A scanner for all strings that may stand nowhere."""
    seen: dict[tuple[str, str], tuple[str, bool]] = {}
    for entry in manifest.files:
        for plant in entry.plants:
            if plant.match is not Match.PLACE and plant.kind not in terms.allowed:
                seen.setdefault((plant.text, plant.place), (plant.kind, plant.match is Match.DIGITS))
    made = PlantScanner([(text, place, kind) for (text, place), (kind, _) in seen.items()])
    made.scanner = Scanner((text, digits) for (text, _), (_, digits) in seen.items())
    return made


def leaks_in(found: PlantScanner, blobs: Iterable[tuple[str, bytes]], blank: Iterable[bytes] = ()) -> list[Leak]:
    """Every planted string in every blob, inflated as well; ``blank`` strings are wiped before."""
    if found.scanner is None:
        raise ValueError("empty scanner")
    leaks = set()
    for name, data in blobs:
        for part in (data, inflated(data)):
            wiped = part
            for gone in blank:
                wiped = wiped.replace(gone, b" " * len(gone))
            for index, _ in found.scanner.hits(wiped):
                text, place, kind = found.plants[index]
                leaks.add(Leak(place, kind, text, name))
    return sorted(leaks, key=lambda leak: (leak.place, leak.where, leak.text))


def tree_blobs(folder: Path) -> list[tuple[str, bytes]]:
    """Every file under a folder and every name, as blobs to scan."""
    blobs = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        blobs.append((f"name of {name}", name.encode("utf-8", "surrogateescape")))
        if path.is_file():
            blobs.append((name, path.read_bytes()))
    return blobs


def placed_leaks(outputs: Iterable[Output], terms: Terms) -> list[Leak]:
    """Values too short or too common to search: still at their place, or a name as any person's name."""
    leaks = []
    for output in outputs:
        if output.entry is None:
            continue
        names = {}
        for plant in output.entry.plants:
            allowed = plant.kind in terms.allowed or (
                plant.kind == "age" and "rtnPatCharsOpt" in terms.profiles and plant.text < "090Y"
            )
            if plant.match is not Match.PLACE or allowed or (plant.kind == "date" and terms.dates == "kept"):
                continue
            if _same(value_at(output.dataset, plant.path), plant.text):
                leaks.append(Leak(plant.place, plant.kind, plant.text, output.path))
            if plant.kind == "name":
                names[plant.text.casefold()] = plant
        for _, element in walk_values(output.dataset) if names else ():
            plant = names.get(str(element.value).casefold()) if element.VR == "PN" else None
            if plant is not None:
                leaks.append(Leak(plant.place, plant.kind, plant.text, output.path))
    return sorted(set(leaks), key=lambda leak: (leak.place, leak.where))


def _same(value: Any, text: str) -> bool:
    return value is not None and str(value).strip().casefold() == text.strip().casefold()


def shown(value: Any) -> str:
    """A value as the manifest writes it."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return "\\".join(str(part) for part in value)
    return str(value)


def lost_values(outputs: Iterable[Output], terms: Terms) -> list[tuple[str, Keep]]:
    """(output, value) of whatever a researcher needs and no longer finds."""
    lost = []
    for output in outputs:
        for keep in output.entry.keeps if output.entry else ():
            if keep.when != "always" and keep.when not in terms.profiles:
                continue
            value = shown(value_at(output.dataset, keep.path))
            kept = keep.value.casefold() in value.casefold().split() if keep.words else _equal(value, keep.value)
            if not kept:
                lost.append((output.path, keep))
    return lost


def _equal(value: str, wanted: str) -> bool:
    if value.strip() == wanted.strip():
        return True
    try:
        return [float(part) for part in value.split("\\")] == [float(part) for part in wanted.split("\\")]
    except ValueError:
        return False


def uid_map(outputs: Iterable[Output]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Source UID → result UIDs and back, learned from the attributes that identify the objects."""
    forth: dict[str, set[str]] = defaultdict(set)
    back: dict[str, set[str]] = defaultdict(set)
    for output in outputs:
        for name, tag in (("study", "0020000D"), ("series", "0020000E"), ("sop", "00080018"), ("frame", "00200052")):
            value = shown(value_at(output.dataset, tag))
            if output.entry and value:
                forth[output.entry.uids[name]].add(value)
                back[value].add(output.entry.uids[name])
    return dict(forth), dict(back)


@dataclass(frozen=True, slots=True)
class References:
    """How the references of the released objects fared."""

    resolved: int
    dropped: tuple[str, ...]
    dangling: tuple[str, ...]
    torn: tuple[str, ...]
    """UIDs that became two, or two that became one."""


def references(outputs: list[Output], prefix: str = "") -> References:
    """Follow every reference between released objects; ``prefix`` picks those of one attribute."""
    forth, back = uid_map(outputs)
    resolved, dropped, dangling = 0, [], []
    for output in outputs:
        for reference in output.entry.references if output.entry else ():
            if not reference.path.startswith(prefix):
                continue
            wanted = forth.get(reference.uid)
            if wanted is None:
                continue  # its object was not released
            value = shown(value_at(output.dataset, reference.path))
            if not value:
                dropped.append(f"{output.path} {reference.path}")
            elif value in wanted:
                resolved += 1
            else:
                dangling.append(f"{output.path} {reference.path}")
    torn = [uid for side in (forth, back) for uid, others in side.items() if len(others) > 1]
    return References(resolved, tuple(dropped), tuple(dangling), tuple(torn))


def moved_dates(outputs: Iterable[Output], terms: Terms) -> list[str]:
    """Faults of dates: two offsets in one patient, an offset that is not into the past, dates that should be gone."""
    faults = []
    offsets: dict[str, dict[int, str]] = defaultdict(dict)
    for output in outputs:
        for dated in output.entry.dates if output.entry else ():
            value = shown(value_at(output.dataset, dated.path)).strip()
            if not value or output.entry is None:
                continue
            before, after = _day(dated.value), _day(value)
            if after is None or before is None:
                faults.append(f"{output.path} {dated.path}: no date")
            elif terms.dates == "gone":
                faults.extend([f"{output.path} {dated.path}: date stayed"] if after == before else [])
            else:
                offsets[output.entry.subject].setdefault((after - before).days, f"{output.path} {dated.path}")
                if value[8:14] not in {"", dated.value[8:14]}:
                    faults.append(f"{output.path} {dated.path}: time of day changed")
    for subject, found in offsets.items():
        if len(found) != 1:
            faults.append(f"{subject}: {len(found)} offsets, for example at {sorted(found.values())[:2]}")
        good = {0} if terms.dates == "kept" else range(-3650, 0)
        faults.extend(f"{subject}: offset {days} at {where}" for days, where in found.items() if days not in good)
    return faults


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def private_faults(outputs: Iterable[Output], terms: Terms) -> list[str]:
    """Safe private attributes that are gone though retained, and any other that stayed."""
    faults = []
    retain = "rtnSafePrivOpt" in terms.profiles
    for output in outputs:
        safe = {keep.path: keep for keep in output.entry.safe_private} if output.entry else {}
        for path, keep in safe.items():
            if retain and not _equal(shown(value_at(output.dataset, path)), keep.value):
                faults.append(f"{output.path} {path}: safe, and gone")
        faults.extend(
            f"{output.path} {path}: a decoy, and kept"
            for path in (output.entry.decoys if output.entry else ())
            if value_at(output.dataset, path) is not None
        )
        private = [path for path, element in walk_values(output.dataset) if element.tag.is_private]
        if private and not (retain and safe):
            faults.append(f"{output.path}: {len(private)} private attributes stayed")
        if len(private) > 2 * len(safe) and retain and safe:
            faults.append(f"{output.path}: more private attributes than are safe")
    return faults


def split_subjects(outputs: Iterable[Output]) -> list[str]:
    """Patients who became two, or two who became one."""
    ids: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    owners: dict[str, set[str]] = defaultdict(set)
    for output in outputs:
        if output.entry is None:
            continue
        ids[output.entry.subject].add(shown(output.dataset.get("PatientID")))
        names[output.entry.subject].add(shown(output.dataset.get("PatientName")))
        owners[shown(output.dataset.get("PatientID"))].add(output.entry.subject)
    faults = [f"{subject}: {len(found)} patient IDs" for subject, found in ids.items() if len(found) != 1]
    faults += [f"{subject}: {len(found)} patient names" for subject, found in names.items() if len(found) != 1]
    return faults + [f"one patient ID for {sorted(found)}" for found in owners.values() if len(found) != 1]


def changed_pixels(outputs: Iterable[Output], corpus: Path) -> list[str]:
    """Pixels that differ from the source, or unused bits that still hold something."""
    faults = []
    for output in outputs:
        if output.entry is None:
            continue
        before = frames_of(parse((corpus / output.entry.path).read_bytes()))
        after = frames_of(output.dataset)
        if output.entry.unused_bits:
            before = [_masked(frame, output.dataset) for frame in before]
        if [bare_stream(frame) for frame in before] != [bare_stream(frame) for frame in after]:
            faults.append(output.path)
    return faults


def _masked(frame: bytes, ds: Any) -> bytes:
    big = ds.original_encoding[1] is False
    mask = (1 << ds.BitsStored) - 1
    order = "big" if big else "little"
    words = (int.from_bytes(frame[at : at + 2], order) & mask for at in range(0, len(frame), 2))
    return b"".join(word.to_bytes(2, order) for word in words)


def unaccounted(manifest: Manifest, outputs: Iterable[Output], terms_accept: bool) -> list[str]:
    """Files that should have come out and did not, or should not have and did."""
    out = {output.entry.serial for output in outputs if output.entry}
    faults = [f"{output.path}: of no known source" for output in outputs if output.entry is None]
    for entry in manifest.files:
        faults.extend(_misplaced(entry, entry.serial in out, accept=terms_accept))
    return faults


def _misplaced(entry: FileEntry, released: bool, *, accept: bool) -> list[str]:
    must = entry.expected is Expected.RELEASED or (entry.expected is Expected.GATED and accept)
    must_not = entry.expected in {Expected.QUARANTINED, Expected.SKIPPED}
    label = f"{entry.iod} {entry.syntax} #{entry.serial} ({', '.join(entry.places[:2])})"
    if must and not released:
        return [f"{label}: not released"]
    return [f"{label}: released, and must not be"] if must_not and released else []
