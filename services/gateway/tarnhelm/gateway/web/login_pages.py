"""Signing in and out: local accounts, the first-run link, and the identity provider."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.admin.convert import sentence_of
from tarnhelm.gateway.web.frame import read_form
from tarnhelm.gateway.web.provider import Flow, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.gateway.admin.people import Person
    from tarnhelm.gateway.web.accounts import Session
    from tarnhelm.gateway.web.frame import Frame

__all__ = ["LoginPages"]

_FLOW_SECONDS: Final = 600.0
_MOST_FLOWS: Final = 1000


class LoginPages:
    """The pages before a session."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._flows: dict[str, Flow] = {}

    def routes(self) -> list[Route]:
        """Addresses of these pages."""
        return [
            Route("/login", self.login),
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/logout", self._frame.form(self.sign_out), methods=["POST"]),
            Route("/welcome", self.welcome),
            Route("/welcome", self.use_link, methods=["POST"]),
            Route("/oidc/start", self.to_provider),
            Route("/oidc/callback", self.from_provider),
        ]

    # --- local accounts --------------------------------------------------------------------------------

    async def login(self, request: Request) -> Response:
        """Show the form."""
        if self._frame.session(request) is not None:
            return RedirectResponse("/", 303)
        return self._login_page(request)

    async def sign_in(self, request: Request) -> Response:
        """Check name and password."""
        frame = self._frame
        if not frame.settings.local_accounts:
            return self._login_page(request, TarnhelmError(errors.LOGIN_REFUSED))
        try:
            fields = await read_form(request)
            frame.check_form(request, fields)
            name, password = (fields.get(key, [""])[0] for key in ("name", "password"))
            peer = request.client.host if request.client else ""
            person = await asyncio.to_thread(frame.accounts.sign_in, name.strip().lower(), password, peer)
        except TarnhelmError as error:
            frame.log(events.WEB_SIGN_IN_REFUSED, subject="local", code=error.code)
            return self._login_page(request, error)
        return self._begin(request, person, "local")

    async def sign_out(self, request: Request, session: Session, fields: Mapping[str, list[str]]) -> Response:
        """End the session."""
        del fields
        frame = self._frame
        frame.accounts.close_session(request.cookies.get(frame.session_cookie, ""))
        frame.log(events.WEB_SIGNED_OUT, subject=session.person.subject)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(frame.session_cookie, path="/", secure=frame.site.secure, httponly=True, samesite="lax")
        return answer

    async def welcome(self, request: Request) -> Response:
        """Show the form of a one-time link."""
        token = request.query_params.get("token", "")
        return self._welcome_page(request, token)

    async def use_link(self, request: Request) -> Response:
        """Use a one-time link."""
        frame = self._frame
        token = ""
        try:
            fields = await read_form(request)
            frame.check_form(request, fields)
            token, name, person, password, again = (
                fields.get(key, [""])[0] for key in ("token", "name", "person", "password", "again")
            )
            _same(password, again)
            account = await asyncio.to_thread(frame.accounts.use_link, token, name.strip().lower(), person, password)
        except TarnhelmError as error:
            return self._welcome_page(request, token, error)
        frame.log(events.WEB_ACCOUNT_CHANGED, subject=account.subject, change="password", by="link")
        return RedirectResponse("/login", 303)

    # --- identity provider -----------------------------------------------------------------------------

    async def to_provider(self, request: Request) -> Response:
        """Send the browser to the provider."""
        frame = self._frame
        if frame.provider is None:
            return frame.problem(TarnhelmError(errors.PAGE_UNKNOWN), None)
        try:
            flow, address = await frame.provider.begin()
        except TarnhelmError as error:
            return self._login_page(request, error)
        self._forget_old_flows()
        key = secrets.token_urlsafe(32)
        self._flows[key] = flow
        answer = RedirectResponse(address, 303)
        frame.set_cookie(answer, self._flow_cookie, key, _FLOW_SECONDS)
        return answer

    async def from_provider(self, request: Request) -> Response:
        """Take the browser back."""
        frame = self._frame
        # Each flow is used once, whatever comes of it.
        flow = self._flows.pop(request.cookies.get(self._flow_cookie, ""), None)
        try:
            person = await _finish(frame.provider, flow, dict(request.query_params))
        except TarnhelmError as error:
            frame.log(events.WEB_SIGN_IN_REFUSED, subject="oidc", code=error.code)
            return self._login_page(request, error)
        answer = self._begin(request, person, "oidc")
        answer.delete_cookie(self._flow_cookie, path="/", secure=frame.site.secure, httponly=True, samesite="lax")
        return answer

    # --- what they share -------------------------------------------------------------------------------

    @property
    def _flow_cookie(self) -> str:
        return "__Host-tarnhelm-flow" if self._frame.site.secure else "tarnhelm-flow"

    def _begin(self, request: Request, person: Person, by: str) -> Response:
        frame = self._frame
        old = request.cookies.get(frame.session_cookie, "")
        if old:  # never one that somebody else may have planted
            frame.accounts.close_session(old)
        token = frame.accounts.open_session(person)
        frame.log(events.WEB_SIGNED_IN, subject=person.subject, role=person.role.value, by=by)
        answer = RedirectResponse("/", 303)
        frame.set_cookie(answer, frame.session_cookie, token, frame.settings.session_seconds)
        return answer

    def _login_page(self, request: Request, error: TarnhelmError | None = None) -> Response:
        frame = self._frame
        made = frame.fresh_form(request)
        answer = frame.page(
            "login", None, 200 if error is None else 401, fresh=made, local=frame.settings.local_accounts,
            oidc=frame.provider is not None, error=sentence_of(error.code) if error else "",
            remedy=error.kind.remedy if error else "", code=error.code if error else "",
        )  # fmt: skip
        frame.set_cookie(answer, frame.form_cookie, made, 3600)
        return answer

    def _welcome_page(self, request: Request, token: str, error: TarnhelmError | None = None) -> Response:
        frame = self._frame
        owner = frame.accounts.owner_of_link(token)
        if owner is None:
            return frame.problem(TarnhelmError(errors.LINK_SPENT), None)
        made = frame.fresh_form(request)
        answer = frame.page(
            "welcome", None, 200 if error is None else 400, fresh=made, token=token, owner=owner,
            error=sentence_of(error.code) if error else "", remedy=error.kind.remedy if error else "",
            code=error.code if error else "",
        )  # fmt: skip
        frame.set_cookie(answer, frame.form_cookie, made, 3600)
        return answer

    def _forget_old_flows(self) -> None:
        old = time.time() - _FLOW_SECONDS
        self._flows = {key: flow for key, flow in self._flows.items() if flow.begun > old}
        while len(self._flows) >= _MOST_FLOWS:
            self._flows.pop(next(iter(self._flows)))


def _same(password: str, again: str) -> None:
    if password != again:
        raise TarnhelmError(errors.PASSWORDS_DIFFER)


async def _finish(provider: Provider | None, flow: Flow | None, answer: Mapping[str, str]) -> Person:
    """Return who came back; a browser without a flow of ours is nobody's."""
    if provider is None or flow is None:
        raise TarnhelmError(errors.PROVIDER_REFUSED)
    return await provider.finish(flow, answer)
