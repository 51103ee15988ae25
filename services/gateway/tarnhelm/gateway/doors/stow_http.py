"""The HTTP server under the STOW-RS door: uvicorn's protocol with a deadline for heads and a bound on connections."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from contextlib import suppress
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tarnhelm.gateway.doors.tls import alternative_names

__all__ = ["NAMES", "HttpThread"]

NAMES: Final = "certificate_names"
"""Key of ``scope["state"]`` under which an application finds the names of the client's certificate."""
_MAX_HEAD_BYTES: Final = 16_384


class _Protocol(H11Protocol):
    """One connection."""

    header_seconds: float = 15.0
    max_connections: int = 128
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()
            return
        # asyncio does so for sockets that name their protocol; ours does not, and an answer in two writes would wait 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {NAMES: alternative_names(transport.get_extra_info("ssl_object"))}
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_hand():
            self._disarm()
        elif self._timer is None:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._timer = self.loop.call_later(self.header_seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if not self._in_hand():
            self.transport.abort()

    def _in_hand(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


class HttpThread:
    """Runs an ASGI application on a listening socket, in an event loop of its own.

    Parameters
    ----------
    header_seconds
        For the TLS handshake, and for the head of a request.
    drain_seconds
        How long requests in hand may take after :meth:`close`.
    """

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        *,
        header_seconds: float,
        drain_seconds: float,
        max_connections: int,
    ) -> None:
        self._application = application
        self._listener = listener
        self._tls = tls
        self._header_seconds = header_seconds
        self._drain_seconds = drain_seconds
        self._max_connections = max_connections
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="http-door", daemon=True)

    def start(self) -> None:
        """Take requests."""
        self._thread.start()
        self._ready.wait()

    @property
    def alive(self) -> bool:
        """Whether it takes requests."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Take no more requests, wait for those in hand."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        stop = self._stop = asyncio.Event()
        # Its loggers would write addresses, paths and the tracebacks of an application to wherever the process logs.
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
            logging.getLogger(name).disabled = True
        config = uvicorn.Config(
            self._application,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            date_header=True,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
            timeout_keep_alive=max(int(self._header_seconds), 1),
        )
        config.load()
        state = ServerState()
        state.default_headers = []
        protocol = type(
            "Protocol",
            (_Protocol,),
            {"header_seconds": self._header_seconds, "max_connections": self._max_connections},
        )
        server = await loop.create_server(
            partial(protocol, config, state, {}, loop),
            sock=self._listener,
            ssl=self._tls,
            ssl_handshake_timeout=self._header_seconds if self._tls is not None else None,
            backlog=128,
        )
        self._ready.set()
        await stop.wait()
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        until = loop.time() + self._drain_seconds
        while state.tasks and loop.time() < until:
            await asyncio.wait(list(state.tasks), timeout=until - loop.time())
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=5.0)
        await asyncio.sleep(0)
