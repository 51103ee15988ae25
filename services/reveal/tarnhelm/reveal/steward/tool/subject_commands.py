"""``tarnhelm-steward subject``: merging, splitting, withdrawing, and the history of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.steward.corrections import Names
from tarnhelm.reveal.steward.hl7 import read_a40
from tarnhelm.reveal.steward.links import history, merge_act, shown_surrogates, split_act, undo_act
from tarnhelm.reveal.steward.pairs import Pair, Patient, fits, read_csv
from tarnhelm.reveal.steward.tool.at_hand import (
    CheckOption,
    DaysOption,
    LegalBasisOption,
    ProjectOption,
    PurposeOption,
    place,
    propose,
    read_file,
)
from tarnhelm.reveal.steward.withdrawal import by_patients, by_surrogates, withdraw_act, withdrawn_surrogates
from tarnhelm.reveal.tool.at_hand import PassphraseOption
from tarnhelm.reveal.tool.console import err, out, reports_errors, when

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OpenedBy", "register"]

_HELP = """Patients: two that are one, one that is two, one that has to go.

Each command opens a case; another person approves it; then `case carry-out` does it.

    tarnhelm-steward subject merge --project trial-7 --csv merges.csv --as sam.pem --purpose "HIS merge of today"
    tarnhelm-steward subject withdraw --project trial-7 --mrn-file mrn.txt --as sam.pem --purpose "Consent withdrawn"
    tarnhelm-steward subject history --project trial-7
"""
_LARGEST_LIST = 1 << 20

OpenedBy = Annotated[
    Path | None,
    typer.Option("--as", metavar="KEY.pem", help="Your key file: who you are, a steward.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    subject = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    subject.command("merge")(merge)
    subject.command("unmerge")(unmerge)
    subject.command("split")(split)
    subject.command("unsplit")(unsplit)
    subject.command("withdraw")(withdraw)
    subject.command("history")(show_history)
    app.add_typer(subject, name="subject")


@reports_errors
def merge(
    project: ProjectOption,
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    pairs: Annotated[
        list[Path] | None,
        typer.Option("--csv", metavar="FILE", help="Columns prior, surviving, and prior_issuer, surviving_issuer."),
    ] = None,
    messages: Annotated[
        list[Path] | None, typer.Option("--hl7", metavar="FILE", help="HL7 v2 messages ADT^A40, as the HIS sends them.")
    ] = None,
    pair_file: Annotated[
        Path | None,
        typer.Option(
            "--pair-file", metavar="FILE", help="Two lines: the Patient ID that is merged, and the one that stays."
        ),
    ] = None,
    issuer: Annotated[str, typer.Option("--issuer", help="Issuer of both Patient IDs of the pair file.")] = "",
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Let one patient's identifiers stand for another's: the hospital found that they are one human.

    Patient IDs are read from files, so that none stands in the shell's history or in the list of processes.

    [bold]Examples[/bold]

        tarnhelm-steward subject merge --project trial-7 --csv merges.csv --as sam.pem --purpose "HIS merge of today"

        tarnhelm-steward subject merge --project trial-7 --hl7 a40.hl7 --as sam.pem --purpose "HIS merge of today"

        tarnhelm-steward subject merge --project trial-7 --csv merges.csv --check 3f9a
    """
    found: list[Pair] = []
    for path in pairs or ():
        found += read_csv(read_file(path).splitlines(keepends=True))
    for path in messages or ():
        found += read_a40(read_file(path))
    if pair_file is not None:
        prior, surviving = _listed(pair_file, issuer, exactly=2)
        found.append(Pair(prior, surviving))
    with place() as where:
        pins = where.projects.get(project)
        act = merge_act(pins, where.identities(pins), found)
        shown = shown_surrogates(where, pins, act)
    propose(act, key, passphrase, purpose=purpose, legal_basis=legal_basis, days=days, check=check, surrogates=shown)


@reports_errors
def unmerge(
    events: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="Of the merge, as the history shows it.")],
    project: ProjectOption,
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Take a merge back: all is as if it had never been.

    [bold]Example[/bold]

        tarnhelm-steward subject unmerge 4 --project trial-7 --as sam.pem --purpose "Wrong merge, ticket 812"
    """
    _undo(CaseKind.UNMERGE, events, project, purpose, key, legal_basis, days, check, passphrase)


@reports_errors
def split(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Study Instance UIDs as released.")],
    project: ProjectOption,
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    into_file: Annotated[
        Path | None,
        typer.Option("--into-file", metavar="FILE", help="One line: the Patient ID whose the studies are."),
    ] = None,
    issuer: Annotated[str, typer.Option("--issuer", help="Its issuer.")] = "",
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Move studies to another patient, or to a new one: they were filed under the wrong Patient ID.

    [bold]Example[/bold]

        tarnhelm-steward subject split 2.25.77 2.25.78 --project trial-7 --as sam.pem --purpose "Misfiled, ticket 813"
    """
    with place() as where:
        pins = where.projects.get(project)
        identities = where.identities(pins)
        into = by_patients(identities, _listed(into_file, issuer, exactly=1))[0] if into_file is not None else b""
        with where.ledger(pins) as ledger:
            act = split_act(pins, ledger, studies, into)
    propose(act, key, passphrase, purpose=purpose, legal_basis=legal_basis, days=days, check=check, surrogates=studies)


