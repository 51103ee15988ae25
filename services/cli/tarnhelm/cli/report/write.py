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
    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.state import StateStore

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
            rows = csv.DictWriter(table, _COLUMNS, extrasaction="ignore", restval="")
            rows.writeheader()
            lines.write(json.dumps(facts.document()) + "\n")
            for record in state.records():
                outcome = _outcome(state, record, facts)
                _, verdict = state.verdict(record.object_id)
                line = line_of(record, outcome, verdict)
                collected.take(record, outcome, verdict)
                lines.write(json.dumps(line, separators=(",", ":")) + "\n")
                rows.writerow(line)
        with _whole(folder / "index.html") as page:
            page.write(_template().render(page_of(facts, collected, list(state.decisions()))))
    except OSError:
        raise TarnhelmError(errors.OUT_UNWRITABLE) from None


def _outcome(state: StateStore, record: ObjectRecord, facts: RunFacts) -> StageOutcome | None:
    plain, accepted = record.plan_digest, f"{record.plan_digest}+accepted"
    order = (accepted, plain) if record.accepted or facts.accept_unchecked_pixels else (plain, accepted)
    for key in order:
        found = state.outcome(record.object_id, "metadata", key)
        if found is not None:
            return found
    return None


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
