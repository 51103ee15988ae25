"""The calls of the witness: spool both parts within bounds, judge, answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.v1 import witness_pb2 as pb
from tarnhelm.v1 import witness_pb2_grpc

from tarnhelm.common.errors import STAGE_BROKEN, TOO_LARGE, WITNESS_BUSY, WITNESS_REQUEST, TarnhelmError
from tarnhelm.common.stage_service.scratch import write_over
from tarnhelm.common.stage_service.whole import ACCEPTED_KEY, WHOLE_BYTES
from tarnhelm.witness.convert import masks_of, response_of
from tarnhelm.witness.core import Policy, Verdict
from tarnhelm.witness.pool import Case, JudgePool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tarnhelm.common.limits import Limits
    from tarnhelm.common.stage_service.scratch import Scratch
    from tarnhelm.witness.convert import WholeRequest

__all__ = ["Bounds", "WitnessService"]

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_OBJECT_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_MAX_CHUNK: Final = 1 << 20
_MAX_POLICY: Final = 4 << 20
_MAX_MASKS: Final = 100_000
_POLICIES: Final = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a server takes on at once."""

    max_objects: int = 16
    max_scratch_bytes: int = 8 << 30


class _Call:
    """One call in hand."""

    __slots__ = ("header", "judged", "policy", "result", "size", "source", "work")

    def __init__(self, header: pb.JudgeHeader, policy: bytes, source: Path, result: Path) -> None:
        self.header = header
        self.policy = policy
        self.source = source
        self.result = result
        self.size = header.source_bytes + header.result_bytes
        self.work: Future[Verdict] | None = None
        self.judged = False


class WitnessService(witness_pb2_grpc.WitnessServiceServicer):
    """Serves :class:`JudgePool` over gRPC.

    Parameters
    ----------
    scratch
        Where the parts in hand lie; an object's are let go when its call ends and no worker reads them.
    """

    def __init__(self, pool: JudgePool, scratch: Scratch, limits: Limits, bounds: Bounds) -> None:
        self._pool = pool
        self._scratch = scratch
        self._limits = limits
        self._bounds = bounds
        self._objects = 0
        self._bytes = 0
        self._policies: OrderedDict[bytes, tuple[bytes, str]] = OrderedDict()

    def serving(self) -> bool:
        """Whether there is a worker to take an object."""
        return self._pool.serving

    def close(self) -> None:
        """Stop the workers and remove the scratch folder."""
        self._pool.close()
        self._scratch.close()

    async def Judge(self, request_iterator: AsyncIterator[pb.JudgeRequest], context: Any) -> pb.JudgeResponse:  # noqa: N802
        """Judge one object; see the definition of the protocol."""
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("message") != "header":
            raise TarnhelmError(WITNESS_REQUEST)
        with self._in_hand(first.header, self._scratch.path) as call:
            await context.send_initial_metadata(((ACCEPTED_KEY, "1"),))
            remaining = context.time_remaining()
            seconds = self._limits.deadline_seconds(call.size)
            async with asyncio.timeout(min(seconds, remaining) if remaining is not None else seconds):
                await _receive(call.header, request_iterator, call.source, call.result)
            return await self._judged(call)

    async def JudgeWhole(  # noqa: N802
        self, request: WholeRequest | pb.JudgeWholeRequest, context: Any
    ) -> pb.JudgeWholeResponse:
        """Judge one object whose parts came in one message."""
        with self._in_hand(request.header, self._scratch.taken) as call:
            await context.send_initial_metadata(((ACCEPTED_KEY, "1"),))
            _take(request, call.source, call.result)
            response = pb.JudgeWholeResponse(verdict=await self._judged(call))
            call.judged = True
            return response

    def tidy(self) -> None:
        """Remove what lies in the scratch folder for another object; for a timer."""
        self._scratch.tidy()

    @contextlib.contextmanager
    def _in_hand(self, header: pb.JudgeHeader, name: Callable[[], Path]) -> Iterator[_Call]:
        """Judge a header and keep room for its parts, under two names of this kind.

        Within, the header is good and there is room: whoever tells the caller so says that a failure is the
        object's from then on, not the service's.
        """
        policy = self._checked(header)
        if not self._pool.serving:
            raise TarnhelmError(STAGE_BROKEN)
        size = header.source_bytes + header.result_bytes
        if self._objects >= self._bounds.max_objects or self._bytes + size > self._bounds.max_scratch_bytes:
            raise TarnhelmError(WITNESS_BUSY, limit=self._bounds.max_objects)
        call = _Call(header, policy, name(), name())
        self._objects += 1
        self._bytes += size

        def release() -> None:
            self._objects -= 1
            self._bytes -= size
            if call.judged:  # both files are whole, and of the sizes that are told
                self._scratch.give_back(call.source, header.source_bytes)
                self._scratch.give_back(call.result, header.result_bytes)
            else:
                self._scratch.drop(call.source)
                self._scratch.drop(call.result)

        try:
            yield call
        finally:
            if call.work is None or call.work.done():
                release()
            else:  # a worker still reads
                call.work.cancel()
                call.work.add_done_callback(lambda _done: release())

    async def _judged(self, call: _Call) -> pb.JudgeResponse:
        """Have a worker judge the parts that have arrived, and sign what it says."""
        header = call.header
        case = Case(
            header.object_id,
            call.policy,
            header.policy_digest,
            call.source,
            call.result,
            header.result_sha256,
            masks_of(header),
            call.size,
        )
        call.work = self._pool.submit(case, self._limits.deadline_seconds(call.size))
        return response_of(await self._pool.signed(case, call.work))

    def _checked(self, header: pb.JudgeHeader) -> bytes:
        """Judge a header; returns its policy."""
        for size in (header.source_bytes, header.result_bytes):
            if size > self._limits.max_object_bytes:
                raise TarnhelmError(TOO_LARGE, seen=size, limit=self._limits.max_object_bytes)
        known = _OBJECT_ID.fullmatch(header.object_id) and _HEX.fullmatch(header.result_sha256)
        if not known or len(header.policy) > _MAX_POLICY or len(header.masks) > _MAX_MASKS:
            raise TarnhelmError(WITNESS_REQUEST)
        if header.source_sha256 and not _HEX.fullmatch(header.source_sha256):
            raise TarnhelmError(WITNESS_REQUEST)
        policy, digest = self._policy(header.policy)
        if digest != header.policy_digest:
            raise TarnhelmError(WITNESS_REQUEST)
        return policy

    def _policy(self, policy: bytes) -> tuple[bytes, str]:
        """Return a policy and its digest; it comes with thousands of objects, and to read it costs as much as one."""
        found = self._policies.get(policy)
        if found is None:
            found = self._policies[policy] = policy, Policy.from_json(policy).digest
            if len(self._policies) > _POLICIES:
                self._policies.popitem(last=False)
        return found


