"""What a command line holds is not repeated: names of files and folders hold patients' names surprisingly often.

The library's own words would quote it (``unexpected extra arguments (scans/Doe Jane/…)`` after a wildcard that fits
many files), and what a command prints ends in the logs of whatever started it.
"""

from __future__ import annotations

import functools
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["discreet"]


def discreet(command: Any) -> Any:
    """Let a command, and all below it, refuse what they do not take with a code and a number.

    Parameters
    ----------
    command
        What ``typer.main.get_command`` made; it is changed.
    """
    children = getattr(command, "commands", None)
    if children is not None:
        command.resolve_command = functools.partial(_resolve, command, command.resolve_command)
        for child in children.values():
            discreet(child)
    elif not command.context_settings.get("allow_extra_args"):
        command.allow_extra_args = True
        command.invoke = functools.partial(_invoke, command.invoke)
    return command


def _invoke(invoke: Callable[[Any], Any], context: Any) -> Any:
    """Run a command; raises ``RUN-025`` where more was given than it takes."""
    if context.args:
        raise TarnhelmError(errors.TOO_MANY_ARGUMENTS, seen=len(context.args))
    return invoke(context)


def _resolve(group: Any, resolve: Callable[[Any, list[str]], Any], context: Any, words: list[str]) -> Any:
    """Find the command that is named first; raises ``RUN-026`` where there is none."""
    if group.get_command(context, words[0]) is None:
        error = TarnhelmError(errors.UNKNOWN_COMMAND)
        near = get_close_matches(words[0], [name for name, one in group.commands.items() if not one.hidden], 1)
        if near:
            error.detail = f"Did you mean {context.command_path} {near[0]}?"  # type: ignore[attr-defined]
        raise error
    return resolve(context, words)
