"""``tarnhelm clean IN OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tarnhelm.cli.console import ExitCode, err, out, reports_errors, show_codes
from tarnhelm.cli.places import Places
from tarnhelm.cli.run import CleanRequest, CleanResult, clean
from tarnhelm.cli.services import Recipe, Services
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["ProfileOption", "RecipeOption", "VariableOption", "read_recipe", "register", "show_result"]

RecipeOption = Annotated[
    Path | None,
    typer.Option("-r", "--recipe", metavar="FILE", help="Recipe file; its rules come on top of the profiles."),
]
ProfileOption = Annotated[
    list[str] | None,
    typer.Option(
        "-d",
        "--profile",
        metavar="PROFILE",
        help="PS3.15 profile or option; repeat it or use commas. basicProfile is implied.",
    ),
]
VariableOption = Annotated[
    list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="Value of a recipe's variable (var:NAME).")
]
SiteOption = Annotated[
    Path | None,
    typer.Option(
        "--site", metavar="FILE", help="Your record numbers and useful words, for a project made by this run."
    ),
]

_HELP = """Clean a folder, a file, a zip or a tar into OUT.

OUT gets the released objects under short surrogate names and a report; nothing else, and never an original. Without -r and -d: basicProfile with shifted dates and plausible surrogates (codes 113100, 113107).

This version looks at headers, not at pixels: an image that may show burned-in text or a face is held back (PIX-001 to PIX-003). So are documents, waveforms, presentation states, radiotherapy objects and segmentations (MET-001).

[bold]Examples[/bold]

    tarnhelm clean scans/ cleaned/
    tarnhelm clean scans.zip cleaned/ --dry-run --sample 20 --report look/
    tarnhelm clean scans/ cleaned/ --project trial-7
    tarnhelm clean scans/ cleaned/ --resume
    tarnhelm clean scans/ cleaned/ -d rtnPatCharsOpt,cleanDescOpt
    tarnhelm clean scans/ cleaned/ -r site.recipe --var SITE=7

[bold]Exit codes[/bold]

    0 all released · 1 some held back · 2 usage · 3 integrity
    4 a dependency is down · 130 interrupted
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("clean", help=_HELP, no_args_is_help=True)(clean_folder)


@reports_errors
def clean_folder(
    context: typer.Context,
    source: Annotated[
        Path | None, typer.Argument(metavar="IN", help="Folder, file, zip or tar.", show_default=False)
    ] = None,
    target: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="An empty folder, or one of the same project.", show_default=False),
    ] = None,
    recipe: RecipeOption = None,
    profile: ProfileOption = None,
    processes: Annotated[
        int,
        typer.Option(
            "-p", "--processes", metavar="N", min=0, help="Cleaning processes, and as many witnesses; 0: by the cores."
        ),
    ] = 0,
    project: Annotated[
        str,
        typer.Option(
            "--project",
            metavar="LABEL",
            help="Project whose keys are used, so that a patient keeps the surrogates; without it the run makes one.",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Clean in memory, say what would happen, write no object.")
    ] = False,
    sample: Annotated[
        int, typer.Option("--sample", min=0, metavar="N", help="Only N files, chosen at random over all of IN.")
    ] = 0,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Where the report goes; OUT/report without it.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what an earlier run into OUT has not finished.")
    ] = False,
    accept_unchecked_pixels: Annotated[
        bool,
        typer.Option(
            "--accept-unchecked-pixels",
            help="Also release objects whose pixels may show text or a face. The report says so.",
        ),
    ] = False,
    variable: VariableOption = None,
    site: SiteOption = None,
    given_in: Annotated[Path | None, typer.Option("-i", "--input", hidden=True)] = None,
    given_out: Annotated[Path | None, typer.Option("-o", "--output", hidden=True)] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Also list the codes of what was held back, with remedies.")
    ] = False,
) -> None:
    """Clean IN into OUT."""
    source, target = given_in or source, given_out or (target if given_in is None or target else source)
    if source is None or target is None:
        raise TarnhelmError(errors.NO_INPUT if source is None else errors.NO_OUT)
    services: Services = context.obj
    request = CleanRequest(
        source=source.absolute(),
        out=target.absolute(),
        recipe=read_recipe(recipe, profile, variable),
        project=project,
        workers=processes,
        dry_run=dry_run,
        sample=sample,
        report=report,
        resume=resume,
        accept_unchecked_pixels=accept_unchecked_pixels,
        site=site,
    )
    result = clean(request, services, Places.of_user())
    raise typer.Exit(show_result(result, dry_run=dry_run, verbose=verbose))


def read_recipe(path: Path | None, profiles: list[str] | None, variables: list[str] | None) -> Recipe:
    """Return the recipe that the options name; raises ``RUN-009``, ``RUN-011``."""
    names = tuple(name.strip() for given in profiles or () for name in given.split(",") if name.strip())
    pairs = []
    for variable in variables or ():
        name, equals, value = variable.partition("=")
        if not equals or not name.isidentifier():
            raise TarnhelmError(errors.BAD_VARIABLE)
        pairs.append((name, value))
    if path is None:
        return Recipe(None, "default" if not names else "", names, tuple(pairs))
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise TarnhelmError(errors.RECIPE_UNREADABLE) from None
    return Recipe(text, path.name, names, tuple(pairs))


def show_result(result: CleanResult, *, dry_run: bool, verbose: bool) -> int:
    """Print the summary; returns the exit code."""
    counts = result.counts
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    lines = [
        (counts.would_release, "would go to the witness"),
        (counts.released, "released"),
        (counts.resumed, "done already by an earlier run"),
        (counts.gone, "of them no longer in OUT; to have them again, clean into another OUT"),
        (counts.duplicates, "duplicates of another file"),
        (counts.quarantined, "in quarantine"),
        (counts.rejected, "rejected"),
        (counts.waiting, "waiting for a dependency"),
        (counts.skipped, "passed over: not images"),
    ]
    for count, text in lines:
        if count or (text == "released" and not dry_run):
            table.add_row(f"{count:,}", text)
    out().print(table)
    shown = {code: count for code, count in counts.codes.items() if count and _worth_showing(code, verbose=verbose)}
    show_codes(shown)
    if shown and counts.quarantined and not dry_run:
        out().print(
            f"Look at them one by one: tarnhelm quarantine list --project {result.project.label}", soft_wrap=True
        )
    rate = counts.done / result.seconds if result.seconds else 0.0
    console = err()
    files = "file" if counts.done == 1 else "files"
    console.print(f"{counts.done:,} {files} in {result.seconds:,.1f} s ({rate:,.0f} a second)")
    if not dry_run:
        made = " (made for this run; name it with --project to go on)" if result.project.anonymous else ""
        console.print(f"Project {result.project.label}{made}", soft_wrap=True)
    if result.report is not None:
        out().print(f"Report: {result.report / 'index.html'}", soft_wrap=True)
    if result.interrupted:
        console.print("Interrupted. Go on with --resume.")
    return _exit_code(result)


def _worth_showing(code: str, *, verbose: bool) -> bool:
    return verbose or code not in (errors.NOT_DICOM.code, errors.DICOMDIR.code)


def _exit_code(result: CleanResult) -> int:
    counts = result.counts
    if counts.integrity:
        return ExitCode.INTEGRITY
    if result.interrupted:
        return ExitCode.INTERRUPTED
    if counts.waiting:
        return ExitCode.DEPENDENCY
    held = result.totals.get("quarantined", 0) + result.totals.get("rejected", 0)
    return ExitCode.HELD if held else ExitCode.DONE
