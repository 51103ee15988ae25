"""``tarnhelm-reveal case``: asking, deciding, showing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core import cases
from tarnhelm.reveal.core.cases import CaseKind, Step
from tarnhelm.reveal.core.form import case_record_html, case_record_markdown, in_words
from tarnhelm.reveal.core.inputs import surrogates_of_csv, surrogates_of_object
from tarnhelm.reveal.tool.at_hand import AsOption, PassphraseOption, new_file, office, person_keys, person_of
from tarnhelm.reveal.tool.console import ExitCode, err, out, plain, reports_errors, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.reveal.core.people import Register
    from tarnhelm.reveal.core.view import CaseView

__all__ = ["CaseArgument", "register"]

_DAY_SECONDS = 86_400

CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="Its id, or the beginning of it.")]


def register(case: typer.Typer) -> None:
    """Add the commands."""
    case.command("open")(open_)
    case.command("list")(list_)
    case.command("show")(show)
    case.command("approve")(approve)
    case.command("deny")(deny)


@reports_errors
def open_(
    key: AsOption,
    project: Annotated[str, typer.Option("--project", metavar="LABEL", show_default=False)],
    purpose: Annotated[str, typer.Option("--purpose", help="Why, in a sentence. Name no patient.", show_default=False)],
    legal_basis: Annotated[
        str, typer.Option("--legal-basis", help="What allows it: consent, statute, approval.", show_default=False)
    ],
    surrogates: Annotated[
        list[str] | None, typer.Argument(metavar="[SURROGATE]...", help="Patient IDs or Study UIDs as released.")
    ] = None,
    table: Annotated[
        list[Path] | None, typer.Option("--csv", metavar="FILE", help="Take the surrogates of a column.")
    ] = None,
    dicom: Annotated[
        list[Path] | None, typer.Option("--dicom", metavar="FILE", help="Take them of a released DICOM file.")
    ] = None,
    kind: Annotated[
        CaseKind, typer.Option("--kind", help="answer: who is it; locate: which object; mapping: the whole project.")
    ] = CaseKind.ANSWER,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long the case is valid.")] = 14,
    passphrase: PassphraseOption = None,
) -> None:
    """Ask for the way back from pseudonyms to a patient.

    [bold]Examples[/bold]

        tarnhelm-reveal case open --as bob.pem --project trial-7 TRIAL7-0123456789ABCDEF
          --purpose "Incidental finding, the treating physician must be told" --legal-basis "Consent form v3, s. 8"

        tarnhelm-reveal case open --as bob.pem --project trial-7 --dicom released.dcm --purpose ... --legal-basis ...

        tarnhelm-reveal case open --as bob.pem --project trial-7 --kind locate --dicom released.dcm ...

        tarnhelm-reveal case open --as bob.pem --project trial-7 --kind mapping ...
    """
    if kind in cases.STEWARD_KINDS:
        raise TarnhelmError(errors.CASE_OF_OTHER_KIND)
    names = list(surrogates or ())
    for path in table or ():
        names += surrogates_of_csv(path)
    for path in dicom or ():
        names += surrogates_of_object(path, instances=kind is CaseKind.LOCATE)
    if bool(names) is (kind is CaseKind.MAPPING):
        raise TarnhelmError(errors.NO_SURROGATES if not names else errors.CASE_INVALID)
    keys = person_keys(key, passphrase)
    with office() as here:
        now = here.clock()
        signed = cases.open_case(
            keys,
            person_of(keys, here.register()),
            case_id=here.random(16).hex(),
            project=here.project_id(project),
            kind=kind,
            surrogates=names,
            purpose=purpose,
            legal_basis=legal_basis,
            opened=now,
            expires=now + days * _DAY_SECONDS,
        )
        case = here.open(signed).case
    out().print(case.id)
    err().print(f"Now somebody else approves it: tarnhelm-reveal case approve {case.id[:8]}", soft_wrap=True)


@reports_errors
def list_(
    project: Annotated[str, typer.Option("--project", metavar="LABEL", help="Of one project only.")] = "",
) -> None:
    """List cases.

    [bold]Example[/bold]

        tarnhelm-reveal case list --project trial-7
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("case", "project", "kind", "asked by", "opened", "valid until", "state"):
        table.add_column(heading, no_wrap=heading == "case")
    with office() as here:
        labels = here.labels()
        for view in here.cases(here.project_id(project) if project else ""):
            case = view.case
            table.add_row(
                case.id[:12],
                _label_of(view, labels),
                str(case.kind),
                case.requester,
                when(case.opened),
                when(case.expires),
                str(view.state_at(here.clock())),
            )
    out().print(table)


@reports_errors
def show(
    case: CaseArgument,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FILE.md|FILE.html", help="Write the form for the privacy or ethics office."),
    ] = None,
) -> None:
    """Show a case, or write its record.

    [bold]Examples[/bold]

        tarnhelm-reveal case show 3f9a

        tarnhelm-reveal case show 3f9a --record case.html
    """
    with office() as here:
        view, people, now = here.case(case), here.register(), here.clock()
        label = _label_of(view, here.labels())
    if record is None:
        _show(view, people, label, now)
        return
    form = case_record_html if record.suffix.lower() in {".html", ".htm"} else case_record_markdown
    with new_file(record) as stream:
        stream.write(form(view, people, label, now).encode())


@reports_errors
def approve(
    case: CaseArgument,
    key: AsOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    passphrase: PassphraseOption = None,
) -> None:
    """Approve a case of somebody else; you see it before you sign.

    [bold]Example[/bold]

        tarnhelm-reveal case approve 3f9a --as alice.pem
    """
    _decide(case, Step.APPROVE, key, passphrase, yes=yes)


@reports_errors
def deny(case: CaseArgument, key: AsOption, passphrase: PassphraseOption = None) -> None:
    """Deny a case; an approval that was given is taken back with it.

    [bold]Example[/bold]

        tarnhelm-reveal case deny 3f9a --as alice.pem
    """
    _decide(case, Step.DENY, key, passphrase, yes=True)


def _label_of(view: CaseView, labels: Mapping[str, str]) -> str:
    """Give the label of a case's project; the id where it is gone: the record of a case outlives its project."""
    return labels.get(view.case.project, view.case.project)


def _decide(case: str, step: Step, key: Path, passphrase: Path | None, *, yes: bool) -> None:
    with office() as here:
        view, people = here.case(case), here.register()
        _show(view, people, _label_of(view, here.labels()), here.clock())
        keys = person_keys(key, passphrase)
        if not yes and not typer.confirm("Approve this case?", err=True):
            raise typer.Exit(ExitCode.REFUSED)
        # Signed on the digest that was shown; a case that was exchanged meanwhile has another one.
        signed = cases.decide(keys, person_of(keys, people), view.digest, step, here.clock())
        decided = here.decide(view.case.id, signed)
    err().print(f"Case {decided.case.id[:12]} is {decided.state}.")


def _show(view: CaseView, people: Register, label: str, now: int) -> None:
    case = view.case
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = [
        ("case", case.id),
        ("project", label),
        ("asked", in_words(case.kind)),
        ("by", f"{people.get(case.requester).name} ({case.requester})"),
        ("purpose", case.purpose),
        ("legal basis", case.legal_basis),
        ("opened", when(case.opened)),
        ("valid until", when(case.expires)),
        ("state", str(view.state_at(now))),
    ]
    rows += [("surrogate", name) for name in case.surrogates]
    rows += [(str(step.step), f"{when(step.time)}  {step.person}  audit {step.audit}") for step in view.steps]
    for name, value in rows:
        table.add_row(name, plain(value))
    out().print(table)
