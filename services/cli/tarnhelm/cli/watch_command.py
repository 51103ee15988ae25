"""``tarnhelm watch``: a running gateway in the terminal."""

from __future__ import annotations

import contextlib
import time
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tarnhelm.cli.console import out, reports_errors
from tarnhelm.cli.gateway_link import CaFile, CertificateFile, Gateway, KeyFile, ServerName, TokenFile, linked

__all__ = ["register"]

_TONES = {"ok": "green", "waiting": "yellow", "draining": "yellow", "open": "red", "down": "red"}
_FINISHED = frozenset({"released", "purged", "rejected", "skipped", "quarantined"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("watch")(watch)


@reports_errors
def watch(
    gateway: Gateway = "127.0.0.1:50060",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    certificate_file: CertificateFile = None,
    key_file: KeyFile = None,
    server_name: ServerName = "",
    once: Annotated[bool, typer.Option("--once", help="Print the status once and end.")] = False,
) -> None:
    """Watch a running gateway: what comes in and goes out, states, parts, alarms. Ctrl-C ends it.

    [bold]Examples[/bold]

        tarnhelm watch --token-file /etc/tarnhelm/cli.token
        tarnhelm watch --gateway gateway:50060 --ca-file ca.pem --certificate-file me.pem --key-file me.key
    """
    from tarnhelm.v1 import admin_pb2 as pb  # noqa: PLC0415 - commands of one machine need no protobuf

    with linked(gateway, token_file, ca_file, certificate_file, key_file, server_name) as link:
        if once:
            out().print(_picture(link.ask("GetStatus", pb.GetStatusRequest()).status, time.time()))
            return
        answers = link.follow("WatchStatus", pb.WatchStatusRequest())
        with (
            contextlib.suppress(KeyboardInterrupt),
            contextlib.closing(answers),
            Live(console=out(), auto_refresh=False) as live,
        ):
            for answer in answers:
                live.update(_picture(answer.status, time.time()), refresh=True)


def _picture(status: Any, now: float) -> RenderableType:
    """Draw one measurement."""
    parts: list[RenderableType] = []
    if not status.measured:
        return Text("The gateway has not measured its state yet.")
    if status.alarms:
        parts += [Text(_alarm(alarm), style="bold red") for alarm in status.alarms]
    else:
        parts.append(Text("no alarm", style="green"))
    if status.samples:
        last = status.samples[-1]
        parts.append(
            Text(
                f"accepted {last.accepted:,.1f}/s   finished {last.finished:,.1f}/s   {last.bytes / 1e6:,.1f} MB/s"
                f"   on their road {last.unfinished:,}   lag {last.lag:,}"
            )
        )
    parts += [Text(""), _states(status, now)]
    if status.parts:
        parts += [Text(""), _parts(status, now)]
    return Group(*parts)


def _states(status: Any, now: float) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("state", no_wrap=True)
    table.add_column("code", no_wrap=True)
    for heading in ("objects", "MB", "oldest"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in status.states:
        age = _age(now - one.oldest) if one.oldest and one.state not in _FINISHED - {"quarantined"} else ""
        table.add_row(one.state, one.code, f"{one.objects:,}", f"{one.bytes / 1e6:,.1f}", age)
    return table


def _parts(status: Any, now: float) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "name", "condition", "code", "for", "in hand"):
        table.add_column(heading, no_wrap=True)
    for one in status.parts:
        counts = ", ".join(f"{number:,} {word}" for word, number in sorted(one.counts.items()))
        condition = Text(one.condition, style=_TONES.get(one.condition, ""))
        table.add_row(one.kind, one.name, condition, one.code, _age(now - one.since) if one.since else "", counts)
    return table


def _alarm(alarm: Any) -> str:
    numbers = f" {alarm.value:,.2f} (allowed {alarm.limit:,.2f})" if alarm.limit else ""
    return f"alarm: {alarm.name} {alarm.subject}{numbers}".rstrip()


def _age(seconds: float) -> str:
    seconds = max(seconds, 0.0)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"
