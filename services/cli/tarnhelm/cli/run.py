"""One run of the pump: project, plan, state, pools, witness, report, put together."""

from __future__ import annotations

import gc
import json
import os
import random
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.cli.pins import pins_of
from tarnhelm.cli.places import REPORT_FOLDER, Places, StatePlace, check_apart, check_out, locked
from tarnhelm.cli.progress import RunProgress
from tarnhelm.cli.report import RunFacts, write_report
from tarnhelm.cli.sites import chosen_site, site_for
from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.common.ids import canonical_digest
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.common.sandbox import Dispatcher
from tarnhelm.gateway.keys import GatewayKeys
from tarnhelm.gateway.record import RunRecord
from tarnhelm.gateway.run.plan import Plan, RunCounts
from tarnhelm.gateway.run.pump import Parts, Pump
from tarnhelm.gateway.run.recovery import recover, refuse_unseen
from tarnhelm.gateway.run.workspace import Workspace
from tarnhelm.gateway.sources import Source, SourceWalk
from tarnhelm.gateway.stages.local_stage import LocalJudge, LocalStage, PoolPlan
from tarnhelm.gateway.state import SqliteState
from tarnhelm.linkage.core.projects import Project, ProjectSettings
from tarnhelm.linkage.local import LocalLinkage

if TYPE_CHECKING:
    from tarnhelm.cli.services import Prepared, Recipe, Services, WitnessParts

__all__ = ["CleanRequest", "CleanResult", "Entries", "clean", "run_entries"]

_COLLECT: Final = (20_000, 20, 50)
_GATHERING: Final = 160
_PER_WORKER: Final = 48
"""Objects in flight: what gathers for a release, and two messages for each worker with a third on the way."""


@dataclass(frozen=True, slots=True)
class CleanRequest:
    """What the user asked for."""

    source: Path
    out: Path
    recipe: Recipe
    project: str = ""
    workers: int = 0
    dry_run: bool = False
    sample: int = 0
    report: Path | None = None
    resume: bool = False
    accept_unchecked_pixels: bool = False
    site: Path | None = None
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class CleanResult:
    """What became of it."""

    counts: RunCounts
    project: Project
    report: Path | None
    seconds: float
    interrupted: bool
    conflicts: tuple[str, ...]
    totals: dict[str, int]


Entries = Callable[[SqliteState, SourceWalk, GatewayKeys], Iterator[Source]]
"""Gives the sources of a run; ``clean`` walks IN, the quarantine gives single entries."""


def clean(request: CleanRequest, services: Services, places: Places) -> CleanResult:
    """Clean IN into OUT.

    Raises
    ------
    TarnhelmError
        Whatever keeps the run from starting, or ends it.
    """
    check_apart(request.source, request.out)
    keys = places.keys()
    linkage = LocalLinkage(places.root)
    known = places.states_of(keys, request.out)
    project = _named_project(request, linkage, known)
    site = chosen_site(request.site, places, services) if project is None else site_for(project, request.site, services)
    request = replace(request, recipe=replace(request.recipe, site=site))
    prepared = services.prepare(request.recipe, request.limits)
    if request.dry_run:
        return _dry_run(request, services, places, prepared)
    if project is None:
        project = linkage.create_anonymous(ProjectSettings(site=site))
    check_out(request.out, project.id, known)
    return run_entries(request, services, places, _pinned(linkage, project, prepared), prepared, _all_of)


def _all_of(_state: SqliteState, walk: SourceWalk, _keys: GatewayKeys) -> Iterator[Source]:
    return iter(walk)


def _dry_run(request: CleanRequest, services: Services, places: Places, prepared: Prepared) -> CleanResult:
    """Clean with a throw-away project whose keys and links are gone afterwards; OUT is not touched."""
    with tempfile.TemporaryDirectory(prefix="dry-", dir=places.gateway) as folder:
        scratch = Places(Path(folder))
        project = LocalLinkage(scratch.root).create_anonymous()
        request = replace(request, out=scratch.root / "out", resume=False)
        return run_entries(request, services, scratch, project, prepared, _all_of)


def run_entries(
    request: CleanRequest,
    services: Services,
    places: Places,
    project: Project,
    prepared: Prepared,
    entries: Entries,
) -> CleanResult:
    """Run the pump over ``entries`` and write the report."""
    keys = places.keys()
    begun = time.monotonic()
    place = places.state(keys, project.id, request.out)
    with locked(place):
        state = place.open()
        try:
            return _run(_Run(request, services, places, project, prepared, keys, state, begun), entries)
        finally:
            state.close()


