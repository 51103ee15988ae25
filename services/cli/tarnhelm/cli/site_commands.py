"""``tarnhelm site``: what this site adds to the cleaning of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tarnhelm.cli.console import out, reports_errors
from tarnhelm.cli.places import Places, write_private
from tarnhelm.cli.services import Services
from tarnhelm.cli.sites import read_text

__all__ = ["register"]

_HELP = """What your site adds to the cleaning of texts: the form of its record numbers, useful words of its own.

Set it once; every project that is made from then on takes it, and keeps it for ever.

[bold]Examples[/bold]

    tarnhelm site check site.yaml
    tarnhelm site set site.yaml
"""
File = Annotated[Path, typer.Argument(metavar="FILE", help="A site file (YAML).")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    group.command("check")(check)
    group.command("set")(set_site)
    group.command("show")(show)
    app.add_typer(group, name="site")


@reports_errors
def check(context: typer.Context, file: File) -> None:
    """Check a site file: its mistakes with line, column and suggestion, or what it adds.

    [bold]Example[/bold]

        tarnhelm site check site.yaml

    [bold]Exit codes[/bold]

        0 it can be used · 2 it cannot
    """
    services: Services = context.obj
    out().print(_summary(services.site(read_text(file))))


@reports_errors
def set_site(context: typer.Context, file: File) -> None:
    """Keep a site file in the state directory; projects that are made from now on take it.

    Projects that are there already stay as they are, so that no output changes in the midst of a study.

    [bold]Example[/bold]

        tarnhelm site set site.yaml
    """
    services: Services = context.obj
    text = read_text(file)
    said = _summary(services.site(text))
    places = Places.of_user()
    write_private(places.site_file, text)
    out().print(said)


@reports_errors
def show() -> None:
    """Print the site file of the state directory.

    [bold]Example[/bold]

        tarnhelm site show
    """
    path = Places.of_user().site_file
    if path.exists():
        typer.echo(read_text(path), nl=False)
    else:
        out().print("Nothing is set. Write a site file, then: tarnhelm site set FILE")


def _summary(document: str) -> str:
    added = json.loads(document) if document else {}
    numbers, words = (len(added.get(key, ())) for key in ("record_numbers", "words"))
    return f"{numbers:,} forms of record numbers, {words:,} words"
