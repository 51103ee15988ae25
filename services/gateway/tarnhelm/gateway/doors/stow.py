"""The STOW-RS door: studies over HTTP (PS3.18 section 10.5, Store Transaction)."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.broker.trace import trace_of
from tarnhelm.gateway.doors.dicom_file import is_uid
from tarnhelm.gateway.doors.metrics import DoorMetrics
from tarnhelm.gateway.doors.stow_access import Access, Refusal
from tarnhelm.gateway.doors.stow_http import NAMES, HttpThread
from tarnhelm.gateway.doors.stow_multipart import content_type
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings, StowRoute
from tarnhelm.gateway.doors.stow_store import StoreRequest
from tarnhelm.gateway.doors.tls import server_context
from tarnhelm.gateway.intake import Admitter

__all__ = ["StowDoor"]

_DICOM_JSON: Final = "application/dicom+json"
_ANSWERED: Final = frozenset({"*/*", "application/*", "application/json", _DICOM_JSON})
_DRAIN_BYTES: Final = 1 << 20
_DRAIN_SECONDS: Final = 2.0
_BUSY_SECONDS: Final = 5
_LOOP_SECONDS: Final = 5.0
_STATUS_OF: Final = {
    errors.PROTOCOL_BROKEN.code: 400,
    errors.CALLER_SLOW.code: 408,
    errors.CALLER_LEFT.code: 400,
    errors.TOO_LARGE.code: 413,
}


class StowDoor:
    """Serves one port; each request is read and stored by one thread.

    Raises
    ------
    TarnhelmError
        DOR-010 where certificates or the token file cannot be read.
    """

    def __init__(
        self,
        settings: StowDoorSettings,
        admitter: Admitter,
        *,
        metrics: DoorMetrics | None = None,
        log: EventLog | None = None,
    ) -> None:
        self.settings = settings
        self._admitter = admitter
        self._metrics = metrics or DoorMetrics()
        self._log = log or EventLog(None, time.time)
        self._access = Access(settings)
        self._tls = server_context(settings.tls_certificate_file, settings.tls_key_file, settings.client_ca_file)
        self._in_hand = 0
        self._pool: ThreadPoolExecutor | None = None
        self._asking: ThreadPoolExecutor | None = None
        self._listener: socket.socket | None = None
        self._http: HttpThread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, 0 before the start."""
        return int(self._listener.getsockname()[1]) if self._listener is not None else 0

    def start(self) -> None:
        """Open the port; raises DOR-010 where it cannot be taken."""
        host, _, port = self.settings.listen.rpartition(":")
        try:
            listener = socket.create_server(
                (host.strip("[]"), int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
            )
        except (OSError, ValueError):
            raise TarnhelmError(errors.DOOR_SHUT) from None
        self._listener = listener
        self._pool = ThreadPoolExecutor(self.settings.max_requests, thread_name_prefix="stow")
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="stow-room")
        self._http = HttpThread(
            self.application(),
            listener,
            self._tls,
            header_seconds=self.settings.header_seconds,
            drain_seconds=self.settings.drain_seconds,
            max_connections=self.settings.max_connections,
        )
        port_taken = self.port
        self._http.start()
        self._log(events.DOOR_OPENED, door=self.settings.name, port=port_taken)

    def close(self) -> None:
        """Take no more requests; those in hand may end within ``drain_seconds``."""
        if self._http is None or self._pool is None or self._asking is None:
            return
        self._http.close()
        self._pool.shutdown()
        self._asking.shutdown()
        self._http = None
        self._log(events.DOOR_CLOSED, door=self.settings.name)

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set; raises DOR-009 where the server ended before."""
        self.start()
        try:
            while not stop.wait(1.0):
                if self._http is None or not self._http.alive:
                    raise TarnhelmError(errors.DOOR_FAULT)
        finally:
            self.close()

    def application(self) -> Starlette:
        """Return the ASGI application."""
        routes = []
        for route in self.settings.routes:
            endpoint = self._endpoint(route)
            routes.append(Route(f"{route.path}/studies", endpoint, methods=["POST"]))
            routes.append(Route(f"{route.path}/studies/{{study}}", endpoint, methods=["POST"]))
        return Starlette(routes=routes)

    def _endpoint(self, route: StowRoute) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await self._answer(route, request)

        return endpoint

    async def _answer(self, route: StowRoute, request: Request) -> Response:
        refusal = self._refusal(route, request)
        if refusal is None and (wait := await asyncio.get_running_loop().run_in_executor(self._asking, self._wait)):
            refusal = 503, errors.DOOR_FULL.code, wait
        if refusal is None and self._in_hand >= self.settings.max_requests:
            refusal = 503, errors.CALLERS_TOO_MANY.code, _BUSY_SECONDS
        if refusal is not None:
            status, code, retry = refusal
            await _drain(request)
            return self._short(status, code, retry)
        began = time.monotonic()
        study = request.path_params.get("study", "")
        boundary = content_type(request.headers["content-type"]).boundary
        # Of the sender's trace context only what has a form of its own: its state is free text.
        span = [(name, value.encode()) for name, value in request.headers.items() if name == "traceparent"]
        store = StoreRequest(self._admitter, self.settings, route.project, study, trace_of(span))
        body = _Body(request, self.settings)
        code = ""
        self._in_hand += 1
        self._metrics.callers.labels(self.settings.name).inc()
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, store.run, body.chunks(), boundary)
            status, document = store.answer()
            response = Response(document, status, media_type=_DICOM_JSON)
            if status == 503:
                response.headers["Retry-After"] = str(_BUSY_SECONDS)
                code = next((part.code for part in store.parts if not part.good), "")
        except TarnhelmError as error:
            code, status = error.code, _STATUS_OF.get(error.code, 500)
            response = self._short(status, code)
        except Exception:  # noqa: BLE001 - its text may quote a request
            code, status = errors.DOOR_FAULT.code, 500
            response = self._short(status, code)
        finally:
            self._in_hand -= 1
            self._metrics.callers.labels(self.settings.name).dec()
        self._count(store, status, code, time.monotonic() - began)
        return response

    def _refusal(self, route: StowRoute, request: Request) -> tuple[int, str, int] | None:
        """Status, code and Retry-After of a request whose body is not worth reading."""
        try:
            self._access.check(
                route, request.headers.get("authorization", ""), request.scope.get("state", {}).get(NAMES, frozenset())
            )
        except Refusal as refused:
            return refused.status, errors.CALLER_UNKNOWN.code, 0
        if not is_uid(request.path_params.get("study", "0")):
            return 400, errors.PROTOCOL_BROKEN.code, 0
        accepted = {
            entry.partition(";")[0].strip().lower() for entry in request.headers.get("accept", "*/*").split(",")
        }
        if accepted.isdisjoint(_ANSWERED):
            return 406, errors.PROTOCOL_BROKEN.code, 0
        given = content_type(request.headers.get("content-type", ""))
        if given.name != "multipart/related" or given.parameters.get("type", "").lower() != "application/dicom":
            return 415, errors.PROTOCOL_BROKEN.code, 0
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            return 415, errors.PROTOCOL_BROKEN.code, 0
        if not given.boundary:
            return 400, errors.PROTOCOL_BROKEN.code, 0
        if int(request.headers.get("content-length", "0")) > self.settings.max_request_bytes:
            return 413, errors.TOO_LARGE.code, 0
        return None

    def _wait(self) -> int:
        """Seconds after which there may be room, 0 where there is; asks state and broker, so not in the loop's thread."""
        try:
            return math.ceil(self._admitter.room())
        except Exception:  # noqa: BLE001 - where nobody can tell, there is no room
            return _BUSY_SECONDS

    def _short(self, status: int, code: str, retry_seconds: int = 0) -> Response:
        headers = {"Connection": "close"}
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="tarnhelm"'
        if retry_seconds:
            headers["Retry-After"] = str(retry_seconds)
        self._metrics.refused.labels(self.settings.name, code).inc()
        return Response(code, status, headers, media_type="text/plain")

    def _count(self, store: StoreRequest, status: int, code: str, seconds: float) -> None:
        name = self.settings.name
        for (reception, reason), count in Counter((part.reception.value, part.code) for part in store.parts).items():
            self._metrics.objects.labels(name, reception).inc(count)
            if reason:
                self._metrics.refused.labels(name, reason).inc(count)
        self._metrics.bytes.labels(name).inc(sum(part.size for part in store.parts))
        good = sum(part.good for part in store.parts)
        self._log(
            events.STORE_REQUEST_ENDED,
            door=name,
            status=status,
            code=code,
            objects=good,
            refused=len(store.parts) - good,
            seconds=int(seconds),
        )


