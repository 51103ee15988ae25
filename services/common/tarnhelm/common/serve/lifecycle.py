"""Start a gRPC server, serve until SIGTERM, drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tarnhelm.common.heap import keep_freed_memory
from tarnhelm.common.keepalive import SERVER_OPTIONS
from tarnhelm.common.serve.errors import Faults, Form, Guard
from tarnhelm.common.serve.heap import settle_collector
from tarnhelm.common.serve.metrics import CallMetrics, MetricsServer
from tarnhelm.common.serve.settings import ServerSettings

__all__ = ["Running", "Service", "run", "serve", "start"]

_LOOK_SECONDS: Final = 0.1
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a server.

    Attributes
    ----------
    name
        Full name, for health and reflection.
    add
        Registers it with a server, by the function that is generated for it.
    close
        Lets go of what it holds, after the last call; may block.
    faults
        Its codes for bytes that are no message, and for what nobody foresaw.
    serving
        Whether its dependencies are there; asked ten times a second, so it must not wait.
    message_bytes
        Largest message that it takes, where that is more than the server's own bound.
    forms
        Method → how its messages are read and written, in the place of the generated classes.
    """

    name: str
    add: Callable[[Any], None]
    close: Callable[[], None]
    faults: Faults | None = None
    serving: Callable[[], bool] = _always
    message_bytes: int = 0
    forms: Mapping[str, Form] = field(default_factory=dict)


@dataclass(slots=True)
class Running:
    """A started server."""

    server: Any
    health: Any
    port: int
    settings: ServerSettings
    services: tuple[Service, ...]
    metrics: MetricsServer | None = None
    watch: asyncio.Task[None] | None = field(default=None, repr=False)

    async def drain(self) -> None:
        """Tell NOT_SERVING, let the calls in hand end, close the services."""
        if self.watch is not None:
            self.watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.watch
        await self.health.enter_graceful_shutdown()
        await asyncio.sleep(self.settings.drain_seconds)
        await self.server.stop(self.settings.grace_seconds)
        for service in self.services:
            await asyncio.to_thread(service.close)
        if self.metrics is not None:
            await asyncio.to_thread(self.metrics.close)


def _credentials(settings: ServerSettings) -> Any:
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    pair = settings.tls_key_file.read_bytes(), settings.tls_certificate_file.read_bytes()
    authority = settings.client_ca_file.read_bytes() if settings.client_ca_file else None
    return grpc.ssl_server_credentials([pair], root_certificates=authority, require_client_auth=authority is not None)


async def start(settings: ServerSettings, *services: Service, metrics: CallMetrics | None = None) -> Running:
    """Start a server; health tells of all services when this returns.

    Raises
    ------
    OSError
        A certificate cannot be read or an address cannot be taken; the services are closed then.
    """
    try:
        faults = {service.name: service.faults for service in services if service.faults is not None}
        observed = {"observe": metrics.observe} if metrics is not None else {}
        most = max([settings.message_bytes, *(service.message_bytes for service in services)])
        server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", most),
                ("grpc.max_connection_age_ms", settings.connection_age_seconds * 1000),
                ("grpc.max_connection_age_grace_ms", int(settings.grace_seconds * 1000)),
                ("grpc.so_reuseport", 0),
                *SERVER_OPTIONS,
            ),
        )
        forms = {f"/{service.name}/{name}": form for service in services for name, form in service.forms.items()}
        guard = Guard(server, settings.callers, faults, forms=forms, **observed)
        for service in services:
            service.add(guard)
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        if settings.reflection:
            _reflect(server, services)
        credentials = _credentials(settings)
        port = _listen(server, settings.listen, credentials)
        exposed = (
            MetricsServer(settings.metrics_listen, metrics.registry) if metrics and settings.metrics_listen else None
        )
        await server.start()
    except BaseException:
        for service in services:
            service.close()
        raise
    running = Running(server, checks, port, settings, services, exposed)
    told: dict[str, int] = {}
    await _tell(running, told)
    running.watch = asyncio.create_task(_watch(running, told))
    return running


async def _watch(running: Running, told: dict[str, int]) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        await _tell(running, told)


async def _tell(running: Running, told: dict[str, int]) -> None:
    """Bring health up to date; the server as a whole serves where all of its services do."""
    now = {service.name: _SERVING if service.serving() else _NOT_SERVING for service in running.services}
    now[""] = _SERVING if all(status == _SERVING for status in now.values()) else _NOT_SERVING
    for name, status in now.items():
        if told.get(name) != status:
            told[name] = status
            await running.health.set(name, status)


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


async def serve(
    settings: ServerSettings, *services: Service, started: Callable[[Running], None], metrics: CallMetrics | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; ``started`` is told when calls are taken."""
    running = await start(settings, *services, metrics=metrics)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    settle_collector()
    started(running)
    await stop.wait()
    await running.drain()


def run(server: Coroutine[Any, Any, None]) -> None:
    """Run a server to its end, in the fastest event loop that is installed."""
    keep_freed_memory()
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        asyncio.run(server)
    else:
        uvloop.run(server)
