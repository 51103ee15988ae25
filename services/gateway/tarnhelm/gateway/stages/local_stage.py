"""Stages and the witness in bounded worker processes of this machine."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tarnhelm.common import errors
from tarnhelm.common.assign import Assigner, AssignReply, AssignRequest
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.common.sandbox import Dispatcher, PoolSettings, WorkerPool
from tarnhelm.common.stage import StageJob, StageOutcome, outcome_of
from tarnhelm.gateway.verdict import JudgeJob, SignedVerdict

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["LocalJudge", "LocalStage", "PoolPlan"]


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """Where a core comes from and how many workers run it.

    Attributes
    ----------
    factory
        ``module:callable``; called with ``config`` in each worker. The gateway imports no service: whoever
        puts the parts together (the command) names the factory.
    """

    factory: str
    config: Any
    workers: int = 1
    limits: Limits = DEFAULT_LIMITS


def _failed(job: StageJob, error: TarnhelmError) -> StageOutcome:
    _start_clean(job)
    return outcome_of(error)


def _start_clean(job: StageJob) -> None:
    """Remove what a killed worker left: a stage creates its target itself."""
    if job.target != job.source:
        with contextlib.suppress(OSError):
            job.target.unlink()


class LocalStage:
    """A stage's core in worker processes; implements :class:`tarnhelm.common.stage.Stage`.

    The assigner runs here, in the parent: workers hold no key. A job may ask for one subject only; a second,
    different request means that a file has taken its worker over, and is refused.
    """

    def __init__(
        self, name: str, plan: PoolPlan, assigner: Assigner | None = None, dispatcher: Dispatcher | None = None
    ) -> None:
        self._name = name
        self._assigner = assigner
        self._asked: dict[str, AssignRequest] = {}
        self._pool = WorkerPool(
            PoolSettings(plan.factory, plan.config, StageOutcome, AssignRequest, plan.workers, plan.limits),
            upcall=self._assign,
            failed=_failed,
            again=_start_clean,
            dispatcher=dispatcher,
        )

    @property
    def name(self) -> str:
        """``metadata``, ``ocr``, ``imaging``."""
        return self._name

    @property
    def pool(self) -> WorkerPool:
        """The workers, for what watches them."""
        return self._pool

    def submit(self, job: StageJob) -> Future[StageOutcome]:
        """Start one job; the future never carries an exception for a bad object."""
        future = self._pool.submit(job, max(job.size, 0))
        future.add_done_callback(lambda _done: self._asked.pop(job.object_id, None))
        return future

    def close(self) -> None:
        """Finish what runs, then stop the workers."""
        self._pool.close()

    def _assign(self, job: StageJob, request: AssignRequest) -> AssignReply:
        if self._assigner is None:
            raise TarnhelmError(errors.STAGE_MISSING)
        if self._asked.setdefault(job.object_id, request) != request:
            raise TarnhelmError(errors.ASSIGN_TWICE)
        return self._assigner.assign(request)


class LocalJudge:
    """The witness in worker processes of its own; its signing key is nowhere else."""

    def __init__(self, plan: PoolPlan, dispatcher: Dispatcher | None = None) -> None:
        self._pool = WorkerPool(
            PoolSettings(plan.factory, plan.config, SignedVerdict, None, plan.workers, plan.limits),
            failed=_undecided,
            dispatcher=dispatcher,
        )

    @property
    def pool(self) -> WorkerPool:
        """The workers, for what watches them."""
        return self._pool

    def submit(self, job: JudgeJob) -> Future[SignedVerdict]:
        """Judge one object."""
        return self._pool.submit(job, job.size)

    def close(self) -> None:
        """Finish what runs, then stop the workers."""
        self._pool.close()


def _undecided(job: JudgeJob, error: TarnhelmError) -> SignedVerdict:
    return SignedVerdict(job.object_id, job.policy_digest, "", clean=False, code=error.code)