@dataclass(frozen=True, slots=True)
class _Run:
    request: CleanRequest
    services: Services
    places: Places
    project: Project
    prepared: Prepared
    keys: GatewayKeys
    state: SqliteState
    begun: float


def _run(run: _Run, entries: Entries) -> CleanResult:
    request, state = run.request, run.state
    plan = _plan(run)
    _check_plan(state, plan)
    recover(state)
    witness = run.services.witness(run.prepared, request.limits)
    facts = _facts(run, plan, witness)
    started = time.time()
    state.put_run(_record(run, plan, facts, started, 0.0))
    state.flush()
    _make_out(request.out)
    workspace = Workspace(request.out, run.places.gateway, run.keys.place_digest(request.out))
    try:
        walk = SourceWalk((request.source,), workspace.folder, request.limits)
        files, total = walk.count()
        if not files:
            raise TarnhelmError(errors.NO_INPUT)
        sources = _sampled(entries(state, walk, run.keys), request.sample, files)
        with RunProgress(min(files, request.sample or files), total) as progress:
            counts, interrupted = _pump(run, plan, witness, workspace, sources, progress)
    finally:
        workspace.remove()
    if entries is _all_of and not interrupted and not request.sample and not counts.waiting:
        counts.rejected += refuse_unseen(state)
    facts = replace(facts, finished=time.time(), interrupted=interrupted)
    state.put_run(_record(run, plan, facts, started, facts.finished))
    state.flush()
    folder = request.report or (None if request.dry_run else request.out / REPORT_FOLDER)
    if folder is not None:
        write_report(folder, state, facts)
    totals = {str(key): count for key, count in state.counts().items()}
    return CleanResult(
        counts, run.project, folder, time.monotonic() - run.begun, interrupted, run.prepared.conflicts, totals
    )


def _pump(
    run: _Run,
    plan: Plan,
    witness: WitnessParts,
    workspace: Workspace,
    sources: Iterator[Source],
    progress: RunProgress,
) -> tuple[RunCounts, bool]:
    request, services = run.request, run.services
    loop = Dispatcher()
    stream = run.places.open_log()
    log = EventLog(stream, time.time)
    cleaners, judges = _shares(request.workers)
    assigner = LocalLinkage(run.places.root).assigner(run.project.label)
    stage = LocalStage(
        "metadata",
        PoolPlan(services.metadata_factory, run.prepared.config, cleaners, request.limits),
        assigner,
        loop,
    )
    judge = LocalJudge(PoolPlan(services.witness_factory, witness.config, judges, request.limits), loop)
    try:
        pump = Pump(
            plan,
            Parts(
                store=run.state,
                stages={"metadata": stage},
                judge=judge,
                verify=witness.verify,
                keys=run.keys,
                workspace=workspace,
                out=request.out,
                dispatcher=loop,
                seal_paths=lambda pairs, owners: assigner.record_paths(plan.run_id, pairs, owners),
                flush_links=assigner.flush,
                tick=progress,
                log=log,
            ),
        )
        log(events.RUN_STARTED, run=plan.run_id, project=plan.project, plan=plan.digest, workers=cleaners)
        begun = time.monotonic()
        # What is loaded by now stays to the end: the collector need not look at it again and again.
        gc.freeze()
        gc.set_threshold(*_COLLECT)
        with _draining(pump):
            counts = pump.run(sources)
        if pump.stopped:
            log(events.RUN_INTERRUPTED, run=plan.run_id, in_flight=counts.in_flight)
        log(
            events.RUN_ENDED,
            run=plan.run_id,
            released=counts.released,
            quarantined=counts.quarantined,
            rejected=counts.rejected,
            skipped=counts.skipped,
            seconds=round(time.monotonic() - begun),
        )
        return counts, pump.stopped
    finally:
        stage.pool.close(drain=False)
        judge.pool.close(drain=False)
        assigner.close()
        loop.stop()
        stream.close()


def _shares(workers: int) -> tuple[int, int]:
    """Cleaners and witnesses of ``-p N``; without it one of each per two cores, at least one."""
    if workers > 0:
        return workers, workers
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // 2), max(1, cores // 2)


