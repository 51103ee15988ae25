"""Payloads that only the gateway's door can open, whatever broker, disk or bucket they pass through.

``magic (16) | sealed secret (103) | segment 0 | segment 1 | …``. The secret, a data key and a nonce prefix, is sealed to
the gateway's X25519 public key by HPKE (RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM); the
segments are sealed with the data key in the STREAM construction, as blobs are: a nonce holds the segment's number
and whether it is the last one. HPKE's ``info`` names topic, signer and record, so a sealed payload cannot be moved into
another record: whoever may write another project's records could have it cleaned under that project else.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = [
    "SEAL_SEGMENT_BYTES",
    "OpeningKeys",
    "binding_of",
    "key_id_of",
    "read_key_file",
    "read_sealing_key",
    "sealed_pieces",
    "sealed_size",
]

SEAL_SEGMENT_BYTES: Final = 256 * 1024
_MAGIC: Final = b"TARNHELM SEAL \x00\x01"
_TAG_BYTES: Final = 16
_SECRET: Final = struct.Struct(">32s7s")
_NONCE: Final = struct.Struct(">7sIB")
_HEAD_BYTES: Final = len(_MAGIC) + 32 + _SECRET.size + _TAG_BYTES
_SEALED_SEGMENT: Final = SEAL_SEGMENT_BYTES + _TAG_BYTES
_LABEL: Final = b"tarnhelm ingest payload v1"
_MOST_PEM_BYTES: Final = 16 * 1024


def key_id_of(public: bytes) -> str:
    """Name of a public key: 16 hex digits of its sha256."""
    return hashlib.sha256(public).hexdigest()[:16]


def binding_of(topic: str, signer: str, record_id: bytes) -> bytes:
    """HPKE ``info``: the record that a payload belongs to.

    Parameters
    ----------
    signer
        Number of the key that the record is signed with; empty: none.
    """
    parts = (_LABEL, topic.encode(), signer.encode(), record_id)
    return b"".join(struct.pack(">H", len(part)) + part for part in parts)


def sealed_size(size: int) -> int:
    """Bytes of the sealed form of ``size`` bytes."""
    return _HEAD_BYTES + size + _TAG_BYTES * max(1, -(-size // SEAL_SEGMENT_BYTES))


def sealed_pieces(
    pieces: Iterable[bytes], public: X25519PublicKey, binding: bytes, random: Callable[[int], bytes] = os.urandom
) -> Iterator[bytes]:
    """Yield the sealed form: the head, then segments; holds one segment back at most."""
    key, prefix = random(32), random(7)
    yield _MAGIC + _suite().encrypt(_SECRET.pack(key, prefix), public, info=binding)
    cipher = AESGCM(key)
    waiting = bytearray()
    number = 0
    for piece in pieces:
        waiting += piece
        while len(waiting) > SEAL_SEGMENT_BYTES:  # a full segment may be the last one, and that is sealed differently
            yield cipher.encrypt(_NONCE.pack(prefix, number, False), bytes(waiting[:SEAL_SEGMENT_BYTES]), None)
            del waiting[:SEAL_SEGMENT_BYTES]
            number += 1
    yield cipher.encrypt(_NONCE.pack(prefix, number, True), bytes(waiting), None)


class OpeningKeys:
    """The door's private keys, by number; several while a new one replaces an old one.

    Parameters
    ----------
    files
        X25519 private keys, PEM (PKCS #8).

    Raises
    ------
    TarnhelmError
        ING-001 where a file is missing, of another kind, or readable by others.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        found: dict[str, X25519PrivateKey] = {}
        for path in files:
            key = _private(read_key_file(path, errors.INGEST_SETTINGS, private=True))
            found[key_id_of(key.public_key().public_bytes_raw())] = key
        self._keys: Mapping[str, X25519PrivateKey] = MappingProxyType(found)

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    def open(self, pieces: Iterable[bytes], key_id: str, binding: bytes) -> Iterator[bytes]:
        """Yield the payload's bytes, each piece authenticated; whether they are all is known at the end only.

        Raises
        ------
        TarnhelmError
            ING-007 where the key is not here; ING-008, before or at the end, where the payload is not whole and of
            this record.
        """
        key = self._keys.get(key_id)
        if key is None:
            raise TarnhelmError(errors.SEAL_KEY_UNKNOWN)
        return _opened(pieces, key, binding)


def read_sealing_key(path: Path) -> X25519PublicKey:
    """Read the public key that is sealed to; ING-017 for anything else."""
    try:
        key = load_pem_public_key(read_key_file(path, errors.SEND_KEY, private=False))
        if isinstance(key, X25519PublicKey):
            X25519PrivateKey.generate().exchange(key)  # a point of small order is refused here (RFC 7748, 6.1)
            return key
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise TarnhelmError(errors.SEND_KEY)


def read_key_file(path: Path, fault: errors.ErrorCode, *, private: bool) -> bytes:
    """Read a key's file; raises ``fault`` where that fails, or where others may read what is private."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as stream:
            status = os.fstat(fd)
            text = stream.read(_MOST_PEM_BYTES)
    except OSError:
        raise TarnhelmError(fault) from None
    if not stat.S_ISREG(status.st_mode) or (private and status.st_mode & 0o007):
        raise TarnhelmError(fault)
    return text


def _opened(pieces: Iterable[bytes], private: X25519PrivateKey, binding: bytes) -> Iterator[bytes]:
    waiting = bytearray()
    cipher: AESGCM | None = None
    prefix = b""
    number = 0
    try:
        for piece in pieces:
            waiting += piece
            if cipher is None:
                if len(waiting) < _HEAD_BYTES:
                    continue
                if waiting[: len(_MAGIC)] != _MAGIC:
                    raise TarnhelmError(errors.SEAL_BROKEN)
                secret = _suite().decrypt(bytes(waiting[len(_MAGIC) : _HEAD_BYTES]), private, info=binding)
                key, prefix = _SECRET.unpack(secret)
                cipher = AESGCM(key)
                del waiting[:_HEAD_BYTES]
            while len(waiting) > _SEALED_SEGMENT:
                nonce = _NONCE.pack(prefix, number, False)
                yield cipher.decrypt(nonce, bytes(waiting[:_SEALED_SEGMENT]), None)
                del waiting[:_SEALED_SEGMENT]
                number += 1
        if cipher is None:
            raise TarnhelmError(errors.SEAL_BROKEN)
        yield cipher.decrypt(_NONCE.pack(prefix, number, True), bytes(waiting), None)
    except (InvalidTag, ValueError, struct.error, OverflowError):
        raise TarnhelmError(errors.SEAL_BROKEN) from None


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _private(pem: bytes) -> X25519PrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TarnhelmError(errors.INGEST_SETTINGS) from None
    if not isinstance(key, X25519PrivateKey):
        raise TarnhelmError(errors.INGEST_SETTINGS)
    return key
