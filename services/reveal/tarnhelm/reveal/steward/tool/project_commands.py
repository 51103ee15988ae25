"""``tarnhelm-steward project`` and ``cohort``: projects of a hospital's servers, their epochs, lists and ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.cohort import checked_rows, cohort_entries, read_cohort
from tarnhelm.linkage.core.projects import ProjectSettings, RunPins, differences
from tarnhelm.reveal.steward.keys import destroy_act, epoch_act
from tarnhelm.reveal.steward.lists import cohort_act, preview
from tarnhelm.reveal.steward.office import Office
from tarnhelm.reveal.steward.places import make_epoch_key
from tarnhelm.reveal.steward.tool.at_hand import (
    CheckOption,
    DaysOption,
    LegalBasisOption,
    ProjectOption,
    PurposeOption,
    found_project,
    here,
    place,
    propose,
    read_file,
)
from tarnhelm.reveal.steward.tool.subject_commands import OpenedBy
from tarnhelm.reveal.tool.at_hand import AsOption, PassphraseOption, person_keys
from tarnhelm.reveal.tool.console import ExitCode, err, out, reports_errors

if TYPE_CHECKING:
    from tarnhelm.linkage.core.cohort import CohortFile
    from tarnhelm.linkage.core.project import Project
    from tarnhelm.reveal.steward.lists import Preview

__all__ = ["register"]

_HELP = """Projects: made, brought up to date, given a new epoch, destroyed.

    tarnhelm-steward project create trial-7 --as sam.pem
    tarnhelm-steward project upgrade trial-7 --recipe-digest 9c1f... --as sam.pem
    tarnhelm-steward project epoch trial-7 --as sam.pem --purpose "Second phase, new pseudonyms"
    tarnhelm-steward project destroy trial-7 --backup-days 90 --as sam.pem --purpose "End of retention"
"""
_COHORT_HELP = """The list of a study: who is accepted, and under which id.

    tarnhelm-steward cohort preview list.csv --project trial-7
    tarnhelm-steward cohort import list.csv --project trial-7 --as sam.pem --purpose "Amendment 3"
"""
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    project = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    project.command("create")(create)
    project.command("list")(list_)
    project.command("show")(show)
    project.command("upgrade")(upgrade)
    project.command("epoch")(epoch)
    project.command("destroy")(destroy)
    app.add_typer(project, name="project")
    cohort = typer.Typer(help=_COHORT_HELP, no_args_is_help=True, rich_markup_mode="rich")
    cohort.command("preview")(show_preview)
    cohort.command("import")(import_)
    app.add_typer(cohort, name="cohort")


LabelArgument = Annotated[str, typer.Argument(metavar="LABEL", help="As listed.")]


@reports_errors
def create(
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Names the project for ever; must not name a person.")],
    key: AsOption,
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Begins every Patient ID.")] = "",
    uid_root: Annotated[str, typer.Option("--uid-root", metavar="UID", help="Your site's own UID root.")] = "",
    whole_weeks: Annotated[bool, typer.Option("--whole-weeks", help="Shift dates by whole weeks.")] = False,
    issuer: Annotated[
        str, typer.Option("--default-issuer", metavar="TEXT", help="Stands in for an empty Issuer of Patient ID.")
    ] = "",
    record_uids: Annotated[
        bool, typer.Option("--record-uids", help="Keep the way back of every object's UIDs too, for mappings.")
    ] = False,
    passphrase: PassphraseOption = None,
) -> None:
    """Make a project and its keys on the hospital's servers; one steward may do it.

    On one machine it is `tarnhelm project create`.

    [bold]Example[/bold]

        tarnhelm-steward project create trial-7 --whole-weeks --as sam.pem
    """
    keys = person_keys(key, passphrase)
    settings = ProjectSettings(
        prefix=prefix, uid_root=uid_root, whole_weeks=whole_weeks, default_issuer=issuer, record_uids=record_uids
    )
    with Office.of(here()) as office, place() as where:
        if where.transit is None:
            raise TarnhelmError(errors.NOT_ON_THIS_BACKEND)
        office.alone(keys, "", "project-create")
        made = where.projects.create(label, settings, before=lambda project: make_epoch_key(where, project))
    _show(made)


@reports_errors
def list_() -> None:
    """List the projects.

    [bold]Example[/bold]

        tarnhelm-steward project list
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("label", "id", "made", "epoch", "revision", "state"):
        table.add_column(heading, no_wrap=True)
    with place() as where:
        for project in where.projects.list():
            state = "no longer coded by this system" if project.destroyed else "coded"
            row = (project.label, project.id, project.created[:10], str(project.epoch), str(project.revision), state)
            table.add_row(*row)
        for opaque in where.projects.damaged():
            table.add_row("", opaque, "", "", "", f"damaged ({errors.PROJECT_DAMAGED.code})")
    out().print(table)