@contextmanager
def _draining(pump: Pump) -> Iterator[None]:
    """Return the first Ctrl-C finishes what is in flight, the second one ends at once; both can be resumed."""

    def on_signal(_number: int, _frame: object) -> None:
        if pump.stopped:
            raise KeyboardInterrupt
        pump.stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- project and plan --------------------------------------------------------------------------------------


def _named_project(request: CleanRequest, linkage: LocalLinkage, known: list[StatePlace]) -> Project | None:
    """Return the project that the request names, or that an earlier run into OUT had; None: it makes one."""
    if request.project:
        return linkage.projects.get(request.project)
    if request.dry_run:
        return None
    if request.resume:
        if not known:
            raise TarnhelmError(errors.NOTHING_TO_RESUME)
        return linkage.projects.get(known[-1].project_id)
    if known and request.out.is_dir() and any(request.out.iterdir()):
        raise TarnhelmError(errors.OUT_OF_OTHER_PROJECT)
    return None


def _pinned(linkage: LocalLinkage, project: Project, prepared: Prepared) -> Project:
    return linkage.projects.pin(project.label, pins_of(prepared))


def _plan(run: _Run) -> Plan:
    request = run.request
    digest = canonical_digest({"plan": run.prepared.digest, "stages": ["metadata"], "version": _version()})
    return Plan(
        project=run.project.id,
        digest=digest,
        policy_digest=run.prepared.policy_digest,
        run_id=secrets.token_hex(8),
        accept_unchecked_pixels=request.accept_unchecked_pixels,
        dry_run=request.dry_run,
        resume=request.resume,
        limits=request.limits,
        max_objects_in_flight=_GATHERING + _PER_WORKER * sum(_shares(request.workers)),
    )


def _check_plan(state: SqliteState, plan: Plan) -> None:
    """Refuse a second policy for one OUT: released objects of two would not go together."""
    first = next(state.manifest(), None)
    if first is not None and first.policy_digest != plan.policy_digest:
        raise TarnhelmError(errors.OUT_OF_OTHER_PLAN)


def _facts(run: _Run, plan: Plan, witness: WitnessParts) -> RunFacts:
    return RunFacts(
        run_id=plan.run_id,
        project=run.project.label,
        project_id=run.project.id,
        revision=run.project.revision,
        version=_version(),
        plan_digest=plan.digest,
        policy_digest=plan.policy_digest,
        recipe_name=Path(run.request.recipe.name).name if run.request.recipe.text is None else "given",
        recipe_digest=run.prepared.recipe_digest,
        profiles=run.prepared.profiles,
        methods=run.prepared.methods,
        conflicts=run.prepared.conflicts,
        edition=run.prepared.edition,
        who_can_reidentify=LocalLinkage(run.places.root).who_can_reidentify(run.project.label),
        accept_unchecked_pixels=run.request.accept_unchecked_pixels,
        dry_run=run.request.dry_run,
        sample=run.request.sample,
        started=time.time(),
        outcome_keys=(plan.outcome_key(accepted=False), plan.outcome_key(accepted=True)),
        site_digest=run.prepared.site_digest,
        witness_key=witness.public_key,
    )


def _record(run: _Run, plan: Plan, facts: RunFacts, started: float, finished: float) -> RunRecord:
    request = run.request
    options: dict[str, Any] = {
        "source": str(request.source.resolve()),
        "out": str(request.out.resolve()),
        "report": str(request.report.resolve()) if request.report else "",
        "recipe": asdict(request.recipe),
        "workers": request.workers,
        "project": run.project.label,
    }
    sealed = run.keys.seal(json.dumps(options).encode(), plan.run_id)
    return RunRecord(plan.run_id, started, finished, json.dumps(facts.document()), sealed)


def _make_out(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise TarnhelmError(errors.OUT_UNWRITABLE) from None


def _sampled(sources: Iterator[Source], sample: int, files: int) -> Iterator[Source]:
    """``sample`` files spread over all of IN (all without a sample)."""
    if not sample or sample >= files:
        yield from sources
        return
    chosen = frozenset(random.SystemRandom().sample(range(files), sample))
    for place, source in enumerate(sources):
        if place in chosen:
            yield source
        elif source.temporary:
            source.path.unlink(missing_ok=True)


def _version() -> str:
    try:
        return version("tarnhelm")
    except PackageNotFoundError:
        return "unpacked"
