"""The calls of the way back: let the caller in, do the work in a thread, send the answer.

An answer is sent only after the case was spent, from a file without a name. Whoever loses the connection then has
lost the answer: the case is not used again.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from tarnhelm.v1 import reveal_pb2 as pb
from tarnhelm.v1 import reveal_pb2_grpc

from tarnhelm.common.errors import REVEAL_AWAY, REVEAL_REQUEST, STATE_UNSAFE, TarnhelmError
from tarnhelm.reveal.server.convert import LARGEST_PART, case_id_of, history_of, originals_of
from tarnhelm.reveal.server.front import Answering

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from tarnhelm.reveal.core.people import Person
    from tarnhelm.reveal.server.door import Door
    from tarnhelm.reveal.server.front import Front

__all__ = ["LOGIN_KEY", "TOKEN_KEY", "RevealService"]

TOKEN_KEY: Final = "authorization"  # noqa: S105 (the name of a header)
LOGIN_KEY: Final = "tarnhelm-login-bin"
_SCHEME: Final = "Bearer "
_CALLS_AT_ONCE: Final = 8
T = TypeVar("T")


class RevealService(reveal_pb2_grpc.RevealServiceServicer):
    """Serves a :class:`Front` over gRPC.

    Parameters
    ----------
    door
        Says who calls.
    spool
        A private directory, for files without names.
    answers_at_once
        More than so many are told to come back (RVL-045).
    wait_seconds
        For a second person in the vault.
    """

    def __init__(self, front: Front, door: Door, spool: Path, *, answers_at_once: int, wait_seconds: float) -> None:
        self._front = front
        self._door = door
        self._spool = spool
        self._wait = wait_seconds
        self._calls = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="reveal-call")
        self._answers = ThreadPoolExecutor(answers_at_once, thread_name_prefix="reveal-answer")
        self._free = answers_at_once

    def close(self) -> None:
        """Wait for the threads."""
        self._calls.shutdown()
        self._answers.shutdown()

    # --- people ------------------------------------------------------------------------------------------------

    async def GetRegister(self, request: pb.GetRegisterRequest, context: Any) -> pb.GetRegisterResponse:  # noqa: ARG002, N802
        """See the definition of the protocol."""
        await self._enter(context)
        return pb.GetRegisterResponse(lines=await self._do(self._front.register_lines))

    async def AddRegisterLine(self, request: pb.AddRegisterLineRequest, context: Any) -> pb.AddRegisterLineResponse:  # noqa: N802
        """See the definition of the protocol."""
        caller = await self._enter(context)
        await self._do(lambda: self._front.add_line(caller, request.line))
        return pb.AddRegisterLineResponse()

    async def ListProjects(self, request: pb.ListProjectsRequest, context: Any) -> pb.ListProjectsResponse:  # noqa: ARG002, N802
        """See the definition of the protocol."""
        await self._enter(context)
        found = await self._do(self._front.projects)
        return pb.ListProjectsResponse(
            projects=[pb.ProjectName(id=opaque, label=label) for opaque, label in found.items()]
        )

    # --- cases -------------------------------------------------------------------------------------------------

    async def OpenCase(self, request: pb.OpenCaseRequest, context: Any) -> pb.OpenCaseResponse:  # noqa: N802
        """See the definition of the protocol."""
        caller = await self._enter(context)
        events = await self._do(lambda: self._front.open(caller, request.document))
        return pb.OpenCaseResponse(history=history_of(events))

    async def ListCases(self, request: pb.ListCasesRequest, context: Any) -> AsyncIterator[pb.ListCasesResponse]:  # noqa: N802
        """See the definition of the protocol."""
        caller = await self._enter(context)
        found = self._front.cases(caller, request.project)
        while events := await self._do(lambda: next(found, None)):
            yield pb.ListCasesResponse(history=history_of(events))

    async def GetCase(self, request: pb.GetCaseRequest, context: Any) -> pb.GetCaseResponse:  # noqa: N802
        """See the definition of the protocol."""
        caller = await self._enter(context)
        case_id = case_id_of(request.case_id)
        return pb.GetCaseResponse(history=history_of(await self._do(lambda: self._front.case(caller, case_id))))

    async def DecideCase(self, request: pb.DecideCaseRequest, context: Any) -> pb.DecideCaseResponse:  # noqa: N802
        """See the definition of the protocol."""
        caller = await self._enter(context)
        case_id = case_id_of(request.case_id)
        events = await self._do(lambda: self._front.decide(caller, case_id, request.document))
        return pb.DecideCaseResponse(history=history_of(events))

    # --- answers -----------------------------------------------------------------------------------------------

    async def AnswerCase(self, request: pb.AnswerCaseRequest, context: Any) -> AsyncIterator[pb.AnswerCaseResponse]:  # noqa: N802
        """See the definition of the protocol."""
        caller = await self._enter(context)
        case_id, document = case_id_of(request.case_id), request.document
        async for waits, content in self._answered(
            lambda spool, made: self._front.answer(caller, case_id, document, spool, made)
        ):
            yield pb.AnswerCaseResponse(waits=_waits(waits)) if waits else pb.AnswerCaseResponse(content=content)

    async def ExportMapping(  # noqa: N802
        self, request: pb.ExportMappingRequest, context: Any
    ) -> AsyncIterator[pb.ExportMappingResponse]:
        """See the definition of the protocol."""
        caller = await self._enter(context)
        case_id, document = case_id_of(request.case_id), request.document
        async for waits, content in self._answered(
            lambda spool, made: self._front.mapping(caller, case_id, document, spool, made)
        ):
            yield pb.ExportMappingResponse(waits=_waits(waits)) if waits else pb.ExportMappingResponse(content=content)

    async def Locate(self, request: AsyncIterator[pb.LocateRequest], context: Any) -> AsyncIterator[pb.LocateResponse]:  # noqa: N802
        """See the definition of the protocol."""
        caller = await self._enter(context)
        case_id, document = "", b""
        originals: list[str] = []
        async for message in request:
            case_id, document = case_id or message.case_id, document or message.document
            originals += originals_of(message, len(originals))
        case_id = case_id_of(case_id)
        async for _, content in self._answered(
            lambda spool, made: self._front.locate(caller, case_id, document, originals, spool, made)
        ):
            yield pb.LocateResponse(content=content)

    async def AuditHead(self, request: pb.AuditHeadRequest, context: Any) -> pb.AuditHeadResponse:  # noqa: ARG002, N802
        """See the definition of the protocol."""
        caller = await self._enter(context)
        head = await self._do(lambda: self._front.audit_head(caller))
        return pb.AuditHeadResponse(head=head.to_bytes())

    # --- how ---------------------------------------------------------------------------------------------------

    async def _enter(self, context: Any) -> Person:
        brought = {str(key): value for key, value in context.invocation_metadata() or ()}
        token, statement = brought.get(TOKEN_KEY, ""), brought.get(LOGIN_KEY, b"")
        if not isinstance(token, str) or not isinstance(statement, bytes):
            raise TarnhelmError(REVEAL_REQUEST)
        bare = token[len(_SCHEME) :] if token.startswith(_SCHEME) else ""
        return await self._do(lambda: self._door.enter(bare, statement))

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._calls, work)

    async def _answered(
        self, work: Callable[[IO[bytes], Answering], None]
    ) -> AsyncIterator[tuple[Sequence[str], bytes]]:
        """Do the work in a thread; give what waits in the vault meanwhile, then the answer."""
        if self._free <= 0:
            raise TarnhelmError(REVEAL_AWAY)
        loop = asyncio.get_running_loop()
        told: asyncio.Queue[Sequence[str] | None] = asyncio.Queue()

        def waiting(accessors: Sequence[str]) -> None:
            loop.call_soon_threadsafe(told.put_nowait, tuple(accessors))

        made = Answering(waiting, self._wait)
        with self._nameless() as spool:
            self._free -= 1
            working = loop.run_in_executor(self._answers, work, spool, made)
            working.add_done_callback(lambda _: told.put_nowait(None))
            try:
                while (accessors := await told.get()) is not None:
                    yield accessors, b""
                await asyncio.shield(working)
            except BaseException:
                made.leave()
                # The file is closed only after the thread has let go of it.
                await asyncio.wait([working])
                raise
            finally:
                self._free += 1
            while content := await self._do(lambda: spool.read(LARGEST_PART)):
                yield (), content

    def _nameless(self) -> IO[bytes]:
        try:
            return os.fdopen(os.open(self._spool, os.O_RDWR | os.O_TMPFILE, 0o600), "w+b")
        except OSError:
            raise TarnhelmError(STATE_UNSAFE) from None


def _waits(accessors: Sequence[str]) -> pb.VaultWaits:
    return pb.VaultWaits(accessors=accessors)
