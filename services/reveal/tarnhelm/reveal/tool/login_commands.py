"""``tarnhelm-reveal connect``, ``login``, ``logout`` and ``case release``: a person's side of a server."""

from __future__ import annotations

import time
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.tool.at_hand import AsOption, PassphraseOption, person_keys, remote, remote_office, reveal
from tarnhelm.reveal.tool.case_commands import CaseArgument
from tarnhelm.reveal.tool.console import err, out, reports_errors, when

__all__ = ["register"]


def register(app: typer.Typer, case: typer.Typer) -> None:
    """Add the commands."""
    app.command("connect")(connect)
    app.command("login")(login)
    app.command("logout")(logout)
    case.command("release")(release_)


@reports_errors
def connect(
    server: Annotated[str, typer.Argument(metavar="HOST:PORT")],
    root: Annotated[str, typer.Option("--root", metavar="DIGEST", help="Of the register, from the admin's paper.")],
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="Of the identity provider.")],
    client: Annotated[str, typer.Option("--client", metavar="ID", help="Of this tool, at the identity provider.")],
    ca: Annotated[Path | None, typer.Option("--ca", metavar="PEM", help="Authority of the server.")] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="PEM", help="To show the server.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PEM", help="Key of that certificate.")] = None,
    identity_ca: Annotated[
        Path | None, typer.Option("--identity-ca", metavar="PEM", help="Authority of the identity provider.")
    ] = None,
    client_secret: Annotated[
        Path | None, typer.Option("--client-secret-file", metavar="FILE", help="If the provider demands one.")
    ] = None,
    redirect_port: Annotated[
        int, typer.Option("--redirect-port", metavar="PORT", help="If the provider takes one only.")
    ] = 0,
    vault: Annotated[
        str, typer.Option("--vault", metavar="URL", help="For an approver who lets decryptions pass in the vault.")
    ] = "",
    vault_ca: Annotated[Path | None, typer.Option("--vault-ca", metavar="PEM", help="Authority of the vault.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Forget the server that was named before.")] = False,
) -> None:
    """Name the reveal server to which the commands of this account speak from now on.

    [bold]Example[/bold]

        tarnhelm-reveal connect reveal.example.org:50052 --root 9f2c... --issuer https://id.example.org
          --client tarnhelm-reveal --ca ca.pem --certificate me.pem --key me.key
    """
    from tarnhelm.reveal.client.settings import RemoteSettings, write_remote  # noqa: PLC0415 - as in at_hand

    settings = RemoteSettings(
        server,
        root,
        issuer,
        client,
        ca_file=_absolute(ca),
        certificate_file=_absolute(certificate),
        key_file=_absolute(key),
        identity_ca_file=_absolute(identity_ca),
        client_secret_file=_absolute(client_secret),
        redirect_port=redirect_port,
        vault_address=vault,
        vault_ca_file=_absolute(vault_ca),
    )
    write_remote(reveal().folder, settings, replace=replace)
    err().print("Now log in: tarnhelm-reveal login", soft_wrap=True)


@reports_errors
def login(
    key: AsOption,
    passphrase: PassphraseOption = None,
    device: Annotated[bool, typer.Option("--device", help="Use a browser on another machine, and a code.")] = False,
    show_only: Annotated[bool, typer.Option("--no-browser", help="Show the address instead of opening it.")] = False,
) -> None:
    """Log in at the identity provider; your key binds the login to you.

    [bold]Examples[/bold]

        tarnhelm-reveal login --as bob.pem

        tarnhelm-reveal login --as bob.pem --device
    """
    from tarnhelm.reveal.client.login import Means, Way, log_in  # noqa: PLC0415
    from tarnhelm.reveal.client.office import LOGIN_NAME  # noqa: PLC0415
    from tarnhelm.reveal.identity.login import write_login  # noqa: PLC0415

    settings = remote()
    if settings is None:
        raise TarnhelmError(errors.REVEAL_MISSING)
    here = reveal()
    keys = person_keys(key, passphrase)

    def show(address: str, code: str) -> None:
        opened = not device and not show_only and webbrowser.open(address)
        if not opened:
            err().print("Open this address in a browser:", soft_wrap=True)
            err().print(f"  {address}", soft_wrap=True, markup=False)
        if code:
            err().print(f"and type this code there: {code}", soft_wrap=True, markup=False)

    means = Means(here.clock, time.monotonic, time.sleep, here.random, show)
    kept, subject = log_in(settings, keys, Way.DEVICE if device else Way.BROWSER, means)
    write_login(here.folder / LOGIN_NAME, kept)
    out().print(f"Subject {subject}", soft_wrap=True, markup=False)
    err().print(f"Logged in until {when(kept.expires)}.", soft_wrap=True)


@reports_errors
def logout() -> None:
    """Forget the login that is kept on this machine.

    [bold]Example[/bold]

        tarnhelm-reveal logout
    """
    from tarnhelm.reveal.client.office import LOGIN_NAME  # noqa: PLC0415
    from tarnhelm.reveal.identity.login import forget_login  # noqa: PLC0415

    forget_login(reveal().folder / LOGIN_NAME)


@reports_errors
def release_(
    case: CaseArgument,
    accessors: Annotated[list[str], typer.Argument(metavar="ACCESSOR...", help="As the requester's tool shows them.")],
    token: Annotated[
        Path,
        typer.Option("--vault-token-file", metavar="FILE", help="Your own token of the vault.", show_default=False),
    ],
) -> None:
    """Let the decryptions of an approved case pass in the vault; you are its approver there too.

    [bold]Example[/bold]

        tarnhelm-reveal case release 3f9a 8yLx0mK1 --vault-token-file ~/.vault-token
    """
    from tarnhelm.reveal.client.release import release  # noqa: PLC0415
    from tarnhelm.reveal.core.cases import Verdict  # noqa: PLC0415

    with remote_office() as here:
        view = here.case(case)
        if view.state_at(here.clock()) is not Verdict.APPROVED:
            raise TarnhelmError(errors.CASE_NOT_APPROVED)
        passed = release(here.settings, token, view.case.project, accessors)
    err().print(f"{passed} let pass.")


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()
