"""``tarnhelm project upgrade``: what another recipe, other profiles or a newer edition change, and the revision for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.cli.clean_command import ProfileOption, RecipeOption, VariableOption, read_recipe
from tarnhelm.cli.console import err, out, reports_errors
from tarnhelm.cli.pins import pins_of
from tarnhelm.cli.places import Places
from tarnhelm.common.limits import DEFAULT_LIMITS
from tarnhelm.linkage.core.projects import RunPins, differences
from tarnhelm.linkage.local import LocalLinkage

if TYPE_CHECKING:
    from tarnhelm.cli.services import Services

__all__ = ["upgrade_project"]

_SHOWN = 16


@reports_errors
def upgrade_project(
    context: typer.Context,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="As listed.")],
    recipe: RecipeOption = None,
    profile: ProfileOption = None,
    variable: VariableOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Open the revision; without it only the difference is shown.")
    ] = False,
) -> None:
    """Show in what a project would differ from now on, and with --yes open the revision that works so.

    Give the recipe, profiles and variables as to `clean`. Keys and surrogates stay: the same patient keeps the same name. What was cleaned before says in its report which revision it is of.

    [bold]Examples[/bold]

        tarnhelm project upgrade trial-7 -r stricter.recipe
        tarnhelm project upgrade trial-7 -r stricter.recipe --yes
    """
    services: Services = context.obj
    projects = LocalLinkage(Places.of_user().root).projects
    project = projects.get(label)
    asked = replace(read_recipe(recipe, profile, variable), site=project.settings.site)
    wanted = pins_of(services.prepare(asked, DEFAULT_LIMITS))
    if project.pins is None:
        err().print("Nothing is pinned yet: the project's first run does it.", soft_wrap=True)
        return
    names = differences(project.pins, wanted)
    table = Table(box=None, pad_edge=False)
    for heading in ("pin", f"revision {project.revision}", f"revision {project.revision + 1}"):
        table.add_column(heading)
    for name in names:
        table.add_row(name.replace("_", " "), _text(project.pins, name), _text(wanted, name))
    if not names:
        out().print("No difference.")
        return
    out().print(table)
    if not yes:
        err().print("Nothing was changed. Give --yes to open the revision.", soft_wrap=True)
        return
    opened = projects.upgrade(project.id, wanted)
    out().print(f"Revision {opened.revision}")


def _text(pins: RunPins, name: str) -> str:
    value = getattr(pins, name)
    if isinstance(value, str):
        return value[:_SHOWN]
    return ", ".join(sorted(value)) if isinstance(value, tuple) else str(value)