@reports_errors
def show(label: LabelArgument) -> None:
    """Show what a project pins.

    [bold]Example[/bold]

        tarnhelm-steward project show trial-7
    """
    with place() as where:
        _show(found_project(where, label))


@reports_errors
def upgrade(
    label: LabelArgument,
    recipe_digest: Annotated[str, typer.Option("--recipe-digest", metavar="SHA256", help="Of the new recipe.")] = "",
    profiles: Annotated[
        list[str] | None, typer.Option("--profile", help="Of PS3.15; repeat it, name all of them.")
    ] = None,
    edition: Annotated[str, typer.Option("--edition", help="Of PS3.15, for example 2026d.")] = "",
    surrogate_version: Annotated[int, typer.Option("--surrogate-version", min=0, help="Of the word tables.")] = 0,
    yes: Annotated[
        bool, typer.Option("--yes", help="Open the revision; without it only the difference is shown.")
    ] = False,
    key: OpenedBy = None,
    passphrase: PassphraseOption = None,
) -> None:
    """Show in what a project would differ, and with --yes open the revision that works so.

    [bold]Examples[/bold]

        tarnhelm-steward project upgrade trial-7 --edition 2027a

        tarnhelm-steward project upgrade trial-7 --edition 2027a --yes --as sam.pem
    """
    with place() as where:
        project = where.projects.get(label)
        pins = project.pins
        digest = recipe_digest or (pins.recipe_digest if pins is not None else "")
        if not _DIGEST.fullmatch(digest):
            raise TarnhelmError(errors.BAD_PIN)
        wanted = RunPins(
            recipe_digest=digest,
            profiles=tuple(profiles or (pins.profiles if pins is not None else ())),
            standard_edition=edition or (pins.standard_edition if pins is not None else ""),
            surrogate_version=surrogate_version or (pins.surrogate_version if pins is not None else 1),
            model_weights=pins.model_weights if pins is not None else {},
        )
        names = differences(pins, wanted) if pins is not None else ("first pins",)
        for name in names:
            before = "" if pins is None else str(getattr(pins, name, ""))
            out().print(f"{name}: {before} -> {getattr(wanted, name, '')}", markup=False, soft_wrap=True)
        if not names:
            out().print("No difference.")
        elif not yes:
            err().print("Nothing was changed. Give --yes and --as to open the revision.", soft_wrap=True)
        else:
            if key is None:
                raise TarnhelmError(errors.INPUT_UNREADABLE)
            with Office.of(here()) as office:
                office.alone(person_keys(key, passphrase), project.id, "project-upgrade", len(names))
            opened = where.projects.upgrade(project.id, wanted)
            out().print(f"Revision {opened.revision}")


