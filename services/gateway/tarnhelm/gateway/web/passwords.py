"""Passwords of local accounts: scrypt (RFC 7914) with a salt each; the cost stands beside the digest."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["Cost", "check_password", "hash_password", "require_strength"]

_LEAST, _MOST = 12, 256
_SALT_BYTES: Final = 16
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one hash: ``2 ** log_n`` rounds over ``128 * r * 2 ** log_n`` bytes; 64 MiB by default."""

    log_n: int = 16
    r: int = 8
    p: int = 1


def require_strength(password: str, name: str) -> None:
    """Raise ``WEB-014`` for a password that is short, endless, one repeated character, or holds the name."""
    plain = password.casefold()
    if not _LEAST <= len(password) <= _MOST or name.casefold() in plain or len(set(plain)) < 5:
        raise TarnhelmError(errors.PASSWORD_WEAK)


def hash_password(password: str, random: Callable[[int], bytes], cost: Cost) -> str:
    """Return ``scrypt$LOG_N$R$P$SALT$DIGEST``."""
    salt = random(_SALT_BYTES)
    digest = _digest(password, salt, cost)
    texts = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(("scrypt", str(cost.log_n), str(cost.r), str(cost.p), *texts))


def check_password(password: str, stored: str) -> bool:
    """Whether a password is the one that was hashed; false for a text that is no hash."""
    try:
        kind, log_n, r, p, salt, digest = stored.split("$")
        cost = Cost(int(log_n), int(r), int(p))
        wanted = base64.b64decode(digest)
        given = _digest(password, base64.b64decode(salt), cost)
    except (ValueError, OverflowError):
        return False
    return kind == "scrypt" and hmac.compare_digest(given, wanted)


def _digest(password: str, salt: bytes, cost: Cost) -> bytes:
    n = 1 << cost.log_n
    memory = 128 * n * cost.r + (1 << 20)
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=cost.r, p=cost.p, maxmem=memory, dklen=_KEY_BYTES
    )
