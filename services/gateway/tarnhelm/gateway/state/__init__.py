"""Where the gateway keeps what it knows of every object."""

from __future__ import annotations

from tarnhelm.gateway.state.base import Decision, History, StaleRecordError, StateStore
from tarnhelm.gateway.state.sqlite import SqliteState

__all__ = ["Decision", "History", "SqliteState", "StaleRecordError", "StateStore"]
