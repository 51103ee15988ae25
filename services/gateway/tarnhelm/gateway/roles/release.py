"""The role ``release``: what is verified goes to its destinations, and into the manifest."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.board import Condition, PartNote
from tarnhelm.gateway.config.parts import private_line
from tarnhelm.gateway.deliveries.metrics import DeliveryMetrics
from tarnhelm.gateway.deliveries.release import ReleaseParts
from tarnhelm.gateway.deliveries.role import ReleaseRole
from tarnhelm.gateway.deliveries.settings import ReleaseSettings, Route
from tarnhelm.gateway.destinations.folder import FolderDestination
from tarnhelm.gateway.manifest.keys import ManifestKey
from tarnhelm.gateway.roles.base import RoleContext, announcing, run_together, software_version
from tarnhelm.gateway.withdrawals import WithdrawalDesk

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from tarnhelm.gateway.config import GatewayConfig
    from tarnhelm.gateway.config.sections import DestinationSection
    from tarnhelm.gateway.deliveries.base import DeliveryStore
    from tarnhelm.gateway.destinations.base import Destination
    from tarnhelm.gateway.roles.base import Part

__all__ = ["make_destination", "open_deliveries", "run"]


def open_deliveries(config: GatewayConfig) -> DeliveryStore:
    """Open the store of deliveries beside the state."""
    if config.state.postgres_file is None:
        from tarnhelm.gateway.deliveries.sqlite import SqliteDeliveries  # noqa: PLC0415

        return SqliteDeliveries(config.state_dir / "deliveries.sqlite")
    from tarnhelm.gateway.deliveries.postgres import PostgresDeliveries  # noqa: PLC0415  # one machine needs no driver

    return PostgresDeliveries(private_line(config.state.postgres_file))


def make_destination(name: str, section: DestinationSection, context: RoleContext) -> Destination:
    """Make one destination.

    Raises
    ------
    TarnhelmError
        DLV-…: its settings do not fit together.
    """
    if section.folder is not None:
        return FolderDestination(name, section.folder)
    if section.dicom is not None:
        from tarnhelm.gateway.destinations.dicom import DicomDestination  # noqa: PLC0415  # brings pynetdicom

        return DicomDestination(name, section.dicom)
    if section.stow is not None:
        from tarnhelm.gateway.destinations.stow import StowDestination  # noqa: PLC0415  # brings an HTTP client

        return StowDestination(name, section.stow)
    if section.topic is not None:
        from tarnhelm.gateway.destinations.topic import TopicDestination  # noqa: PLC0415

        return TopicDestination(name, section.topic, context.shared.broker)
    raise TarnhelmError(errors.DESTINATION_SETTINGS)


def run(context: RoleContext, stop: threading.Event) -> None:
    """Deliver until told to stop, and carry out withdrawal orders where a folder of them is configured."""
    config, shared = context.config, context.shared
    settings = config.release or ReleaseSettings(config.state_dir / "manifest")
    deliveries = open_deliveries(config)
    try:
        parts = ReleaseParts(
            state=shared.state,
            blobs=shared.blobs,
            deliveries=deliveries,
            routes=[
                Route(make_destination(name, section, context), section.rules)
                for name, section in config.destinations.items()
            ],
            key=ManifestKey.open(config.key_folder / "manifest.pem"),
            metrics=DeliveryMetrics(context.registry),
            log=context.log,
            tombstones=shared.keys.tombstones,
            clock=time.time,
            chance=random.SystemRandom().random,
            software={"tarnhelm": software_version()},
        )
        role = ReleaseRole(settings, parts, shared.broker)
        running: list[Part] = [role]
        if config.withdrawals is not None:
            running.append(WithdrawalDesk(config.withdrawals, parts))

        def notes() -> Iterator[PartNote]:
            condition = Condition.DRAINING if stop.is_set() else Condition.OK
            yield PartNote("stage", "release", context.instance, condition)
            for name, (is_paused, in_hand) in role.destinations().items():
                state = Condition.OPEN if is_paused else condition
                yield PartNote("destination", name, context.instance, state, counts={"in-hand": in_hand})

        with announcing(context, notes):
            run_together(running, stop)
    finally:
        deliveries.close()
