"""Checking ID tokens (OpenID Connect Core 1.0, section 3.1.3.7; RFC 7519; RFC 8725)."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt

from tarnhelm.common.errors import NOT_LOGGED_IN, TOKEN_REFUSED, TarnhelmError
from tarnhelm.reveal.identity.web import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tarnhelm.reveal.identity.web import Web

__all__ = ["ALGORITHMS", "Claims", "TokenReader"]

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
"""Signatures that a provider may use. No symmetric one: a public key must never serve as a secret (RFC 8725, 2.1)."""

_LONGEST: Final = 8 << 10
_LONGEST_SUBJECT: Final = 255
_SUBJECT: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_KEYS_SECONDS: Final = 3600.0
_AGAIN_SECONDS: Final = 30.0
"""So long an unknown key id does not make the keys be read again: an attacker must not drive requests."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine token says.

    Attributes
    ----------
    subject
        ``issuer#sub``, as people are enrolled.
    issued, expires
        Seconds since 1970.
    nonce
        Empty without one.
    """

    subject: str
    issued: int
    expires: int
    nonce: str


class TokenReader:
    """Knows one provider's keys, and reads tokens for one audience. Safe among threads.

    Parameters
    ----------
    web
        To the provider.
    issuer, audience
        Both must stand in the token exactly.
    clock
        Seconds since 1970.
    ticks
        Seconds that never go back.
    skew_seconds
        By so much the provider's clock may differ.
    longest_seconds
        No token is taken for longer than this after it was issued, whatever it says.
    """

    def __init__(
        self,
        web: Web,
        issuer: str,
        audience: str,
        *,
        clock: Callable[[], int],
        ticks: Callable[[], float],
        skew_seconds: int = 60,
        longest_seconds: int = 12 * 3600,
    ) -> None:
        self._web = web
        self.issuer = issuer
        self.audience = audience
        self._clock = clock
        self._ticks = ticks
        self._skew = skew_seconds
        self._longest = longest_seconds
        self._lock = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._read_at: float | None = None

    def read(self, token: str) -> Claims:
        """Check a token and give its claims.

        Raises
        ------
        TarnhelmError
            RVL-041 where it is not genuine or not for this audience, RVL-040 where its time is over, RVL-043
            (RETRY) where the provider's keys cannot be read.
        """
        if len(token) > _LONGEST:
            raise TarnhelmError(TOKEN_REFUSED)
        key = self._key_for(token)
        now = self._clock()
        try:
            found = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self.audience,
                issuer=self.issuer,
                options={
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                    # Times are compared below with this reader's own clock.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            found = {}
        return self._checked(found, now)

    def _checked(self, found: Mapping[str, Any], now: int) -> Claims:
        subject, audience, nonce = found.get("sub"), found.get("aud"), found.get("nonce", "")
        times = [found.get("iat"), found.get("exp"), found.get("nbf", 0)]
        if not all(type(moment) in {int, float} for moment in times):
            raise TarnhelmError(TOKEN_REFUSED)
        issued, expires, begins = (int(moment or 0) for moment in times)
        # Section 3.1.3.7, 3-5: where others are named too, this client must be the one it was issued to.
        shared = isinstance(audience, list) and len(audience) > 1
        party = found.get("azp", None if shared else self.audience)
        if (
            not isinstance(subject, str)
            or not _SUBJECT.fullmatch(subject)
            or not isinstance(nonce, str)
            or party != self.audience
            or issued > now + self._skew
            or begins > now + self._skew
        ):
            raise TarnhelmError(TOKEN_REFUSED)
        if now >= expires + self._skew or now >= issued + self._longest:
            raise TarnhelmError(NOT_LOGGED_IN)
        return Claims(f"{self.issuer}#{subject}", issued, expires, nonce)

    # --- the provider's keys -------------------------------------------------------------------------------------

    def _key_for(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise TarnhelmError(TOKEN_REFUSED) from None
        name = header.get("kid", "")
        if not isinstance(name, str) or header.get("alg") not in ALGORITHMS:
            raise TarnhelmError(TOKEN_REFUSED)
        with self._lock:
            age = None if self._read_at is None else self._ticks() - self._read_at
            if age is None or age >= _KEYS_SECONDS or (name not in self._keys and age >= _AGAIN_SECONDS):
                self._keys = self._read_keys()
                self._read_at = self._ticks()
            found = self._keys.get(name)
        if found is None:
            raise TarnhelmError(TOKEN_REFUSED)
        return found

    def _read_keys(self) -> Mapping[str, jwt.PyJWK]:
        document = self._web.get(discover(self._web, self.issuer).jwks).document
        found: dict[str, jwt.PyJWK] = {}
        entries = document.get("keys")
        for entry in entries if isinstance(entries, list) else ():
            try:
                if entry.get("use", "sig") == "sig" and entry["kty"] in {"RSA", "EC", "OKP"}:
                    found[str(entry.get("kid", ""))] = jwt.PyJWK(entry)
            except (jwt.PyJWTError, KeyError, TypeError, ValueError, AttributeError):
                continue  # a key of a kind that this software does not know is no key of ours
        return found
