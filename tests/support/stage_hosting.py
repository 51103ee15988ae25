"""A stage's service inside the test's process: its own loop in a thread, its workers as real processes."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from tarnhelm.v1 import stage_pb2
from tests.support.stage_servers import PLAN

from tarnhelm.common import serve
from tarnhelm.common.events import EventLog
from tarnhelm.common.stage_service.server import Settings, stage_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.common.assign import AssignReply, AssignRequest


CONFIG = b"{}"


def header(data: bytes, **changes: Any) -> stage_pb2.ProcessRequest:
    """Return the first message of a call for an object."""
    fields = {
        "object_id": "object-1", "project": "project", "plan_digest": PLAN, "config": CONFIG,
        "config_digest": hashlib.sha256(CONFIG).hexdigest(), "stage": "metadata",
        "parts": [stage_pb2.JobPart(size=len(data), sha256=hashlib.sha256(data).hexdigest())],
    }  # fmt: skip
    return stage_pb2.ProcessRequest(header=stage_pb2.JobHeader(**fields | changes))


class Assigning:
    """Stands where the service's channel to the assigner stands; answers from this process.

    ``hold`` keeps questions unanswered until it is set; ``asked`` counts them.
    """

    def __init__(self, answer: Callable[[AssignRequest], AssignReply]) -> None:
        self.answer = answer
        self.tickets: list[bytes] = []
        self.held: list[tuple[Future[Any], Any]] = []
        self.holding = False

    def begin(self, ticket: bytes, request: AssignRequest) -> Future[AssignReply]:
        self.tickets.append(ticket)
        reply: Future[AssignReply] = Future()
        if self.holding:
            self.held.append((reply, request))
        else:
            self._answer(reply, request)
        return reply

    def let_go(self, *, holding: bool = False) -> None:
        """Answer what is held, in the server's loop; go on holding or not."""
        self.holding = holding
        held, self.held = self.held, []
        for reply, request in held:
            self._answer(reply, request)

    def _answer(self, reply: Future[AssignReply], request: AssignRequest) -> None:
        try:
            reply.set_result(self.answer(request))
        except Exception as error:  # noqa: BLE001 - as the channel does
            reply.set_exception(error)


class Hosted:
    """A running server; ``service`` is the servicer, ``metrics`` what it tells."""

    def __init__(self, settings: Settings, assign: Any = None, **serving: Any) -> None:
        self.metrics = serve.CallMetrics()
        self.open = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hosted")
        self._thread.start()
        options = {"listen": "127.0.0.1:0", "drain_seconds": 0.0, "grace_seconds": 20.0} | serving
        self.running = self.do(self._start(settings, assign, serve.ServerSettings(**options)))

    async def _start(self, settings: Settings, assign: Any, served: serve.ServerSettings) -> Any:
        ask = assign.begin if assign is not None else None
        made, self.service = stage_service(settings, self.metrics, EventLog(None, lambda: 0.0), ask)
        return await serve.start(served, made, metrics=self.metrics)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.running.port}"

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the server's loop."""
        self._loop.call_soon_threadsafe(function)

    def drain(self) -> Any:
        """Begin to drain; the future ends when all is over."""
        return asyncio.run_coroutine_threadsafe(self.running.drain(), self._loop)

    def stop(self) -> None:
        self.drain().result(120)
        self.end()

    def end(self) -> None:
        """End the loop of a server that is drained."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        self.open = False
