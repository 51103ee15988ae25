"""``tarnhelm project`` and ``custodian``: projects and keys. The way back is another program, ``tarnhelm-reveal``."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.cli.console import err, out, reports_errors
from tarnhelm.cli.places import Places
from tarnhelm.cli.services import Services
from tarnhelm.cli.sites import chosen_site
from tarnhelm.cli.upgrade_command import upgrade_project
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.cohort import CohortRow, checked_rows, cohort_entries, read_cohort
from tarnhelm.linkage.core.projects import Project, ProjectSettings
from tarnhelm.linkage.custodian import create_custodian_key, fingerprint, load_public_key
from tarnhelm.linkage.local import LocalLinkage

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["register"]

_PROJECT = """Projects: the unit in which surrogates stay the same.

A project holds keys. Cleaned with them, a patient gets the same surrogates in every run; another project shares nothing with it.

[bold]Examples[/bold]

    tarnhelm project create trial-7 --custodian custodian.pub.pem
    tarnhelm clean scans/ cleaned/ --project trial-7
"""
_CUSTODIAN = """The custodian's key pair.

With a custodian, who holds the private half can go back to the patient, and the machine that cleans cannot.

[bold]Example[/bold]

    tarnhelm custodian create custodian.pem custodian.pub.pem
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    project = typer.Typer(help=_PROJECT, no_args_is_help=True, rich_markup_mode="rich")
    project.command("create")(create_project)
    project.command("list")(list_projects)
    project.command("show")(show_project)
    project.command("upgrade")(upgrade_project)
    app.add_typer(project, name="project")
    custodian = typer.Typer(help=_CUSTODIAN, no_args_is_help=True, rich_markup_mode="rich")
    custodian.command("create")(create_custodian)
    app.add_typer(custodian, name="custodian")
    anything = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command("mapping", hidden=True, context_settings=anything)(tell_way_back)


@reports_errors
def tell_way_back(_context: typer.Context) -> None:
    """Say where the way back is: no code that opens a link stands beside the code that cleans."""
    raise TarnhelmError(errors.WAY_BACK_ELSEWHERE)


