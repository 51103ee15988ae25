"""What the release role is set up with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tarnhelm.gateway.destinations.base import Destination, DestinationRules

__all__ = ["ReleaseSettings", "Route"]


@dataclass(frozen=True, slots=True)
class ReleaseSettings:
    """How a release process works.

    Attributes
    ----------
    manifest_folder
        Where manifest lines are written as files, one for each writer and day; they stand in the state too.
    writer
        Name of the manifest's chain that this gateway writes: small letters, digits, dots and hyphens, at most 64.
        Processes that have a ``manifest_folder`` in common may have a writer in common.
    lease_seconds
        A delivery that a process has in hand is renewed as long as it lives; this long after its death another takes
        it over.
    poll_seconds
        How often a destination's queue is looked at when nothing happens.
    reconcile_seconds
        How often objects are looked for whose release was cut off by a crash.
    memory_bytes
        An object up to this size is read once, compared and sent from memory; a larger one is read twice. What is
        planned and waits for its turn holds at most four times as much.
    batch
        At most so many messages are planned, or deliveries taken, at a time.
    """

    manifest_folder: Path
    writer: str = "gateway"
    lease_seconds: float = 20.0
    poll_seconds: float = 0.25
    reconcile_seconds: float = 30.0
    memory_bytes: int = 8 << 20
    batch: int = 64


@dataclass(frozen=True, slots=True)
class Route:
    """A destination and what goes there."""

    destination: Destination
    rules: DestinationRules
