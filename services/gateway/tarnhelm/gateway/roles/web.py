"""The role ``web``: the page for operators. It reaches states and bytes through the administration only."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.web.server import WebServer

if TYPE_CHECKING:
    import threading

    from tarnhelm.gateway.roles.base import RoleContext

__all__ = ["first_run_file", "run"]


def first_run_file(state_dir: Path) -> Path:
    """Where the link lies that makes the first account, for whoever started the gateway; private, good once."""
    return state_dir / "run" / "first-run-link"


def run(context: RoleContext, stop: threading.Event) -> None:
    """Serve the page until told to stop."""
    settings = context.config.web.page
    if settings is None:
        raise TarnhelmError(errors.CONFIG_REFERENCE)
    path = first_run_file(context.config.state_dir)
    path.unlink(missing_ok=True)

    def announce(line: str) -> None:
        sys.stderr.write(line + "\n")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as stream:
            stream.write(line)

    WebServer(settings, context.log, announce=announce).run(stop)
