"""Bounded worker processes that judge, and the signature that only their parent can give.

Hostile bytes are walked where they can do no harm: a worker has no network, no key, and bounds on memory and time. What
it says of an object is compared with what was asked before it is signed, so a file that takes its worker over gains at
most a verdict about itself. The verdicts that come in together are signed together.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tarnhelm.common.errors import WITNESS_REQUEST, WITNESS_UNDECIDED, TarnhelmError
from tarnhelm.common.sandbox import Dispatcher, PoolSettings, WorkerPool
from tarnhelm.witness.core import Mask, Verdict, sign_verdicts
from tarnhelm.witness.worker import FACTORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tarnhelm.common.limits import Limits

__all__ = ["Case", "JudgePool"]

_RETRY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Case:
    """One object to judge: two spooled files and the rules.

    Attributes
    ----------
    policy
        The same object for all cases of one policy, so that a batch carries it once.
    policy_digest, result_sha256
        What the verdict has to name.
    size
        Bytes of both files.
    """

    object_id: str
    policy: bytes
    policy_digest: str
    source: Path
    result: Path
    result_sha256: str
    masks: tuple[Mask, ...]
    size: int


class JudgePool:
    """A pool of judging processes; made in the event loop that serves it, which also drives it.

    Parameters
    ----------
    key
        32 bytes of the Ed25519 signing key; it stays in this process.
    workers
        Processes; also the number of objects judged at once.
    factory
        ``module:callable`` that makes a worker's core out of ``limits``.
    """

    def __init__(self, key: bytes, workers: int, limits: Limits, factory: str = FACTORY) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(key)
        self._loop = asyncio.get_running_loop()
        self._unsigned: list[tuple[Verdict, asyncio.Future[Verdict]]] = []
        self._dispatcher = Dispatcher()
        self._dispatcher.attach(self._loop)
        self._pool = WorkerPool(
            PoolSettings(factory, limits, Verdict, None, workers, limits, retry_seconds=_RETRY_SECONDS),
            dispatcher=self._dispatcher,
        )

    @property
    def serving(self) -> bool:
        """Whether there is a worker to take an object."""
        return self._pool.serving

    @property
    def confinement(self) -> str:
        """What keeps the workers from the network."""
        return self._pool.confinement

    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that live now."""
        return self._pool.pids()

    def every_tick(self, check: Callable[[], None]) -> None:
        """Call a function several times in a second, in the loop's thread."""
        self._dispatcher.every_tick(lambda _now: check())

    def submit(self, case: Case, seconds: float) -> Future[Verdict]:
        """Have a case judged; :meth:`signed` waits for it. Until it is done a worker may read the files."""
        return self._pool.submit(case, case.size, seconds=seconds)

    async def signed(self, case: Case, work: Future[Verdict]) -> Verdict:
        """Wait for a case that was submitted, and sign.

        Raises
        ------
        TarnhelmError
            ``LIM-006`` when it took too long, ``LIM-007`` when it killed its worker twice, ``LIM-008`` when there was
            too little memory, ``WIT-007`` for its policy, ``WIT-008`` where the result is not the announced one.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        work.add_done_callback(lambda _work: None if done.done() else done.set_result(None))
        await done
        verdict = work.result()
        if verdict.output_sha256 != case.result_sha256:
            raise TarnhelmError(WITNESS_REQUEST)
        fits = (
            verdict.object_id == case.object_id
            and verdict.policy_digest == case.policy_digest
            and verdict.clean == (not verdict.code) == (not verdict.findings)
        )
        if not fits:
            raise TarnhelmError(WITNESS_UNDECIDED)
        return await self._signature(verdict)

    def _signature(self, verdict: Verdict) -> asyncio.Future[Verdict]:
        """Sign with whatever else comes in before the loop's next turn."""
        waiting: asyncio.Future[Verdict] = self._loop.create_future()
        if not self._unsigned:
            self._loop.call_soon(self._sign)
        self._unsigned.append((verdict, waiting))
        return waiting

    def _sign(self) -> None:
        batch, self._unsigned = self._unsigned, []
        signed = sign_verdicts(self._key, [verdict for verdict, _ in batch])
        for verdict, (_, waiting) in zip(signed, batch, strict=True):
            if not waiting.done():
                waiting.set_result(verdict)

    def close(self) -> None:
        """Stop the workers; what no caller waits for is not finished."""
        self._dispatcher.run_in_host(self._end)

    def _end(self) -> None:
        self._pool.close(drain=False)
        self._dispatcher.stop()
