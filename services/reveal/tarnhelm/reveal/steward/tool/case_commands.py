"""``tarnhelm-steward case``: looking, deciding, carrying out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core.cases import STEWARD_KINDS, CaseKind, Step
from tarnhelm.reveal.core.form import in_words
from tarnhelm.reveal.steward.keys import close_work, destroy_work, epoch_work
from tarnhelm.reveal.steward.links import link_work
from tarnhelm.reveal.steward.lists import cohort_work
from tarnhelm.reveal.steward.office import Office
from tarnhelm.reveal.steward.tool.at_hand import found_project, full_id, here, place
from tarnhelm.reveal.steward.withdrawal import withdraw_work
from tarnhelm.reveal.tool.at_hand import AsOption, PassphraseOption, new_file, person_keys
from tarnhelm.reveal.tool.console import ExitCode, err, out, plain, reports_errors, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.reveal.core.people import Register
    from tarnhelm.reveal.core.view import CaseView
    from tarnhelm.reveal.steward.acts import Act
    from tarnhelm.reveal.steward.office import Work
    from tarnhelm.reveal.steward.places import Place

__all__ = ["CaseArgument", "OutOption", "register", "show_papers"]

_HELP = """Cases: what one person asks to be done, another approves, and the first carries out, once.

    tarnhelm-steward case list
    tarnhelm-steward case show 3f9a
    tarnhelm-steward case approve 3f9a --as alice.pem
    tarnhelm-steward case carry-out 3f9a --as sam.pem --out papers/
"""
CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="Its id, or the beginning of it.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Write certificate, correction and order here too.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    case = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    case.command("list")(list_)
    case.command("show")(show)
    case.command("approve")(approve)
    case.command("deny")(deny)
    case.command("carry-out")(carry_out)
    case.command("papers")(papers)
    app.add_typer(case, name="case")


@reports_errors
def list_() -> None:
    """List the steward's cases.

    [bold]Example[/bold]

        tarnhelm-steward case list
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("case", "kind", "project", "asked by", "opened", "valid until", "state"):
        table.add_column(heading, no_wrap=heading == "case")
    local, labels = here(), _labels()
    with Office.of(local) as office:
        done = office.done()
        for view in office.desk.views():
            case = view.case
            if case.kind in STEWARD_KINDS:
                state = "carried out" if case.id in done else str(view.state_at(local.clock()))
                about = labels.get(case.project, case.project[:12])
                row = (str(case.kind), about, case.requester, when(case.opened), when(case.expires), state)
                table.add_row(case.id[:12], *row)
    out().print(table)


@reports_errors
def show(case: CaseArgument) -> None:
    """Show what a case would do.

    [bold]Example[/bold]

        tarnhelm-steward case show 3f9a
    """
    local = here()
    with Office.of(local) as office:
        view = office.desk.view(full_id(office, case))
        act = None if office.is_done(view.case.id) else office.acts.of(view.case)
        state = "carried out" if act is None else str(view.state_at(local.clock()))
    _show(view, act, state, local.people().load())


@reports_errors
def approve(
    case: CaseArgument,
    key: AsOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    passphrase: PassphraseOption = None,
) -> None:
    """Approve a case of somebody else; you see it before you sign.

    To see that it is for the patients you think of, give the same list again with --check CASE.

    [bold]Example[/bold]

        tarnhelm-steward case approve 3f9a --as alice.pem
    """
    _decide(case, Step.APPROVE, key, passphrase, yes=yes)


@reports_errors
def deny(case: CaseArgument, key: AsOption, passphrase: PassphraseOption = None) -> None:
    """Deny a case; an approval that was given is taken back with it.

    [bold]Example[/bold]

        tarnhelm-steward case deny 3f9a --as alice.pem
    """
    _decide(case, Step.DENY, key, passphrase, yes=True)


@reports_errors
def carry_out(case: CaseArgument, key: AsOption, target: OutOption = None, passphrase: PassphraseOption = None) -> None:
    """Carry out an approved case, once. One that died half-way is carried on by the same command.

    [bold]Example[/bold]

        tarnhelm-steward case carry-out 3f9a --as sam.pem --out papers/
    """
    keys = person_keys(key, passphrase)
    local = here()
    with Office.of(local) as office, place() as where:
        view = office.desk.view(full_id(office, case))
        left = office.carry_out(view.case.id, keys, _work(view.case.kind, view.case.project, where, office))
    show_papers(view.case.id, left, target)


