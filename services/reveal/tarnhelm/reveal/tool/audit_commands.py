"""``tarnhelm-reveal audit``: checking it, and reading it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core.audit.anchors import heads_in
from tarnhelm.reveal.core.audit.verify import ChainReport, ProblemKind, read_chain
from tarnhelm.reveal.tool.at_hand import reveal
from tarnhelm.reveal.tool.console import ExitCode, err, out, plain, reports_errors, when

if TYPE_CHECKING:
    from tarnhelm.reveal.core.audit.lines import Head

__all__ = ["register"]

_HELP = """The audit: what was asked, decided and answered, in a chain that shows what was taken out of it.

    tarnhelm-reveal audit verify
    tarnhelm-reveal audit verify --heads /var/log/collected/reveal.log
    tarnhelm-reveal audit show --case 3f9a
"""
_SAID = {
    ProblemKind.CHANGED: "line {line} was changed",
    ProblemKind.DELETED: "line {line} was taken out",
    ProblemKind.MOVED: "line {line} was moved elsewhere",
    ProblemKind.ADDED: "line {line} was put in",
    ProblemKind.CUT: "the end is missing, from line {line} on",
    ProblemKind.REWRITTEN: "lines were written anew, from line {line} on or later",
    ProblemKind.FALSE_HEAD: "a head for line {line} was not signed by this writer",
    ProblemKind.UNKNOWN_WRITER: "nobody enrolled this writer",
}


def register(app: typer.Typer) -> typer.Typer:
    """Add the commands; give their group."""
    audit = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    audit.command("verify")(verify)
    audit.command("show")(show)
    app.add_typer(audit, name="audit")
    return audit


@reports_errors
def verify(
    heads: Annotated[
        list[Path] | None,
        typer.Option("--heads", metavar="FILE", help="Heads kept elsewhere: an anchor's file, a log server's file."),
    ] = None,
) -> None:
    """Check every line of every audit against the heads that were kept of it. Exit code 3 if one does not hold.

    [bold]Examples[/bold]

        tarnhelm-reveal audit verify

        tarnhelm-reveal audit verify --heads /mnt/audit-share/local.heads
    """
    here = reveal()
    reports = here.verify([head for path in heads or () for head in _heads(path)])
    for report in reports:
        _say(report)
    if any(report.problem for report in reports):
        raise typer.Exit(ExitCode.INTEGRITY)
    out().print("The register of people holds all that the audit knows of it.")


@reports_errors
def show(
    case: Annotated[str, typer.Option("--case", metavar="CASE", help="Of one case; the beginning of its id.")] = "",
    last: Annotated[int, typer.Option("--last", min=1, help="How many lines.")] = 50,
) -> None:
    """Show lines of the audit; they hold no identifier of a patient.

    [bold]Example[/bold]

        tarnhelm-reveal audit show --last 20
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("line", "time", "event", "facts"):
        table.add_column(heading, overflow="fold")
    here = reveal()
    here.settings()
    lines = [
        line
        for path in sorted((here.folder / "audit").glob("*.jsonl"))
        for line in read_chain(path.read_bytes(), path.stem).lines
        if not case or str(line.fields.get("case", "")).startswith(case)
    ]
    lines.sort(key=lambda line: line.time)
    for line in lines[-last:]:
        facts = "  ".join(f"{name} {str(value)[:16]}" for name, value in sorted(line.fields.items()) if value != "")
        table.add_row(f"{line.writer}:{line.sequence}", when(line.time), line.event, plain(facts))
    out().print(table)


def _heads(path: Path) -> list[Head]:
    try:
        with path.open("rb") as stream:
            return list(heads_in(stream))
    except OSError:
        raise TarnhelmError(errors.OUTPUT_EXISTS) from None


def _say(report: ChainReport) -> None:
    console = out()
    if report.problem is not None:
        said = _SAID[report.problem.kind].format(line=report.problem.line)
        err().print(f"{report.writer}: {said}.", soft_wrap=True)
        console.print(f"{report.writer}: {report.lines:,} lines hold before it.", soft_wrap=True)
    else:
        console.print(f"{report.writer}: {report.lines:,} lines hold.", soft_wrap=True)
    if report.anchored:
        console.print(
            f"  Up to line {report.anchored:,} a head vouches for them, signed {when(report.anchored_time)}. What came "
            "after could be missing or written anew by whoever holds the writer's key, and nothing here would show it.",
            soft_wrap=True,
        )
    else:
        console.print(
            "  No head was found elsewhere: whoever holds the writer's key could have shortened or rewritten all of "
            "it, and nothing here would show it.",
            soft_wrap=True,
        )
    if report.torn:
        console.print(
            f"  An unfinished line of {report.torn:,} bytes stands at the end: a crash while writing, or somebody "
            "else's pen. Nothing was answered for it.",
            soft_wrap=True,
        )
