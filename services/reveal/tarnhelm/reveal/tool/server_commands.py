"""``tarnhelm-reveal serve``, ``replica`` and ``writer``: running a server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.settings import read_secret_line
from tarnhelm.reveal.tool.at_hand import (
    AsOption,
    PassphraseOption,
    office,
    person_keys,
    person_of,
    remote_office,
    reveal,
)
from tarnhelm.reveal.tool.console import err, out, reports_errors

__all__ = ["register"]

_WRITER_HELP = """Writers of audits: each replica of a server has one, with a key of its own.

    tarnhelm-reveal replica two --root 9f2c... --anchor /mnt/audit-share      on the new machine
    tarnhelm-reveal writer enroll two PUBLIC --as alice.pem                   an admin
"""


_DATABASE_HELP = """Databases of a server: made ready by their owner, for roles that can read and add, and nothing else.

    tarnhelm-reveal database cases owner.address --role reveal       cases and people: make the tables, let the server add
    tarnhelm-reveal database ledger owner.address --role reveal      the ledger: let the server read the sealed links
    tarnhelm-reveal database anchor owner.address --role reveal      heads of the audit, in other hands: let the server add
"""


class DatabaseKind(StrEnum):
    """What a database is for."""

    CASES = "cases"
    LEDGER = "ledger"
    ANCHOR = "anchor"


def register(app: typer.Typer, audit: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve")(serve)
    app.command("database", help=_DATABASE_HELP)(database)
    app.command("replica")(replica)
    writer = typer.Typer(help=_WRITER_HELP, no_args_is_help=True, rich_markup_mode="rich")
    writer.command("enroll")(enroll_writer)
    writer.command("list")(list_writers)
    app.add_typer(writer, name="writer")
    audit.command("head")(head)


@reports_errors
def serve(
    config: Annotated[Path, typer.Option("--config", metavar="server.toml", help="See the guide.", show_default=False)],
) -> None:
    """Serve the register, cases and answers of this directory over gRPC, until SIGTERM.

    [bold]Example[/bold]

        tarnhelm-reveal serve --config /etc/tarnhelm-reveal/server.toml
    """
    from tarnhelm.reveal.server.main import run_server  # noqa: PLC0415 - one machine needs no server's parts
    from tarnhelm.reveal.server.settings import parse_server_settings  # noqa: PLC0415

    try:
        content = config.read_bytes()
    except OSError:
        raise TarnhelmError(errors.BAD_REVEAL_SETTINGS, line=0) from None
    run_server(reveal(), parse_server_settings(content))


@reports_errors
def database(
    kind: Annotated[DatabaseKind, typer.Argument(metavar="cases|ledger|anchor")],
    owner: Annotated[Path, typer.Argument(metavar="FILE", help="Holds the address by which its owner connects.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="Whom to let in; it exists already.")],
) -> None:
    """Make a database ready for a server."""
    import psycopg  # noqa: PLC0415 - one machine needs no database

    from tarnhelm.linkage.core.ledger_postgres_schema import grant_reading, migrate  # noqa: PLC0415
    from tarnhelm.reveal.core.audit.anchors_postgres import prepare_anchor  # noqa: PLC0415
    from tarnhelm.reveal.core.database import grant_serving, make_tables  # noqa: PLC0415

    steps = {
        DatabaseKind.CASES: (make_tables, lambda connection: grant_serving(connection, role)),
        DatabaseKind.LEDGER: (migrate, lambda connection: grant_reading(connection, role)),
        DatabaseKind.ANCHOR: (lambda connection: prepare_anchor(connection, role),),
    }
    address = read_secret_line(owner)
    try:
        with psycopg.connect(address, autocommit=True) as connection:
            for step in steps[kind]:
                step(connection)
    except psycopg.OperationalError:
        raise TarnhelmError(errors.CASES_BUSY) from None
    except psycopg.Error:
        raise TarnhelmError(errors.BAD_REVEAL_SETTINGS, line=0) from None
    err().print(f"{role} may use it for {kind}.", markup=False)


@reports_errors
def replica(
    name: Annotated[str, typer.Argument(metavar="WRITER", help="Name of its audit: short, lower case.")],
    root: Annotated[str, typer.Option("--root", metavar="DIGEST", help="Of the register.", show_default=False)],
    anchor: Annotated[
        list[str] | None, typer.Option("--anchor", metavar="DIR|URL", help="Who keeps the audit's signed heads.")
    ] = None,
    syslog: Annotated[
        list[str] | None, typer.Option("--syslog", metavar="URL", help="A log server that gets every line.")
    ] = None,
) -> None:
    """Make the private directory of one more replica, with an audit and a key of its own.

    [bold]Example[/bold]

        tarnhelm-reveal replica two --root 9f2c... --anchor postgresql-file:/etc/tarnhelm-reveal/anchor
    """
    public = reveal().found_replica(name, root, anchors=anchor or (), syslog=syslog or ())
    out().print(f"Public {public.hex()}", soft_wrap=True)
    err().print(f"An admin enrols it: tarnhelm-reveal writer enroll {name} PUBLIC --as ...", soft_wrap=True)


@reports_errors
def enroll_writer(
    name: Annotated[str, typer.Argument(metavar="WRITER")],
    public: Annotated[str, typer.Argument(metavar="PUBLIC", help="As `replica` printed it.")],
    key: AsOption,
    passphrase: PassphraseOption = None,
) -> None:
    """Enrol a replica's writer; you are an admin.

    [bold]Example[/bold]

        tarnhelm-reveal writer enroll two 4be1... --as alice.pem
    """
    try:
        content = bytes.fromhex(public)
    except ValueError:
        raise TarnhelmError(errors.BAD_REVEAL_SETTINGS, line=0) from None
    keys = person_keys(key, passphrase)
    with office() as here:
        by = person_of(keys, here.register()).id
        here.change(
            lambda people: people.enrol_writer(name, content, keys, here.clock()), person=name, by=by, what="writer"
        )
    err().print(f"{name} enrolled.", markup=False)


@reports_errors
def list_writers() -> None:
    """List the writers of audits and their public keys.

    [bold]Example[/bold]

        tarnhelm-reveal writer list
    """
    with office() as here:
        for name, public in sorted(here.register().writers().items()):
            out().print(f"{name}  {public.hex()}", soft_wrap=True, markup=False)


@reports_errors
def head() -> None:
    """Fetch the signed head of a replica's audit, to keep it yourself; you are an auditor.

    [bold]Example[/bold]

        tarnhelm-reveal audit head >> heads.txt
    """
    with remote_office() as here:
        out().print(here.audit_head().decode(), soft_wrap=True, markup=False)