@reports_errors
def create_project(
    context: typer.Context,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Names the project for ever; must not name a person.")],
    custodian: Annotated[
        Path | None, typer.Option("--custodian", metavar="PUBLIC.pem", help="Seal the way back to this key.")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Begins every Patient ID.")] = "",
    uid_root: Annotated[
        str, typer.Option("--uid-root", metavar="UID", help="Your site's own UID root instead of 2.25.")
    ] = "",
    whole_weeks: Annotated[
        bool, typer.Option("--whole-weeks", help="Shift dates by whole weeks, so that weekdays stay.")
    ] = False,
    issuer: Annotated[
        str, typer.Option("--default-issuer", metavar="TEXT", help="Stands in for an empty Issuer of Patient ID.")
    ] = "",
    site: Annotated[
        Path | None,
        typer.Option(
            "--site",
            metavar="FILE",
            help="Your record numbers and useful words, instead of those of `tarnhelm site set`.",
        ),
    ] = None,
    cohort: Annotated[
        Path | None,
        typer.Option("--cohort", metavar="LIST.csv", help="Who is accepted, and under which id; nobody else is."),
    ] = None,
    record_uids: Annotated[
        bool, typer.Option("--record-uids", help="Keep the way back of every object's UIDs too, for mappings.")
    ] = False,
) -> None:
    """Make a project and its keys.

    The settings are fixed from then on. Without --custodian whoever can read the private state directory of this machine can go back to the patient.

    [bold]Examples[/bold]

        tarnhelm project create trial-7 --custodian custodian.pub.pem
        tarnhelm project create trial-7 --prefix T7- --whole-weeks
        tarnhelm project create trial-7 --site site.yaml
        tarnhelm project create trial-7 --cohort list.csv
    """
    services: Services = context.obj
    places = Places.of_user()
    key = load_public_key(_read(custodian)) if custodian is not None else b""
    settings = ProjectSettings(
        prefix=prefix,
        uid_root=uid_root,
        whole_weeks=whole_weeks,
        default_issuer=issuer,
        custodian_public_key=key,
        site=chosen_site(site, places, services),
        record_uids=record_uids,
    )
    rows = _cohort_rows(cohort) if cohort is not None else ()
    linkage = LocalLinkage(places.root)
    project = linkage.create(label, settings)
    if rows:
        _put_cohort(linkage, project, rows)
    _show(places, project)


@reports_errors
def list_projects() -> None:
    """List the projects of this machine.

    [bold]Example[/bold]

        tarnhelm project list
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("label", "made", "prefix", "way back"):
        table.add_column(heading, no_wrap=True, overflow="ignore")
    projects = LocalLinkage(Places.of_user().root).projects
    for project in projects.list():
        way_back = "custodian" if project.settings.custodian_public_key else "this machine"
        table.add_row(
            project.label,
            project.created[:10],
            project.prefix,
            "destroyed" if project.destroyed else way_back,
        )
    for opaque in projects.damaged():
        table.add_row(opaque, "", "", f"damaged ({errors.PROJECT_DAMAGED.code})")
    out().print(table)


@reports_errors
def show_project(label: Annotated[str, typer.Argument(metavar="LABEL", help="As listed.")]) -> None:
    """Show what a project pins, and who can go back to the patient.

    [bold]Example[/bold]

        tarnhelm project show trial-7
    """
    places = Places.of_user()
    _show(places, LocalLinkage(places.root).projects.get(label))


@reports_errors
def create_custodian(
    private: Annotated[Path, typer.Argument(metavar="PRIVATE.pem", help="A new file; keep it secret.")],
    public: Annotated[Path, typer.Argument(metavar="PUBLIC.pem", help="A new file; give it away.")],
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase for the private key.")] = False,
) -> None:
    """Make the custodian's key pair. Do it on the custodian's machine; give away the public file only.

    [bold]Example[/bold]

        tarnhelm custodian create custodian.pem custodian.pub.pem --passphrase
    """
    secret = _passphrase() if passphrase else None
    shown = create_custodian_key(private, public, passphrase=secret)
    out().print(f"Fingerprint {shown}")
    err().print(
        "Keep the private key off the machine that cleans: whoever has it can go back to the patient.", soft_wrap=True
    )


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
        ("site", "record numbers and words of its own" if project.settings.site else "nothing added"),
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


def _cohort_rows(path: Path) -> tuple[CohortRow, ...]:
    """Read a list and say every fault of it, by lines; a project is made only with a list without one."""
    try:
        with path.open("rb") as stream:
            found = read_cohort(stream)
    except OSError:
        raise TarnhelmError(errors.INPUT_UNREADABLE) from None
    for fault in found.faults:
        earlier = f" (line {fault.earlier})" if fault.earlier else ""
        err().print(f"line {fault.line}: {fault.kind}{earlier}", markup=False, soft_wrap=True)
    return checked_rows(found)


def _put_cohort(linkage: LocalLinkage, project: Project, rows: Sequence[CohortRow]) -> None:
    """Put the list before anybody can clean with the project; where it cannot be put, the project does not stay."""
    try:
        entries = cohort_entries(rows, linkage.identities(project.id))
        ledger = linkage.ledger(project.id)
        try:
            count = ledger.put_cohort(entries)
        finally:
            ledger.close()
    except TarnhelmError:
        linkage.destroy(project.id)
        raise
    err().print(f"{count:,} on the list; nobody else is accepted.", soft_wrap=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise TarnhelmError(errors.KEY_UNREADABLE) from None


def _passphrase() -> bytes:
    """From the terminal only: never from arguments or the environment."""
    first = getpass.getpass("Passphrase: ")
    if getpass.getpass("Again: ") != first:
        raise TarnhelmError(errors.KEY_UNREADABLE)
    return first.encode()
