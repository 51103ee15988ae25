"""``tarnhelm project``, ``custodian`` and ``mapping``: keys, and the way back for whoever holds the key to it."""

from __future__ import annotations

import csv
import getpass
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tarnhelm.cli.console import err, out, reports_errors
from tarnhelm.cli.places import Places
from tarnhelm.cli.unseal import open_records
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.projects import Project, ProjectSettings
from tarnhelm.linkage.custodian import create_custodian_key, fingerprint, load_public_key
from tarnhelm.linkage.local import LocalLinkage

__all__ = ["register"]

_PROJECT = """Projects: the unit in which surrogates stay the same.

    tarnhelm project create trial-7 --custodian custodian.pub.pem
"""
_CUSTODIAN = """The custodian's key pair: who holds the private half can go back to the patient, this machine cannot."""
_MAPPING = """The way back, for the custodian.

    tarnhelm mapping export --project trial-7 --key custodian.pem mapping.csv
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    project = typer.Typer(help=_PROJECT, no_args_is_help=True, rich_markup_mode="rich")
    project.command("create")(create_project)
    project.command("list")(list_projects)
    project.command("show")(show_project)
    app.add_typer(project, name="project")
    custodian = typer.Typer(help=_CUSTODIAN, no_args_is_help=True)
    custodian.command("create")(create_custodian)
    app.add_typer(custodian, name="custodian")
    mapping = typer.Typer(help=_MAPPING, no_args_is_help=True, rich_markup_mode="rich")
    mapping.command("export")(export_mapping)
    app.add_typer(mapping, name="mapping")


@reports_errors
def create_project(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Names the project for ever; must not name a person.")],
    custodian: Annotated[
        Path | None, typer.Option("--custodian", metavar="PUBLIC.pem", help="Seal the way back to this key.")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Begins every Patient ID.")] = "",
    uid_root: Annotated[str, typer.Option("--uid-root", help="Your site's own UID root instead of 2.25.")] = "",
    whole_weeks: Annotated[
        bool, typer.Option("--whole-weeks", help="Shift dates by whole weeks, so that weekdays stay.")
    ] = False,
    issuer: Annotated[str, typer.Option("--default-issuer", help="Stands in for an empty Issuer of Patient ID.")] = "",
) -> None:
    """Make a project and its keys."""
    key = load_public_key(_read(custodian)) if custodian is not None else b""
    settings = ProjectSettings(
        prefix=prefix, uid_root=uid_root, whole_weeks=whole_weeks, default_issuer=issuer, custodian_public_key=key
    )
    places = Places.of_user()
    project = LocalLinkage(places.root).create(label, settings)
    _show(places, project)


@reports_errors
def list_projects() -> None:
    """List the projects of this machine."""
    table = Table(box=None, pad_edge=False)
    for heading in ("label", "made", "Patient IDs begin with", "way back", "id"):
        table.add_column(heading, no_wrap=True)
    for project in LocalLinkage(Places.of_user().root).projects.list():
        way_back = "custodian" if project.settings.custodian_public_key else "this machine"
        table.add_row(
            project.label,
            project.created[:10],
            project.prefix,
            "destroyed" if project.destroyed else way_back,
            project.id,
        )
    out().print(table)


@reports_errors
def show_project(label: Annotated[str, typer.Argument(metavar="LABEL")]) -> None:
    """Show what a project pins, and who can go back to the patient."""
    places = Places.of_user()
    _show(places, LocalLinkage(places.root).projects.get(label))


@reports_errors
def create_custodian(
    private: Annotated[Path, typer.Argument(metavar="PRIVATE.pem")],
    public: Annotated[Path, typer.Argument(metavar="PUBLIC.pem")],
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase for the private key.")] = False,
) -> None:
    """Make the custodian's key pair. Do it on the custodian's machine; give away the public file only."""
    secret = _passphrase(confirm=True) if passphrase else None
    shown = create_custodian_key(private, public, passphrase=secret)
    out().print(f"Fingerprint {shown}")
    err().print(
        "Keep the private key off the machine that cleans: whoever has it can go back to the patient.", soft_wrap=True
    )


@reports_errors
def export_mapping(
    target: Annotated[Path, typer.Argument(metavar="OUT.csv", help="A new file; it holds identifiers.")],
    project: Annotated[str, typer.Option("--project", help="Project to export.", show_default=False)],
    key: Annotated[
        Path, typer.Option("--key", metavar="PRIVATE.pem", help="The custodian's private key.", show_default=False)
    ],
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for the key's passphrase.")] = False,
) -> None:
    """Open the way back with the custodian's private key: surrogates, originals, and paths of files."""
    linkage = LocalLinkage(Places.of_user().root)
    secret = _passphrase(confirm=False) if passphrase else None
    pem = _read(key)
    written = 0
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError:
        raise TarnhelmError(errors.OUT_UNWRITABLE) from None
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(("kind", "surrogate", "subject", "what", "original"))
            for record in open_records(pem, linkage.records(project), passphrase=secret):
                for what, original in record.values:
                    rows.writerow((record.kind, record.handle, record.subject, what, original))
                    written += 1
                for original, released in record.pairs:
                    rows.writerow((record.kind, released, "", "path", original))
                    written += 1
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    err().print(f"{written:,} links written. The file holds identifiers: treat it like the originals.", soft_wrap=True)


def _show(places: Places, project: Project) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    key = project.settings.custodian_public_key
    rows = [
        ("label", project.label),
        ("id", project.id),
        ("made", project.created),
        ("Patient IDs begin with", project.prefix),
        ("issuer", project.issuer),
        ("revision", str(project.revision)),
        ("dates", "whole weeks" if project.settings.whole_weeks else "whole days"),
        ("custodian", fingerprint(key) if key else "none"),
        ("way back", LocalLinkage(places.root).who_can_reidentify(project.label)),
    ]
    if project.pins is not None:
        rows += [
            ("profiles", ", ".join(project.pins.profiles)),
            ("recipe", project.pins.recipe_digest[:16]),
            ("PS3.15 edition", project.pins.standard_edition),
        ]
    for row in rows:
        table.add_row(*row)
    out().print(table)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise TarnhelmError(errors.KEY_UNREADABLE) from None


def _passphrase(*, confirm: bool) -> bytes:
    """From the terminal only: never from arguments or the environment."""
    first = getpass.getpass("Passphrase: ")
    if confirm and getpass.getpass("Again: ") != first:
        raise TarnhelmError(errors.KEY_UNREADABLE)
    return first.encode()
