"""``tarnhelm recover``: after the broker and its messages were lost."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from tarnhelm.cli.config_commands import loaded
from tarnhelm.cli.console import out, reports_errors
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog

__all__ = ["register"]

_PATIENCE_SECONDS = 60.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("recover")(recover)


@reports_errors
def recover(
    config: Annotated[
        Path,
        typer.Option(
            "--config", metavar="FILE", help="The gateway's configuration; of `tarnhelm up`: run/gateway.json."
        ),
    ],
) -> None:
    """Publish every unfinished object again, out of state and blobs, after the broker and its messages were lost.

    Topics are made where they are missing. Nothing is done twice: an object whose message is still there finds what was recorded. An object whose bytes are gone is quarantined. What producers had put on the topic `ingest` and no door had taken in is not known here: have them send it again.

    [bold]Example[/bold]

        tarnhelm recover --config /etc/tarnhelm/gateway.yaml

    [bold]Exit codes[/bold]

        0 done · 2 the configuration cannot be used · 4 broker, blobs or state are away
    """
    try:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - optional

        from tarnhelm.gateway.config import with_ids  # noqa: PLC0415 - optional
        from tarnhelm.gateway.config.parts import SharedParts  # noqa: PLC0415
        from tarnhelm.gateway.roles.base import RoleContext, instance_name  # noqa: PLC0415
        from tarnhelm.gateway.roles.housekeeping import make_housekeeping  # noqa: PLC0415
    except ImportError:
        raise TarnhelmError(errors.PART_MISSING) from None
    settings = with_ids(loaded(config))
    with SharedParts.open(settings) as shared:
        shared.broker.ensure()
        log = EventLog(sys.stderr, time.time)
        context = RoleContext(settings, shared, CollectorRegistry(), log, instance_name())
        count = make_housekeeping(context).recover()
        shared.broker.flush(_PATIENCE_SECONDS)
    out().print(f"{count:,} unfinished objects were published again")
