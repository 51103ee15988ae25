"""Start a gRPC server, serve until SIGTERM, drain."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tarnhelm.common.serve.errors import ErrorInterceptor
from tarnhelm.common.serve.settings import ServerSettings

__all__ = ["Running", "Service", "serve", "start"]


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a server.

    Attributes
    ----------
    name
        Full name, for health and reflection.
    add
        Registers it with a server.
    close
        Lets go of what it holds, after the last call; may block.
    """

    name: str
    add: Callable[[Any], None]
    close: Callable[[], None]


@dataclass(slots=True)
class Running:
    """A started server."""

    server: Any
    health: Any
    port: int
    settings: ServerSettings
    services: tuple[Service, ...]

    async def drain(self) -> None:
        """Tell NOT_SERVING, let the calls in hand end, close the services."""
        await self.health.enter_graceful_shutdown()
        await asyncio.sleep(self.settings.drain_seconds)
        await self.server.stop(self.settings.grace_seconds)
        for service in self.services:
            await asyncio.to_thread(service.close)


def _credentials(settings: ServerSettings) -> Any:
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    pair = settings.tls_key_file.read_bytes(), settings.tls_certificate_file.read_bytes()
    authority = settings.client_ca_file.read_bytes() if settings.client_ca_file else None
    return grpc.ssl_server_credentials([pair], root_certificates=authority, require_client_auth=authority is not None)


async def start(settings: ServerSettings, *services: Service) -> Running:
    """Start a server; all services are SERVING when this returns.

    Raises
    ------
    OSError
        A certificate cannot be read or the address cannot be taken; the services are closed then.
    """
    try:
        server = grpc.aio.server(
            interceptors=(ErrorInterceptor(settings.callers),),
            options=(
                ("grpc.max_receive_message_length", settings.message_bytes),
                ("grpc.max_connection_age_ms", settings.connection_age_seconds * 1000),
                ("grpc.max_connection_age_grace_ms", int(settings.grace_seconds * 1000)),
                ("grpc.so_reuseport", 0),
            ),
        )
        for service in services:
            service.add(server)
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        if settings.reflection:
            _reflect(server, services)
        credentials = _credentials(settings)
        port = _listen(server, settings.listen, credentials)
        await server.start()
    except BaseException:
        for service in services:
            service.close()
        raise
    for name in ("", *(service.name for service in services)):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    return Running(server, checks, port, settings, services)


def _listen(server: Any, address: str, credentials: Any) -> int:
    try:
        if credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, credentials))
    except RuntimeError:
        raise OSError("address") from None


def _reflect(server: Any, services: tuple[Service, ...]) -> None:
    from grpc_reflection.v1alpha import reflection  # noqa: PLC0415 - optional

    names = (*(service.name for service in services), health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)


async def serve(settings: ServerSettings, *services: Service, started: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; ``started`` is told the port."""
    running = await start(settings, *services)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    started(running.port)
    await stop.wait()
    await running.drain()
