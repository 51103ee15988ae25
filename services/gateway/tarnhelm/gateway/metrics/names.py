"""The names of a configuration that metrics may tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tarnhelm.gateway.stream.road import GROUPS

if TYPE_CHECKING:
    from tarnhelm.gateway.config import GatewayConfig

__all__ = ["names_of"]

_ROLES: Final = frozenset({"admin", "doors", "housekeeping", "release", "web"})


def names_of(config: GatewayConfig) -> frozenset[str]:
    """Return the names of doors, destinations, topics, groups and steps."""
    doors = config.doors
    found = {door.name for kind in (doors.dicom, doors.stow, doors.folder, doors.ingest) for door in kind}
    found |= {word for door in doors.ingest for word in (door.topic, door.group)}
    return frozenset(found | set(config.destinations) | set(GROUPS) | _ROLES)
