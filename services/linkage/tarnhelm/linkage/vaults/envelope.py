"""Sealing: a data key per process, sealed to the reader with HPKE; each record under the data key.

An X25519 exchange per record would cost more than all else that a record costs, so the exchange is done once
for a process and project. Each record carries the sealed data key and so can be opened alone.

Record, version 1::

    "TSR1" | enc (32) | data key sealed (32 + 16) | sequence (8, big endian) | ciphertext and tag

- Data key: HPKE, RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, with
  ``info`` = :func:`data_key_info`, empty associated data.
- Record: ChaCha20Poly1305 (RFC 8439), nonce = 4 zero bytes and the sequence number, associated data =
  :func:`record_associated_data`. A data key is used by one process only, and each number once.

This file has the sender's half and the formats. It holds no decapsulation and no decryption.
"""

from __future__ import annotations

import hmac
import os
import threading
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tarnhelm.common.errors import BAD_CUSTODIAN_KEY, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tarnhelm.linkage.vaults.base import SealItem

__all__ = [
    "HEADER_BYTES",
    "MAGIC",
    "Sealer",
    "data_key_info",
    "hpke_key_and_nonce",
    "record_associated_data",
    "record_nonce",
]

MAGIC: Final = b"TSR1"
HEADER_BYTES: Final = 4 + 32 + 48 + 8
_KEM: Final = b"KEM\x00\x20"
_HPKE: Final = b"HPKE\x00\x20\x00\x01\x00\x03"
_RECORDS_PER_KEY: Final = 1 << 32


def data_key_info(project: str) -> bytes:
    """HPKE ``info``: binds a data key to its project."""
    return b"tarnhelm way back 1\x00" + project.encode("utf-8")


def record_associated_data(header: bytes, project: str, context: bytes) -> bytes:
    """Give what a record is bound to: its own header, its project, and its place in the ledger."""
    name = project.encode("utf-8")
    return header + len(name).to_bytes(2, "big") + name + context


def record_nonce(sequence: int) -> bytes:
    """12 bytes, one for each record of a data key."""
    return sequence.to_bytes(12, "big")


def hpke_key_and_nonce(shared_point: bytes, enc: bytes, recipient: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of a single-shot HPKE message (RFC 9180, 4.1 and 5.1), from the X25519 output."""
    secret = _expand(_KEM, _extract(_KEM, b"", b"eae_prk", shared_point), b"shared_secret", enc + recipient, 32)
    context = b"\x00" + _extract(_HPKE, b"", b"psk_id_hash", b"") + _extract(_HPKE, b"", b"info_hash", info)
    schedule = _extract(_HPKE, secret, b"secret", b"")
    return _expand(_HPKE, schedule, b"key", context, 32), _expand(_HPKE, schedule, b"base_nonce", context, 12)


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, "sha256")


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, size: int) -> bytes:
    # One block of HKDF-Expand: every output here is at most 32 bytes.
    text = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, text + b"\x01", "sha256")[:size]


class Sealer:
    """Seals the records of one project to one reader.

    Safe among threads. After a fork the child takes a data key of its own: two processes that counted on
    under one key would use a nonce twice.

    Parameters
    ----------
    project
        Opaque id.
    recipient
        X25519 public key of the reader, 32 bytes.
    random
        Gives n random bytes.
    """

    def __init__(self, project: str, recipient: bytes, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._project = project
        self._recipient = recipient
        self._random = random
        self._lock = threading.Lock()
        self._owner = 0
        self._sequence = 0
        self._head = b""
        self._cipher: ChaCha20Poly1305 | None = None
        try:
            self._public = X25519PublicKey.from_public_bytes(recipient)
        except ValueError:
            raise TarnhelmError(BAD_CUSTODIAN_KEY) from None

    def __reduce__(self) -> NoReturn:
        message = "a sealer belongs to one process"
        raise TypeError(message)

    def seal(self, items: Sequence[SealItem]) -> list[bytes]:
        """One sealed record for each item."""
        with self._lock:
            return [self._seal(item) for item in items]

    def _seal(self, item: SealItem) -> bytes:
        if self._cipher is None or self._owner != os.getpid() or self._sequence >= _RECORDS_PER_KEY:
            self._cipher = self._new_data_key()
        sequence = self._sequence
        self._sequence += 1
        header = self._head + sequence.to_bytes(8, "big")
        bound = record_associated_data(header, self._project, item.context)
        return header + self._cipher.encrypt(record_nonce(sequence), item.plaintext, bound)

    def _new_data_key(self) -> ChaCha20Poly1305:
        data_key = self._random(32)
        ephemeral = X25519PrivateKey.from_private_bytes(self._random(32))
        enc = ephemeral.public_key().public_bytes_raw()
        try:
            shared_point = ephemeral.exchange(self._public)
        except ValueError:
            # A point of small order: the exchange would give zero to everybody.
            raise TarnhelmError(BAD_CUSTODIAN_KEY) from None
        key, nonce = hpke_key_and_nonce(shared_point, enc, self._recipient, data_key_info(self._project))
        self._head = MAGIC + enc + ChaCha20Poly1305(key).encrypt(nonce, data_key, b"")
        self._owner = os.getpid()
        self._sequence = 0
        return ChaCha20Poly1305(data_key)
