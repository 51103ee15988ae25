"""The report of a run: JSON lines, CSV and one page, all made from the state and without any value out of a file."""

from __future__ import annotations

from tarnhelm.cli.report.facts import RunFacts
from tarnhelm.cli.report.write import write_report

__all__ = ["RunFacts", "write_report"]
