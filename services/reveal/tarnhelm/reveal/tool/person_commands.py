"""``tarnhelm-reveal init`` and ``person``: who may ask and who may decide."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.custodian import fingerprint
from tarnhelm.reveal.core.documents import Signed
from tarnhelm.reveal.core.keyring import new_keys, write_keys
from tarnhelm.reveal.core.people import Role, make_card, read_card
from tarnhelm.reveal.tool.at_hand import (
    AsOption,
    PassphraseOption,
    ask_passphrase,
    new_file,
    office,
    person_keys,
    person_of,
    reveal,
)
from tarnhelm.reveal.tool.console import err, out, plain, reports_errors, when

__all__ = ["register"]

_HELP = """People: who may ask, who may decide, who enrols.

Each person makes keys on a machine of their own and gives away the card only:

    tarnhelm-reveal person new alice --name "Alice Tremblay"
    tarnhelm-reveal person enroll bob.card.json --role requester --as alice.pem
    tarnhelm-reveal person list
    tarnhelm-reveal person revoke bob --as alice.pem
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init)
    person = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    person.command("new")(new)
    person.command("enroll")(enroll)
    person.command("list")(list_people)
    person.command("revoke")(revoke)
    app.add_typer(person, name="person")


RoleOption = Annotated[
    list[Role] | None, typer.Option("--role", help="What the person may do; repeat it.", show_default=False)
]


@reports_errors
def init(
    card: Annotated[Path, typer.Argument(metavar="CARD.json", help="Of the first admin.")],
    key: AsOption,
    passphrase: PassphraseOption = None,
    role: RoleOption = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="DIR|URL", help="Who keeps the audit's signed heads, in other hands."),
    ] = None,
    syslog: Annotated[
        list[str] | None, typer.Option("--syslog", metavar="URL", help="A log server that gets every line.")
    ] = None,
) -> None:
    """Found the register of people on this machine, with its first admin.

    [bold]Examples[/bold]

        tarnhelm-reveal init alice.card.json --as alice.pem --role approver --anchor /mnt/audit-share

        tarnhelm-reveal init alice.card.json --as alice.pem --syslog tls://log.example.org:6514?ca=/etc/ssl/log.pem
    """
    content = _card(card)
    anchors = [text if "://" in text else str(Path(text).absolute()) for text in anchor or ()]
    keys = person_keys(key, passphrase)
    settings = reveal().found(content, role or (), keys, anchors=anchors, syslog=syslog or ())
    out().print(f"Root {settings.root}")
    err().print("Keep the root on paper: it tells this register from any other.", soft_wrap=True)
    if not anchors and not syslog:
        err().print(
            "No anchor was named: whoever holds this machine could shorten the audit unseen. Name one in reveal.toml.",
            soft_wrap=True,
        )


@reports_errors
def new(
    person: Annotated[str, typer.Argument(metavar="ID", help="Short, lower case; stands in the audit.")],
    name: Annotated[str, typer.Option("--name", help="Shown in cases.", show_default=False)],
    subject: Annotated[
        str, typer.Option("--subject", metavar="ISSUER#SUB", help="At the identity provider, where there is one.")
    ] = "",
    folder: Annotated[Path, typer.Option("--folder", help="Where to write the two files.")] = Path(),
    passphrase: PassphraseOption = None,
) -> None:
    """Make your keys (ID.pem, which stays with you) and your card (ID.card.json, for the admin).

    [bold]Example[/bold]

        tarnhelm-reveal person new alice --name "Alice Tremblay"
    """
    keys = new_keys()
    card = make_card(keys, person, name, subject)
    secret = ask_passphrase(passphrase, confirm=True)
    with new_file(folder / f"{person}.card.json") as stream:
        write_keys(folder / f"{person}.pem", keys, secret)
        stream.write(card.to_bytes() + b"\n")
    out().print(f"Fingerprint {fingerprint(keys.signing_public)}")
    err().print("Read the fingerprint to the admin who enrols you.", soft_wrap=True)


@reports_errors
def enroll(
    card: Annotated[Path, typer.Argument(metavar="CARD.json")],
    role: Annotated[list[Role], typer.Option("--role", help="What the person may do; repeat it.", show_default=False)],
    key: AsOption,
    passphrase: PassphraseOption = None,
) -> None:
    """Enrol a person; you are an admin and have compared the fingerprint with the person.

    [bold]Example[/bold]

        tarnhelm-reveal person enroll bob.card.json --role requester --as alice.pem
    """
    content = _card(card)
    keys = person_keys(key, passphrase)
    about = str(content.document["id"])
    with office() as here:
        by = person_of(keys, here.register()).id
        here.change(
            lambda register: register.enrol(content, role, keys, here.clock()), person=about, by=by, what="enrol"
        )
    shown = fingerprint(bytes.fromhex(content.document["signing_key"]))
    out().print(f"{about} enrolled, fingerprint {shown}", soft_wrap=True)


@reports_errors
def list_people() -> None:
    """List everybody who was ever enrolled."""
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "roles", "fingerprint", "enrolled by", "since", ""):
        table.add_column(heading)
    with office() as here:
        register = here.register()
    for person in register.people():
        table.add_row(
            person.id,
            plain(person.name),
            ", ".join(sorted(person.roles)),
            fingerprint(person.signing_key),
            person.enrolled_by,
            when(person.since),
            "" if person.active else "revoked",
        )
    out().print(table)


@reports_errors
def revoke(
    person: Annotated[str, typer.Argument(metavar="ID")], key: AsOption, passphrase: PassphraseOption = None
) -> None:
    """Take everything from a person at once; open cases that need the person cannot be answered any more.

    [bold]Example[/bold]

        tarnhelm-reveal person revoke bob --as alice.pem
    """
    keys = person_keys(key, passphrase)
    with office() as here:
        by = person_of(keys, here.register()).id
        here.change(lambda register: register.revoke(person, keys, here.clock()), person=person, by=by, what="revoke")
    out().print(f"{person} revoked")


def _card(path: Path) -> Signed:
    try:
        return read_card(path.read_bytes())
    except OSError:
        raise TarnhelmError(errors.BAD_PERSON_CARD) from None
