"""The admin service as a part of a gateway process: measures, answers, stops."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.v1 import admin_pb2_grpc

from tarnhelm.common import events, serve
from tarnhelm.common.errors import ADMIN_FAILED, ADMIN_REQUEST, WEB_SETTINGS, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.gateway.admin.deciding import Decisions, Desk
from tarnhelm.gateway.admin.header import HeaderRoom
from tarnhelm.gateway.admin.people import Callers
from tarnhelm.gateway.admin.sampling import Sampler
from tarnhelm.gateway.admin.service import AdminService, Rooms, Setting
from tarnhelm.gateway.admin.settings import SERVICE, AdminSettings
from tarnhelm.gateway.metrics import GatewayMetrics

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.common.serve import CallMetrics
    from tarnhelm.gateway.admin.road import RoadStep
    from tarnhelm.gateway.admin.sampling import Lags
    from tarnhelm.gateway.blobs import BlobStore
    from tarnhelm.gateway.board import Board
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.state.reading import StateReading

__all__ = ["AdminParts", "AdminServer"]

_FAULTS: Final = serve.Faults(malformed=ADMIN_REQUEST, failed=ADMIN_FAILED)
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the admin service is built over; whoever made them closes them.

    Attributes
    ----------
    store
        Of this process, unbatched.
    reading
        The read side of the same state.
    decisions
        Carries decisions out.
    lags
        Asks the broker.
    deliveries
        Object id → what was delivered where, for an object's road.
    settings
        What is configured, without secrets.
    metrics
        Counts calls; into its registry the gauges of the whole gateway are entered too.
    """

    store: StreamStore
    reading: StateReading
    blobs: BlobStore
    board: Board
    decisions: Decisions
    lags: Lags
    log: EventLog
    deliveries: Callable[[str], Iterable[RoadStep]] = lambda _object_id: ()
    settings: Sequence[Setting] = ()
    limits: Limits = DEFAULT_LIMITS
    metrics: CallMetrics | None = None


class AdminServer:
    """Serves ``tarnhelm.v1.AdminService``.

    Raises
    ------
    TarnhelmError
        ``WEB-024``: the settings do not fit together.
    """

    def __init__(self, settings: AdminSettings, parts: AdminParts, *, clock: Callable[[], float] = time.time) -> None:
        open_to_all = settings.server.client_ca_file is None and not serve.is_loopback(settings.server.listen)
        if settings.sample_seconds <= 0 or min(settings.max_bulk_objects, settings.header_workers) < 1 or open_to_all:
            raise TarnhelmError(WEB_SETTINGS)
        callers = Callers(settings.callers)
        self._settings = settings
        self._log = parts.log
        self._metrics = parts.metrics
        self.sampler = Sampler(parts.reading, parts.board, parts.lags, settings.alarms, clock, settings.sample_seconds)
        if parts.metrics is not None:
            GatewayMetrics(lambda: self.sampler.status, clock, parts.metrics.registry)
        self._headers = HeaderRoom(parts.store, parts.blobs, settings.scratch, settings.header_workers, parts.limits)
        self._rooms = Rooms(
            callers=callers,
            store=parts.store,
            reading=parts.reading,
            desk=Desk(parts.store, parts.reading, parts.decisions, parts.log, settings.max_bulk_objects),
            sampler=self.sampler,
            headers=self._headers,
            log=parts.log,
            deliveries=parts.deliveries,
            settings=parts.settings,
        )
        self.port = 0
        """Once it listens."""
        self.listening = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop``; raises OSError where the address or a certificate cannot be used."""
        ended = threading.Event()
        measuring = threading.Thread(target=self.sampler.run, args=(ended,), name="tarnhelm-sampler")
        measuring.start()
        try:
            asyncio.run(self._serve(stop, measuring))
        finally:
            ended.set()
            measuring.join()
        if not stop.is_set():  # what nobody foresaw has ended it: whoever supervises starts the process again
            raise TarnhelmError(ADMIN_FAILED)

    async def _serve(self, stop: threading.Event, measuring: threading.Thread) -> None:
        service = AdminService(self._rooms)
        offered = serve.Service(
            SERVICE,
            lambda server: admin_pb2_grpc.add_AdminServiceServicer_to_server(service, server),
            self._headers.close,
            faults=_FAULTS,
        )
        running = await serve.start(self._settings.server, offered, metrics=self._metrics)
        self.port = running.port
        self._log(events.ADMIN_STARTED, port=running.port)
        self.listening.set()
        try:
            while not stop.is_set() and measuring.is_alive():  # noqa: ASYNC110 - an event of threads, not of this loop
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            service.end()
            with contextlib.suppress(asyncio.CancelledError):
                await running.drain()
