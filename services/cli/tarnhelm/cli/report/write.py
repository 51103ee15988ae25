"""Writes the three files of a report."""

from __future__ import annotations

import csv
import json
import os
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import IO, TYPE_CHECKING, Final

from jinja2 import Environment, Template, select_autoescape

from tarnhelm.cli.report.collect import Collected, line_of
from tarnhelm.cli.report.page import page_of
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tarnhelm.cli.report.facts import RunFacts
    from tarnhelm.common.stage import StageOutcome
    from tarnhelm.gateway.state import History, StateStore

__all__ = ["write_report"]

_COLUMNS: Final = (
    "object",
    "state",
    "code",
    "path",
    "sha256",
    "modality",
    "sop_class",
    "gate_rule",
    "bytes",
    "accepted_unchecked_pixels",
    "findings",
)


def write_report(folder: Path, state: StateStore, facts: RunFacts) -> None:
    """Write ``objects.jsonl``, ``objects.csv`` and ``index.html`` into ``folder``.

    They cover the whole state, earlier runs into the same OUT included, and hold surrogates, codes, counts and
    names of attributes, nothing else. Raises ``RUN-013``.
    """
    collected = Collected()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _whole(folder / "objects.jsonl") as lines, _whole(folder / "objects.csv") as table:
            rows = csv.writer(table)
            rows.writerow(_COLUMNS)
            lines.write(json.dumps(facts.head(run.document for run in state.runs())) + "\n")
            encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
            for one in state.history("metadata"):
                outcome = _outcome(one, facts)
                line = line_of(one.record, outcome, one.findings, collected.done_of(outcome.actions if outcome else {}))
                collected.take(one.record, outcome, one.findings)
                lines.write(encode(line) + "\n")
                row = [line.get(name, "") for name in _COLUMNS]
                if row[-1]:  # [code, where, count] of each finding; a table shows the codes
                    row[-1] = " ".join(sorted({finding[0] for finding in row[-1]}))
                rows.writerow(row)
        with _whole(folder / "index.html") as page:
            page.write(_template().render(page_of(facts, collected, list(state.decisions()))))
    except OSError:
        raise TarnhelmError(errors.OUT_UNWRITABLE) from None


def _outcome(one: History, facts: RunFacts) -> StageOutcome | None:
    """Return the outcome that led to the record's state: accepted pixels make another one."""
    plain = one.record.plan_digest
    first, second = plain, f"{plain}+accepted"
    if one.record.accepted or facts.accept_unchecked_pixels:
        first, second = second, first
    return one.outcomes.get(first) or one.outcomes.get(second)


@contextmanager
def _whole(path: Path) -> Iterator[IO[str]]:
    """Open a file that appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), trim_blocks=True, lstrip_blocks=True
    )
    text = resources.files("tarnhelm.cli.report").joinpath("page.html.j2").read_text("utf-8")
    return environment.from_string(text)
