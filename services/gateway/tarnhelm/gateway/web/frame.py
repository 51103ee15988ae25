"""What all pages share: templates, the session behind a request, forms, errors, and the headers of an answer."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tarnhelm.common import errors, events
from tarnhelm.common.errors import Disposition, ErrorCode, TarnhelmError
from tarnhelm.gateway.admin.convert import sentence_of
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.web import words

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.web.accounts import Accounts, Session
    from tarnhelm.gateway.web.admin import AdminCalls
    from tarnhelm.gateway.web.provider import Provider
    from tarnhelm.gateway.web.settings import WebSettings

__all__ = ["Frame", "Handler", "Site", "read_form", "shield"]

Handler = Callable[[Request], Awaitable[Response]]
_MOST_FORM_BYTES: Final = 256 * 1024
_MOST_FIELDS: Final = 2000
_STATUS: Final = {
    errors.ADMIN_ROLE.code: 403,
    errors.SAME_PERSON.code: 403,
    errors.PERSON_WITHOUT_ROLE.code: 403,
    errors.FORM_STALE.code: 403,
    errors.LOGIN_REFUSED.code: 401,
    errors.PROVIDER_REFUSED.code: 401,
    errors.OBJECT_UNKNOWN.code: 404,
    errors.NO_HEADER.code: 404,
    errors.PAGE_UNKNOWN.code: 404,
    errors.LINK_SPENT.code: 410,
    errors.COUNT_CHANGED.code: 409,
    errors.OBJECT_MOVED.code: 409,
    errors.ADMIN_CALLER.code: 502,
}
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
}


@dataclass(frozen=True, slots=True)
class Site:
    """Where browsers see the page.

    Attributes
    ----------
    origin
        ``https://host[:port]``.
    secure
        Whether cookies are for TLS only.
    """

    origin: str
    secure: bool

    @property
    def hosts(self) -> frozenset[str]:
        """Values of the Host header that are answered; others may be a name that was rebound to this address."""
        parts = urlsplit(self.origin)
        port = f":{parts.port}" if parts.port else ""
        found = {parts.netloc}
        if parts.hostname in ("127.0.0.1", "localhost", "::1"):
            found |= {f"127.0.0.1{port}", f"localhost{port}", f"[::1]{port}"}
        return frozenset(found)


@dataclass
class Frame:
    """What pages are made with; one per server."""

    settings: WebSettings
    site: Site
    accounts: Accounts
    admin: AdminCalls
    provider: Provider | None
    log: EventLog
    ending: Callable[[], bool]
    templates: jinja2.Environment = field(init=False)

    def __post_init__(self) -> None:
        self.templates = jinja2.Environment(
            loader=jinja2.PackageLoader("tarnhelm.gateway.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for word in ("age", "bytes_in_words", "count", "duration", "moment", "percent", "rate"):
            self.templates.filters[word] = getattr(words, word)
        self.templates.filters["sentence"] = sentence_of
        self.templates.globals.update(
            STATES=words.STATES, STEPS=words.STEPS, DECISIONS=words.DECISIONS, ALARMS=words.ALARMS, age=words.age
        )

    # --- cookies ---------------------------------------------------------------------------------------

    @property
    def session_cookie(self) -> str:
        """Name of the session's cookie; the prefix binds it to TLS and to this host."""
        return "__Host-tarnhelm" if self.site.secure else "tarnhelm"

    def set_cookie(self, answer: Response, name: str, value: str, seconds: float) -> None:
        """Give the browser a cookie that no script and no other site gets."""
        answer.set_cookie(
            name, value, max_age=int(seconds), path="/", secure=self.site.secure, httponly=True, samesite="lax"
        )

    def session(self, request: Request, *, used_now: bool = True) -> Session | None:
        """Return the session behind a request."""
        token = request.cookies.get(self.session_cookie, "")
        return self.accounts.session(token, used_now=used_now) if token else None

    # --- answers ---------------------------------------------------------------------------------------

    def page(self, name: str, session: Session | None, status: int = 200, **values: Any) -> Response:
        """Render a page."""
        template = self.templates.get_template(f"{name}.html.j2")
        person = session.person if session else None
        text = template.render(
            person=person,
            form=session.form if session else "",
            can_review=person is not None and person.role.includes(Role.REVIEWER),
            can_admin=person is not None and person.role.includes(Role.ADMIN),
            **values,
        )
        return HTMLResponse(text, status)

    def problem(self, error: TarnhelmError, session: Session | None) -> Response:
        """Render an error: the catalogue's words and nothing else."""
        kind: ErrorCode = error.kind
        status = _STATUS.get(kind.code) or (503 if kind.disposition is Disposition.RETRY else 400)
        answer = self.page(
            "problem", session, status, code=kind.code, message=sentence_of(kind.code), remedy=kind.remedy
        )
        if status == 503:
            answer.headers["Retry-After"] = "10"
        return answer

    def signed_in(self, handler: Callable[[Request, Session], Awaitable[Response]]) -> Handler:
        """Wrap a page for people who have signed in; errors become pages."""

        async def guarded(request: Request) -> Response:
            session = self.session(request, used_now=request.url.path != "/live")
            if session is None:
                return RedirectResponse("/login", 303)
            try:
                return await handler(request, session)
            except TarnhelmError as error:
                return self.problem(error, session)

        return guarded

    def form(self, handler: Callable[[Request, Session, Mapping[str, list[str]]], Awaitable[Response]]) -> Handler:
        """Wrap what a form of a session is sent to."""

        async def checked(request: Request, session: Session) -> Response:
            fields = await read_form(request)
            given = fields.get("form", [""])[0]
            if not self.same_origin(request) or not hmac.compare_digest(given.encode(), session.form.encode()):
                self.log(events.WEB_FORM_REFUSED, subject=session.person.subject, code=errors.FORM_STALE.code)
                raise TarnhelmError(errors.FORM_STALE)
            return await handler(request, session, fields)

        return self.signed_in(checked)

    # --- forms before a session ------------------------------------------------------------------------

    @property
    def form_cookie(self) -> str:
        """Name of the cookie that a form outside a session must repeat."""
        return "__Host-tarnhelm-form" if self.site.secure else "tarnhelm-form"

    def fresh_form(self, request: Request) -> str:
        """What such a form and its cookie hold."""
        known = request.cookies.get(self.form_cookie, "")
        return known if len(known) == 43 and known.isascii() else secrets.token_urlsafe(32)

    def check_form(self, request: Request, fields: Mapping[str, list[str]]) -> None:
        """Raise ``WEB-019`` where a form outside a session was not made for this browser."""
        cookie, given = request.cookies.get(self.form_cookie, ""), fields.get("form", [""])[0]
        if not cookie or not hmac.compare_digest(cookie.encode(), given.encode()) or not self.same_origin(request):
            self.log(events.WEB_FORM_REFUSED, subject="stranger", code=errors.FORM_STALE.code)
            raise TarnhelmError(errors.FORM_STALE)

    def same_origin(self, request: Request) -> bool:
        """Whether a browser sent this from one of our own pages, as far as it says."""
        origin = request.headers.get("origin")
        fetched = request.headers.get("sec-fetch-site", "same-origin")
        # With our own Referrer-Policy a browser may write "null" for a form of our own page.
        from_here = origin is None or origin == "null" or urlsplit(origin).netloc in self.site.hosts
        return from_here and fetched in ("same-origin", "none")


