"""The web page as a part of a gateway process: an HTTP server in a thread, stopped by an event."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.serve import is_loopback
from tarnhelm.gateway.web.accounts import Accounts
from tarnhelm.gateway.web.admin import AdminCalls
from tarnhelm.gateway.web.frame import Frame, Site, shield
from tarnhelm.gateway.web.login_pages import LoginPages
from tarnhelm.gateway.web.object_pages import ObjectPages
from tarnhelm.gateway.web.provider import Provider
from tarnhelm.gateway.web.status_pages import StatusPages

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.web.passwords import Cost
    from tarnhelm.gateway.web.settings import WebSettings

__all__ = ["WebServer"]

_LOOK_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 2
_STATIC: Final = Path(__file__).parent / "static"


def _announce(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the first-run link, for whoever started the page


class WebServer:
    """Serves the page.

    Parameters
    ----------
    announce
        Told the first-run link, once for each start without any account.

    Raises
    ------
    TarnhelmError
        ``WEB-024`` where the settings do not fit together, ``WEB-017`` where the accounts cannot be used.
    """

    def __init__(
        self,
        settings: WebSettings,
        log: EventLog,
        *,
        announce: Callable[[str], None] = _announce,
        cost: Cost | None = None,
    ) -> None:
        _check(settings)
        self._settings = settings
        self._log = log
        self._tell = announce
        self.accounts = Accounts(
            settings.accounts_file,
            idle_seconds=settings.session_idle_seconds,
            whole_seconds=settings.session_seconds,
            cost=cost,
        )
        self.port = 0
        """Once it listens."""
        self.listening = threading.Event()
        self._ending = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop``; raises OSError where the address or the certificate cannot be used."""
        try:
            with self._listen() as listener:
                self._ending = stop
                self._serve(listener, stop)
        finally:
            self.accounts.close()

    def _serve(self, listener: socket.socket, stop: threading.Event) -> None:
        site, settings = self._site(), self._settings
        config = uvicorn.Config(
            lambda: self._app(site),
            factory=True,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.behind_proxy,  # else who tries passwords would always be the proxy
            forwarded_allow_ips=["127.0.0.1", "::1"],
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            h11_max_incomplete_event_size=32 * 1024,
            limit_concurrency=400,
            timeout_keep_alive=20,
            ssl_certfile=settings.tls_certificate_file,
            ssl_keyfile=settings.tls_key_file,
        )
        # What the server itself would say names addresses that people typed; the pages say what there is to say.
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).disabled = True
        server = uvicorn.Server(config)
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="tarnhelm-web")
        serving.start()
        try:
            self._log(events.WEB_STARTED, port=self.port)
            self._first_link(site)
            self.listening.set()
            while serving.is_alive() and not stop.wait(_LOOK_SECONDS):
                pass
        finally:
            server.should_exit = True
            serving.join()

    def _listen(self) -> socket.socket:
        host, _, port = self._settings.listen.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, int(port)), family=family, backlog=128)
        self.port = int(listener.getsockname()[1])
        return listener

    def _site(self) -> Site:
        settings = self._settings
        secure = settings.tls_certificate_file is not None or settings.behind_proxy
        origin = settings.public_url.rstrip("/")
        if not origin:
            host = settings.listen.rpartition(":")[0]
            origin = f"{'https' if secure else 'http'}://{host}:{self.port}"
        return Site(origin, secure)

    def _first_link(self, site: Site) -> None:
        if not self._settings.local_accounts:
            return
        token = self.accounts.first_link()
        if token:
            self._tell(f"No account yet. Make the first admin, within a day: {site.origin}/welcome?token={token}")

    def _app(self, site: Site) -> Any:
        settings = self._settings
        provider = Provider(settings.oidc, f"{site.origin}/oidc/callback") if settings.oidc else None
        frame = Frame(
            settings, site, self.accounts, AdminCalls(settings.admin), provider, self._log, self._ending.is_set
        )

        async def unknown(request: Request, error: Exception) -> Response:
            del error
            return frame.problem(TarnhelmError(errors.PAGE_UNKNOWN), frame.session(request))

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            yield
            await frame.admin.close()
            if provider is not None:
                await provider.close()

        pages = (LoginPages(frame), StatusPages(frame), ObjectPages(frame))
        app = Starlette(
            routes=[*(route for one in pages for route in one.routes()), Mount("/static", _Static(directory=_STATIC))],
            exception_handlers={404: unknown, 405: unknown},
            lifespan=lifespan,
        )
        return shield(app, site, self._log)


class _Static(StaticFiles):
    """Files of the package; the browser asks again after five minutes."""

    def file_response(self, *arguments: Any, **more: Any) -> Response:
        answer = super().file_response(*arguments, **more)
        answer.headers["Cache-Control"] = "private, max-age=300"
        return answer


def _check(settings: WebSettings) -> None:
    tls = settings.tls_certificate_file is not None
    local = is_loopback(settings.listen)
    public = urlsplit(settings.public_url)
    port = settings.listen.rpartition(":")[2]
    good = (
        tls == (settings.tls_key_file is not None)
        and (tls or local)
        and port.isdecimal()
        and (not settings.behind_proxy or (local and public.scheme == "https"))
        and (not settings.public_url or (public.scheme in ("https", "http") and bool(public.netloc) and not public.path.strip("/")))
        and (public.scheme != "http" or is_loopback(f"{public.hostname}:{public.port or 80}"))
        and (settings.local_accounts or settings.oidc is not None)
        and 0 < settings.session_idle_seconds <= settings.session_seconds
    )  # fmt: skip
    if not good:
        raise TarnhelmError(errors.WEB_SETTINGS)