@reports_errors
def unsplit(
    events: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="Of the split, as the history shows it.")],
    project: ProjectOption,
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Take a split back: all is as if it had never been.

    [bold]Example[/bold]

        tarnhelm-steward subject unsplit 5 --project trial-7 --as sam.pem --purpose "Was right before, ticket 813"
    """
    _undo(CaseKind.UNSPLIT, events, project, purpose, key, legal_basis, days, check, passphrase)


@reports_errors
def withdraw(
    project: ProjectOption,
    purpose: PurposeOption = "",
    key: OpenedBy = None,
    mrn_file: Annotated[
        Path | None,
        typer.Option("--mrn-file", metavar="FILE", help="Original Patient IDs, one a line.", show_default=False),
    ] = None,
    issuer: Annotated[str, typer.Option("--issuer", help="Issuer of the original Patient IDs.")] = "",
    surrogates: Annotated[
        list[str] | None,
        typer.Option("--surrogate", metavar="ID", help="A Patient ID or Study Instance UID as released; repeat it."),
    ] = None,
    legal_basis: LegalBasisOption = "",
    days: DaysOption = 14,
    check: CheckOption = "",
    passphrase: PassphraseOption = None,
) -> None:
    """Delete all about a patient, refuse every later arrival, and order what was released to go. There is no way back.

    [bold]Examples[/bold]

        tarnhelm-steward subject withdraw --project trial-7 --mrn-file mrn.txt --as sam.pem --purpose "Consent withdrawn"

        tarnhelm-steward subject withdraw --project trial-7 --surrogate TRIAL7-0123456789ABCDEF --as sam.pem ...
    """
    with place() as where:
        pins = where.projects.get(project)
        named = _listed(mrn_file, issuer) if mrn_file is not None else []
        subjects = by_patients(where.identities(pins), named)
        with where.ledger(pins) as ledger:
            subjects += by_surrogates(ledger, surrogates or ())
        act = withdraw_act(pins, subjects)
        patient_ids, studies = withdrawn_surrogates(where, pins, act)
    err().print(
        f"{len(patient_ids)} Patient IDs and {len(studies)} studies as released will be ordered to go.", soft_wrap=True
    )
    propose(
        act,
        key,
        passphrase,
        purpose=purpose,
        legal_basis=legal_basis,
        days=days,
        check=check,
        surrogates=(*patient_ids, *studies),
    )


@reports_errors
def show_history(project: ProjectOption) -> None:
    """Show every merge and split that ever was, and whether it still holds.

    [bold]Example[/bold]

        tarnhelm-steward subject history --project trial-7
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("number", "what", "from", "to", "studies", "case", "when", ""):
        table.add_column(heading, no_wrap=True)
    with place() as where:
        pins = where.projects.get(project)
        names = Names(where.vault, pins)
        with where.ledger(pins) as ledger:
            for event, holds in history(ledger):
                undone = "" if event.undoes is None else f"takes back {event.undoes}"
                table.add_row(
                    str(event.id),
                    str(event.kind),
                    names.own(event.subject),
                    names.own(event.target),
                    str(len(event.studies) or ""),
                    event.case[:12],
                    when(event.at),
                    undone or ("holds" if holds else "taken back"),
                )
    out().print(table)


def _undo(
    kind: CaseKind,
    events: Sequence[int],
    project: str,
    purpose: str,
    key: Path | None,
    legal_basis: str,
    days: int,
    check: str,
    passphrase: Path | None,
) -> None:
    with place() as where:
        pins = where.projects.get(project)
        with where.ledger(pins) as ledger:
            act = undo_act(pins, ledger, events, kind)
        shown = shown_surrogates(where, pins, act)
    propose(act, key, passphrase, purpose=purpose, legal_basis=legal_basis, days=days, check=check, surrogates=shown)


def _listed(path: Path, issuer: str, *, exactly: int = 0) -> list[Patient]:
    """Read Patient IDs, one a line; STW-003 with the number of a line that cannot be one."""
    content = read_file(path)
    found = []
    try:
        lines = content.decode("utf-8-sig").splitlines() if len(content) <= _LARGEST_LIST else [""]
    except UnicodeDecodeError:
        raise TarnhelmError(errors.BAD_PAIRS, line=1) from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or not fits(line.strip()):
            raise TarnhelmError(errors.BAD_PAIRS, line=number)
        found.append(Patient(line.strip(), issuer))
    if not found or (exactly and len(found) != exactly):
        raise TarnhelmError(errors.BAD_PAIRS, line=len(found) + 1)
    return found
