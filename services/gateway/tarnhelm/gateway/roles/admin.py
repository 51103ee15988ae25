"""The role ``admin``: status and decisions, for the page and for commands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.serve import CallMetrics
from tarnhelm.gateway.admin.road import RoadStep
from tarnhelm.gateway.admin.server import AdminParts, AdminServer
from tarnhelm.gateway.admin.service import Setting
from tarnhelm.gateway.board import Condition, PartNote
from tarnhelm.gateway.config.parts import private_line
from tarnhelm.gateway.roles.base import RoleContext, announcing, open_board
from tarnhelm.gateway.roles.release import open_deliveries
from tarnhelm.gateway.state.reading import SqliteReading
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.decisions import Decisions
from tarnhelm.gateway.stream.publishing import Publisher

if TYPE_CHECKING:
    import threading

    from tarnhelm.gateway.config import GatewayConfig
    from tarnhelm.gateway.state.reading import StateReading

__all__ = ["run"]


def run(context: RoleContext, stop: threading.Event) -> None:
    """Serve the administration until told to stop."""
    config, shared = context.config, context.shared
    settings = config.web.admin
    if settings is None:
        raise TarnhelmError(errors.CONFIG_REFERENCE)
    with contextlib.ExitStack() as held:
        board = held.enter_context(contextlib.closing(open_board(config)))
        reading = held.enter_context(contextlib.closing(_reading(config)))
        deliveries = held.enter_context(contextlib.closing(open_deliveries(config)))

        def delivered(object_id: str) -> Iterable[RoadStep]:
            for one in deliveries.of(object_id):
                yield RoadStep(f"to {one.destination}", one.state.value, one.code)

        parts = AdminParts(
            store=shared.state,
            reading=reading,
            blobs=shared.blobs,
            board=board,
            decisions=Decisions(shared.state, shared.blobs, Publisher(shared.broker, context.log), context.log),
            lags=lambda: _lags(context),
            log=context.log,
            deliveries=delivered,
            settings=list(_settings(config)),
            metrics=CallMetrics(context.registry),
        )

        def notes() -> Iterator[PartNote]:
            condition = Condition.DRAINING if stop.is_set() else Condition.OK
            yield PartNote("stage", "admin", context.instance, condition)

        with announcing(context, notes):
            AdminServer(settings, parts).run(stop)


def _lags(context: RoleContext) -> Mapping[tuple[str, str], int]:
    config, broker = context.config, context.shared.broker
    readers = [(road.GROUPS[step], road.topic_of(step)) for step in ("metadata", road.WITNESS, road.RELEASE)]
    readers += [(door.group, door.topic) for door in config.doors.ingest]
    return {(topic, group): count for (group, topic), count in broker.waiting(readers).items()}


def _reading(config: GatewayConfig) -> StateReading:
    if config.state.postgres_file is None:
        return SqliteReading(config.state.file or config.state_dir / "state.sqlite")
    from tarnhelm.gateway.state.reading.postgres import PostgresReading  # noqa: PLC0415  # one machine needs no driver

    return PostgresReading(private_line(config.state.postgres_file))


def _settings(config: GatewayConfig) -> Iterator[Setting]:
    """Say what is configured: names and addresses, no secret and no path of one."""
    yield Setting("gateway", "broker", "Apache Kafka" if config.broker.kafka else "embedded")
    yield Setting("gateway", "blobs", "S3" if config.blobs.s3 else "folder")
    yield Setting("gateway", "state", "PostgreSQL" if config.state.postgres_file else "SQLite")
    for label, project in config.projects.items():
        what = ", ".join(project.profiles) or ("own recipe" if project.recipe_file else "default recipe")
        if project.accept_unchecked_pixels:
            what += "; pixels go unchecked"
        yield Setting("projects", label, f"{what}; on update: {project.on_update.value}")
    labels = {project.id: label for label, project in config.projects.items()}
    for dicom in config.doors.dicom:
        titles = ", ".join(f"{title} → {labels.get(one.project, '')}" for title, one in dicom.titles.items())
        yield Setting("doors", dicom.name, f"DICOM on {dicom.listen}: {titles}")
    for stow in config.doors.stow:
        yield Setting("doors", stow.name, f"STOW-RS on {stow.listen}")
    for folder in config.doors.folder:
        yield Setting("doors", folder.name, "folder")
    for ingest in config.doors.ingest:
        yield Setting("doors", ingest.name, f"topic {ingest.topic}")
    for name, section in config.destinations.items():
        kinds = ("folder", "dicom", "stow", "topic")
        kind = next(kind for kind in kinds if getattr(section, kind) is not None)
        yield Setting("destinations", name, kind + ("" if section.rules.required else ", not required"))
