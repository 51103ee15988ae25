"""Signing in with an OpenID provider: authorization code with PKCE, every answer checked.

Sources: OpenID Connect Core 1.0 §3.1, RFC 7636 (PKCE, S256), RFC 9207 (issuer in the answer).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.serve import is_loopback
from tarnhelm.gateway.admin.people import Person, plain_name
from tarnhelm.gateway.admin.settings import Role

if TYPE_CHECKING:
    from tarnhelm.gateway.web.settings import OidcSettings

__all__ = ["Flow", "Provider"]

_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"]
_MOST_BYTES: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 10.0
_FRESH_SECONDS: Final = 3600.0
_LEEWAY_SECONDS: Final = 60
_MOST_AGE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Flow:
    """One way to the provider and back; kept by the page, never by the browser.

    Attributes
    ----------
    state, nonce, verifier
        Random; the browser sees the first two and the digest of the third.
    """

    state: str
    nonce: str
    verifier: str
    begun: float


class Provider:
    """One identity provider.

    Raises
    ------
    TarnhelmError
        ``WEB-024``: the issuer is not ``https`` off this machine, or a file cannot be read.
    """

    def __init__(self, settings: OidcSettings, redirect_uri: str, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._redirect = redirect_uri
        self._clock = clock
        self._document: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        if not _allowed(settings.issuer) or not settings.client_id:
            raise TarnhelmError(errors.WEB_SETTINGS)
        try:
            verify = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
            secret = (
                settings.client_secret_file.read_text(encoding="utf-8").strip() if settings.client_secret_file else ""
            )
        except (OSError, ValueError):
            raise TarnhelmError(errors.WEB_SETTINGS) from None
        self._secret = secret
        self._client = httpx.AsyncClient(
            verify=verify, trust_env=False, follow_redirects=False, timeout=_TIMEOUT_SECONDS
        )

    async def begin(self) -> tuple[Flow, str]:
        """Return a new flow, and the address to send the browser to."""
        document = await self._discover()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        flow = Flow(state, nonce, verifier, self._clock())
        challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect,
            "scope": " ".join(("openid", *self._settings.scopes)),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = str(document["authorization_endpoint"])
        return flow, f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def finish(self, flow: Flow, answer: Mapping[str, str]) -> Person:
        """Return who signed in.

        Parameters
        ----------
        answer
            The query that the browser came back with.

        Raises
        ------
        TarnhelmError
            ``WEB-020`` away, ``WEB-021`` the answer does not hold, ``WEB-022`` no role.
        """
        settings = self._settings
        stale = self._clock() - flow.begun > _MOST_AGE_SECONDS
        if stale or not secrets.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise TarnhelmError(errors.PROVIDER_REFUSED)
        if answer.get("iss", settings.issuer) != settings.issuer or not answer.get("code"):
            raise TarnhelmError(errors.PROVIDER_REFUSED)
        document = await self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self._redirect,
            "client_id": settings.client_id,
            "code_verifier": flow.verifier,
        }
        login = httpx.BasicAuth(settings.client_id, self._secret) if self._secret else None
        body = await self._json("POST", str(document["token_endpoint"]), data=form, auth=login)
        claims = await self._claims(str(body.get("id_token", "")), flow.nonce)
        return self._person(claims)

    async def close(self) -> None:
        """Let connections go."""
        await self._client.aclose()

    # --- the token -------------------------------------------------------------------------------------

    async def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        settings = self._settings
        claims: Mapping[str, Any] = {}
        for fresh in (False, True):
            keys = await self._key_set(fresh=fresh)
            try:
                claims = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
                break
            except (JoseError, ValueError, KeyError, TypeError):
                if fresh:  # keys were rotated, or it is not the provider's
                    raise TarnhelmError(errors.PROVIDER_REFUSED) from None
        now = self._clock()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        good = (
            claims.get("iss") == settings.issuer
            and settings.client_id in audiences
            and (len(audiences) == 1 or claims.get("azp") == settings.client_id)
            and claims.get("azp", settings.client_id) == settings.client_id
            and isinstance(claims.get("sub"), str)
            and _number(claims, "exp") > now - _LEEWAY_SECONDS
            and 0 < _number(claims, "iat") < now + _LEEWAY_SECONDS
            and ("nbf" not in claims or 0 <= _number(claims, "nbf") < now + _LEEWAY_SECONDS)
            and secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode())
        )
        if not good:
            raise TarnhelmError(errors.PROVIDER_REFUSED)
        return claims

    def _person(self, claims: Mapping[str, Any]) -> Person:
        found: Any = claims
        for part in self._settings.roles_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        roles = {self._settings.roles[value] for value in values if value in self._settings.roles}
        if not roles:
            raise TarnhelmError(errors.PERSON_WITHOUT_ROLE)
        role = max(roles, key=list(Role).index)
        # The provider's own name of a person may be an address; only its digest is kept.
        digest = hashlib.sha256(f"{claims['iss']}\x00{claims['sub']}".encode()).hexdigest()[:24]
        return Person(f"oidc:{digest}", plain_name(str(claims.get(self._settings.name_claim, ""))), role)

    # --- the provider ----------------------------------------------------------------------------------

    async def _discover(self) -> Mapping[str, Any]:
        now = self._clock()
        if self._document is not None and now - self._document[0] < _FRESH_SECONDS:
            return self._document[1]
        issuer = self._settings.issuer
        found = await self._json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer") != issuer or not all(_allowed(str(found.get(name, ""))) for name in wanted):
            raise TarnhelmError(errors.PROVIDER_REFUSED)
        self._document = now, found
        return found

    async def _key_set(self, *, fresh: bool) -> KeySet:
        now = self._clock()
        if not fresh and self._keys is not None and now - self._keys[0] < _FRESH_SECONDS:
            return self._keys[1]
        document = await self._discover()
        found = await self._json("GET", str(document["jwks_uri"]))
        try:
            keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError):
            raise TarnhelmError(errors.PROVIDER_REFUSED) from None
        self._keys = now, keys
        return keys

    async def _json(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        """Ask; the answer is bounded, and nothing of it is ever quoted."""
        try:
            async with self._client.stream(method, url, headers={"Accept": "application/json"}, **more) as answer:
                size, parts = 0, []
                async for part in answer.aiter_bytes():
                    size += len(part)
                    if size > _MOST_BYTES:
                        raise TarnhelmError(errors.PROVIDER_REFUSED)
                    parts.append(part)
                answer_status = answer.status_code
        except httpx.HTTPError:
            raise TarnhelmError(errors.PROVIDER_AWAY) from None
        if answer_status >= 500:
            raise TarnhelmError(errors.PROVIDER_AWAY)
        try:
            body = httpx.Response(answer_status, content=b"".join(parts)).json()
        except ValueError:
            body = None
        if answer_status != 200 or not isinstance(body, dict):
            raise TarnhelmError(errors.PROVIDER_REFUSED)
        return body


def _allowed(url: str) -> bool:
    """Whether an address may be asked: ``https``, or plain on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and is_loopback(f"{parts.hostname}:{parts.port or 80}")


def _number(claims: Mapping[str, Any], name: str) -> float:
    found = claims.get(name)
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else -1.0