@reports_errors
def papers(case: CaseArgument, target: OutOption = None) -> None:
    """List the papers that a case left behind, or write them to a folder again.

    [bold]Example[/bold]

        tarnhelm-steward case papers 3f9a --out papers/
    """
    with Office.of(here()) as office:
        case_id = full_id(office, case)
        left = office.papers.of(case_id)
    show_papers(case_id, left, target)


def show_papers(case_id: str, left: Mapping[str, bytes], target: Path | None) -> None:
    """Say which papers there are, and write them."""
    for name, content in left.items():
        if target is None:
            out().print(f"{name}  (tarnhelm-steward case papers {case_id[:8]} --out DIR writes it)", soft_wrap=True)
            continue
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError:
            raise TarnhelmError(errors.OUTPUT_EXISTS) from None
        path = target / f"{case_id[:12]}.{name}.json"
        with new_file(path) as stream:
            stream.write(content)
        out().print(str(path), soft_wrap=True)


def _work(kind: CaseKind, project: str, where: Place, office: Office) -> Work:
    if kind is CaseKind.RESTORE:
        err().print("A restore needs its backup and shares: tarnhelm-steward key restore --case", soft_wrap=True)
        raise TarnhelmError(errors.CASE_OF_OTHER_KIND)
    found = found_project(where, project)
    if kind is CaseKind.WITHDRAW:
        return withdraw_work(where, found, office.ends)
    if kind is CaseKind.COHORT:
        return cohort_work(where, found)
    if kind is CaseKind.EPOCH:
        return epoch_work(where, found)
    if kind is CaseKind.CLOSE_KEYS:
        return close_work(where, found)
    if kind is CaseKind.DESTROY:
        return destroy_work(where, found, office.ends)
    if kind in STEWARD_KINDS:
        return link_work(where, found)
    raise TarnhelmError(errors.CASE_OF_OTHER_KIND)


def _decide(case: str, step: Step, key: Path, passphrase: Path | None, *, yes: bool) -> None:
    local = here()
    with Office.of(local) as office:
        view = office.desk.view(full_id(office, case))
        act = office.acts.of(view.case) if step is Step.APPROVE else None
    _show(view, act, str(view.state_at(local.clock())), local.people().load())
    keys = person_keys(key, passphrase)
    if not yes and not typer.confirm("Approve this case?", err=True):
        raise typer.Exit(ExitCode.REFUSED)
    with Office.of(local) as office:
        # Signed on the digest that was shown; a case that was exchanged meanwhile has another one.
        decided = office.decide(view.case.id, view.digest, keys, step)
    err().print(f"Case {decided.case.id[:12]} is {decided.state}.")


def _labels() -> dict[str, str]:
    """Give what people call the projects; nothing while they cannot be looked up, for a case is shown all the same."""
    try:
        with place() as where:
            return {project.id: project.label for project in where.projects.list()}
    except TarnhelmError:
        return {}


def _show(view: CaseView, act: Act | None, state: str, people: Register) -> None:
    case = view.case
    label = _labels().get(case.project, "")
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = [
        ("case", case.id),
        ("project", f"{label} ({case.project})" if label else case.project),
        ("asked", in_words(case.kind)),
        ("by", f"{people.get(case.requester).name} ({case.requester})"),
        ("purpose", case.purpose),
        ("legal basis", case.legal_basis),
        ("valid until", when(case.expires)),
        ("state", state),
        ("digest of the act", case.arguments),
    ]
    rows += [("surrogate", name) for name in case.surrogates]
    rows += _act_rows(act) if act is not None else []
    rows += [(str(step.step), f"{when(step.time)}  {step.person}  audit {step.audit}") for step in view.steps]
    for name, value in rows:
        table.add_row(name, plain(value))
    out().print(table)


def _act_rows(act: Act) -> list[tuple[str, str]]:
    """Say what an act holds: numbers and short words as they are, of lists how long they are; tags tell nobody anything."""
    return [
        (name.replace("_", " "), f"{len(value):,}" if isinstance(value, list) else str(value))
        for name, value in sorted(act.arguments.items())
        if not (isinstance(value, str) and len(value) == 64) and value != ""
    ]
