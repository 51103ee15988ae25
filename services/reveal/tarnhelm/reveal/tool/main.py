"""``tarnhelm-reveal``: the commands, put together."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer
from typer.main import get_command

from tarnhelm.common.discreet import discreet
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.tool import (
    answer_commands,
    audit_commands,
    case_commands,
    login_commands,
    person_commands,
    server_commands,
)
from tarnhelm.reveal.tool.console import exit_code_of, show_error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build", "main", "run"]

_HELP = """Go back from a pseudonym to a patient: one person asks, another approves, the answer is given once.

    tarnhelm-reveal person new alice --name "Alice Tremblay"      your keys and your card
    tarnhelm-reveal init alice.card.json --as alice.pem           found the register of people
    tarnhelm-reveal case open --as bob.pem --project trial-7 ...  ask
    tarnhelm-reveal case approve 3f9a --as alice.pem              somebody else decides
    tarnhelm-reveal case answer 3f9a out.answer --as bob.pem --custodian-key custodian.pem
    tarnhelm-reveal case read out.answer --as bob.pem             only who asked can open it
    tarnhelm-reveal audit verify                                  was anything taken out?

In a hospital a server answers (tarnhelm-reveal serve): then `connect` and `login` come first, and no key of a custodian
is needed.

Exit codes: 0 done, 1 refused, 2 usage, 3 something was tampered with, 4 a dependency is down.
"""
_CASE_HELP = """Cases: one for each question, used once, valid for some days.

    tarnhelm-reveal case open --as bob.pem --project trial-7 TRIAL7-0123456789ABCDEF --purpose ... --legal-basis ...
    tarnhelm-reveal case list
    tarnhelm-reveal case approve 3f9a --as alice.pem
    tarnhelm-reveal case answer 3f9a out.answer --as bob.pem --custodian-key custodian.pem
    tarnhelm-reveal case read out.answer --as bob.pem
    tarnhelm-reveal case show 3f9a --record case.html
"""


def build() -> typer.Typer:
    """Return the command with all its parts."""
    app = typer.Typer(
        name="tarnhelm-reveal",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # a traceback could show a value out of a record
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    case = typer.Typer(help=_CASE_HELP, no_args_is_help=True, rich_markup_mode="rich")
    person_commands.register(app)
    case_commands.register(case)
    app.add_typer(case, name="case")
    answer_commands.register(app, case)
    login_commands.register(app, case)
    server_commands.register(app, audit_commands.register(app))
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code."""
    try:
        discreet(get_command(build()))(args=list(arguments), prog_name="tarnhelm-reveal")
    except TarnhelmError as error:
        show_error(error)
        return exit_code_of(error)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))
