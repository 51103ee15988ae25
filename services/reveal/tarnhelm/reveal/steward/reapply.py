"""Applying the book of ends again: after a restore, before anything is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tarnhelm.common.errors import END_DOES_NOT_HOLD, KEY_MISSING, PROJECT_DESTROYED, TarnhelmError
from tarnhelm.reveal.steward.keys import ways_left

if TYPE_CHECKING:
    from tarnhelm.linkage.core.ledger import Tombstone
    from tarnhelm.linkage.core.project import Project
    from tarnhelm.reveal.steward.ends import Ends
    from tarnhelm.reveal.steward.places import Place

__all__ = ["apply_ends"]


def apply_ends(place: Place, ends: Ends) -> int:
    """Destroy again what was destroyed, withdraw again who was withdrawn, and try whether it holds.

    Returns
    -------
    int
        How many ends hold.

    Raises
    ------
    TarnhelmError
        STW-014 where one does not.
    """
    known = {project.id: project for project in place.projects.list()}
    left = sum(_destroyed_again(place, opaque, known.get(opaque)) for opaque in ends.destroyed)
    for opaque, stones in ends.tombstones.items():
        if opaque in known and opaque not in ends.destroyed:
            left += _withdrawn_again(place, known[opaque], stones)
    if left:
        raise TarnhelmError(END_DOES_NOT_HOLD, count=left)
    return len(ends.lines)


def _destroyed_again(place: Place, opaque: str, project: Project | None) -> int:
    if project is not None:
        place.destroy(project)
        return ways_left(place, project)
    place.keeper.destroy(opaque)
    try:
        place.vault.hmac(opaque, 1, b"")
    except TarnhelmError as error:
        if error.kind in {PROJECT_DESTROYED, KEY_MISSING}:
            return 0
        raise
    return 1


def _withdrawn_again(place: Place, project: Project, stones: tuple[Tombstone, ...]) -> int:
    with place.ledger(project) as ledger:
        ledger.put_tombstones(stones)
        ledger.flush()
        present = {stone.tag for stone in ledger.tombstones()}
    return sum(stone.tag not in present for stone in stones)
