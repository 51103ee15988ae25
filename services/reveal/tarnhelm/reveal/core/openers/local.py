"""Opening sealed records with the custodian's private key, on a machine without a vault.

It needs a private key that the machine which cleaned does not hold, unless no custodian was named. Formats:
:mod:`tarnhelm.linkage.vaults.envelope` and :mod:`tarnhelm.linkage.core.wayback`. Answers are sealed in the same
form to the person who asked, and are opened by the same code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tarnhelm.common.errors import RECORD_DAMAGED, WRONG_PRIVATE_KEY, TarnhelmError
from tarnhelm.linkage.core.ledger import SealedRecord, record_context
from tarnhelm.linkage.vaults.envelope import (
    HEADER_BYTES,
    MAGIC,
    data_key_info,
    hpke_key_and_nonce,
    record_associated_data,
    record_nonce,
)
from tarnhelm.reveal.core.openers.base import OpenedRecord, parse_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["LocalOpener", "SealReader", "open_records"]


class LocalOpener:
    """Implements :class:`~tarnhelm.reveal.core.openers.base.Opener` with a private key.

    Parameters
    ----------
    private_key_bytes
        PEM (PKCS #8) of the custodian's X25519 key, or of ``recipient.pem`` in the state directory.
    passphrase
        Of the PEM, if it has one.

    Raises
    ------
    TarnhelmError
        LNK-014 where the key cannot be read.
    """

    def __init__(self, private_key_bytes: bytes, *, passphrase: bytes | None = None) -> None:
        self._reader = SealReader(_private_key(private_key_bytes, passphrase))

    def open(self, records: Iterable[SealedRecord]) -> Iterator[OpenedRecord]:
        """See :class:`Opener`."""
        for index, record in enumerate(records):
            yield parse_record(record, self._reader.open(record, index), index)


def open_records(
    private_key_bytes: bytes, records: Iterable[SealedRecord], *, passphrase: bytes | None = None
) -> Iterator[OpenedRecord]:
    """Open records with a private key, one after the other; see :class:`LocalOpener`."""
    yield from LocalOpener(private_key_bytes, passphrase=passphrase).open(records)


class SealReader:
    """Opens what a :class:`~tarnhelm.linkage.vaults.envelope.Sealer` sealed; each data key once."""

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private
        self._public = private.public_key().public_bytes_raw()
        self._ciphers: dict[tuple[str, bytes], ChaCha20Poly1305] = {}

    def open(self, record: SealedRecord, index: int) -> bytes:
        """Give the plaintext; LNK-014 for another reader's, LNK-015 for one that was changed."""
        sealed = record.sealed
        if len(sealed) < HEADER_BYTES + 16 or not sealed.startswith(MAGIC):
            raise TarnhelmError(RECORD_DAMAGED, index=index)
        header = sealed[:HEADER_BYTES]
        sequence = int.from_bytes(header[-8:], "big")
        cipher = self._cipher(record.project, header[4:-8])
        bound = record_associated_data(header, record.project, record_context(record.kind, record.handle))
        try:
            return cipher.decrypt(record_nonce(sequence), sealed[HEADER_BYTES:], bound)
        except InvalidTag:
            raise TarnhelmError(RECORD_DAMAGED, index=index) from None

    def _cipher(self, project: str, head: bytes) -> ChaCha20Poly1305:
        found = self._ciphers.get((project, head))
        if found is None:
            enc, wrapped = head[:32], head[32:]
            try:
                shared_point = self._private.exchange(X25519PublicKey.from_public_bytes(enc))
                key, nonce = hpke_key_and_nonce(shared_point, enc, self._public, data_key_info(project))
                found = ChaCha20Poly1305(ChaCha20Poly1305(key).decrypt(nonce, wrapped, b""))
            except (InvalidTag, ValueError):
                raise TarnhelmError(WRONG_PRIVATE_KEY) from None
            self._ciphers[project, head] = found
        return found


def _private_key(content: bytes, passphrase: bytes | None) -> X25519PrivateKey:
    try:
        key = load_pem_private_key(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TarnhelmError(WRONG_PRIVATE_KEY) from None
    if not isinstance(key, X25519PrivateKey):
        raise TarnhelmError(WRONG_PRIVATE_KEY)
    return key
