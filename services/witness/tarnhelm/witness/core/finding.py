"""What the witness says of one position: a code and a class, never a value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["IDENTIFIER", "PIXELS", "STRUCTURE", "UID", "UNDECIDED", "Finding", "merged", "position_of"]

IDENTIFIER = "WIT-001"
STRUCTURE = "WIT-002"
PIXELS = "WIT-003"
UNDECIDED = "WIT-004"
UID = "WIT-005"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of trouble at one position.

    Attributes
    ----------
    code
        ``WIT-001`` identifier, ``WIT-002`` structure, ``WIT-003`` pixels, ``WIT-004`` undecided, ``WIT-005`` UID.
    position
        Tags from the root as eight hex digits each, joined by dots, or a region: ``preamble``, ``codestream``,
        ``source``, ``result``, ``policy``.
    identifier_class
        For identifiers their class; otherwise a word that names the trouble (docs/concepts/witness.md lists them).
    count
        How often.
    """

    code: str
    position: str
    identifier_class: str
    count: int = 1


def position_of(path: tuple[int, ...], tag: int) -> str:
    """Write a position as findings carry it."""
    return ".".join(f"{step:08X}" for step in (*path, tag))


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Add up equal findings; order by code and position so that a verdict is reproducible."""
    found: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        key = finding.code, finding.position, finding.identifier_class
        known = found.get(key)
        found[key] = finding if known is None else replace(known, count=known.count + finding.count)
    return tuple(found[key] for key in sorted(found))
