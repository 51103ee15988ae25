"""What a pump is put together of, and an object on its way through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tarnhelm.common.events import EventLog

if TYPE_CHECKING:
    from pathlib import Path

    from tarnhelm.common.sandbox import Dispatcher
    from tarnhelm.common.stage import Stage, StageOutcome
    from tarnhelm.gateway.keys import GatewayKeys
    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.release import FileMark
    from tarnhelm.gateway.run.plan import RunCounts
    from tarnhelm.gateway.run.workspace import Workspace
    from tarnhelm.gateway.sources import Source
    from tarnhelm.gateway.state.base import StateStore
    from tarnhelm.gateway.verdict import Judge, SignedVerdict

__all__ = ["Owners", "Parts", "PathPairs", "Task"]

PathPairs = Sequence[tuple[str, str]]
"""(original path, released path)."""
Owners = Sequence[tuple[str, str]]
"""Of each pair the surrogates of its object: Patient ID and Study Instance UID, empty where not known."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The seams of a pump.

    Attributes
    ----------
    stages
        By name.
    verify
        Checks a verdict's signature with the witness's public key.
    out
        The destination.
    seal_paths
        Keeps (original path, released path) with their owners as part of the way back; called before the release is
        recorded.
    flush_links
        Returns when every link assigned so far is durable; called before anything is released.
    """

    store: StateStore
    stages: Mapping[str, Stage]
    judge: Judge
    verify: Callable[[SignedVerdict], bool]
    keys: GatewayKeys
    workspace: Workspace
    out: Path
    dispatcher: Dispatcher
    seal_paths: Callable[[PathPairs, Owners], None] = lambda _pairs, _owners: None
    flush_links: Callable[[], None] = lambda: None
    tick: Callable[[RunCounts], None] = lambda _counts: None
    log: EventLog = field(default_factory=lambda: EventLog(None, time.time))
    wall_clock: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True, eq=False)
class Task:
    """An object in flight.

    Attributes
    ----------
    target
        Work file of its result.
    also
        Other places with the same bytes.
    mark
        Of the work file when its verdict was asked for.
    parks
        How often it has waited for a dependency.
    """

    record: ObjectRecord
    source: Source
    target: Path
    also: list[Source] = field(default_factory=list)
    outcome: StageOutcome | None = None
    mark: FileMark | None = None
    parks: int = 0
