"""What ``tarnhelm-reveal`` says beside what all commands say: values and times, shown as they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from rich.text import Text

from tarnhelm.common.console import ExitCode as CommonExitCode
from tarnhelm.common.console import err, exit_code_of, out, reports_errors, show_error

__all__ = ["ExitCode", "err", "exit_code_of", "out", "plain", "reports_errors", "show_error", "when"]


class ExitCode(CommonExitCode):
    """How the command ended, for scripts."""

    REFUSED: Final = CommonExitCode.HELD


def plain(value: str) -> Text:
    """Show a value as it is: no markup of rich's, and no character that steers a terminal."""
    return Text("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in value))


def when(seconds: int) -> str:
    """Show a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
