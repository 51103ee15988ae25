"""Requests to an identity provider: https, no proxy, no redirect, bounded answers, errors without values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from tarnhelm.common.errors import BAD_REVEAL_SETTINGS, IDENTITY_AWAY, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Provider", "Reply", "Web", "discover", "is_web_address"]

_TIMEOUT_SECONDS: Final = 10.0
_LARGEST: Final = 1 << 20
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a JSON object; an empty one where the body is none."""

    status: int
    document: Mapping[str, Any]


class Web:
    """A connection to one provider.

    Parameters
    ----------
    ca_file
        Certificates (PEM) that the provider's must come from. None: those of the system.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self._http = requests.Session()
        # Nothing out of the environment: no proxy, no .netrc, no other list of authorities.
        self._http.trust_env = False
        self._http.verify = str(ca_file) if ca_file else True

    def get(self, address: str) -> Reply:
        """Read a document; RVL-043 (RETRY) where nothing usable comes."""
        return self._send("GET", address, None)

    def post(self, address: str, form: Mapping[str, str]) -> Reply:
        """Send a form; RVL-043 (RETRY)."""
        return self._send("POST", address, form)

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def _send(self, method: str, address: str, form: Mapping[str, str] | None) -> Reply:
        if not is_web_address(address):
            raise TarnhelmError(IDENTITY_AWAY)
        found: Reply | None = None
        try:
            with self._http.request(
                method, address, data=form, timeout=_TIMEOUT_SECONDS, allow_redirects=False, stream=True
            ) as answer:
                content = answer.raw.read(_LARGEST + 1, decode_content=True)
                document = json.loads(content) if content and len(content) <= _LARGEST else {}
                if answer.status_code < 500 and isinstance(document, dict):
                    found = Reply(answer.status_code, document)
        except (OSError, ValueError, RecursionError, urllib3.exceptions.HTTPError):
            found = None
        # Raised out here: the library's exception quotes addresses and would hang on as context.
        if found is None:
            raise TarnhelmError(IDENTITY_AWAY)
        return found


def is_web_address(address: str) -> bool:
    """Whether it is an ``https`` address without credentials; ``http`` for this machine's loopback alone."""
    try:
        place = urlsplit(address)
        encrypted = place.scheme == "https" or (place.scheme == "http" and place.hostname in _LOOPBACK)
        return encrypted and bool(place.hostname) and not (place.username or place.password) and place.port != 0
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Provider:
    """What a provider says of itself (OpenID Connect Discovery 1.0, section 3).

    Attributes
    ----------
    issuer
        As in its tokens.
    jwks, token, authorization, device
        Addresses; those that it does not have are empty.
    """

    issuer: str
    jwks: str
    token: str = ""
    authorization: str = ""
    device: str = ""


def discover(web: Web, issuer: str) -> Provider:
    """Read a provider's description; RVL-043 where it is not this issuer's, RVL-031 for an address that is none."""
    if not is_web_address(issuer):
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0)
    reply = web.get(issuer.rstrip("/") + _WELL_KNOWN)
    found = reply.document
    named = {
        name: found.get(key, "")
        for name, key in (
            ("issuer", "issuer"),
            ("jwks", "jwks_uri"),
            ("token", "token_endpoint"),
            ("authorization", "authorization_endpoint"),
            ("device", "device_authorization_endpoint"),
        )
    }
    right = reply.status == 200 and all(isinstance(value, str) for value in named.values())
    # Section 4.3: another issuer's description under this address is an attack.
    if not right or named["issuer"] != issuer or not is_web_address(named["jwks"]):
        raise TarnhelmError(IDENTITY_AWAY)
    return Provider(**named)
