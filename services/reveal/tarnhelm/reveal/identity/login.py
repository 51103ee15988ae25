"""A login: the identity provider's token, and the statement of the person's own key that it was asked with.

The statement is signed before the provider is asked, and its digest is the *nonce* that the provider puts into the
token. So a token serves only whoever began the login with the person's key; one that was got by another road, or
for another person, does not fit. A provider that gives no nonce (many do not for devices, RFC 8628) can be
allowed by the server's settings: then the statement's signature and time are checked alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import NOT_LOGGED_IN, TOKEN_REFUSED, TarnhelmError
from tarnhelm.linkage.core.private_files import read_private, write_private
from tarnhelm.reveal.core.documents import LOGIN, Signed, sign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tarnhelm.reveal.core.keyring import PersonKeys

__all__ = ["Login", "forget_login", "nonce_of", "read_login", "statement", "statement_time", "write_login"]

_MARGIN_SECONDS: Final = 30
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Login:
    """What a call brings to show who is there; the representation shows nothing of it.

    Attributes
    ----------
    token
        ID token (JWT) of the identity provider.
    statement
        :func:`statement`, as bytes.
    expires
        Of the token, seconds since 1970.
    """

    token: str = field(repr=False)
    statement: bytes = field(repr=False)
    expires: int


def statement(keys: PersonKeys, issuer: str, audience: str, now: int, random: Callable[[int], bytes]) -> Signed:
    """Sign that the holder of these keys begins to log in there, now."""
    document = {"issuer": issuer, "audience": audience, "time": now, "random": random(16).hex()}
    return sign(LOGIN, document, keys.signing)


def nonce_of(signed: Signed) -> str:
    """Give the nonce that binds a token to the statement: 64 hex digits."""
    return hashlib.sha256(signed.to_bytes()).hexdigest()


def statement_time(content: bytes, public: bytes, issuer: str, audience: str) -> tuple[Signed, int]:
    """Read a statement and give it with its time; RVL-041 where it is not this key's, or for another place."""
    try:
        signed = Signed.from_bytes(content, LOGIN)
        fields: dict[str, Any] = dict(signed.document)
        moment = fields["time"]
        fits = (fields["issuer"], fields["audience"]) == (issuer, audience) and type(moment) is int
    except (TarnhelmError, KeyError, ValueError, TypeError):
        raise TarnhelmError(TOKEN_REFUSED) from None
    if not fits or not signed.holds(public):
        raise TarnhelmError(TOKEN_REFUSED)
    return signed, int(moment)


def write_login(path: Path, login: Login) -> None:
    """Keep a login in a file of mode 0600."""
    document = {
        "format": _FORMAT,
        "token": login.token,
        "statement": login.statement.decode("utf-8"),
        "expires": login.expires,
    }
    write_private(path, json.dumps(document).encode(), replace=True)


def read_login(path: Path, now: int) -> Login:
    """Give a kept login that has at least half a minute left; RVL-040."""
    content = read_private(path)
    try:
        document = json.loads(content or b"")
        login = Login(str(document["token"]), str(document["statement"]).encode(), int(document["expires"]))
    except (ValueError, KeyError, TypeError):
        raise TarnhelmError(NOT_LOGGED_IN) from None
    if login.expires < now + _MARGIN_SECONDS:
        raise TarnhelmError(NOT_LOGGED_IN)
    return login


def forget_login(path: Path) -> None:
    """Remove a kept login."""
    path.unlink(missing_ok=True)
