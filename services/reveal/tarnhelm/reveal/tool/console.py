"""What the command says: results to stdout, everything else to stderr, understandable without colour."""

from __future__ import annotations

import functools
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ExitCode", "err", "exit_code_of", "out", "plain", "reports_errors", "show_error", "when"]

P = ParamSpec("P")
T = TypeVar("T")


class ExitCode:
    """How the command ended, for scripts."""

    DONE: Final = 0
    REFUSED: Final = 1
    USAGE: Final = 2
    INTEGRITY: Final = 3
    DEPENDENCY: Final = 4
    INTERRUPTED: Final = 130


_INTEGRITY: Final = frozenset(
    row.code
    for row in (
        errors.REGISTRY_DAMAGED,
        errors.AUDIT_DAMAGED,
        errors.CASES_DAMAGED,
        errors.RECORD_DAMAGED,
        errors.LEDGER_DAMAGED,
    )
)


def out() -> Console:
    """Console of the results (rich honours NO_COLOR)."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=False)


def err() -> Console:
    """Console of everything else."""
    return Console(file=sys.stderr, highlight=False)


def plain(value: str) -> Text:
    """Show a value as it is: no markup of rich's, and no character that steers a terminal."""
    return Text("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in value))


def when(seconds: int) -> str:
    """Show a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def exit_code_of(error: TarnhelmError) -> int:
    """Exit code for an error that ended the command."""
    if error.code in _INTEGRITY:
        return ExitCode.INTEGRITY
    if error.disposition is Disposition.USAGE:
        return ExitCode.USAGE
    if error.disposition is Disposition.RETRY:
        return ExitCode.DEPENDENCY
    return ExitCode.REFUSED


def show_error(error: TarnhelmError) -> None:
    """Print code, sentence and remedy."""
    console = err()
    console.print(Text.assemble((f"{error.code}  ", "bold red"), error.safe_message), soft_wrap=True)
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
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    return wrapped
