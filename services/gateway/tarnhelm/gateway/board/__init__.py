"""What the parts of a gateway say of themselves, kept where every process can read it.

``tarnhelm.gateway.board.postgres`` is imported by whoever wants it: it needs the extra ``postgres``.
"""

from __future__ import annotations

from tarnhelm.gateway.board.announcer import Announcer
from tarnhelm.gateway.board.base import Board, Condition, PartNote, living
from tarnhelm.gateway.board.sqlite import SqliteBoard

__all__ = ["Announcer", "Board", "Condition", "PartNote", "SqliteBoard", "living"]
