"""The key that manifest lines and withdrawal notices are signed with: Ed25519, in a file of its own."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from tarnhelm.common.errors import MANIFEST_KEY_UNUSABLE, TarnhelmError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ManifestKey", "load_public_key"]


class ManifestKey:
    """Signs; the public half stands beside it in ``NAME.pub`` for whoever verifies."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def open(cls, path: Path) -> ManifestKey:
        """Read a PEM file (PKCS#8) that others may not read, or make one (0600) and its public file.

        Raises
        ------
        TarnhelmError
            DLV-030 where it is no such key, or where others may read it.
        """
        try:
            if not path.exists():
                return cls._made(path)
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise TarnhelmError(MANIFEST_KEY_UNUSABLE)
            found = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
            raise TarnhelmError(MANIFEST_KEY_UNUSABLE) from None
        if not isinstance(found, Ed25519PrivateKey):
            raise TarnhelmError(MANIFEST_KEY_UNUSABLE)
        return cls(found)

    @classmethod
    def _made(cls, path: Path) -> ManifestKey:
        """Make both files; of several processes that begin at once, one makes them and the others read."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls(Ed25519PrivateKey.generate())
        work = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        fd = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(fd, "wb") as stream:
                stream.write(made._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
                stream.flush()
                os.fsync(stream.fileno())
            path.hardlink_to(work)
        except FileExistsError:
            return cls.open(path)
        finally:
            work.unlink(missing_ok=True)
        path.with_name(f"{path.name}.pub").write_bytes(made.public_pem())
        return made

    def sign(self, message: bytes) -> bytes:
        """Signature, 64 bytes."""
        return self._key.sign(message)

    def public_pem(self) -> bytes:
        """Return the public half in PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def public(self) -> Ed25519PublicKey:
        """The public half."""
        return self._key.public_key()


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key in PEM; raises DLV-030."""
    try:
        found = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        raise TarnhelmError(MANIFEST_KEY_UNUSABLE) from None
    if not isinstance(found, Ed25519PublicKey):
        raise TarnhelmError(MANIFEST_KEY_UNUSABLE)
    return found
