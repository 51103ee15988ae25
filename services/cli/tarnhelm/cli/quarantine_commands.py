"""``tarnhelm quarantine``: look at what was held back, and decide."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from tarnhelm.cli.clean_command import show_result
from tarnhelm.cli.console import ExitCode, out, reports_errors, show_codes
from tarnhelm.cli.gateway_link import reachable
from tarnhelm.cli.gateway_quarantine import accept_remote, list_remote, reject_remote, retry_remote, show_remote
from tarnhelm.cli.places import Places, StatePlace, locked
from tarnhelm.cli.run import CleanRequest, run_entries
from tarnhelm.cli.services import Recipe, Services
from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.gateway.fsm import ACCEPTABLE, Event, Lifecycle
from tarnhelm.gateway.keys import GatewayKeys
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.release import sha256_of
from tarnhelm.gateway.sources import Source, SourceWalk
from tarnhelm.gateway.state import Decision, SqliteState
from tarnhelm.linkage.local import LocalLinkage

__all__ = ["register"]

_HELP = """Look at what was held back, and decide.

Entries have opaque ids and hold no copy: an original stays where it is. A decision is recorded with a name and a reason. Accepting sends the object through cleaning and the witness again; what the witness found can never be accepted.

[bold]Examples[/bold]

    tarnhelm quarantine list
    tarnhelm quarantine show 3f9a
    tarnhelm quarantine accept 3f9a --by "M. Tremblay" --reason "a phantom"
    tarnhelm quarantine retry --all --code LIM-006 --reason "more memory" --gateway gateway:50060 --ca-file ca.pem --certificate-file me.pem --key-file me.key

