"""``tarnhelm-steward certificate``: checking papers, and the key that the gateway needs to trust orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.orders import read_order
from tarnhelm.reveal.steward.certificate import read_certificate
from tarnhelm.reveal.steward.tool.at_hand import here, read_file
from tarnhelm.reveal.tool.console import out, reports_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["register"]

_HELP = """Papers: certificates, corrections and orders, each signed by this steward's audit writer.

    tarnhelm-steward certificate check 3f9a0c.certificate.json
    tarnhelm-steward certificate key > steward.pem
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    certificate = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    certificate.command("check")(check)
    certificate.command("key")(key)
    app.add_typer(certificate, name="certificate")


@reports_errors
def check(paper: Annotated[Path, typer.Argument(metavar="FILE.json")]) -> None:
    """Check the signature of a paper against the writers that an admin enrolled, and show what it says.

    [bold]Example[/bold]

        tarnhelm-steward certificate check 3f9a0c.certificate.json
    """
    content = read_file(paper)
    writers = here().people().load().writers()
    out().print_json(json.dumps(_checked(content, writers)))


@reports_errors
def key() -> None:
    """Print the public key by which the gateway checks orders (Ed25519, PEM).

    [bold]Example[/bold]

        tarnhelm-steward certificate key > steward.pem
    """
    local = here()
    raw = local.people().load().writers()[local.settings().writer]
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    out().print(pem.decode("ascii").strip(), markup=False, soft_wrap=True)


def _checked(content: bytes, writers: Mapping[str, bytes]) -> dict[str, object]:
    for public in writers.values():
        try:
            return read_order(content, public).document()
        except TarnhelmError as error:
            if error.kind is not errors.BAD_ORDER_FILE:
                raise
    return dict(read_certificate(content, writers).document)
