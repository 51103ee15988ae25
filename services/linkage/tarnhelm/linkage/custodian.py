"""The custodian's key pair: its public half makes a machine that can write links and not read them."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from tarnhelm.common.errors import BAD_CUSTODIAN_KEY, TarnhelmError
from tarnhelm.linkage.core.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["check_public_key", "create_custodian_key", "fingerprint", "load_public_key"]


def create_custodian_key(
    path_private: Path,
    path_public: Path,
    *,
    passphrase: bytes | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """Write a new pair as PEM (PKCS #8, SubjectPublicKeyInfo; RFC 8410) and give its fingerprint.

    Both files are made with mode 0600 and none is overwritten (LNK-016). Make the pair on the custodian's own
    machine and give away the public file only.
    """
    private = X25519PrivateKey.from_private_bytes(random(32))
    protection: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    public = private.public_key()
    write_private(path_private, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection), replace=False)
    write_private(path_public, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), replace=False)
    return fingerprint(public.public_bytes_raw())


def load_public_key(pem: bytes) -> bytes:
    """Give the 32 bytes of an X25519 public key in PEM; LNK-006 for anything else."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise TarnhelmError(BAD_CUSTODIAN_KEY) from None
    if not isinstance(key, X25519PublicKey):
        raise TarnhelmError(BAD_CUSTODIAN_KEY)
    return check_public_key(key.public_bytes_raw())


def check_public_key(raw: bytes) -> bytes:
    """Give the same 32 bytes, if sealing to them is possible; points of small order are refused (RFC 7748, 6.1)."""
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(raw))
    except ValueError:
        raise TarnhelmError(BAD_CUSTODIAN_KEY) from None
    return raw


def fingerprint(raw: bytes) -> str:
    """80 bits of SHA-256 of a public key, in five groups, to compare by eye."""
    shown = hashlib.sha256(raw).hexdigest()[:20]
    return "-".join(shown[place : place + 4] for place in range(0, 20, 4))
