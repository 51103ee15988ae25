"""The keys of a gateway on one machine: made at the first start, each in a file of its own that nobody else can read.

In a cluster the same files are mounted secrets. Who holds which: the gateway signs tickets and manifest lines, the
witness signs verdicts, the assigner and the gateway hold the public halves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.keys import GatewayKeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["KeyFiles", "make_keys", "public_of"]


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where the keys lie, below one private folder.

    Attributes
    ----------
    ticket, witness, manifest
        Ed25519, PEM; the public half beside each as ``NAME.pub.pem``.
    seal
        X25519, PEM: what producers seal payloads to.
    """

    folder: Path

    @property
    def ticket(self) -> Path:
        """Signs admission tickets."""
        return self.folder / "ticket.pem"

    @property
    def witness(self) -> Path:
        """Signs verdicts; only the witness reads it."""
        return self.folder / "witness.pem"

    @property
    def manifest(self) -> Path:
        """Signs manifest lines."""
        return self.folder / "manifest.pem"

    @property
    def seal(self) -> Path:
        """Opens what producers sealed."""
        return self.folder / "seal.pem"

    @property
    def blobs(self) -> Path:
        """Folder of the blob keys."""
        return self.folder / "blobs"


def public_of(private: Path) -> Path:
    """Where the public half of a key lies."""
    return private.with_name(f"{private.stem}.pub.pem")


def make_keys(folder: Path, *, witness: bool = True) -> KeyFiles:
    """Make what is missing; a key that is there is never replaced.

    Parameters
    ----------
    witness
        Make the witness's key too; false where the witness is somebody else's and keeps its key for itself.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = KeyFiles(folder)
    GatewayKeys.open(folder)
    for path in (files.ticket, files.manifest, *([files.witness] if witness else ())):
        _make(path, Ed25519PrivateKey.generate())
    _make(files.seal, X25519PrivateKey.generate())
    if not any(files.blobs.glob("*.key")):
        add_key(files.blobs)
    return files


def _make(path: Path, key: PrivateKeyTypes) -> None:
    """Write both halves, the private one first and whole or not at all."""
    if not path.exists():
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public_of(path).unlink(missing_ok=True)
        _write(path, private, 0o600)
    if not public_of(path).exists():
        there = load_pem_private_key(path.read_bytes(), password=None)
        public = there.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _write(public_of(path), public, 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(fd, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