@reports_errors
def epoch(
    label: LabelArgument,
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Open a new epoch: from then on everybody gets new surrogates. Never in the middle of a run; needs two people.

    [bold]Example[/bold]

        tarnhelm-steward project epoch trial-7 --as sam.pem --purpose "Second phase, new pseudonyms"
    """
    with place() as where:
        act = epoch_act(where.projects.get(label))
    propose(act, key, passphrase, purpose=purpose, legal_basis=legal_basis, days=days, check=check)


@reports_errors
def destroy(
    label: LabelArgument,
    backup_days: Annotated[
        int, typer.Option("--backup-days", min=0, max=36_500, help="So long your backups are kept.", show_default=False)
    ],
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Destroy a project's keys and its ledger, for good. Needs two people.

    [bold]Example[/bold]

        tarnhelm-steward project destroy trial-7 --backup-days 90 --as sam.pem --purpose "End of retention"
    """
    with place() as where:
        act = destroy_act(found_project(where, label), backup_days)
    err().print(
        f"Backups made until then expire within {backup_days} days; until they do, whoever has one, its recovery shares "
        "and the server's unseal keys could bring the project back outside of this system.",
        soft_wrap=True,
    )
    propose(act, key, passphrase, purpose=purpose, legal_basis=legal_basis, days=days, check=check)


@reports_errors
def show_preview(
    source: Annotated[Path, typer.Argument(metavar="LIST.csv")],
    project: ProjectOption,
) -> None:
    """Say what a list would do, and every fault of it by its line. Changes nothing.

    [bold]Example[/bold]

        tarnhelm-steward cohort preview list.csv --project trial-7
    """
    found = _read(source)
    with place() as where:
        pins = where.projects.get(project)
        entries = cohort_entries(checked_rows(found), where.identities(pins))
        _tell(preview(where, pins, entries))


@reports_errors
def import_(
    source: Annotated[Path, typer.Argument(metavar="LIST.csv")],
    project: ProjectOption,
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Add patients to the list of a project. Who is not on the list is refused from then on. Needs two people.

    [bold]Example[/bold]

        tarnhelm-steward cohort import list.csv --project trial-7 --as sam.pem --purpose "Amendment 3"
    """
    found = _read(source)
    with place() as where:
        pins = where.projects.get(project)
        entries = cohort_entries(checked_rows(found), where.identities(pins))
        _tell(preview(where, pins, entries))
        act = cohort_act(pins, entries)
    propose(act, key, passphrase, purpose=purpose, legal_basis=legal_basis, days=days, check=check)


def _read(source: Path) -> CohortFile:
    found = read_cohort(read_file(source).splitlines(keepends=True))
    for fault in found.faults:
        earlier = f" (line {fault.earlier})" if fault.earlier else ""
        err().print(f"line {fault.line}: {fault.kind}{earlier}", markup=False, soft_wrap=True)
    if found.faults:
        raise typer.Exit(ExitCode.USAGE)
    return found


def _tell(seen: Preview) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, count in (
        ("entries", seen.entries),
        ("of them by accession number", seen.by_accession),
        ("on the list before", seen.listed_before),
        ("patients of whom objects were released already", seen.seen),
        ("of them renamed", seen.renamed),
        ("withdrawn, who stay refused", seen.withdrawn),
    ):
        table.add_row(name, f"{count:,}")
    err().print(table)
    if seen.listed_before == 0:
        err().print("The project accepts everybody now; with a list it refuses everybody else.", soft_wrap=True)


def _show(project: Project) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    pins = project.pins
    rows = [
        ("label", project.label),
        ("id", project.id),
        ("made", project.created),
        ("Patient IDs begin with", project.prefix),
        ("issuer", project.issuer),
        ("epoch", str(project.epoch)),
        ("revision", str(project.revision)),
        ("dates", "whole weeks" if project.settings.whole_weeks else "whole days"),
        (
            "way back",
            "of patients, studies and every object's UIDs"
            if project.settings.record_uids
            else "of patients and studies",
        ),
        ("state", "destroyed: no longer coded by this system" if project.destroyed else "coded"),
    ]
    if pins is not None:
        rows += [
            ("recipe", pins.recipe_digest[:16]),
            ("profiles", ", ".join(pins.profiles)),
            ("PS3.15 edition", pins.standard_edition),
        ]
    for row in rows:
        table.add_row(*row)
    out().print(table)
