"""The role ``housekeeping``: what is parked, stalled, finished or orphaned."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tarnhelm.gateway.board import Condition, PartNote
from tarnhelm.gateway.roles.base import RoleContext, announcing, run_together
from tarnhelm.gateway.roles.stores import StoreWatch
from tarnhelm.gateway.stream.housekeeping import Housekeeping
from tarnhelm.gateway.stream.meters import StreamMeters
from tarnhelm.gateway.stream.publishing import Publisher

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

__all__ = ["make_housekeeping", "run"]


def make_housekeeping(context: RoleContext) -> Housekeeping:
    """Make it; what identified topics hold is trimmed for their doors."""
    config, shared = context.config, context.shared
    settings = config.housekeeping
    if not settings.trim:
        # An ingest door trims its own topic while it runs; this keeps the promise while it does not.
        groups = tuple((door.topic, (door.group,)) for door in config.doors.ingest)
        settings = dataclasses.replace(settings, trim=groups)
    return Housekeeping(
        settings,
        shared.state,
        shared.broker,
        shared.blobs,
        Publisher(shared.broker, context.log),
        context.log,
        meters=StreamMeters(context.registry),
    )


def run(context: RoleContext, stop: threading.Event) -> None:
    """Keep house until told to stop, and say whether the stores answer."""
    stores = StoreWatch(context.config, context.shared, context.instance)

    def notes() -> Iterator[PartNote]:
        condition = Condition.DRAINING if stop.is_set() else Condition.OK
        yield PartNote("stage", "housekeeping", context.instance, condition)
        yield from stores.notes()

    with announcing(context, notes):
        run_together([make_housekeeping(context), stores], stop)
