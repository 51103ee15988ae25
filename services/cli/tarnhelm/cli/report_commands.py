"""``tarnhelm report``: a report checked again, long after its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tarnhelm.cli.console import err, out, reports_errors
from tarnhelm.cli.places import REPORT_FOLDER, Places
from tarnhelm.cli.report.verify import FAULTS, Verified, verify_report
from tarnhelm.cli.services import Services
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["register"]

_HELP = """The report of a run, checked again.

[bold]Example[/bold]

    tarnhelm report verify cleaned/
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    group.command("verify")(verify)
    group.callback()(lambda: None)
    app.add_typer(group, name="report")


@reports_errors
def verify(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="What `tarnhelm clean` wrote into.")],
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Where the report is; OUT/report without it.")
    ] = None,
) -> None:
    """Hash every released file again and check the witness's signature over it.

    The keys come with the report. On the machine that cleaned they are compared with its own records; elsewhere compare
    the printed keys with those that the sender gives you by another way.

    [bold]Examples[/bold]

        tarnhelm report verify cleaned/
        tarnhelm report verify cleaned/ --report look/

    [bold]Exit codes[/bold]

        0 all agree · 2 there is no report · 3 files, report and signatures do not agree
    """
    services: Services = context.obj
    known = _known(folder)
    found = verify_report(folder, report or folder / REPORT_FOLDER, services.verifier, known)
    _show(found, known=bool(known))
    if found.faults:
        raise TarnhelmError(errors.REPORT_DIFFERS, seen=found.faults.total())


def _known(folder: Path) -> dict[str, str]:
    """Run → the witness's key, as the private state of this machine has them."""
    places = Places.of_user()
    if not places.gateway.is_dir():
        return {}
    keys: dict[str, str] = {}
    for place in places.states_of(places.keys(), folder.absolute()):
        state = place.open()
        try:
            documents = [json.loads(run.document) for run in state.runs()]
        finally:
            state.close()
        keys |= {one["run_id"]: one.get("witness_key", "") for one in documents}
    return keys


def _show(found: Verified, *, known: bool) -> None:
    console = out()
    good = found.objects - sum(count for fault, count in found.faults.items() if fault != "extra")
    console.print(f"{found.objects:,} released objects in the report; of {good:,} bytes and signature agree")
    for path, fault in found.paths:
        console.print(f"  {fault:<12} {path}", soft_wrap=True, markup=False)
    for fault, count in found.faults.most_common():
        console.print(f"  {count:,} × {FAULTS[fault]}", soft_wrap=True)
    if known:
        err().print("The witness's keys are those in this machine's records.")
    else:
        err().print("This machine knows nothing of OUT; the witness's keys are those that the report names:")
        for key in sorted(found.keys):
            err().print(f"  {key}", soft_wrap=True)
