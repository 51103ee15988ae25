"""``tarnhelm user``: the local accounts of the web page."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.cli.console import out, reports_errors
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.gateway.web.accounts import Accounts

__all__ = ["register"]

_HELP = """Local accounts of the gateway's web page.

Run it on the gateway's machine as the gateway's user. A password is asked for, read from a file, or set by its owner through a link that works once; never given on the command line.

[bold]Examples[/bold]

    tarnhelm user add m.tremblay --person "M. Tremblay" --role reviewer --link --accounts /var/lib/tarnhelm/accounts.sqlite
    tarnhelm user reset m.tremblay --accounts /var/lib/tarnhelm/accounts.sqlite
"""
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Of the account: lower-case letters, digits, points, hyphens.")
]
File = Annotated[
    Path, typer.Option("--accounts", metavar="FILE", help="The file of accounts, as the configuration names it.")
]
RoleName = Annotated[str, typer.Option("--role", metavar="ROLE", help="viewer, reviewer or admin.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="Read the password from the file's first line.")
]
ByLink = Annotated[
    bool, typer.Option("--link", help="Print a link by which the owner sets the password, within a day.")
]
Url = Annotated[str, typer.Option("--url", metavar="URL", help="Where browsers see the page, for the link.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    group.command("add")(add)
    group.command("list")(list_accounts)
    group.command("role")(set_role)
    group.command("reset")(reset)
    group.command("remove")(remove)
    app.add_typer(group, name="user")


@reports_errors
def add(
    name: Name,
    accounts: File,
    person: Annotated[str, typer.Option("--person", metavar="TEXT", help="Name beside decisions.", show_default=False)],
    role: RoleName = "viewer",
    password_file: PasswordFile = None,
    link: ByLink = False,
    url: Url = "http://127.0.0.1:8080",
) -> None:
    """Make an account.

    [bold]Example[/bold]

        tarnhelm user add s.okafor --person "S. Okafor" --role admin --accounts accounts.sqlite
    """
    from tarnhelm.gateway.admin.settings import Role  # noqa: PLC0415 - other commands need no web page

    if role not in list(Role) or (link and password_file):
        raise typer.BadParameter("--role is viewer, reviewer or admin; --link and --password-file exclude each other")
    with _accounts(accounts) as kept:
        if link:
            kept.add(name, person, Role(role))
            _tell_link(kept, name, url)
        else:
            kept.add(name, person, Role(role), _password(password_file))
            out().print(f"{name}  {role}")


@reports_errors
def list_accounts(accounts: File) -> None:
    """List the accounts: name, person, role, when it signed in last.

    [bold]Example[/bold]

        tarnhelm user list --accounts accounts.sqlite
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("account", "person", "role", "last signed in"):
        table.add_column(heading, no_wrap=True)
    with _accounts(accounts) as kept:
        for one in kept.everyone():
            used = f"{dt.datetime.fromtimestamp(one.used, dt.UTC).astimezone():%Y-%m-%d %H:%M}" if one.used else "never"
            table.add_row(one.name, one.person, one.role.value, used if one.has_password else "has no password")
    out().print(table)


@reports_errors
def set_role(name: Name, role: Annotated[str, typer.Argument(metavar="ROLE")], accounts: File) -> None:
    """Give an account another role, at once.

    [bold]Example[/bold]

        tarnhelm user role m.tremblay admin --accounts accounts.sqlite
    """
    from tarnhelm.gateway.admin.settings import Role  # noqa: PLC0415 - other commands need no web page

    if role not in list(Role):
        raise typer.BadParameter("ROLE is viewer, reviewer or admin")
    with _accounts(accounts) as kept:
        kept.set_role(name, Role(role))
    out().print(f"{name}  {role}")


@reports_errors
def reset(name: Name, accounts: File, password_file: PasswordFile = None, url: Url = "http://127.0.0.1:8080") -> None:
    """End an account's password and sessions, and print a link for a new one; or set it from a file.

    [bold]Example[/bold]

        tarnhelm user reset m.tremblay --accounts accounts.sqlite --url https://tarnhelm.hospital.example
    """
    with _accounts(accounts) as kept:
        if password_file is not None:
            kept.set_password(name, _password(password_file))
            out().print(f"{name}  has a new password")
        else:
            _tell_link(kept, name, url)


@reports_errors
def remove(name: Name, accounts: File) -> None:
    """Remove an account and end its sessions; what it decided stays recorded.

    [bold]Example[/bold]

        tarnhelm user remove m.tremblay --accounts accounts.sqlite
    """
    with _accounts(accounts) as kept:
        kept.remove(name)
    out().print(f"{name}  removed")


@contextlib.contextmanager
def _accounts(path: Path) -> Iterator[Accounts]:
    from tarnhelm.gateway.web.accounts import Accounts  # noqa: PLC0415 - other commands need no web page

    kept = Accounts(path)
    try:
        yield kept
    finally:
        kept.close()


def _tell_link(kept: Accounts, name: str, url: str) -> None:
    console = out()
    console.print(f"{url.rstrip('/')}/welcome?token={kept.link(name)}", soft_wrap=True, markup=False)
    console.print("It works once, within a day.")


def _password(path: Path | None) -> str:
    if path is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return path.read_text(encoding="utf-8").split("\n")[0].rstrip("\r")
    except (OSError, ValueError):
        raise TarnhelmError(errors.PASSWORD_WEAK) from None
