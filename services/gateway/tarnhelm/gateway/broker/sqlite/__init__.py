"""The embedded broker: one folder, any number of processes of one machine, no server."""

from __future__ import annotations

from tarnhelm.gateway.broker.sqlite.broker import SqliteBroker, SqliteBrokerSettings

__all__ = ["SqliteBroker", "SqliteBrokerSettings"]