class _Body:
    """The body of a request, read by another thread than the event loop's; bounded in bytes and in time."""

    def __init__(self, request: Request, settings: StowDoorSettings) -> None:
        self._receive: Callable[[], Awaitable[Any]] = request.receive
        self._settings = settings
        self._loop = asyncio.get_running_loop()

    def chunks(self) -> Iterator[bytes]:
        """Yield it piece by piece."""
        settings, received, began, more = self._settings, 0, time.monotonic(), True
        while more:
            limit = began + settings.request_seconds + received / settings.min_bytes_per_second
            left = min(limit - time.monotonic(), settings.stall_seconds)
            asked = asyncio.run_coroutine_threadsafe(self._next(max(left, 0.0)), self._loop)
            try:
                message = asked.result(settings.stall_seconds + _LOOP_SECONDS)
            except TimeoutError:  # the loop has ended under a request that outlived its door's patience
                raise TarnhelmError(errors.CALLER_LEFT) from None
            if message["type"] != "http.request":
                raise TarnhelmError(errors.CALLER_LEFT)
            body, more = message.get("body", b""), message.get("more_body", False)
            received += len(body)
            if received > settings.max_request_bytes:
                raise TarnhelmError(errors.TOO_LARGE)
            if body:
                yield body

    async def _next(self, seconds: float) -> Any:
        try:
            return await asyncio.wait_for(self._receive(), seconds)
        except TimeoutError:
            raise TarnhelmError(errors.CALLER_SLOW) from None


async def _drain(request: Request) -> None:
    """Take a little of a refused body, so that its sender gets to read the answer; then the connection is closed."""
    if request.headers.get("expect", "").lower() == "100-continue":
        return
    taken = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while taken < _DRAIN_BYTES:
                message = await request.receive()
                taken += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
