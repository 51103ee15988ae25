"""Bounded worker processes that judge: hostile bytes are walked where they can do no harm.

Workers come from a fork server that is started before any thread of gRPC; each has a bound on its memory, an alarm on
its time, the signing key and nothing else. A worker that dies takes one object with it, and the pool is made anew.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tarnhelm.common.errors import TOO_SLOW, WORKER_DIED, TarnhelmError
from tarnhelm.witness.core import Mask, Policy, Verdict, Witness
from tarnhelm.witness.core.needles import NeedleCache
from tarnhelm.witness.core.parts import Rooms

if TYPE_CHECKING:
    from types import FrameType

    from tarnhelm.common.limits import Limits

__all__ = ["Case", "JudgePool"]

_SLACK_SECONDS: Final = 5.0
_POLICIES: Final = 8
_PAGE: Final = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Case:
    """One object to judge: two spooled files and the rules."""

    object_id: str
    policy: bytes
    source: Path
    result: Path
    masks: tuple[Mask, ...]
    seconds: float


class _Worker:
    """What a worker process holds."""

    def __init__(self, key: bytes, limits: Limits) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(key)
        self.limits = limits
        needles, rooms = NeedleCache(), Rooms()
        self.witness = lru_cache(maxsize=_POLICIES)(
            lambda policy: Witness(Policy.from_json(policy), self.key, limits, needles, rooms)
        )


_WORKER: list[_Worker] = []  # filled once per process by the initialiser: a pool hands its workers nothing else


def _start(key: bytes, limits: Limits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, _overrun)
    data_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    bound = data_pages * _PAGE + limits.worker_memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _WORKER.append(_Worker(key, limits))


def _overrun(_signal: int, _frame: FrameType | None) -> None:
    raise TarnhelmError(TOO_SLOW)


def _judge(case: Case) -> Verdict:
    signal.setitimer(signal.ITIMER_REAL, case.seconds)
    try:
        return _WORKER[0].witness(case.policy).judge(case.source, case.result, case.object_id, case.masks)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class JudgePool:
    """A pool of judging processes.

    Parameters
    ----------
    key
        32 bytes of the Ed25519 signing key.
    workers
        Processes; also the number of objects judged at once.
    """

    def __init__(self, key: bytes, workers: int, limits: Limits) -> None:
        self._key = key
        self._workers = workers
        self._limits = limits
        self._pool = self._made()

    def _made(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("forkserver"),
            initializer=_start,
            initargs=(self._key, self._limits),
        )

    async def judge(self, case: Case) -> Verdict:
        """Judge one case.

        Raises
        ------
        TarnhelmError
            ``LIM-006`` when it took too long, ``LIM-007`` when the worker died, ``WIT-007`` for its policy.
        """
        pool = self._pool
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(case.seconds + _SLACK_SECONDS):
                return await loop.run_in_executor(pool, _judge, case)
        except BrokenProcessPool:
            self._replace(pool)
            raise TarnhelmError(WORKER_DIED, seen=1) from None
        except TimeoutError:
            self._replace(pool)
            raise TarnhelmError(TOO_SLOW, limit=int(case.seconds)) from None

    def _replace(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = self._made()
            for process in list((pool._processes or {}).values()):  # noqa: SLF001 - the executor offers no way to stop a worker
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Let the running cases end and stop the workers."""
        self._pool.shutdown(wait=True, cancel_futures=True)
