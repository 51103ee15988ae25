"""What a command of this house says: results to stdout, everything else to stderr, understandable without colour."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ExitCode", "err", "exit_code_of", "out", "reports_errors", "show_error"]

P = ParamSpec("P")
T = TypeVar("T")


class ExitCode:
    """How a command ended, for scripts."""

    DONE: Final = 0
    HELD: Final = 1
    """Something was held back, or refused."""
    USAGE: Final = 2
    INTEGRITY: Final = 3
    DEPENDENCY: Final = 4
    INTERRUPTED: Final = 130


_INTEGRITY: Final = frozenset(
    row.code
    for row in (
        errors.WITNESS_SIGNATURE,
        errors.RESULT_CHANGED,
        errors.REPORT_DIFFERS,
        errors.REGISTRY_DAMAGED,
        errors.AUDIT_DAMAGED,
        errors.CASES_DAMAGED,
        errors.RECORD_DAMAGED,
        errors.LEDGER_DAMAGED,
        errors.ENDS_DAMAGED,
        errors.END_DOES_NOT_HOLD,
        errors.STILL_RESOLVABLE,
        errors.MANIFEST_BROKEN,
    )
)
_PIPE_COLUMNS: Final = 160
"""Width of what goes into a pipe or a file: nothing is cut off, and there is no screen to fit."""


def out() -> Console:
    """Console of the results (rich honours NO_COLOR and COLUMNS)."""
    wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else _PIPE_COLUMNS
    return Console(file=sys.stdout, highlight=False, soft_wrap=False, width=wide)


def err() -> Console:
    """Console of progress and errors."""
    return Console(file=sys.stderr, highlight=False)


def exit_code_of(error: TarnhelmError) -> int:
    """Exit code for an error that ended the command."""
    if error.code in _INTEGRITY:
        return ExitCode.INTEGRITY
    if error.disposition is Disposition.USAGE:
        return ExitCode.USAGE
    if error.disposition is Disposition.RETRY:
        return ExitCode.DEPENDENCY
    return ExitCode.HELD


def show_error(error: TarnhelmError) -> None:
    """Print code, sentence and remedy; mistakes of a file that the user wrote with their lines."""
    console = err()
    console.print(Text.assemble((f"{error.code}  ", "bold red"), error.safe_message), soft_wrap=True)
    for problem in getattr(error, "problems", ()):
        console.print(Text(f"  {problem}"), soft_wrap=True)
    detail = getattr(error, "detail", "")
    if detail:
        console.print(Text(f"  {detail}"), soft_wrap=True)
    console.print(Text(f"  {error.kind.remedy}", style="dim"), soft_wrap=True)


def reports_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Turn what ends a command into words and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return command(*args, **kwargs)
        except TarnhelmError as error:
            show_error(error)
            raise typer.Exit(exit_code_of(error)) from None
        except BrokenPipeError:  # whoever read what is printed has gone
            raise typer.Exit(ExitCode.HELD) from None
        except OSError as fault:  # its text would name a path
            refused = TarnhelmError(errors.SYSTEM_REFUSED, seen=fault.errno or 0)
            show_error(refused)
            raise typer.Exit(exit_code_of(refused)) from None
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    return wrapped
