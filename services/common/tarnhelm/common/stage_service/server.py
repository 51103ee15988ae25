"""What the servers of stages share beyond :mod:`tarnhelm.common.serve`: options, metrics, events."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Counter, Gauge
from tarnhelm.v1 import stage_pb2_grpc

from tarnhelm.common import serve
from tarnhelm.common.errors import STAGE_FAULT, STAGE_REQUEST
from tarnhelm.common.events import STAGE_ENDED, EventLog
from tarnhelm.common.limits import GIB
from tarnhelm.common.stage import StageOutcome, Status
from tarnhelm.common.stage_service.scratch import Scratch
from tarnhelm.common.stage_service.service import Ask, Bounds, StageService, WorkerPlan
from tarnhelm.common.stage_service.whole import MESSAGE_BYTES
from tarnhelm.common.stage_service.whole_messages import request_of, response_bytes

if TYPE_CHECKING:
    import argparse

    from tarnhelm.common.stage_service.receive import Announced

__all__ = ["NAME", "Settings", "add_arguments", "settings_from", "stage_service"]

NAME: Final = "tarnhelm.v1.StageService"
_FAULTS: Final = serve.Faults(malformed=STAGE_REQUEST, failed=STAGE_FAULT)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a stage is served; :class:`~tarnhelm.common.serve.ServerSettings` says where.

    Attributes
    ----------
    name
        Of the service, for the scratch folder: letters, digits and hyphens.
    plan
        The workers.
    scratch
        Folder for objects in hand.
    """

    name: str
    plan: WorkerPlan
    scratch: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    bounds: Bounds = field(default_factory=Bounds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that all stages share."""
    bounds = Bounds()
    group = parser.add_argument_group("work")
    group.add_argument("--workers", type=int, default=2, help="worker processes (default: %(default)s)")
    group.add_argument(
        "--scratch", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR",
        help="folder for objects in hand, best one in memory (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-objects", type=int, default=bounds.max_objects, metavar="N",
        help="objects in hand at once (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-scratch-gib", type=float, default=bounds.max_scratch_bytes / GIB, metavar="GIB",
        help="bytes in hand at once (default: %(default)s)",
    )  # fmt: skip


def settings_from(given: argparse.Namespace, name: str, factory: str, stages: tuple[str, ...]) -> Settings:
    """Settings from parsed options; ValueError where they cannot be."""
    if min(given.workers, given.max_objects) < 1 or given.max_scratch_gib <= 0:
        raise ValueError("--workers and --max-objects begin at 1, --max-scratch-gib is more than 0")
    return Settings(
        name=name,
        plan=WorkerPlan(factory, stages, workers=given.workers),
        scratch=given.scratch,
        bounds=Bounds(given.max_objects, int(given.max_scratch_gib * GIB)),
    )


class _Ended:
    """Counts outcomes and tells of those that are not DONE."""

    def __init__(self, metrics: serve.CallMetrics, events: EventLog) -> None:
        self._events = events
        self._count = Counter(
            "tarnhelm_stage_outcomes", "Objects by how a step ended for them.", ("stage", "status", "code"),
            registry=metrics.registry,
        )  # fmt: skip
        self._children: dict[tuple[str, str, str], Any] = {}

    def __call__(self, announced: Announced, outcome: StageOutcome) -> None:
        key = announced.stage, outcome.status.value, outcome.code
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._count.labels(*key)
        child.inc()
        if outcome.status is not Status.DONE:
            self._events(STAGE_ENDED, stage=announced.stage, status=outcome.status.value, code=outcome.code)


def stage_service(
    settings: Settings, metrics: serve.CallMetrics, events: EventLog | None = None, assign: Ask | None = None
) -> tuple[serve.Service, StageService]:
    """Make the service of a stage in the running event loop; closing it closes its workers and its scratch folder.

    Raises
    ------
    OSError
        The scratch folder cannot be made.
    """
    scratch = Scratch(settings.scratch, settings.name)
    ended = _Ended(metrics, events or EventLog(sys.stderr, time.time))
    made = StageService(settings.plan, scratch, settings.bounds, assign, ended)
    gauges = (
        ("tarnhelm_stage_objects_in_hand", "Calls in hand.", lambda: made.objects),
        ("tarnhelm_stage_bytes_in_hand", "Bytes reserved for them.", lambda: made.bytes_in_hand),
        ("tarnhelm_stage_workers", "Worker processes that live now.", lambda: len(made.pool.pids())),
        ("tarnhelm_stage_available", "1 where a worker is there to take an object.", lambda: int(made.serving())),
    )
    for name, text, value in gauges:
        Gauge(name, text, registry=metrics.registry).set_function(value)
    service = serve.Service(
        NAME,
        lambda server: stage_pb2_grpc.add_StageServiceServicer_to_server(made, server),
        made.close,
        faults=_FAULTS,
        serving=made.serving,
        message_bytes=MESSAGE_BYTES,
        forms={"ProcessWhole": (request_of, response_bytes)},
    )
    return service, made
