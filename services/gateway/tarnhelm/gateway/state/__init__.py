"""Where the gateway keeps what it knows of every object."""

from __future__ import annotations

from tarnhelm.gateway.state.base import Decision, History, StaleRecordError, StateStore
from tarnhelm.gateway.state.sqlite import SqliteState
from tarnhelm.gateway.state.stream import UNFINISHED, Step, StreamStore, Tally, VolumeRecord

__all__ = [
    "UNFINISHED",
    "Decision",
    "History",
    "SqliteState",
    "StaleRecordError",
    "StateStore",
    "Step",
    "StreamStore",
    "Tally",
    "VolumeRecord",
]
