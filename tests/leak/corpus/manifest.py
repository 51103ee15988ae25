"""What the corpus knows of itself: each planted string, each value that must stay, each reference.

The manifest is written beside the corpus, never inside it, and is all that the judge reads.

A *path* names an attribute: ``00080060``, nested ``00540016/0/00181078``, private by its creator
``0019[SIEMENS MR HEADER]0C``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DateAt", "Expected", "FileEntry", "Keep", "Manifest", "Match", "Plant", "Reference"]


class Match(StrEnum):
    """How a planted string is looked for."""

    BYTES = "bytes"
    """Anywhere, in every byte form; ASCII letters without regard to case."""
    DIGITS = "digits"
    """Anywhere, but not inside a longer number."""
    PLACE = "place"
    """Too short or too common for the above: by the attribute where it stood, and as a whole word of free text."""


class Expected(StrEnum):
    """How a file has to end."""

    RELEASED = "released"
    GATED = "gated"
    """Its pixels may show text or a face: released only when unchecked pixels are accepted."""
    EITHER = "either"
    """An image of a form that may be refused: clean where it comes out."""
    QUARANTINED = "quarantined"
    """A kind of object that no stage can clean yet."""
    SKIPPED = "skipped"
    """Litter of a medium: no object at all."""


@dataclass(frozen=True, slots=True)
class Plant:
    """One planted string: what it is, which hiding place it stands in, how to look for it."""

    kind: str
    place: str
    text: str
    match: Match = Match.BYTES
    path: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """A value that has to stay; ``when`` is ``always`` or the profile that keeps it; ``words``: only the words."""

    path: str
    value: str
    when: str = "always"
    words: bool = False


@dataclass(frozen=True, slots=True)
class DateAt:
    """A date or date-time that moves with its patient."""

    path: str
    value: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A UID of another object: ``kind`` is ``instance``, ``series``, ``study`` or ``frame``."""

    path: str
    uid: str
    kind: str


@dataclass(slots=True)
class FileEntry:
    """One file of the corpus."""

    path: str
    serial: int
    iod: str
    expected: Expected
    subject: str = ""
    sop_class: str = ""
    syntax: str = ""
    charset: str = ""
    writer: str = "wire"
    uids: dict[str, str] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    plants: list[Plant] = field(default_factory=list)
    keeps: list[Keep] = field(default_factory=list)
    dates: list[DateAt] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    safe_private: list[Keep] = field(default_factory=list)
    decoys: list[str] = field(default_factory=list)
    """Paths of private attributes that look safe and are not."""
    unused_bits: bool = False
    """A plane stands in the unused high bits of the pixels."""


@dataclass(slots=True)
class Manifest:
    """The whole corpus."""

    seed: int
    scale: int
    files: list[FileEntry] = field(default_factory=list)

    def by_serial(self) -> dict[int, FileEntry]:
        """Image files by their Instance Number, which no profile changes."""
        return {entry.serial: entry for entry in self.files if entry.serial}

    def save(self, path: Path) -> None:
        """Write JSON."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read what :meth:`save` wrote."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(raw["seed"], raw["scale"], [_entry(item) for item in raw["files"]])


def _entry(raw: dict[str, Any]) -> FileEntry:
    made = dict(raw)
    made["expected"] = Expected(raw["expected"])
    made["plants"] = [Plant(**{**plant, "match": Match(plant["match"])}) for plant in raw["plants"]]
    made["keeps"] = [Keep(**keep) for keep in raw["keeps"]]
    made["safe_private"] = [Keep(**keep) for keep in raw["safe_private"]]
    made["dates"] = [DateAt(**date) for date in raw["dates"]]
    made["references"] = [Reference(**reference) for reference in raw["references"]]
    return FileEntry(**made)
