"""The gateway's own key and what is derived of it: object ids, source digests, locators."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.ids import object_id

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GatewayKeys"]

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class GatewayKeys:
    """Names and seals with one secret of 32 bytes.

    Object ids are keyed, so that nobody can test whether a file he has was here. Places are encrypted, so
    that a copy of the state alone names no patient.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _KEY_BYTES:
            raise TarnhelmError(errors.STATE_BROKEN)
        self._id_key = self._derive(secret, b"object id")
        self._source_key = self._derive(secret, b"source digest")
        self._place_key = self._derive(secret, b"place digest")
        self._locators = AESGCM(self._derive(secret, b"locator"))

    @classmethod
    def open(cls, folder: Path) -> GatewayKeys:
        """Read ``gateway.key`` in ``folder`` (0700), or make it (0600) with fresh randomness."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / "gateway.key"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            return cls(path.read_bytes())
        with os.fdopen(fd, "wb") as stream:
            secret = secrets.token_bytes(_KEY_BYTES)
            stream.write(secret)
            stream.flush()
            os.fsync(stream.fileno())
        return cls(secret)

    def object_id(self, project: str, raw_sha256: bytes) -> str:
        """Id of an object of ``project``."""
        return object_id(self._id_key, project, raw_sha256)

    def source_digest(self, project: str, place: str, size: int, mtime_ns: int) -> bytes:
        """Digest of where an object came from and what it looked like there; 16 bytes."""
        message = f"{project}\x00{place}\x00{size}\x00{mtime_ns}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._source_key, message, hashlib.sha256)[:16]

    def place_digest(self, path: Path) -> str:
        """Name under which a folder is remembered, 32 hex digits."""
        message = os.fsencode(path.resolve())
        return hmac.digest(self._place_key, message, hashlib.sha256).hex()[:32]

    def seal_place(self, path: str, member: str, owner: str) -> bytes:
        """Encrypt a place; it opens only for the object ``owner``."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = json.dumps([path, member]).encode()
        return nonce + self._locators.encrypt(nonce, text, owner.encode())

    def open_place(self, locator: bytes, owner: str) -> tuple[str, str]:
        """Path and member of a sealed place; raises ``GTW-006``."""
        try:
            text = self._locators.decrypt(locator[:_NONCE_BYTES], locator[_NONCE_BYTES:], owner.encode())
            path, member = json.loads(text)
        except (InvalidTag, ValueError):
            raise TarnhelmError(errors.STATE_BROKEN) from None
        return str(path), str(member)

    def seal(self, text: bytes, owner: str) -> bytes:
        """Encrypt what only this machine shall read again, bound to ``owner``."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._locators.encrypt(nonce, text, b"document:" + owner.encode())

    def unseal(self, sealed: bytes, owner: str) -> bytes:
        """Return the text of :meth:`seal`; raises ``GTW-006``."""
        try:
            return self._locators.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], b"document:" + owner.encode())
        except (InvalidTag, ValueError):
            raise TarnhelmError(errors.STATE_BROKEN) from None

    @staticmethod
    def _derive(secret: bytes, label: bytes) -> bytes:
        return hmac.digest(secret, b"tarnhelm gateway v1: " + label, hashlib.sha256)
