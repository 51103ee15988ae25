"""Commands that only look: ``explain``, ``review``, ``recipe show``, ``codes``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tarnhelm.cli.clean_command import ProfileOption, RecipeOption, VariableOption, read_recipe
from tarnhelm.cli.console import ExitCode, out, reports_errors
from tarnhelm.cli.services import Services
from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("explain", no_args_is_help=True)(explain)
    app.command("review", no_args_is_help=True)(review)
    app.command("codes")(codes)
    group = typer.Typer(help="Look at recipes.", no_args_is_help=True)
    group.command("show")(show_recipe)
    app.add_typer(group, name="recipe")


@reports_errors
def explain(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One DICOM file.")],
    recipe: RecipeOption = None,
    profile: ProfileOption = None,
    variable: VariableOption = None,
) -> None:
    """Show which rule decides for each attribute of a file, and why. No values are shown.

    tarnhelm explain scans/one.dcm -r site.recipe
    """
    services: Services = context.obj
    if not file.is_file():
        raise TarnhelmError(errors.NO_INPUT)
    rows = services.explain(file, read_recipe(recipe, profile, variable), DEFAULT_LIMITS)
    table = Table(box=None, pad_edge=False)
    for heading in ("attribute", "name", "VR", "action", "decided by", "why"):
        table.add_column(heading, no_wrap=heading in ("attribute", "VR"), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    out().print(table)


@reports_errors
def review(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe file.")],
    profile: ProfileOption = None,
) -> None:
    """Read a recipe as a run would: mistakes with line and suggestion, rules that contradict or never apply.

    Exit code 0 if nothing is to be said, 1 if rules meet, 2 if the recipe cannot be used.
    """
    services: Services = context.obj
    prepared = services.prepare(read_recipe(recipe, profile, None), DEFAULT_LIMITS)
    console = out()
    console.print(f"Profiles: {', '.join(prepared.profiles) or 'none'}", soft_wrap=True)
    console.print(f"Method codes: {', '.join(code for code, _ in prepared.methods) or 'none'}", soft_wrap=True)
    if prepared.variables:
        console.print(f"Variables to give with --var: {', '.join(sorted(prepared.variables))}", soft_wrap=True)
    for sentence in prepared.conflicts:
        console.print(Text(f"- {sentence}"), soft_wrap=True)
    if not prepared.conflicts:
        console.print("No rules meet.")
    raise typer.Exit(ExitCode.SOME_NOT_RELEASED if prepared.conflicts else ExitCode.RELEASED)


@reports_errors
def show_recipe(context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME")] = "default") -> None:
    """Print a recipe that comes with Tarnhelm, to start your own from.

    tarnhelm recipe show default > site.recipe
    """
    services: Services = context.obj
    if name != "default":
        raise TarnhelmError(errors.RECIPE_UNREADABLE)
    typer.echo(services.default_recipe(), nl=False)


@reports_errors
def codes(
    code: Annotated[str, typer.Argument(metavar="[CODE]", help="One code, or the beginning of several.")] = "",
) -> None:
    """List what each code means and what to do.

    tarnhelm codes PIX
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("code", "then", "meaning", "what to do"):
        table.add_column(heading, no_wrap=heading in ("code", "then"))
    found = [kind for name, kind in sorted(CATALOGUE.items()) if name.startswith(code.upper())]
    if not found:
        raise TarnhelmError(errors.UNKNOWN_CODE)
    for kind in found:
        table.add_row(kind.code, kind.disposition.value, Text(kind.message), Text(kind.remedy))
    out().print(table)
