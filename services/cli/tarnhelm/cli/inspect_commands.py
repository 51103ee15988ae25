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
    group = typer.Typer(help="Print the recipes that come with Tarnhelm.", no_args_is_help=True)
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
    """Show which rule decides for each attribute of a file, why, and what it overrules. No values are shown.

    [bold]Examples[/bold]

        tarnhelm explain scans/one.dcm
        tarnhelm explain scans/one.dcm -r site.recipe -d cleanDescOpt
    """
    services: Services = context.obj
    if not file.is_file():
        raise TarnhelmError(errors.NO_INPUT)
    rows = services.explain(file, read_recipe(recipe, profile, variable), DEFAULT_LIMITS)
    console = out()
    for path, name, vr, action, source, reason, *overruled in rows:
        place = " ".join(part for part in (path, vr, name) if part)
        console.print(Text.assemble(f"{place}  ", (action, "bold")), soft_wrap=True)
        console.print(Text(f"    {source}: {reason}", style="dim"), soft_wrap=True)
        for other in overruled:
            console.print(Text(f"    overrules {other}", style="dim"), soft_wrap=True)


@reports_errors
def review(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe file.")],
    profile: ProfileOption = None,
) -> None:
    """Review a recipe against the standard before it runs.

    Mistakes are told with line, column and suggestion. Then: identifying attributes that a rule keeps though the profile
    would not, values that are none of their VR, attributes that an object cannot do without (Type 1 and 2), PSEUDO classes
    that cannot write a VR, intervals that would change, rules that contradict each other or never decide.

    [bold]Examples[/bold]

        tarnhelm review site.recipe
        tarnhelm review site.recipe -d rtnPatCharsOpt

    [bold]Exit codes[/bold]

        0 nothing to be said · 1 there are findings · 2 the recipe cannot be used
    """
    services: Services = context.obj
    given = read_recipe(recipe, profile, None)
    prepared = services.prepare(given, DEFAULT_LIMITS)
    findings, notes = services.review(given, DEFAULT_LIMITS)
    console = out()
    console.print(f"Profiles: {', '.join(prepared.profiles) or 'none'}", soft_wrap=True)
    console.print(f"Method codes: {', '.join(code for code, _ in prepared.methods) or 'none'}", soft_wrap=True)
    if prepared.variables:
        console.print(f"Variables to give with --var: {', '.join(sorted(prepared.variables))}", soft_wrap=True)
    for note in notes:
        console.print(Text(note), soft_wrap=True)
    for finding in findings:
        console.print(Text(f"- {finding}"), soft_wrap=True)
    console.print(f"{len(findings)} {'finding' if len(findings) == 1 else 'findings'}." if findings else "No findings.")
    raise typer.Exit(ExitCode.HELD if findings else ExitCode.DONE)


@reports_errors
def show_recipe(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="There is one: default.")] = "default",
) -> None:
    """Print a recipe that comes with Tarnhelm, to start your own from.

    [bold]Example[/bold]

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

    [bold]Examples[/bold]

        tarnhelm codes
        tarnhelm codes PIX
        tarnhelm codes WIT-001
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
