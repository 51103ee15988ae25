"""The gateway's own key and what is derived of it: object ids, source digests, locators."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.ids import object_id

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GatewayKeys", "ticket_key"]

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
        self._uid_key = self._derive(secret, b"instance uid")
        self._volume_key = self._derive(secret, b"volume")
        self._tombstone_key = self._derive(secret, b"tombstone")
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

    def uid_digest(self, project: str, sop_instance_uid: str) -> bytes:
        """Digest of a SOP Instance UID in a project, 16 bytes; nothing for no UID."""
        if not sop_instance_uid:
            return b""
        message = f"{project}\x00{sop_instance_uid}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._uid_key, message, hashlib.sha256)[:16]

    def volume_id(self, project: str, study_uid: str, frame_of_reference_uid: str) -> str:
        """Id of a volume, 32 hex digits; the UIDs are surrogates."""
        message = f"{project}\x00{study_uid}\x00{frame_of_reference_uid}".encode()
        return hmac.digest(self._volume_key, message, hashlib.sha256).hex()[:32]

    def source_digest(self, project: str, place: str, size: int, mtime_ns: int) -> bytes:
        """Digest of where an object came from and what it looked like there; 16 bytes."""
        message = f"{project}\x00{place}\x00{size}\x00{mtime_ns}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._source_key, message, hashlib.sha256)[:16]

    def place_digest(self, path: Path) -> str:
        """Name under which a folder is remembered, 32 hex digits."""
        message = os.fsencode(path.resolve())
        return hmac.digest(self._place_key, message, hashlib.sha256).hex()[:32]

    def tombstones(self, project: str, patient_id: str, study: str) -> tuple[bytes, ...]:
        """Digests under which the withdrawal of a surrogate Patient ID and of a surrogate study are remembered."""
        named = ((b"patient", patient_id), (b"study", study))
        return tuple(
            hmac.digest(
                self._tombstone_key, project.encode() + b"\x00" + kind + b"\x00" + name.encode(), hashlib.sha256
            )
            for kind, name in named
            if name
        )

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

    @classmethod
    def read(cls, path: Path) -> GatewayKeys:
        """Read the secret of a file, as a mounted secret is one; raises ``GTW-006`` for one that is too short."""
        try:
            return cls(path.read_bytes())
        except OSError:
            raise TarnhelmError(errors.STATE_BROKEN) from None

    @staticmethod
    def _derive(secret: bytes, label: bytes) -> bytes:
        return hmac.digest(secret, b"tarnhelm gateway v1: " + label, hashlib.sha256)


def ticket_key(path: Path) -> Ed25519PrivateKey:
    """Read the key that signs admission tickets: PEM (PKCS #8), or the raw 32 bytes.

    Raises
    ------
    TarnhelmError
        ``GTW-006`` where the file is no such key.
    """
    try:
        data = path.read_bytes()
        if len(data) == _KEY_BYTES:
            return Ed25519PrivateKey.from_private_bytes(data)
        key = load_pem_private_key(data, None)
    except (OSError, ValueError, TypeError):
        raise TarnhelmError(errors.STATE_BROKEN) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise TarnhelmError(errors.STATE_BROKEN)
    return key
