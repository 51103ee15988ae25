"""Plans by digest, which never change, and each project's present plan, which may."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.state import StreamStore

__all__ = ["PlanCache"]

_FRESH_SECONDS: Final = 2.0
_MOST: Final = 512


class PlanCache:
    """Spares a question to the state for each object; safe among threads.

    A new plan of a project is taken up within two seconds.
    """

    def __init__(self, state: StreamStore, *, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._plans: dict[str, ProjectPlan] = {}
        self._current: dict[str, tuple[float, ProjectPlan | None]] = {}

    def of(self, digest: str) -> ProjectPlan:
        """Return the plan of a digest; raises GTW-021 where it is not kept."""
        found = self._plans.get(digest)
        if found is None:
            found = self._state.plan(digest)
            if found is None:
                raise TarnhelmError(errors.NO_PLAN)
            if len(self._plans) >= _MOST:
                self._plans.clear()
            self._plans[digest] = found
        return found

    def current(self, project: str) -> ProjectPlan | None:
        """Return a project's present plan."""
        asked, plan = self._current.get(project, (float("-inf"), None))
        if not 0 <= self._clock() - asked < _FRESH_SECONDS:
            plan = self._state.current_plan(project)
            if len(self._current) >= _MOST:
                self._current.clear()
            self._current[project] = self._clock(), plan
        return plan
