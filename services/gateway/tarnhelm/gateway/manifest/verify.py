"""Checks a manifest: each signature, and that no line of a chain is missing, doubled, changed or moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tarnhelm.gateway.manifest.line import GENESIS, read_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["Chain", "Verification", "verify_lines"]


@dataclass(frozen=True, slots=True)
class Chain:
    """One writer's lines as far as they were read.

    Attributes
    ----------
    first, last
        Numbers of the first and the last line. A chain that does not begin at 1 holds from ``first`` on only.
    head
        sha256 (hex) of the last line: whoever keeps it finds out later whether the end was cut off.
    """

    writer: str
    first: int
    last: int
    head: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Attributes
    ----------
    bad_line
        Number of the first line that is not right, counted from 1 over all input; 0: all are.
    reason
        ``signature``, ``order`` (one is missing, doubled or moved) or ``object`` (an object stands twice with the
        same bytes).
    """

    lines: int
    chains: Mapping[str, Chain] = field(default_factory=dict)
    bad_line: int = 0
    reason: str = ""


def verify_lines(
    lines: Iterable[bytes],
    public: Sequence[Ed25519PublicKey],
    *,
    whole: bool = False,
    seen: set[tuple[str, int, str]] | None = None,
) -> Verification:
    """Check lines in the order in which they stand; writers may alternate.

    Parameters
    ----------
    lines
        Without their line ends.
    public
        Keys that may have signed them: several, where the key was replaced.
    whole
        Every chain has to begin with its first line, as in the state; a file of one day begins anywhere.
    seen
        Gets writer, number and sha256 of each line that is right.
    """
    chains: dict[str, Chain] = {}
    objects: set[tuple[str, str]] = set()
    number = 0
    for number, content in enumerate(lines, 1):
        line = next((found for key in public if (found := read_line(content, key)) is not None), None)
        if line is None:
            return Verification(number, chains, number, "signature")
        before = chains.get(line.writer)
        if before is None:
            fits = line.sequence == 1 if whole else line.sequence >= 1
            fits = fits and (line.previous == GENESIS) == (line.sequence == 1)
        else:
            fits = line.sequence == before.last + 1 and line.previous == before.head
        if not fits:
            return Verification(number, chains, number, "order")
        same = (str(line.document.get("object", "")), str(line.document.get("sha256", "")))
        if same in objects:
            return Verification(number, chains, number, "object")
        objects.add(same)
        if seen is not None:
            seen.add((line.writer, line.sequence, line.digest))
        first = line.sequence if before is None else before.first
        chains[line.writer] = Chain(line.writer, first, line.sequence, line.digest)
    return Verification(number, chains)
