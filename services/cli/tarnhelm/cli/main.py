"""``tarnhelm``: the commands, put together."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import typer
from typer.main import get_command

from tarnhelm.cli import (
    clean_command,
    config_commands,
    delivery_commands,
    inspect_commands,
    manifest_commands,
    project_commands,
    quarantine_commands,
    recover_command,
    report_commands,
    send_command,
    site_commands,
    topic_commands,
    user_commands,
    watch_command,
)
from tarnhelm.cli.argv import understood
from tarnhelm.cli.console import exit_code_of, show_error
from tarnhelm.cli.services import Services, TarnhelmServices
from tarnhelm.cli.up import command as up_command
from tarnhelm.common import errors
from tarnhelm.common.discreet import discreet
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build", "main", "run"]

_HELP = """Pseudonymise medical images on this machine.

Nothing leaves uncleaned: an object is released only after a second program, the witness, has compared it with its original. What cannot be cleaned or judged waits in quarantine with a code.

[bold]Examples[/bold]

    tarnhelm clean scans/ cleaned/ --dry-run   look first, write no object
    tarnhelm clean scans/ cleaned/             clean a folder
    tarnhelm quarantine list                   what was held back, and why
    tarnhelm explain scans/one.dcm             which rule decides for each attribute
    tarnhelm codes PIX-001                     what a code means

Each command has examples of its own: tarnhelm COMMAND --help
"""


_OF_EXTRAS: Final = frozenset(
    [
        "boto3",
        "botocore",
        "google",
        "grpc",
        "grpc_health",
        "httpx",
        "joserfc",
        "kafka",
        "prometheus_client",
        "psycopg",
        "psycopg_pool",
        "pydantic",
        "pynetdicom",
        "starlette",
        "uvicorn",
    ]
)
"""What only commands around a gateway need: the base install cleans files without any of it."""


def build() -> typer.Typer:
    """Return the command with all its parts."""
    app = typer.Typer(
        name="tarnhelm",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # a traceback could show a value out of a file
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    clean_command.register(app)
    quarantine_commands.register(app)
    inspect_commands.register(app)
    report_commands.register(app)
    project_commands.register(app)
    site_commands.register(app)
    topic_commands.register(app)
    manifest_commands.register(app)
    delivery_commands.register(app)
    user_commands.register(app)
    watch_command.register(app)
    config_commands.register(app)
    up_command.register(app)
    recover_command.register(app)
    send_command.register(app)
    return app


def run(arguments: Sequence[str], services: Services) -> int:
    """Run one command line with these services; returns the exit code."""
    try:
        discreet(get_command(build()))(args=understood(arguments), obj=services, prog_name="tarnhelm")
    except TarnhelmError as error:
        show_error(error)
        return exit_code_of(error)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in _OF_EXTRAS:
            raise
        absent = TarnhelmError(errors.PART_MISSING)
        show_error(absent)
        return exit_code_of(absent)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(sys.argv[1:], TarnhelmServices()))
