"""Who sent a record: an Ed25519 signature over the record as it stands on the topic.

The signature travels in headers, so that the value stays what it is: ``tarnhelm-signer`` names the key,
``tarnhelm-signature`` holds 64 bytes over topic and value. A record that is published again by somebody else brings
the same object again, which changes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.ingest.sealing import key_id_of, read_key_file

__all__ = ["SIGNATURE_HEADER", "SIGNER_HEADER", "KnownProducer", "Producers", "RecordSigner"]

SIGNER_HEADER: Final = "tarnhelm-signer"
SIGNATURE_HEADER: Final = "tarnhelm-signature"
_LABEL: Final = b"tarnhelm ingest record v1\x00"


@dataclass(frozen=True, slots=True)
class KnownProducer:
    """A producer and what its signature stands for.

    Attributes
    ----------
    key_id
        Number of its key.
    """

    name: str
    project: str
    key_id: str
    key: Ed25519PublicKey


class RecordSigner:
    """Signs what a producer sends.

    Parameters
    ----------
    path
        Ed25519 private key, PEM (PKCS #8), readable by nobody else; ING-017 otherwise.
    """

    def __init__(self, path: Path) -> None:
        try:
            key = load_pem_private_key(read_key_file(path, errors.SEND_KEY, private=True), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise TarnhelmError(errors.SEND_KEY) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise TarnhelmError(errors.SEND_KEY)
        self._key = key
        self.key_id = key_id_of(key.public_key().public_bytes_raw())
        """Number of its key."""

    def headers(self, topic: str, value: bytes) -> list[tuple[str, bytes]]:
        """Return the headers that say who sent this value to this topic."""
        signature = self._key.sign(_signed(topic, value))
        return [(SIGNER_HEADER, self.key_id.encode()), (SIGNATURE_HEADER, signature)]


class Producers:
    """The producers that a door knows, by the numbers of their keys.

    Parameters
    ----------
    known
        Name, project and file (Ed25519 public key, PEM) of each; ING-001 where a file is none, or two have one key.
    """

    def __init__(self, known: Iterable[tuple[str, str, Path]]) -> None:
        self._known: dict[str, KnownProducer] = {}
        for name, project, path in known:
            key = _public(path)
            key_id = key_id_of(key.public_bytes_raw())
            if key_id in self._known:
                raise TarnhelmError(errors.INGEST_SETTINGS)
            self._known[key_id] = KnownProducer(name, project, key_id, key)

    def signer_of(self, topic: str, value: bytes, headers: Iterable[tuple[str, bytes]]) -> KnownProducer | None:
        """Return who signed; None where nobody did.

        Raises
        ------
        TarnhelmError
            ING-004 where a signature is there and is not that of a known producer.
        """
        found = [(name, content) for name, content in headers if name in (SIGNER_HEADER, SIGNATURE_HEADER)]
        if not found:
            return None
        given = dict(found)
        producer = self._known.get(given.get(SIGNER_HEADER, b"").decode("ascii", "replace"))
        if producer is None or len(found) != 2:
            raise TarnhelmError(errors.RECORD_SIGNATURE)
        try:
            producer.key.verify(given.get(SIGNATURE_HEADER, b""), _signed(topic, value))
        except InvalidSignature:
            raise TarnhelmError(errors.RECORD_SIGNATURE) from None
        return producer


def _signed(topic: str, value: bytes) -> bytes:
    name = topic.encode()
    return _LABEL + struct.pack(">H", len(name)) + name + value


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(read_key_file(path, errors.INGEST_SETTINGS, private=False))
    except (ValueError, UnsupportedAlgorithm):
        raise TarnhelmError(errors.INGEST_SETTINGS) from None
    if not isinstance(key, Ed25519PublicKey):
        raise TarnhelmError(errors.INGEST_SETTINGS)
    return key
