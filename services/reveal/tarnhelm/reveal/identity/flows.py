"""Two ways to log in: a browser on this machine (authorization code with PKCE), or on another one (device code).

RFC 6749 section 4.1 with RFC 7636 and, for the loopback address, RFC 8252 section 7.3; RFC 8628.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from tarnhelm.common.errors import IDENTITY_AWAY, LOGIN_FAILED, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tarnhelm.reveal.identity.web import Provider, Web

__all__ = ["Asked", "by_browser", "by_device"]

_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_LONGEST_WAIT: Final = 900.0
_PAGE: Final = b"<!doctype html><meta charset=utf-8><title>Tarnhelm</title><p>%s You can close this page."


@dataclass(frozen=True, slots=True)
class Asked:
    """How to ask.

    Attributes
    ----------
    client
        Id under which the provider knows this tool.
    secret
        Of the client, where the provider demands one of a tool that cannot keep it.
    nonce
        To be put into the token.
    scope
        Words.
    """

    client: str
    nonce: str
    secret: str = field(default="", repr=False)
    scope: str = "openid"

    def named(self) -> dict[str, str]:
        """Client id, and secret if there is one."""
        return {"client_id": self.client, **({"client_secret": self.secret} if self.secret else {})}


class Show(Protocol):
    """Shows the person where to go."""

    def __call__(self, address: str, code: str) -> None:
        """``code`` is what to type there; empty where nothing is to be typed."""
        ...


def by_browser(
    web: Web,
    provider: Provider,
    asked: Asked,
    show: Show,
    *,
    random: Callable[[int], bytes],
    port: int = 0,
    wait_seconds: float = 300.0,
) -> str:
    """Log in with a browser on this machine and give the ID token.

    Parameters
    ----------
    show
        Opens or prints the address.
    port
        Of the redirect on 127.0.0.1; 0 takes a free one (RFC 8252 wants providers to take any).

    Raises
    ------
    TarnhelmError
        RVL-044 where it was refused or took too long, RVL-043 (RETRY).
    """
    if not provider.authorization or not provider.token:
        raise TarnhelmError(LOGIN_FAILED)
    verifier, state = _word(random(32)), _word(random(16))
    with _Redirect(port, state) as redirect:
        question = {
            "response_type": "code",
            "client_id": asked.client,
            "redirect_uri": redirect.address,
            "scope": asked.scope,
            "state": state,
            "nonce": asked.nonce,
            "code_challenge": _word(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(provider.authorization).query else "?"
        show(f"{provider.authorization}{joint}{urlencode(question)}", "")
        code = redirect.wait(min(wait_seconds, _LONGEST_WAIT))
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect.address,
            "code_verifier": verifier,
            **asked.named(),
        }
    return _token(web.post(provider.token, form).document)


def by_device(
    web: Web,
    provider: Provider,
    asked: Asked,
    show: Show,
    *,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> str:
    """Log in with a browser on any machine: show a code, wait until it was typed there, give the ID token.

    Raises
    ------
    TarnhelmError
        RVL-044 where the provider has no such way, or it was refused or took too long; RVL-043 (RETRY).
    """
    if not provider.device or not provider.token:
        raise TarnhelmError(LOGIN_FAILED)
    begun = web.post(provider.device, {"scope": asked.scope, "nonce": asked.nonce, **asked.named()}).document
    device, typed, place = (begun.get(name) for name in ("device_code", "user_code", "verification_uri"))
    interval, life = begun.get("interval", 5), begun.get("expires_in")
    numbers = type(interval) in {int, float} and type(life) in {int, float}
    if not (numbers and all(isinstance(text, str) and text for text in (device, typed, place))):
        raise TarnhelmError(LOGIN_FAILED)
    show(str(begun.get("verification_uri_complete") or place), str(typed))
    pause = max(1.0, float(interval))
    end = clock() + min(float(life or 0), _LONGEST_WAIT)
    form = {"grant_type": _DEVICE_GRANT, "device_code": str(device), **asked.named()}
    while clock() < end:
        sleep(pause)
        try:
            document = web.post(provider.token, form).document
        except TarnhelmError as error:
            if error.kind is not IDENTITY_AWAY:
                raise
            pause *= 2  # section 3.5: after a time-out, less often
            continue
        problem = document.get("error")
        if problem == "slow_down":
            pause += 5
        elif problem != "authorization_pending":
            return _token(document)
    raise TarnhelmError(LOGIN_FAILED)


def _token(document: Mapping[str, Any]) -> str:
    found = document.get("id_token")
    if not isinstance(found, str) or not found:
        raise TarnhelmError(LOGIN_FAILED)
    return found


def _word(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


class _Redirect:
    """Listens on 127.0.0.1 for the browser to come back with the code of this login."""

    def __init__(self, port: int, state: str) -> None:
        self._came = threading.Event()
        self._code = ""
        redirect = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                self.send_response(*((200,) if redirect.take(self.path, state) else (404,)))
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(_PAGE % (b"You are logged in." if redirect.has_code else b"Nobody was logged in."))

            def log_message(self, *_: object) -> None:
                """Say nothing: the address holds the code."""

        try:
            self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError:
            raise TarnhelmError(LOGIN_FAILED) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/callback"

    @property
    def has_code(self) -> bool:
        return bool(self._code)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, path: str, state: str) -> bool:
        """Take what a browser brought; anything that is not of this login is passed over."""
        place = urlsplit(path)
        query = parse_qs(place.query)
        came = query.get("state", [""])[-1]
        if place.path != "/callback" or not hmac.compare_digest(came.encode(), state.encode()) or self._came.is_set():
            return False
        self._code = query.get("code", [""])[-1]
        self._came.set()
        return True

    def wait(self, seconds: float) -> str:
        """Give the code; RVL-044 where none came in time, or the provider refused."""
        if not self._came.wait(seconds) or not self._code:
            raise TarnhelmError(LOGIN_FAILED)
        return self._code
