"""What the command says: results to stdout, everything else to stderr, understandable without colour."""

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
    """How the command ended, for scripts."""

    RELEASED: Final = 0
    SOME_NOT_RELEASED: Final = 1
    USAGE: Final = 2
    INTEGRITY: Final = 3
    DEPENDENCY: Final = 4
    INTERRUPTED: Final = 130


_INTEGRITY: Final = frozenset({errors.WITNESS_SIGNATURE.code, errors.RESULT_CHANGED.code, errors.REPORT_DIFFERS.code})


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
    return ExitCode.SOME_NOT_RELEASED


def show_error(error: TarnhelmError) -> None:
    """Print code, sentence and remedy; a recipe's mistakes with their lines."""
    console = err()
    console.print(Text.assemble((f"{error.code}  ", "bold red"), error.safe_message), soft_wrap=True)
    for problem in getattr(error, "problems", ()):
        console.print(Text(f"  {problem}"), soft_wrap=True)
    detail = getattr(error, "detail", "")
    if detail:
        console.print(Text(f"  {detail}"), soft_wrap=True)
    console.print(Text(f"  {error.kind.remedy}", style="dim"), soft_wrap=True)


def reports_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Turn a TarnhelmError of a command into words and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return command(*args, **kwargs)
        except TarnhelmError as error:
            show_error(error)
            raise typer.Exit(exit_code_of(error)) from None
        except BrokenPipeError:  # whoever read what is printed has gone
            raise typer.Exit(ExitCode.SOME_NOT_RELEASED) from None
        except OSError as fault:  # its text would name a path
            error = TarnhelmError(errors.SYSTEM_REFUSED, seen=fault.errno or 0)
            show_error(error)
            raise typer.Exit(exit_code_of(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    return wrapped
