"""Signatures of the witness: one over a single verdict, or one over a batch of them.

Ed25519 costs as much as a small object's whole header. So a worker that has judged a batch signs the root of a hash
tree over its verdicts (RFC 9162 §2.1: leaves and nodes hash apart) and gives each verdict its path to the root. A
verdict is then as good alone as under a signature of its own: nobody can make another leaf that leads to that root,
and the root is signed together with the number of leaves, under a prefix that no single verdict begins with.

Bytes of a signature: 64 of Ed25519, and in a batch behind them the place and the number of the leaves (16 bits each,
big endian) and the path, 32 bytes a node, from the leaf upwards.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["MOST_IN_BATCH", "SealCheck", "sign_batch"]

MOST_IN_BATCH: Final = 0xFFFF
_SIGNATURE_BYTES: Final = 64
_DIGEST_BYTES: Final = 32
_PLACE: Final = struct.Struct(">HH")
_ROOT: Final = struct.Struct(">I")
_DOMAIN: Final = b"tarnhelm witness batch v1\0"
_REMEMBERED: Final = 64


def sign_batch(key: Ed25519PrivateKey, messages: Sequence[bytes]) -> list[bytes]:
    """Sign all messages at once; the signature of each, in their order.

    Raises
    ------
    ValueError
        There are none, or more than ``MOST_IN_BATCH``.
    """
    if not 0 < len(messages) <= MOST_IN_BATCH:
        raise ValueError(len(messages))
    levels = [[_leaf(message) for message in messages]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [_node(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
        levels.append(above if len(below) % 2 == 0 else [*above, below[-1]])
    signature = key.sign(_root_message(len(messages), levels[-1][0]))
    return [
        b"".join((signature, _PLACE.pack(place, len(messages)), *_path(levels, place)))
        for place in range(len(messages))
    ]


class SealCheck:
    """Checks signatures with the witness's public key; a batch's root is checked once.

    Parameters
    ----------
    public_key
        The witness's.
    """

    def __init__(self, public_key: Ed25519PublicKey) -> None:
        self._key = public_key
        self._good: dict[tuple[bytes, bytes], None] = {}

    def __call__(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the signature, of either form, covers the message."""
        head, tail = signature[:_SIGNATURE_BYTES], signature[_SIGNATURE_BYTES:]
        if not tail:
            return self._signed(message, head)
        if len(tail) < _PLACE.size:
            return False
        place, count = _PLACE.unpack_from(tail)
        path = tail[_PLACE.size :]
        if not place < count or len(path) % _DIGEST_BYTES:
            return False
        root = _climbed(_leaf(message), place, count, path)
        if root is None:
            return False
        signed = _root_message(count, root)
        if (head, signed) in self._good:
            return True
        if not self._signed(signed, head):
            return False
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        self._good[head, signed] = None
        return True

    def _signed(self, message: bytes, signature: bytes) -> bool:
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _leaf(message: bytes) -> bytes:
    return hashlib.sha256(b"\0" + message).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _root_message(count: int, root: bytes) -> bytes:
    return _DOMAIN + _ROOT.pack(count) + root


def _path(levels: list[list[bytes]], place: int) -> list[bytes]:
    """Return the other child at each node from the leaf to the root; a node without one has none."""
    path = []
    for level in levels[:-1]:
        other = place ^ 1
        if other < len(level):
            path.append(level[other])
        place >>= 1
    return path


def _climbed(digest: bytes, place: int, count: int, path: bytes) -> bytes | None:
    """Return the root that a leaf and its path lead to, None for a path of another length."""
    at = 0
    while count > 1:
        if place ^ 1 < count:
            other = path[at : at + _DIGEST_BYTES]
            at += _DIGEST_BYTES
            if len(other) < _DIGEST_BYTES:
                return None
            digest = _node(other, digest) if place & 1 else _node(digest, other)
        place >>= 1
        count = (count + 1) >> 1
    return digest if at == len(path) else None
