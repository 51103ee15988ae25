"""A process's session with a vault server (OpenBao, or HashiCorp Vault): login, renewal, one kind of answer.

What a request may come to is divided by what the caller can do about it:

- an :class:`Answer`: the server understood and decided, a denial by its policy included;
- LNK-007 (RETRY): sealed, standby, overloaded, away, or no answer that a vault gives;
- LNK-030 (RETRY): the server does not take this process's identity. No object is at fault, so it waits too;
- LNK-031: the settings are wrong, found before anything was sent.

A library's exception quotes addresses and may carry the request itself; none leaves this file, not even as
the context of another one. Secrets live in this object's memory alone; it takes nothing from the environment
(no ``VAULT_*``, no proxy, no ``.netrc``) and follows no redirect, because the token would travel along.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn, Self
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from hvac.adapters import RawAdapter

from tarnhelm.common.errors import VAULT_REFUSED, VAULT_SETTINGS, VAULT_UNAVAILABLE, ErrorCode, TarnhelmError
from tarnhelm.linkage.vaults.login import Login, TokenFile, login_request, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Answer", "VaultServer", "VaultSession"]

_DECIDED: Final = frozenset({200, 204, 400, 401, 403, 404, 405, 413})
"""Statuses by which the server has decided on the request; all others are its state, not its answer."""
_DENIED: Final = frozenset({401, 403})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NO_KEY: Final = "encryption key not found"
_CONNECTIONS: Final = 32
_PIECE: Final = 1 << 20
_HOLD_SECONDS: Final = 0.5
"""After a failed login no other is tried for so long: a hundred waiting calls must not become a hundred logins."""
_RETRY_SECONDS: Final = 5.0
_NEVER: Final = 3600.0


@dataclass(frozen=True, slots=True)
class VaultServer:
    """Where the vault is.

    Attributes
    ----------
    address
        ``https://host:port``; ``http`` is taken for this machine's loopback only.
    ca_file
        Certificates (PEM) that the server's must come from. None: those of the system.
    namespace
        Of the server, empty for its root.
    timeout_seconds
        For the connection, and for each answer.
    """

    address: str
    ca_file: Path | None = None
    namespace: str = ""
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server decided.

    Attributes
    ----------
    status
        HTTP status: 200, 204, 400 (403 with a token that is valid, 404, 405, 413).
    data
        The answer's data, empty where there are none.
    auth
        The token that a login or a renewal gave.
    wrap
        Where the answer itself is kept back until somebody lets it pass: token and accessor of what keeps it.
    no_key
        The engine says that it has no key of this name.
    """

    status: int
    data: Mapping[str, Any] = field(repr=False, default_factory=dict)
    auth: Mapping[str, Any] = field(repr=False, default_factory=dict)
    no_key: bool = False
    wrap: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether the server did what it was asked."""
        return self.status in {200, 204}

    @property
    def denied(self) -> bool:
        """Whether the policy of a valid token forbids it."""
        return self.status in _DENIED


@dataclass(frozen=True, slots=True)
class _Grant:
    """A token as it works: the adapter sends it, ``ttl`` is 0 for one that does not end."""

    adapter: Any = field(repr=False)
    ttl: float
    renewable: bool


class VaultSession:
    """One identity's session; safe among threads, and belongs to one process.

    The first request logs in. From then on a thread renews the token at between 50 and 70 % of its life (by
    chance, so that replicas do not come together) and logs in again where it cannot be renewed any more. A
    token that was revoked is noticed by the next request, which logs in again and is sent once more.

    Parameters
    ----------
    server, login
        Where, and as whom.
    clock
        Gives seconds that never go back.
    fraction
        Gives a random number of [0, 1).

    Raises
    ------
    TarnhelmError
        LNK-031 where the address is not https, or the CA file is not there.
    """

    def __init__(
        self,
        server: VaultServer,
        login: Login,
        *,
        clock: Callable[[], float] = time.monotonic,
        fraction: Callable[[], float] = random.random,
    ) -> None:
        self._server = _checked(server)
        self._login = login
        self._clock = clock
        self._fraction = fraction
        self._http = _connections(server)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._grant: _Grant | None = None
        self._renew_at = 0.0
        self._held_until = 0.0
        self._held_for: ErrorCode = VAULT_UNAVAILABLE
        self._thread: threading.Thread | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        message = "a vault session belongs to one process"
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"VaultSession({type(self._login).__name__})"

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send one request (``get``, ``post``, ``list``, ``delete``) and give what the server decided.

        Raises
        ------
        TarnhelmError
            LNK-007, LNK-030 (RETRY), LNK-031.
        """
        grant = self._grant or self._enter(None)
        answer = self._send(grant.adapter, method, path, body)
        if answer.denied and not self._is_valid(grant):
            grant = self._enter(grant)
            answer = self._send(grant.adapter, method, path, body)
        return answer

    def download(self, path: str) -> Iterator[bytes]:
        """Fetch what is no JSON, piece by piece: a snapshot of the server. LNK-007 where it breaks off, LNK-030."""
        grant = self._grant or self._enter(None)
        try:
            with grant.adapter.request("get", f"/v1/{path}", stream=True) as response:
                status = response.status_code
                yield from response.iter_content(_PIECE) if status == 200 else ()
                whole = True
        except (OSError, ValueError, urllib3.exceptions.HTTPError):
            status, whole = 0, False
        if not whole or status not in _DECIDED:
            raise TarnhelmError(VAULT_UNAVAILABLE)
        if status != 200:
            raise TarnhelmError(VAULT_REFUSED)

    def upload(self, path: str, content: IO[bytes]) -> None:
        """Send what is no JSON. LNK-007 where the server's state does not let it, LNK-030."""
        grant = self._grant or self._enter(None)
        try:
            status = grant.adapter.request("post", f"/v1/{path}", data=content).status_code
        except (OSError, ValueError, urllib3.exceptions.HTTPError):
            status = 0
        if status not in _DECIDED:
            raise TarnhelmError(VAULT_UNAVAILABLE)
        if status not in {200, 204}:
            raise TarnhelmError(VAULT_REFUSED)

    def check(self) -> None:
        """Raise what would keep a request from being decided: LNK-007, LNK-030, LNK-031."""
        if not self.request("get", "auth/token/lookup-self").done:
            raise TarnhelmError(VAULT_REFUSED)

    def close(self) -> None:
        """End the renewal and let the connections go; the token lives on until its time is over."""
        self._closed = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2 * self._server.timeout_seconds)
        self._http.close()

    # --- identity --------------------------------------------------------------------------------------------

    def _is_valid(self, grant: _Grant) -> bool:
        return self._send(grant.adapter, "get", "auth/token/lookup-self").done

    def _enter(self, stale: _Grant | None) -> _Grant:
        """Log in, unless another thread did so since ``stale`` was handed out."""
        with self._lock:
            if self._grant is not None and self._grant is not stale:
                return self._grant
            if self._closed:
                raise TarnhelmError(VAULT_UNAVAILABLE)
            if self._clock() < self._held_until:
                raise TarnhelmError(self._held_for)
            try:
                grant = self._logged_in()
            except TarnhelmError as error:
                self._held_until = self._clock() + _HOLD_SECONDS
                self._held_for = error.kind
                raise
            self._take(grant)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="vault-renewal", daemon=True)
                self._thread.start()
            self._wake.set()
            return grant

    def _logged_in(self) -> _Grant:
        if isinstance(self._login, TokenFile):
            adapter = self._adapter(read_secret(self._login.path, private=True))
            answer = self._send(adapter, "get", "auth/token/lookup-self")
            found, life = answer.data, "ttl"
        else:
            path, body = login_request(self._login)
            answer = self._send(self._adapter(None), "post", path, body)
            found, life = answer.auth, "lease_duration"
            token = found.get("client_token")
            adapter = self._adapter(token if isinstance(token, str) else None)
        ttl, renewable = found.get(life), found.get("renewable")
        if not answer.done or adapter.token is None or not isinstance(ttl, int):
            raise TarnhelmError(VAULT_REFUSED)
        return _Grant(adapter, float(ttl), renewable is True)

    def _adapter(self, token: str | None) -> Any:
        server = self._server
        return RawAdapter(
            base_uri=server.address,
            token=token,
            session=self._http,
            timeout=server.timeout_seconds,
            namespace=server.namespace or None,
            allow_redirects=False,
            ignore_exceptions=True,
        )

    # --- renewal ---------------------------------------------------------------------------------------------

    def _take(self, grant: _Grant) -> None:
        self._grant = grant
        share = 0.5 + 0.2 * self._fraction()
        self._renew_at = self._clock() + (max(1.0, grant.ttl * share) if grant.ttl else _NEVER)

    def _keep(self) -> None:
        while not self._closed:
            self._wake.wait(max(0.0, self._renew_at - self._clock()))
            self._wake.clear()
            if not self._closed and self._clock() >= self._renew_at:
                self._renew()

    def _renew(self) -> None:
        grant = self._grant
        if grant is None:
            return
        try:
            if grant.ttl and not self._renewed(grant):
                self._enter(grant)
        except TarnhelmError:
            # Requests find out by themselves; here it is only tried again, and soon enough to be of use.
            pause = min(_RETRY_SECONDS, grant.ttl / 10)
            self._renew_at = self._clock() + max(0.1, pause * (0.5 + self._fraction()))

    def _renewed(self, grant: _Grant) -> bool:
        if not grant.renewable:
            return False
        answer = self._send(grant.adapter, "post", "auth/token/renew-self", {})
        ttl = answer.auth.get("lease_duration")
        # Near the end of its longest life a token is renewed for ever shorter times: then a new one is due.
        if not answer.done or not isinstance(ttl, int) or ttl < grant.ttl / 2:
            return False
        with self._lock:
            if self._grant is grant:
                self._take(grant)
        return True

    # --- the wire --------------------------------------------------------------------------------------------

    def _send(self, adapter: Any, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        answer: Answer | None
        try:
            response = adapter.request(method, f"/v1/{path}", json=body)
            answer = _understood(response.status_code, response.content and response.json())
        except (OSError, ValueError, urllib3.exceptions.HTTPError):
            answer = None
        # Raised out here, so that the library's exception does not hang on as the context of this one.
        if answer is None:
            raise TarnhelmError(VAULT_UNAVAILABLE)
        return answer


def _understood(status: int, document: Any) -> Answer | None:
    if status not in _DECIDED:
        return None
    if status == 204:
        return Answer(status)
    if not isinstance(document, dict):
        return None
    data, auth, errors = document.get("data"), document.get("auth"), document.get("errors")
    wrap = document.get("wrap_info")
    return Answer(
        status,
        data if isinstance(data, dict) else {},
        auth if isinstance(auth, dict) else {},
        no_key=status == 404 or (isinstance(errors, list) and _NO_KEY in errors),
        wrap=wrap if isinstance(wrap, dict) else {},
    )


def _checked(server: VaultServer) -> VaultServer:
    try:
        place = urlsplit(server.address)
        encrypted = place.scheme == "https" or (place.scheme == "http" and place.hostname in _LOOPBACK)
        plain = not (place.username or place.password or place.query or place.fragment)
        good = encrypted and plain and bool(place.hostname) and place.port != 0 and place.path in {"", "/"}
    except ValueError:
        good = False
    if not good or (server.ca_file is not None and not server.ca_file.is_file()):
        raise TarnhelmError(VAULT_SETTINGS)
    return server


def _connections(server: VaultServer) -> Any:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(server.ca_file) if server.ca_file else True
    session.mount("https://", requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=_CONNECTIONS))
    session.mount("http://", requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=_CONNECTIONS))
    return session
