"""``tarnhelm topics``: the topics that the gateway needs, on the broker that it will use."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.cli.console import out, reports_errors
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.broker.topics import TOPICS, with_partitions

if TYPE_CHECKING:
    from tarnhelm.gateway.broker import Broker, TopicReport

__all__ = ["register"]

_HELP = """Topics: what the gateway needs on its broker.

[bold]Examples[/bold]

    tarnhelm topics ensure --broker kafka-1:9093 --broker kafka-2:9093 --tls --ca-file ca.pem --replication 3
    tarnhelm topics ensure --folder /var/lib/tarnhelm/broker
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    topics = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    topics.callback()(_group)
    topics.command("ensure")(ensure)
    app.add_typer(topics, name="topics")


def _group() -> None:
    """Keep ``ensure`` a command of its own although it is the only one."""


_group.__doc__ = _HELP


@reports_errors
def ensure(
    broker: Annotated[
        list[str] | None, typer.Option("--broker", metavar="HOST:PORT", help="Apache Kafka; repeat for more addresses.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="FOLDER", help="The embedded broker's folder instead.")
    ] = None,
    partitions: Annotated[
        int | None, typer.Option("--partitions", min=1, max=1024, help="Of each topic that is not single on purpose.")
    ] = None,
    replication: Annotated[int, typer.Option("--replication", min=0, help="Copies; 0: the broker's default.")] = 0,
    min_in_sync: Annotated[
        int, typer.Option("--min-in-sync", min=0, help="Copies that are written before a record counts; 0: default.")
    ] = 0,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt; needed off this machine.")] = False,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", metavar="PEM", help="Who signs the brokers.")] = None,
    certificate_file: Annotated[
        Path | None, typer.Option("--certificate-file", metavar="PEM", help="Our certificate.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", metavar="PEM", help="Its key.")] = None,
    sasl_user: Annotated[str, typer.Option("--sasl-user", metavar="NAME", help="Log in with a name.")] = "",
    sasl_password_file: Annotated[
        Path | None,
        typer.Option("--sasl-password-file", metavar="FILE", help="The password; never on the command line."),
    ] = None,
    sasl_mechanism: Annotated[
        str, typer.Option("--sasl-mechanism", help="SCRAM-SHA-512, SCRAM-SHA-256, or PLAIN with TLS.")
    ] = "SCRAM-SHA-512",
    plaintext_allowed: Annotated[
        bool, typer.Option("--allow-plaintext", help="Something else encrypts on the way, as a service mesh does.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare only, create nothing.")] = False,
) -> None:
    """Create the topics that are missing and compare the others; never changes or deletes one.

    The exit code is 0 when every topic is as the gateway needs it, 2 when one is missing or differs, 4 when the broker cannot be reached.

    [bold]Examples[/bold]

        tarnhelm topics ensure --broker kafka:9093 --tls --ca-file ca.pem --sasl-user tarnhelm --sasl-password-file pw
        tarnhelm topics ensure --broker 127.0.0.1:9092 --check
    """
    if bool(broker) == bool(folder) or bool(sasl_user) != bool(sasl_password_file):
        raise TarnhelmError(errors.BROKER_SETTINGS)
    topics = with_partitions(TOPICS, partitions) if partitions else TOPICS
    if folder is not None:
        from tarnhelm.gateway.broker.sqlite import SqliteBroker  # noqa: PLC0415  # other commands need neither broker

        _ensure(SqliteBroker(folder, topics), apply=not check)
        return
    from tarnhelm.gateway.broker.kafka import KafkaBroker, KafkaSettings, Sasl  # noqa: PLC0415

    sasl = Sasl(sasl_user, sasl_password_file, sasl_mechanism) if sasl_password_file is not None else None
    settings = KafkaSettings(
        tuple(broker or ()),
        client_id="tarnhelm-topics",
        tls=tls,
        ca_file=ca_file,
        certificate_file=certificate_file,
        key_file=key_file,
        sasl=sasl,
        plaintext_allowed=plaintext_allowed,
        replication=replication,
        min_in_sync=min_in_sync,
    )
    _ensure(KafkaBroker(settings, topics), apply=not check)


def _ensure(broker: Broker, *, apply: bool) -> None:
    with contextlib.closing(broker):
        reports = broker.ensure(apply=apply)
    _show(reports)
    bad = sum(not report.as_wanted for report in reports)
    if bad:
        raise TarnhelmError(errors.TOPICS_DIFFER, count=bad)


def _show(reports: Sequence[TopicReport]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("topic", "state", "setting", "wanted", "found"):
        table.add_column(heading, no_wrap=True, overflow="ignore")
    for report in reports:
        state = "missing" if report.missing else "created" if report.created else "there"
        rows = [(name, *values) for name, values in sorted(report.differences.items())] or [("", "", "")]
        for number, row in enumerate(rows):
            table.add_row(
                *((report.name, "differs" if report.differences else state) if not number else ("", "")), *row
            )
    out().print(table)
