"""What was released, the newest first: what still lies here, then what was purged since."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.record import ObjectRecord, State

if TYPE_CHECKING:
    from tarnhelm.gateway.state import StreamStore

__all__ = ["releases_page"]

_TOKEN: Final = re.compile(r"(released|purged):([0-9a-f]{0,64})", re.ASCII)
_RELEASED: Final = "released"


def releases_page(store: StreamStore, token: str, size: int) -> tuple[Sequence[tuple[ObjectRecord, float]], str]:
    """Return objects with the moment of their release (0 where it was not kept), and the token of the next page.

    Raises
    ------
    TarnhelmError
        ``WEB-010``: the token is none.
    """
    match = _TOKEN.fullmatch(token or "released:")
    if match is None:
        raise TarnhelmError(errors.ADMIN_REQUEST)
    state, last = State(match[1]), match[2]
    after = store.get(last) if last else None
    if last and after is None:
        raise TarnhelmError(errors.ADMIN_REQUEST)
    page = store.page(state, after=after, limit=size)
    rows = [(record, _released(store, record)) for record in page if record.output_sha256]
    if len(page) == size:
        return rows, f"{state.value}:{page[-1].object_id}"
    return rows, "purged:" if state is State.RELEASED else ""


def _released(store: StreamStore, record: ObjectRecord) -> float:
    return next((step.at for step in reversed(store.steps(record.object_id)) if step.step == _RELEASED), 0.0)
