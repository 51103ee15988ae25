"""The read side of the state, for people: counts, pages and newest lines, without the right to write.

``tarnhelm.gateway.state.reading.postgres`` is imported by whoever wants it: it needs the extra ``postgres``.
"""

from __future__ import annotations

from tarnhelm.gateway.state.reading.base import Selection, StateReading, Tally
from tarnhelm.gateway.state.reading.sqlite import SqliteReading

__all__ = ["Selection", "SqliteReading", "StateReading", "Tally"]
