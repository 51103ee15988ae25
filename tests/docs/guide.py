"""Reads a guide's marked blocks and runs them, so that the guide stays true.

A block counts if the line before it is a mark:

``<!-- run -->``
    Commands (``$ …`` in a ``console`` block) or a ``python`` block. ``exit N`` names the exit code of the last command,
    ``id CODE`` sets ``$ID`` to a quarantine entry with this code.
``<!-- file: NAME -->``
    The block is written to NAME.
``<!-- setup: clean -->``
    ``scans`` are cleaned first, which the reader has done on another page.

What a block shows must be said by the command, line by line in this order; ``…`` stands for lines left out. Ids, dates,
times and speeds may differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "Step", "blocks", "compare", "steps"]

_MARKED = re.compile(
    r"^<!-- (?P<mark>run|file|setup)(?:: (?P<how>[^>]*?))? -->\n(?:\n?```(?P<kind>\w+)[^\n]*\n(?P<text>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?)?",
    re.MULTILINE | re.DOTALL,
)
_VARYING = (
    (re.compile(r"run-\d{8}-[0-9a-f]{12}"), "RUN"),
    (re.compile(r"\d{4}-\d{2}-\d{2}"), "DAY"),
    (re.compile(r"\b[0-9a-f]{4}(-[0-9a-f]{4}){4}\b"), "FINGERPRINT"),
    (re.compile(r"[\d.,]+ s \([\d.,]+ a second\)"), "SPEED"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Block:
    """One marked block of a guide."""

    mark: str
    how: str
    kind: str
    text: str
    shown: str


@dataclass(frozen=True)
class Step:
    """One command and what the guide shows of its output."""

    command: str
    shown: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """All marked blocks, in order."""
    return [
        Block(found["mark"], found["how"] or "", found["kind"] or "", found["text"] or "", found["shown"] or "")
        for found in _MARKED.finditer(page.read_text("utf-8"))
    ]


def steps(block: Block) -> list[Step]:
    """Divide a console block into commands with their output."""
    made: list[Step] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            made.append(Step(line[2:], ()))
        else:
            made[-1] = Step(made[-1].command, (*made[-1].shown, line))
    return made


def compare(shown: tuple[str, ...], said: str) -> str:
    """Return the first line that the guide shows and the command does not say, or nothing."""
    lines = iter(_plain(line) for line in said.splitlines())
    for line in shown:
        wanted = _plain(line)
        if wanted in ("…", ""):
            continue
        if not any(wanted == found for found in lines):
            return line
    return ""


def _plain(line: str) -> str:
    for pattern, name in _VARYING:
        line = pattern.sub(name, line)
    return line.strip()