With --gateway the same commands decide on a running gateway. There you are who your certificate or your token says: --by and --project are not asked, and accepting takes two people, one who proposes and one who confirms.
"""
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; stands in the report, so name no patient.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids as listed; the first letters are enough.")]
ProjectName = Annotated[str, typer.Option("--project", metavar="LABEL", help="Only this project.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    for name, here, remote in (
        ("list", list_entries, list_remote),
        ("show", show_entry, show_remote),
        ("retry", retry, retry_remote),
        ("accept", accept, accept_remote),
        ("reject", reject, reject_remote),
    ):
        group.command(name)(reports_errors(reachable(remote)(here)))
    app.add_typer(group, name="quarantine")


def list_entries(
    project: ProjectName = "", code: Annotated[str, typer.Option("--code", metavar="CODE", help="Only this code.")] = ""
) -> None:
    """List the entries: id, code, size, project; then what each code means and what to do.

    [bold]Examples[/bold]

        tarnhelm quarantine list
        tarnhelm quarantine list --project trial-7 --code PIX-001
    """
    places = Places.of_user()
    labels = _labels(places)
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "code"):
        table.add_column(heading, no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("project", no_wrap=True, overflow="ignore")
    found: Counter[str] = Counter()
    for place, record in _entries(places):
        label = labels.get(place.project_id, place.project_id)
        if (project and project not in (label, place.project_id)) or (code and record.code != code):
            continue
        table.add_row(record.object_id[:12], record.code, f"{record.size:,}", label)
        found[record.code] += 1
    console = out()
    if found:
        console.print(table)
        console.print()
    console.print(f"{found.total():,} in quarantine")
    show_codes(found)


def show_entry(
    entry: Annotated[str, typer.Argument(metavar="ID", help="Id as listed; the first letters are enough.")],
) -> None:
    """Show one entry: its code, what it means, what was decided. No value out of the file.

    [bold]Example[/bold]

        tarnhelm quarantine show 3f9a
    """
    place, record = _find(Places.of_user(), entry)
    kind = CATALOGUE.get(record.code)
    state = place.open()
    try:
        outcomes = [
            state.outcome(record.object_id, "metadata", f"{record.plan_digest}{end}") for end in ("", "+accepted")
        ]
        _, verdict = state.verdict(record.object_id)
        decisions = [one for one in state.decisions() if one.object_id == record.object_id]
    finally:
        state.close()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("id", record.object_id)
    table.add_row("code", record.code)
    outcome = next((one for one in outcomes if one is not None), None)
    table.add_row("meaning", (outcome.message if outcome else "") or (kind.message if kind else ""))
    table.add_row("what to do", kind.remedy if kind else "")
    table.add_row("size", f"{record.size:,} bytes")
    table.add_row("project", _labels(Places.of_user()).get(place.project_id, place.project_id))
    table.add_row("can be accepted", "yes" if record.code in ACCEPTABLE else "no")
    for (found, where), count in sorted(verdict.items()):
        table.add_row("witness", f"{found} {where} ({count:,})")
    for decision in decisions:
        table.add_row("decided", f"{decision.kind} of {decision.code} by {decision.by}: {decision.reason}")
    out().print(table)


def retry(
    context: typer.Context,
    ids: Ids,
    by: By = "",
    reason: Reason = "",
) -> None:
    """Clean entries again, as their run did, for example after an update of Tarnhelm.

    A repaired file has other bytes and is a new object: clean it with --resume, and reject the old entry.

    [bold]Example[/bold]

        tarnhelm quarantine retry 3f9a 71c0
    """
    raise typer.Exit(_decide_and_run(context.obj, ids, Event.RETRY, by, reason))


def accept(
    context: typer.Context,
    ids: Ids,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides.", show_default=False)],
    reason: Annotated[
        str,
        typer.Option(
            "--reason", metavar="TEXT", help="Why; stands in the report, so name no patient.", show_default=False
        ),
    ],
) -> None:
    """Accept unchecked pixels of entries (PIX-001, PIX-002, PIX-003 only) and clean them again.

    Such an object is released only if the witness passes it, and is marked as not free of identity.

    [bold]Example[/bold]

        tarnhelm quarantine accept 3f9a --by "M. Tremblay" --reason "a phantom"
    """
    raise typer.Exit(_decide_and_run(context.obj, ids, Event.ACCEPT, by, reason))


def reject(
    ids: Ids,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides.", show_default=False)],
    reason: Annotated[
        str,
        typer.Option(
            "--reason", metavar="TEXT", help="Why; stands in the report, so name no patient.", show_default=False
        ),
    ],
) -> None:
    """Reject entries for good: they are never released.

    [bold]Example[/bold]

        tarnhelm quarantine reject 3f9a --by "M. Tremblay" --reason "not part of the study"
    """
    places = Places.of_user()
    for entry in ids:
        place, record = _find(places, entry)
        with locked(place):
            state = place.open()
            try:
                _record_decision(state, record, Event.REJECT, by, reason)
                code = errors.REJECTED_BY_REVIEWER.code
                life = Lifecycle(lambda _verdict: False)
                state.save(life.step(record, Event.REJECT, code=code, locator=b""), record)
            finally:
                state.close()
        out().print(f"{record.object_id[:12]}  rejected")


def _decide_and_run(services: Services, ids: list[str], event: Event, by: str, reason: str) -> int:
    places = Places.of_user()
    chosen: dict[StatePlace, list[ObjectRecord]] = {}
    for entry in ids:
        place, record = _find(places, entry)
        if event is Event.ACCEPT and record.code not in ACCEPTABLE:
            raise TarnhelmError(errors.NOT_ACCEPTABLE)
        chosen.setdefault(place, []).append(record)
    worst = ExitCode.DONE
    for place, records in chosen.items():
        worst = max(worst, _run_again(services, places, place, records, event, by, reason))
    return worst


def _run_again(
    services: Services,
    places: Places,
    place: StatePlace,
    records: list[ObjectRecord],
    event: Event,
    by: str,
    reason: str,
) -> int:
    keys = places.keys()
    state = place.open()
    try:
        options = _options(state, keys)
    finally:
        state.close()
    request = CleanRequest(
        source=Path(options["source"]),
        out=Path(options["out"]),
        recipe=Recipe(
            options["recipe"]["text"],
            options["recipe"]["name"],
            tuple(options["recipe"]["profiles"]),
            tuple((name, value) for name, value in options["recipe"]["variables"]),
            options["recipe"].get("site", ""),
        ),
        project=options["project"],
        workers=1,
        report=Path(options["report"]) if options["report"] else None,
    )
    project = LocalLinkage(places.root).projects.get(place.project_id)
    prepared = services.prepare(request.recipe, request.limits)

    def entries(state: SqliteState, walk: SourceWalk, keys: GatewayKeys) -> Iterator[Source]:
        for record in records:
            current = state.get(record.object_id)
            if current is None or current.state is not State.QUARANTINED:
                continue
            source = walk.find(*keys.open_place(current.locator, current.object_id))
            if source is None or not _same_object(source, current, keys, project.id):
                raise TarnhelmError(errors.SOURCE_GONE)
            _record_decision(state, current, event, by, reason)
            state.drop_outcomes(current.object_id)
            state.save(Lifecycle(lambda _verdict: False).step(current, event), current)
            yield source

    result = run_entries(request, services, places, project, prepared, entries)
    code = show_result(result, dry_run=False, verbose=True)
    held = result.counts.quarantined + result.counts.rejected
    return ExitCode.DONE if code == ExitCode.HELD and not held else code


def _same_object(source: Source, record: ObjectRecord, keys: GatewayKeys, project: str) -> bool:
    """Tell whether the bytes are still those of the entry; other bytes are another object."""
    place = f"{source.place}\x00{source.member}"
    digest = keys.source_digest(project, place, source.size, source.mtime_ns)
    if record.object_id == keys.object_id(project, digest):  # an entry without bytes: its place stands for it
        return True
    return record.object_id == keys.object_id(project, bytes.fromhex(sha256_of(source.path)))


def _record_decision(state: SqliteState, record: ObjectRecord, event: Event, by: str, reason: str) -> None:
    state.decide(Decision(record.object_id, event.value, by, reason, record.code, time.time()))


def _options(state: SqliteState, keys: GatewayKeys) -> dict[str, Any]:
    runs = list(state.runs())
    if not runs:
        raise TarnhelmError(errors.STATE_BROKEN)
    options: dict[str, Any] = json.loads(keys.unseal(runs[-1].options, runs[-1].run_id))
    return options


def _entries(places: Places) -> Iterator[tuple[StatePlace, ObjectRecord]]:
    for place in places.all_states():
        state = place.open()
        try:
            for record in state.records(State.QUARANTINED):
                yield place, record
        finally:
            state.close()


def _find(places: Places, entry: str) -> tuple[StatePlace, ObjectRecord]:
    if len(entry) < 4:
        raise TarnhelmError(errors.UNKNOWN_ENTRY)
    found = [(place, record) for place, record in _entries(places) if record.object_id.startswith(entry)]
    if len(found) != 1:
        raise TarnhelmError(errors.UNKNOWN_ENTRY)
    return found[0]


def _labels(places: Places) -> dict[str, str]:
    return {project.id: project.label for project in LocalLinkage(places.root).projects.list()}
