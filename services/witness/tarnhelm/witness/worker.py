"""What runs inside the witness's worker processes: it judges, and holds no key."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.witness.core import Policy, Verdict, Witness
from tarnhelm.witness.core.needles import NeedleCache
from tarnhelm.witness.core.parts import Rooms

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits
    from tarnhelm.witness.pool import Case

__all__ = ["FACTORY", "Examiner", "make_worker"]

FACTORY: Final = "tarnhelm.witness.worker:make_worker"
_POLICIES: Final = 8


class Examiner:
    """Judges cases under the policies that come with them; the last few are kept ready.

    Parameters
    ----------
    limits
        Bounds on what is read of an object.
    """

    def __init__(self, limits: Limits) -> None:
        needles, rooms = NeedleCache(), Rooms()
        self._witness = lru_cache(maxsize=_POLICIES)(
            lambda policy: Witness(Policy.from_json(policy), None, limits, needles, rooms)
        )

    def __call__(self, case: Case, caller: object) -> Verdict:
        """Judge one case; the verdict is not signed."""
        del caller
        return self._witness(case.policy).examine(case.source, case.result, case.object_id, case.masks)


def make_worker(config: Any) -> Examiner:
    """Make the core of one worker out of its bounds."""
    return Examiner(config)
