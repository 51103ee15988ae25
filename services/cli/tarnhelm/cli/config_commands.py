"""``tarnhelm config``: check a gateway's configuration, print its schema, put its plans into the state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.cli.console import err, exit_code_of, out, reports_errors
from tarnhelm.cli.places import Places
from tarnhelm.cli.services import Services
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.gateway.config import GatewayConfig

__all__ = ["loaded", "register", "show_problems"]

_HELP = """The configuration of a gateway: one YAML file for all of its processes.

[bold]Examples[/bold]

    tarnhelm config check gateway.yaml
    tarnhelm config schema > gateway.schema.json
    tarnhelm config publish gateway.yaml
    tarnhelm config keys /etc/tarnhelm/keys
"""
File = Annotated[Path, typer.Argument(metavar="FILE", help="A configuration (YAML).")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    group.command("check")(check)
    group.command("schema")(schema)
    group.command("publish")(publish)
    group.command("keys")(keys)
    app.add_typer(group, name="config")


def loaded(path: Path) -> GatewayConfig:
    """Read a configuration as it stands; shows every mistake and leaves with exit code 2 where there is one."""
    try:
        from tarnhelm.gateway.config import ConfigError, load_config  # noqa: PLC0415 - optional
    except ImportError:
        raise TarnhelmError(errors.PART_MISSING) from None
    try:
        return load_config(path, ids=False)
    except ConfigError as error:
        show_problems(error)
        raise typer.Exit(exit_code_of(error)) from None


def show_problems(error: TarnhelmError) -> None:
    """Print a configuration's mistakes, one a line, to standard error."""
    console = err()
    console.print(f"{error.code}  {error.safe_message} {error.kind.remedy}", markup=False, soft_wrap=True)
    for problem in getattr(error, "problems", ()):
        console.print(f"  {problem}", markup=False, soft_wrap=True)


@reports_errors
def check(context: typer.Context, file: File) -> None:
    """Check a configuration: all its mistakes with line and column, or what it describes.

    Recipes are compiled too. Nothing is started, and no server is asked.

    [bold]Example[/bold]

        tarnhelm config check gateway.yaml

    [bold]Exit codes[/bold]

        0 it can be used · 2 it cannot
    """
    from tarnhelm.cli.up.plans import compile_plan  # noqa: PLC0415

    services: Services = context.obj
    config = loaded(file)
    for section in config.projects.values():
        compile_plan(section, "", services, "")
    _check_names(config)
    _show(config)


@reports_errors
def schema() -> None:
    """Print the JSON Schema of a configuration, for an editor.

    [bold]Example[/bold]

        tarnhelm config schema > gateway.schema.json
    """
    try:
        from tarnhelm.gateway.config import GatewayConfig, schema_of  # noqa: PLC0415 - optional
    except ImportError:
        raise TarnhelmError(errors.PART_MISSING) from None
    typer.echo(json.dumps(schema_of(GatewayConfig), indent=1, sort_keys=True))


@reports_errors
def publish(context: typer.Context, file: File) -> None:
    """Compile the recipes of a configuration and put the plans into the state, from where the pumps take them.

    `tarnhelm up` does this by itself. In a cluster it is a step of its own, before new pods take a new plan up. Objects that were admitted under an older plan keep it.

    [bold]Example[/bold]

        tarnhelm config publish gateway.yaml
    """
    from tarnhelm.cli.up.plans import publish_plans  # noqa: PLC0415

    services: Services = context.obj
    config = loaded(file)
    _check_names(config)
    for label, digest, new in publish_plans(config, services, Places.of_user(), make=False):
        out().print(f"{label}  plan {digest[:12]}  {'new' if new else 'as before'}", markup=False)


@reports_errors
def keys(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the keys go; made with mode 0700.")],
) -> None:
    """Make the keys of a gateway in a folder; a key that is there is never replaced.

    `tarnhelm up` makes them by itself. Made ahead, they can be handed out: `witness.pem` to the witness alone, `ticket.pub.pem` to the assigner, `seal.pub.pem` to producers, `manifest.pub.pem` to whoever checks the manifest, all else to the gateway.

    [bold]Example[/bold]

        tarnhelm config keys /etc/tarnhelm/keys
    """
    from tarnhelm.cli.up.keys import make_keys, public_of  # noqa: PLC0415 - optional

    try:
        made = make_keys(folder)
    except OSError:
        raise TarnhelmError(errors.STATE_UNWRITABLE) from None
    for path in (made.ticket, made.witness, made.manifest, made.seal):
        out().print(f"{path.name}  public: {public_of(path).name}", markup=False)


def _check_names(config: GatewayConfig) -> None:
    """Refuse labels that are not defined; an id that `tarnhelm up` will look up counts as known."""
    from dataclasses import replace  # noqa: PLC0415

    from tarnhelm.gateway.config import with_ids  # noqa: PLC0415

    projects = {
        label: section if section.id else replace(section, id=label) for label, section in config.projects.items()
    }
    with_ids(replace(config, projects=projects))


def _show(config: GatewayConfig) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, overflow="ignore")
    table.add_column(overflow="fold")
    doors = config.doors
    rows = [
        ("projects", ", ".join(config.projects)),
        ("broker", "Apache Kafka" if config.broker.kafka else "embedded"),
        ("blobs", "S3" if config.blobs.s3 else "folder"),
        ("state", "PostgreSQL" if config.state.postgres_file else "SQLite"),
        *(("door", f"{door.name}: DICOM on {door.listen}, {', '.join(door.titles)}") for door in doors.dicom),
        *(("door", f"{door.name}: STOW-RS on {door.listen}") for door in doors.stow),
        *(("door", f"{door.name}: folder") for door in doors.folder),
        *(("door", f"{door.name}: topic {door.topic}") for door in doors.ingest),
        *(("destination", name) for name in config.destinations),
    ]
    for row in rows:
        table.add_row(*row)
    out().print(table)
