"""Overview, its stream of changes, and the settings."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from tarnhelm.v1 import admin_pb2 as pb

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.web.views import overview_of

if TYPE_CHECKING:
    from tarnhelm.gateway.web.accounts import Session
    from tarnhelm.gateway.web.frame import Frame

__all__ = ["StatusPages"]

_MOST_STREAMS: Final = 100


class StatusPages:
    """Pages that show and change nothing."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._streams = 0

    def routes(self) -> list[Route]:
        """Addresses of these pages."""
        signed_in = self._frame.signed_in
        return [
            Route("/", signed_in(self.overview)),
            Route("/live", signed_in(self.live)),
            Route("/settings", signed_in(self.settings)),
            Route("/healthz", self.health),
        ]

    async def health(self, request: Request) -> Response:
        """Tell that the page answers; says nothing of the gateway."""
        del request
        return PlainTextResponse("ok\n")

    async def overview(self, request: Request, session: Session) -> Response:
        """Show the gateway as it is."""
        del request
        status = await self._frame.admin.status(session.person)
        return self._frame.page("overview", session, here="overview", view=overview_of(status, time.time()))

    async def live(self, request: Request, session: Session) -> Response:
        """Stream the overview's changing part, as server-sent events (HTML Living Standard §9.2)."""
        if self._streams >= _MOST_STREAMS:
            return PlainTextResponse("busy\n", 503, headers={"Retry-After": "30"})
        return StreamingResponse(
            self._changes(request, session), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def _changes(self, request: Request, session: Session) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            yield b"retry: 5000\n\n"
            async for status in self._frame.admin.watch(session.person):
                # A session that has ended gets nothing more, however long its page stays open.
                if self._frame.ending() or self._frame.session(request, used_now=False) is None:
                    yield b"event: end\ndata: .\n\n"
                    return
                template = self._frame.templates.get_template("live.html.j2")
                text = template.render(view=overview_of(status, time.time()))
                yield (
                    b"event: overview\n" + b"".join(b"data: %b\n" % line.encode() for line in text.split("\n")) + b"\n"
                )
        except TarnhelmError as error:
            yield b"event: away\ndata: %b\n\n" % error.code.encode()
        finally:
            self._streams -= 1

    async def settings(self, request: Request, session: Session) -> Response:
        """Show what is configured, and the accounts."""
        del request
        answer = await self._frame.admin.ask(session.person, "GetSettings", pb.GetSettingsRequest())
        groups: dict[str, list[tuple[str, str]]] = {}
        for row in answer.settings:
            groups.setdefault(row.group, []).append((row.name, row.value))
        accounts = self._frame.accounts.everyone() if self._frame.settings.local_accounts else []
        return self._frame.page(
            "settings", session, here="settings", groups=groups, accounts=accounts,
            provider=self._frame.settings.oidc.issuer if self._frame.settings.oidc else "",
        )  # fmt: skip
