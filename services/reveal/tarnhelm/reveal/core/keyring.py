"""A person's two keys: one to sign with, one that answers are encrypted to.

Both stand in one PEM file (PKCS #8, RFC 8410) under a passphrase. No key leaves the person's own machine; what
others get is the card (:mod:`tarnhelm.reveal.core.people`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tarnhelm.common.errors import BAD_PERSON_KEY, TarnhelmError
from tarnhelm.linkage.core.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["LEAST_PASSPHRASE", "PersonKeys", "new_keys", "read_keys", "write_keys"]

LEAST_PASSPHRASE: Final = 8
_BLOCK: Final = re.compile(rb"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PersonKeys:
    """The private keys of one person; the representation shows nothing of them."""

    signing: Ed25519PrivateKey = field(repr=False)
    answer: X25519PrivateKey = field(repr=False)

    @property
    def signing_public(self) -> bytes:
        """32 bytes, Ed25519."""
        return self.signing.public_key().public_bytes_raw()

    @property
    def answer_public(self) -> bytes:
        """32 bytes, X25519."""
        return self.answer.public_key().public_bytes_raw()


def new_keys(random: Callable[[int], bytes] = os.urandom) -> PersonKeys:
    """Make the keys of a person."""
    return PersonKeys(Ed25519PrivateKey.from_private_bytes(random(32)), X25519PrivateKey.from_private_bytes(random(32)))


def write_keys(path: Path, keys: PersonKeys, passphrase: bytes) -> None:
    """Write both keys, encrypted, mode 0600, never over a file.

    Raises
    ------
    TarnhelmError
        RVL-007 for a passphrase that is too short, LNK-016 where the file exists.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise TarnhelmError(BAD_PERSON_KEY, least=LEAST_PASSPHRASE)
    protection = BestAvailableEncryption(passphrase)
    blocks = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection) for key in (keys.signing, keys.answer)]
    write_private(path, b"".join(blocks), replace=False)


def read_keys(content: bytes, passphrase: bytes) -> PersonKeys:
    """Read what :func:`write_keys` wrote; RVL-007 for anything else, also for keys without a passphrase."""
    try:
        signing, answer = (load_pem_private_key(block, passphrase) for block in _BLOCK.findall(content))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TarnhelmError(BAD_PERSON_KEY, least=LEAST_PASSPHRASE) from None
    if not isinstance(signing, Ed25519PrivateKey) or not isinstance(answer, X25519PrivateKey):
        raise TarnhelmError(BAD_PERSON_KEY, least=LEAST_PASSPHRASE)
    return PersonKeys(signing, answer)
