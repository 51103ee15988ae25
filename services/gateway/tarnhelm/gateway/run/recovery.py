"""What a new run does with what an earlier one has left half-way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.gateway.fsm import TERMINAL, Event, Lifecycle
from tarnhelm.gateway.record import State

if TYPE_CHECKING:
    from tarnhelm.gateway.state.base import StateStore

__all__ = ["recover", "refuse_unseen"]


def recover(store: StateStore) -> int:
    """Bring back what a crash or a stop left half-way: the work is done again from the source."""
    life = Lifecycle(lambda _verdict: False)
    unfinished = [state for state in State if state not in TERMINAL]
    found = 0
    for record in store.records(*unfinished):
        if record.state is State.RECEIVED:
            continue
        store.drop_outcomes(record.object_id)
        store.save(life.step(record, Event.RECOVER, output_path="", output_sha256="", verdict=""), record)
        found += 1
    store.flush()
    return found


def refuse_unseen(store: StateStore) -> int:
    """End what an earlier run admitted and a whole new walk over IN did not meet again: its source has gone.

    Every admitted object ends somewhere; nothing of these was released, and their sender is told.
    """
    life = Lifecycle(lambda _verdict: False)
    found = 0
    for record in store.records(State.ADMITTED):
        store.save(life.step(record, Event.REFUSE, code=errors.UNREADABLE.code, locator=b""), record)
        found += 1
    store.flush()
    return found
