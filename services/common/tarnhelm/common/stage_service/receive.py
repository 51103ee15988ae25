"""What comes in: the header, judged before anything is taken in hand, and then exactly the bytes it announces."""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import STAGE_GARBLED, STAGE_REQUEST, TOO_LARGE, TarnhelmError
from tarnhelm.common.limits import MIB, Limits
from tarnhelm.common.stage_service.convert import MalformedError, facts_of, outcome_from
from tarnhelm.common.stage_service.scratch import write_over
from tarnhelm.common.stage_service.whole import WHOLE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tarnhelm.v1 import stage_pb2

    from tarnhelm.common.stage import ObjectFacts, StageOutcome

__all__ = ["CHUNK_BYTES", "MOST_CONFIG_BYTES", "Announced", "HeaderReader", "receive", "take_whole"]

CHUNK_BYTES: Final = MIB
"""Largest piece of an object in one message."""
MOST_CONFIG_BYTES: Final = 4 * MIB
_MOST_EARLIER: Final = 16
_MOST_TICKET_BYTES: Final = 4096
_DIGESTS_KEPT: Final = 64
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Announced:
    """A header that is good.

    Attributes
    ----------
    size, sha256
        Of the one part that this protocol's services take.
    seconds
        Wall-clock bound for the work; the narrower one of caller and service.
    """

    object_id: str
    stage: str
    ticket: bytes
    plan_digest: str
    config: str
    config_digest: str
    part: int
    size: int
    sha256: str
    accept_unchecked_pixels: bool
    dry_run: bool
    limits: Limits
    seconds: float
    facts: ObjectFacts | None
    earlier: tuple[tuple[str, StageOutcome], ...]


class HeaderReader:
    """Judges headers; one configuration comes with thousands of objects and is looked at once.

    Parameters
    ----------
    stages
        The steps that are served.
    limits
        The service's own bounds.
    """

    def __init__(self, stages: tuple[str, ...], limits: Limits) -> None:
        self._stages = stages
        self._limits = limits
        self._configs: OrderedDict[bytes, tuple[str, str]] = OrderedDict()

    def read(self, header: stage_pb2.JobHeader) -> Announced:
        """Judge one header.

        Raises
        ------
        TarnhelmError
            ``STG-007`` where it does not follow the protocol, ``LIM-001`` for an object that is too large.
        """
        stage = header.stage or (self._stages[0] if len(self._stages) == 1 else "")
        good = (
            stage in self._stages
            and _NAME.fullmatch(header.object_id)
            and _NAME.fullmatch(header.project)
            and len(header.ticket) <= _MOST_TICKET_BYTES
            and _HEX.fullmatch(header.plan_digest)
            and len(header.config) <= MOST_CONFIG_BYTES
            and len(header.parts) == 1
            and _HEX.fullmatch(header.parts[0].sha256)
            and len(header.earlier) <= _MOST_EARLIER
            and header.limits.seconds >= 0
        )
        if not good:
            raise TarnhelmError(STAGE_REQUEST)
        part = header.parts[0]
        most = min(self._limits.max_object_bytes, header.limits.max_object_bytes or self._limits.max_object_bytes)
        if part.size > most:
            raise TarnhelmError(TOO_LARGE, seen=part.size, limit=most)
        own = self._limits.deadline_seconds(part.size)
        try:
            facts = facts_of(header.facts) if header.HasField("facts") else None
            earlier = tuple((one.stage, outcome_from(one)) for one in header.earlier)
        except MalformedError:
            raise TarnhelmError(STAGE_REQUEST) from None
        return Announced(
            object_id=header.object_id,
            stage=stage,
            ticket=header.ticket,
            plan_digest=header.plan_digest,
            config=self._config(header),
            config_digest=header.config_digest,
            part=part.id,
            size=part.size,
            sha256=part.sha256,
            accept_unchecked_pixels=header.accept_unchecked_pixels,
            dry_run=header.dry_run,
            limits=self._limits if most == self._limits.max_object_bytes else _bounded(self._limits, most),
            seconds=min(own, header.limits.seconds or own),
            facts=facts,
            earlier=earlier,
        )

    def _config(self, header: stage_pb2.JobHeader) -> str:
        config = header.config
        found = self._configs.get(config)
        if found is None:
            try:
                found = config.decode("utf-8"), hashlib.sha256(config).hexdigest()
            except UnicodeDecodeError:
                raise TarnhelmError(STAGE_REQUEST) from None
            self._configs[config] = found
            if len(self._configs) > _DIGESTS_KEPT:
                self._configs.popitem(last=False)
        if found[1] != header.config_digest:
            raise TarnhelmError(STAGE_REQUEST)
        return found[0]


def _bounded(limits: Limits, most: int) -> Limits:
    return replace(limits, max_object_bytes=most)


async def receive(announced: Announced, requests: AsyncIterator[stage_pb2.ProcessRequest], path: Path) -> None:
    """Write the object to a new file.

    Raises
    ------
    TarnhelmError
        ``STG-007`` where something else comes than was announced, ``STG-008`` for other bytes.
    """
    left = announced.size
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        async for request in requests:
            if request.WhichOneof("message") != "chunk":
                raise TarnhelmError(STAGE_REQUEST)
            data = request.chunk.data
            if request.chunk.part != announced.part or not 0 < len(data) <= min(CHUNK_BYTES, left):
                raise TarnhelmError(STAGE_REQUEST)
            left -= len(data)
            digest.update(data)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    if left or digest.hexdigest() != announced.sha256:
        raise TarnhelmError(STAGE_GARBLED)


def take_whole(announced: Announced, data: bytes | memoryview, path: Path) -> None:
    """Write an object that came in one message to a file that may have held another.

    Raises
    ------
    TarnhelmError
        As :func:`receive`; ``STG-007`` also where an object is announced that is too large for one message.
    """
    if announced.size > WHOLE_BYTES or len(data) > announced.size:
        raise TarnhelmError(STAGE_REQUEST)
    if len(data) < announced.size or hashlib.sha256(data).hexdigest() != announced.sha256:
        raise TarnhelmError(STAGE_GARBLED)
    write_over(path, data)
