"""Checking audits: which line is the first that does not hold, and what cannot be known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tarnhelm.reveal.core.audit.lines import START, AuditLine, Head, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Chain", "ChainReport", "Problem", "ProblemKind", "read_chain", "verify_chain", "verify_directory"]


class ProblemKind(StrEnum):
    """What is wrong with a chain."""

    CHANGED = "changed"
    """The line, or one that it hangs on, is not as it was written."""
    DELETED = "deleted"
    """A line is missing here."""
    MOVED = "moved"
    """The line that belongs here stands elsewhere in the file."""
    ADDED = "added"
    """A line was put in here; its number stands before."""
    CUT = "cut"
    """The end is missing: a head was signed for a line that is not there any more."""
    REWRITTEN = "rewritten"
    """The lines fit together, but not to a head that was signed: they were made anew from some line on."""
    FALSE_HEAD = "false-head"
    """A head names this writer and was not signed by its key."""
    UNKNOWN_WRITER = "unknown-writer"
    """A file of a writer that nobody enrolled."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The first thing that does not hold; ``line`` counts from 1."""

    kind: ProblemKind
    line: int


@dataclass(frozen=True, slots=True)
class Chain:
    """What could be read: the lines that follow each other, bytes of a torn last line, and where it broke."""

    lines: tuple[AuditLine, ...]
    torn: int = 0
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What is known of one writer's audit.

    Attributes
    ----------
    lines
        How many hold, from the first one.
    anchored
        Up to which line a head vouches; later lines could be missing or made anew by whoever holds the
        writer's key, and nothing here would show it.
    anchored_time
        When that head was signed, seconds since 1970; 0 without one.
    heads
        How many heads were compared.
    torn
        Bytes of an unfinished last line (a crash while writing; no answer was given for it).
    problem
        The first one; nothing where all holds.
    register
        Digest of the register's last line, as the last line about it says.
    """

    writer: str
    lines: int
    anchored: int
    anchored_time: int
    heads: int
    torn: int = 0
    problem: Problem | None = None
    register: str = ""


def read_chain(content: bytes, writer: str) -> Chain:
    """Read lines until one does not follow the one before."""
    rows = content.split(b"\n")
    torn = len(rows.pop())
    lines: list[AuditLine] = []
    previous = START
    for number, row in enumerate(rows, 1):
        line = parse_line(row)
        if line is None or line.writer != writer:
            return Chain(tuple(lines), torn, Problem(ProblemKind.CHANGED, number))
        if line.sequence != number:
            return Chain(tuple(lines), torn, Problem(_misplaced(line.sequence, number, rows), number))
        if line.previous != previous:
            # Whoever changed the line before gave it a digest anew: that one is the first not to be trusted.
            return Chain(tuple(lines[:-1]), torn, Problem(ProblemKind.CHANGED, max(1, number - 1)))
        lines.append(line)
        previous = line.sha
    return Chain(tuple(lines), torn)


def _misplaced(sequence: int, number: int, rows: Sequence[bytes]) -> ProblemKind:
    if sequence < number:
        return ProblemKind.ADDED
    later = map(parse_line, rows[number:])
    elsewhere = any(line is not None and line.sequence == number for line in later)
    return ProblemKind.MOVED if elsewhere else ProblemKind.DELETED


def verify_chain(content: bytes, writer: str, public: bytes, heads: Iterable[Head]) -> ChainReport:
    """Check one writer's audit against the heads that were kept of it.

    Parameters
    ----------
    content
        The file.
    public
        The writer's key, from the register.
    heads
        From all anchors, in any order; those of other writers are passed over.
    """
    chain = read_chain(content, writer)
    mine = sorted({head for head in heads if head.writer == writer}, key=lambda head: (head.sequence, head.time))
    genuine = [head for head in mine if head.holds(public)]
    problem = chain.problem
    if problem is None and len(genuine) < len(mine):
        problem = Problem(ProblemKind.FALSE_HEAD, min(head.sequence for head in mine if head not in genuine))
    anchored, anchored_time = 0, 0
    for head in genuine:
        if head.sequence > len(chain.lines):
            # A break that was found already names the line better.
            problem = chain.problem or Problem(ProblemKind.CUT, len(chain.lines) + 1)
            break
        if chain.lines[head.sequence - 1].sha != head.sha:
            found = Problem(ProblemKind.REWRITTEN, anchored + 1)
            problem = found if problem is None or found.line <= problem.line else problem
            break
        anchored, anchored_time = head.sequence, head.time
    told = [str(line.fields["register"]) for line in chain.lines if "register" in line.fields]
    register = told[-1] if told else ""
    return ChainReport(writer, len(chain.lines), anchored, anchored_time, len(genuine), chain.torn, problem, register)


def verify_directory(folder: Path, writers: Mapping[str, bytes], heads: Sequence[Head]) -> tuple[ChainReport, ...]:
    """Check every audit in a directory, and every writer of whom a head was kept.

    Parameters
    ----------
    folder
        Holds ``<writer>.jsonl``.
    writers
        Enrolled writers and their keys.
    heads
        From all anchors.
    """
    present = {path.stem: path for path in sorted(folder.glob("*.jsonl"))}
    reports = []
    for name in sorted(present.keys() | {head.writer for head in heads if head.writer in writers}):
        if name not in writers:
            reports.append(ChainReport(name, 0, 0, 0, 0, 0, Problem(ProblemKind.UNKNOWN_WRITER, 1)))
            continue
        content = present[name].read_bytes() if name in present else b""
        reports.append(verify_chain(content, name, writers[name], heads))
    return tuple(reports)
