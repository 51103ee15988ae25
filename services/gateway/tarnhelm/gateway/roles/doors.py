"""The role ``doors``: every way in, before one admission."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tarnhelm.gateway.board import Condition, PartNote
from tarnhelm.gateway.doors.dicom import DicomDoor
from tarnhelm.gateway.doors.folder import FolderDoor
from tarnhelm.gateway.doors.ingest import IngestDoor
from tarnhelm.gateway.doors.metrics import DoorMetrics
from tarnhelm.gateway.doors.stow import StowDoor
from tarnhelm.gateway.record import State
from tarnhelm.gateway.roles.base import RoleContext, announcing, run_together
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.admission import AdmissionSettings, StreamAdmitter
from tarnhelm.gateway.stream.meters import StreamMeters
from tarnhelm.gateway.stream.publishing import Publisher
from tarnhelm.gateway.stream.room import Room, free_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from tarnhelm.gateway.config.parts import SharedParts
    from tarnhelm.gateway.roles.base import Part

__all__ = ["Accepted", "make_admitter", "run"]

_STAGES = ("metadata", road.WITNESS, road.RELEASE)


class Accepted:
    """Answers storage commitment: what was accepted is safe, whatever becomes of it."""

    def __init__(self, shared: SharedParts) -> None:
        self._state = shared.state
        self._keys = shared.keys

    def accepted(self, project: str, sop_instance_uid: str) -> bool:
        """Whether an object of that UID was accepted for the project; its keyed digest is looked up."""
        found = self._state.find_uid(self._keys.uid_digest(project, sop_instance_uid))
        return any(record.state is not State.REJECTED for record in found)


def make_admitter(context: RoleContext, meters: StreamMeters) -> StreamAdmitter:
    """Make the admission that all doors of this process share."""
    config, shared = context.config, context.shared
    shared.blobs.check()  # it is there, and keeps what the doors promise
    blobs = config.blobs.folder or config.state_dir / "blobs"
    room = Room(
        config.doors.room,
        shared.state,
        shared.broker,
        free_of(blobs) if config.blobs.s3 is None else lambda: None,
        tuple((road.GROUPS[step], road.topic_of(step)) for step in _STAGES),
        context.log,
    )
    settings = AdmissionSettings(
        config.scratch_folder, on_update={project.id: project.on_update for project in config.projects.values()}
    )
    publisher = Publisher(shared.broker, context.log)
    return StreamAdmitter(
        settings, shared.state, shared.blobs, shared.keys, publisher, room, context.log, meters=meters
    )


def run(context: RoleContext, stop: threading.Event) -> None:
    """Open every door until told to stop."""
    config, shared = context.config, context.shared
    admitter = make_admitter(context, StreamMeters(context.registry))
    metrics = DoorMetrics(context.registry)
    doors: list[tuple[str, Part]] = [
        (one.name, DicomDoor(one, admitter, instances=Accepted(shared), metrics=metrics, log=context.log))
        for one in config.doors.dicom
    ]
    doors += [(one.name, StowDoor(one, admitter, metrics=metrics, log=context.log)) for one in config.doors.stow]
    doors += [(one.name, FolderDoor(one, admitter, metrics=metrics, log=context.log)) for one in config.doors.folder]
    doors += [
        (
            one.name,
            IngestDoor(
                one, shared.broker, shared.blobs, admitter, shared.keys, events=context.log, registry=context.registry
            ),
        )
        for one in config.doors.ingest
    ]

    def notes() -> Iterator[PartNote]:
        condition = Condition.WAITING if admitter.room() else Condition.OK
        for name, _ in doors:
            yield PartNote("door", name, context.instance, Condition.DRAINING if stop.is_set() else condition)

    with contextlib.ExitStack() as around:
        around.callback(admitter.close)
        around.enter_context(announcing(context, notes))
        if doors:
            run_together([door for _, door in doors], stop)
        else:
            stop.wait()
