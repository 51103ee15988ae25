"""The Judge call: spool both parts within bounds, judge, answer."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tarnhelm.v1 import witness_pb2 as pb
from tarnhelm.v1 import witness_pb2_grpc

from tarnhelm.common.errors import TOO_LARGE, WITNESS_BUSY, WITNESS_REQUEST, TarnhelmError
from tarnhelm.witness.convert import masks_of, response_of
from tarnhelm.witness.core import Policy
from tarnhelm.witness.pool import Case, JudgePool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tarnhelm.common.limits import Limits

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


class WitnessService(witness_pb2_grpc.WitnessServiceServicer):
    """Serves :class:`JudgePool` over gRPC.

    Parameters
    ----------
    scratch
        Folder for the parts in hand; emptied of each object when its call ends.
    """

    def __init__(self, pool: JudgePool, scratch: Path, limits: Limits, bounds: Bounds) -> None:
        self._pool = pool
        self._scratch = scratch
        self._limits = limits
        self._bounds = bounds
        self._objects = 0
        self._bytes = 0
        # One policy comes with thousands of objects; to read it costs as much as to judge a small one.
        self._digest_of = lru_cache(maxsize=_POLICIES)(lambda policy: Policy.from_json(policy).digest)

    async def Judge(self, request_iterator: AsyncIterator[pb.JudgeRequest], context: Any) -> pb.JudgeResponse:  # noqa: N802
        """Judge one object; see the definition of the protocol."""
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("message") != "header":
            raise TarnhelmError(WITNESS_REQUEST)
        header = first.header
        size = header.source_bytes + header.result_bytes
        self._check(header)
        if self._objects >= self._bounds.max_objects or self._bytes + size > self._bounds.max_scratch_bytes:
            raise TarnhelmError(WITNESS_BUSY, limit=self._bounds.max_objects)
        self._objects += 1
        self._bytes += size
        try:
            # The header is good and there is room: from here on a failure is the object's, not the service's.
            await context.send_initial_metadata((("tarnhelm-accepted", "1"),))
            remaining = context.time_remaining()
            seconds = self._limits.deadline_seconds(size)
            async with asyncio.timeout(min(seconds, remaining) if remaining is not None else seconds):
                return await self._spooled(header, request_iterator, seconds)
        finally:
            self._objects -= 1
            self._bytes -= size

    def _check(self, header: pb.JudgeHeader) -> None:
        for size in (header.source_bytes, header.result_bytes):
            if size > self._limits.max_object_bytes:
                raise TarnhelmError(TOO_LARGE, seen=size, limit=self._limits.max_object_bytes)
        known = _OBJECT_ID.fullmatch(header.object_id) and _HEX.fullmatch(header.result_sha256)
        if not known or len(header.policy) > _MAX_POLICY or len(header.masks) > _MAX_MASKS:
            raise TarnhelmError(WITNESS_REQUEST)
        if header.source_sha256 and not _HEX.fullmatch(header.source_sha256):
            raise TarnhelmError(WITNESS_REQUEST)
        if self._digest_of(header.policy) != header.policy_digest:
            raise TarnhelmError(WITNESS_REQUEST)

    async def _spooled(
        self, header: pb.JudgeHeader, requests: AsyncIterator[pb.JudgeRequest], seconds: float
    ) -> pb.JudgeResponse:
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="judge-") as folder:
            parts = Path(folder) / "source", Path(folder) / "result"
            digest = await _receive(header, requests, parts)
            if header.source_sha256 and digest != header.source_sha256:
                raise TarnhelmError(WITNESS_REQUEST)
            case = Case(header.object_id, header.policy, *parts, masks_of(header), seconds)
            verdict = await self._pool.judge(case)
            if verdict.output_sha256 != header.result_sha256:
                raise TarnhelmError(WITNESS_REQUEST)
            return response_of(verdict)


async def _receive(header: pb.JudgeHeader, requests: AsyncIterator[pb.JudgeRequest], parts: tuple[Path, Path]) -> str:
    """Write both parts; return the source's sha256. Source first, then result, exactly as long as announced."""
    wanted = {pb.WITNESS_PART_SOURCE: header.source_bytes, pb.WITNESS_PART_RESULT: header.result_bytes}
    digest = hashlib.sha256()
    with parts[0].open("wb", buffering=0) as source, parts[1].open("wb", buffering=0) as result:
        files: dict[int, BinaryIO] = {pb.WITNESS_PART_SOURCE: source, pb.WITNESS_PART_RESULT: result}
        async for request in requests:
            if request.WhichOneof("message") != "chunk":
                raise TarnhelmError(WITNESS_REQUEST)
            part, data = request.chunk.part, request.chunk.data
            late = part == pb.WITNESS_PART_RESULT and wanted[pb.WITNESS_PART_SOURCE]
            if part not in files or late or len(data) > min(_MAX_CHUNK, wanted[part]):
                raise TarnhelmError(WITNESS_REQUEST)
            wanted[part] -= len(data)
            files[part].write(data)
            if part == pb.WITNESS_PART_SOURCE and header.source_sha256:
                digest.update(data)
    if any(wanted.values()):
        raise TarnhelmError(WITNESS_REQUEST)
    return digest.hexdigest()