async def _receive(
    header: pb.JudgeHeader, requests: AsyncIterator[pb.JudgeRequest], source: Path, result: Path
) -> None:
    """Write both parts: source first, then result, exactly as long as announced; the source's digest is compared.

    The result's is not: a worker hashes what it judges.
    """
    wanted = {pb.WITNESS_PART_SOURCE: header.source_bytes, pb.WITNESS_PART_RESULT: header.result_bytes}
    digest = hashlib.sha256()
    files: dict[int, int] = {}
    try:
        for part, path in ((pb.WITNESS_PART_SOURCE, source), (pb.WITNESS_PART_RESULT, result)):
            files[part] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        async for request in requests:
            if request.WhichOneof("message") != "chunk":
                raise TarnhelmError(WITNESS_REQUEST)
            part, data = request.chunk.part, request.chunk.data
            late = part == pb.WITNESS_PART_RESULT and wanted[pb.WITNESS_PART_SOURCE]
            if part not in files or late or len(data) > min(_MAX_CHUNK, wanted[part]):
                raise TarnhelmError(WITNESS_REQUEST)
            wanted[part] -= len(data)
            if part == pb.WITNESS_PART_SOURCE and header.source_sha256:
                digest.update(data)
            view = memoryview(data)
            while view:
                view = view[os.write(files[part], view) :]
    finally:
        for descriptor in files.values():
            os.close(descriptor)
    if any(wanted.values()) or (header.source_sha256 and digest.hexdigest() != header.source_sha256):
        raise TarnhelmError(WITNESS_REQUEST)


def _take(request: WholeRequest | pb.JudgeWholeRequest, source: Path, result: Path) -> None:
    """Write both parts of one message, exactly as long as announced; the source's digest is compared."""
    header = request.header
    for path, data, size, sha256 in (
        (source, request.source, header.source_bytes, header.source_sha256),
        (result, request.result, header.result_bytes, ""),
    ):
        good = len(data) == size and header.source_bytes + header.result_bytes <= WHOLE_BYTES
        if not good or (sha256 and hashlib.sha256(data).hexdigest() != sha256):
            raise TarnhelmError(WITNESS_REQUEST)
        write_over(path, data)
