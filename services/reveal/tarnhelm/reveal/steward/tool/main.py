"""``tarnhelm-steward``: the commands, put together."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer
from typer.main import get_command

from tarnhelm.common.discreet import discreet
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.steward.tool import (
    case_commands,
    certificate_commands,
    key_commands,
    project_commands,
    subject_commands,
)
from tarnhelm.reveal.tool.console import exit_code_of, show_error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build", "main", "run"]

_HELP = """The life of a link: merge, split, withdraw, renew keys, back up, destroy. Nothing is ever opened here.

One person asks, another approves, the first carries it out, once:

    tarnhelm-steward subject withdraw --project trial-7 --mrn-file mrn.txt --as sam.pem --purpose "Consent withdrawn"
    tarnhelm-steward case approve 3f9a --as alice.pem
    tarnhelm-steward case carry-out 3f9a --as sam.pem --out papers/

People are enrolled with tarnhelm-reveal: sam with the role steward, alice with the role approver. Without a file
steward.toml in the private state directory all is done on the files of this machine; with it on a vault and a database.

Exit codes: 0 done, 1 refused, 2 usage, 3 something was tampered with, 4 a dependency is down.
"""


def build() -> typer.Typer:
    """Return the command with all its parts."""
    app = typer.Typer(
        name="tarnhelm-steward",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # a traceback could show a value out of a list
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    project_commands.register(app)
    subject_commands.register(app)
    case_commands.register(app)
    key_commands.register(app)
    certificate_commands.register(app)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code."""
    try:
        discreet(get_command(build()))(args=list(arguments), prog_name="tarnhelm-steward")
    except TarnhelmError as error:
        show_error(error)
        return exit_code_of(error)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))