async def read_form(request: Request) -> Mapping[str, list[str]]:
    """Read the fields of a form, bounded; raises ``WEB-019`` for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise TarnhelmError(errors.FORM_STALE)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM_BYTES:
            raise TarnhelmError(errors.FORM_STALE)
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise TarnhelmError(errors.FORM_STALE) from None
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def shield(app: Any, site: Site, log: EventLog) -> Any:
    """Wrap an application: only our own hosts, the headers of every answer, no word about what failed."""
    headers = dict(_HEADERS)
    if site.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    hosts = site.hosts

    async def shielded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                found = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"server"]
                given = {name.lower() for name, _ in found}
                found += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                if b"cache-control" not in given:
                    found.append((b"cache-control", b"no-store"))
                message = {**message, "headers": found}
            await send(message)

        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        if host not in hosts and scope["path"] != "/healthz":
            await Response("This page has another name.\n", 421, media_type="text/plain")(scope, receive, sending)
            return
        try:
            await app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - the text of an unforeseen error may hold anything
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            place = f"{type(error).__name__}:{trace.tb_lineno if trace else 0}"
            log(events.WEB_FAILED, site=place)
            if not begun:
                answer = Response("The page failed. The gateway's log says where.\n", 500, media_type="text/plain")
                await answer(scope, receive, sending)

    return shielded
