"""The form of a stored blob: a head that holds the wrapped data key, then authenticated segments of 1 MiB.

``head (512 bytes) | segment 0 | segment 1 | ...``, each segment AES-256-GCM with a data key that belongs to this blob
alone. The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, CRYPTO 2015): the nonce holds the segment's number and whether it is the last one, so
segments can neither change places nor be cut off nor be added. The data key is wrapped with the blob's name as
associated data, so two blobs cannot be exchanged. Size and sha256 of the plaintext are sealed with the data key: in
clear, the digest would tell whoever has the file whether it was here.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs.base import BlobInfo, BlobName, Piece
from tarnhelm.gateway.blobs.keyring import KeyRing

__all__ = [
    "BLANK_HEAD",
    "HEAD_BYTES",
    "SEGMENT_BYTES",
    "Opened",
    "Sealer",
    "open_head",
    "pieces",
    "plain_size",
    "rewrapped",
    "sealed_range",
    "stored_size",
]

SEGMENT_BYTES: Final = 1024 * 1024
HEAD_BYTES: Final = 512
"""One sector: a disk writes it whole or not at all."""
BLANK_HEAD: Final = bytes(HEAD_BYTES)
"""What a purged blob's head is overwritten with."""

_TAG_BYTES: Final = 16
_SEALED_SEGMENT: Final = SEGMENT_BYTES + _TAG_BYTES
_PREAMBLE: Final = b"TNHMBLOB\x00\x01".ljust(32, b"\x00")
_SLOTS: Final = (32, 256)
"""Two places for a wrapped key, so that rewrapping in place never leaves a moment without a valid one."""
_SECRET: Final = struct.Struct(">32s7sQ32sQ")
"""Data key, nonce prefix, size, sha256, milliseconds since 1970."""
_WRAP: Final = struct.Struct(f">I16s12s{_SECRET.size + _TAG_BYTES}s")
"""Key number (0: empty), salt, nonce, sealed secret."""
_NO_WRAP: Final = bytes(_WRAP.size)
_NONCE: Final = struct.Struct(">7sIB")
_FIXED: Final = (
    (0, _SLOTS[0], _PREAMBLE),
    (_SLOTS[0] + _WRAP.size, _SLOTS[1], bytes(_SLOTS[1] - _SLOTS[0] - _WRAP.size)),
    (_SLOTS[1] + _WRAP.size, HEAD_BYTES, bytes(HEAD_BYTES - _SLOTS[1] - _WRAP.size)),
)
"""What stands between the wraps is the same in every head."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A head whose wrap was opened.

    Attributes
    ----------
    info
        What it says.
    data_key, prefix
        With which the segments are sealed.
    wraps
        How many wraps stand in the head; two after a rewrap that was cut short.
    """

    info: BlobInfo
    data_key: bytes
    prefix: bytes
    wraps: int


class Sealer:
    """Seals one stream; what it holds back is at most one segment.

    Parameters
    ----------
    random
        Gives so many random bytes.
    known_sha256
        Of the whole stream, where the caller has it; then it is not computed.
    """

    def __init__(self, random: Callable[[int], bytes], known_sha256: bytes = b"") -> None:
        self._random = random
        self._key = random(32)
        self._prefix = random(7)
        self._cipher = AESGCM(self._key)
        self._known = known_sha256
        self._digest = hashlib.sha256()
        self._pending = bytearray()
        self._number = 0
        self.size = 0
        """Bytes taken in so far."""

    @property
    def sha256(self) -> str:
        """Of what was taken in so far, or known from the begin, hex."""
        return (self._known or self._digest.digest()).hex()

    def feed(self, data: Piece) -> Iterator[bytes]:
        """Take bytes in and yield the segments that are complete; to be iterated to its end.

        A full segment waits for the next byte: the last one is sealed in another way.
        """
        view = memoryview(data).cast("B")
        if not self._known:
            self._digest.update(view)
        self.size += len(view)
        while view:
            if len(self._pending) == SEGMENT_BYTES:
                yield self._sealed(self._pending, last=False)
                self._pending.clear()
            if not self._pending and len(view) > SEGMENT_BYTES:
                yield self._sealed(view[:SEGMENT_BYTES], last=False)
                view = view[SEGMENT_BYTES:]
                continue
            room = SEGMENT_BYTES - len(self._pending)
            self._pending += view[:room]
            view = view[room:]

    def finish(self, data: Piece = b"") -> Iterator[bytes]:
        """Take the last bytes in and yield all segments that are left, one at least; to be iterated to its end."""
        view = memoryview(data).cast("B")
        if self._pending or len(view) > SEGMENT_BYTES:
            yield from self.feed(view)
            yield self._sealed(self._pending, last=True)
            return
        if not self._known:
            self._digest.update(view)
        self.size += len(view)
        yield self._sealed(view, last=True)

    def head(self, name: BlobName, ring: KeyRing, created: float) -> tuple[bytes, BlobInfo]:
        """Return the head of what was taken in, and what it says."""
        milliseconds = int(created * 1000)
        digest = self._known or self._digest.digest()
        secret = _SECRET.pack(self._key, self._prefix, self.size, digest, milliseconds)
        key_id = ring.current
        head = _head_of(_wrap(secret, name, ring, key_id, self._random))
        return head, BlobInfo(name, self.size, digest.hex(), milliseconds / 1000, key_id)

    def _sealed(self, data: Piece, *, last: bool) -> bytes:
        nonce = _NONCE.pack(self._prefix, self._number, last)
        self._number += 1
        return self._cipher.encrypt(nonce, data, None)


def open_head(name: BlobName, head: bytes, ring: KeyRing) -> Opened:
    """Open a head; every bit of it is checked.

    Raises
    ------
    TarnhelmError
        BLB-004 for a head that was overwritten by a purge, BLB-003 for one that is not as it was written, BLB-005
        where the ring lacks the key.
    """
    if head == BLANK_HEAD:
        raise TarnhelmError(errors.BLOB_MISSING)
    wraps = [head[at : at + _WRAP.size] for at in _SLOTS]
    used = [wrap for wrap in wraps if wrap != _NO_WRAP]
    if len(head) != HEAD_BYTES or not used or any(head[at:end] != same for at, end, same in _FIXED):
        raise TarnhelmError(errors.BLOB_DAMAGED)
    secrets = {_unwrap(wrap, name, ring) for wrap in used}
    if len(secrets) != 1:
        raise TarnhelmError(errors.BLOB_DAMAGED)
    key, prefix, size, digest, milliseconds = _SECRET.unpack(secrets.pop())
    key_id = max(int.from_bytes(wrap[:4], "big") for wrap in used)
    return Opened(BlobInfo(name, size, digest.hex(), milliseconds / 1000, key_id), key, prefix, len(used))


def rewrapped(name: BlobName, head: bytes, ring: KeyRing, random: Callable[[int], bytes]) -> tuple[bytes, bytes] | None:
    """Return the head in between (old and new wrap) and the final one (new wrap); None if it is good as it is.

    Written in place one after the other, either can be opened at any moment; one wrap of the old head stays where it
    is in the head in between.
    """
    opened = open_head(name, head, ring)
    key_id = ring.current
    if opened.info.key_id == key_id and opened.wraps == 1:
        return None
    info = opened.info
    digest, milliseconds = bytes.fromhex(info.sha256), round(info.created * 1000)
    secret = _SECRET.pack(opened.data_key, opened.prefix, info.size, digest, milliseconds)
    new = _wrap(secret, name, ring, key_id, random)
    old = [head[at : at + _WRAP.size] for at in _SLOTS]
    if old[0] == _NO_WRAP:
        return _head_of(new, old[1]), _head_of(new, _NO_WRAP)
    return _head_of(old[0], new), _head_of(_NO_WRAP, new)


def pieces(
    opened: Opened, read: Callable[[int], bytes], start: int, length: int | None, *, summed: bool = True
) -> Iterator[bytes]:
    """Yield the plaintext of a range, authenticated, in pieces of at most a segment.

    Parameters
    ----------
    read
        Gives exactly so many bytes of the stored form, from the begin of :func:`sealed_range` on; fewer at its end.
    start, length
        Of the plaintext; the whole, by its length, is compared with its sha256 before the last piece is yielded.
    summed
        Without it the sha256 is left to the caller; the segments' tags vouch for the bytes either way.
    """
    size = opened.info.size
    start, end = _bounds(size, start, length)
    whole = start == 0 and end == size
    if start == end and not whole:
        return
    cipher = AESGCM(opened.data_key)
    digest = hashlib.sha256()
    final = max(0, size - 1) // SEGMENT_BYTES
    for number in range(start // SEGMENT_BYTES, max(0, end - 1) // SEGMENT_BYTES + 1):
        begin = number * SEGMENT_BYTES
        sealed = read(min(SEGMENT_BYTES, size - begin) + _TAG_BYTES)
        nonce = _NONCE.pack(opened.prefix, number, number == final)
        try:
            plain = cipher.decrypt(nonce, sealed, None)
        except (InvalidTag, ValueError):
            raise TarnhelmError(errors.BLOB_DAMAGED) from None
        if whole:
            if summed:
                digest.update(plain)
                if number == final and digest.hexdigest() != opened.info.sha256:
                    raise TarnhelmError(errors.BLOB_DAMAGED)
            if plain:
                yield plain
        else:
            yield plain[max(0, start - begin) : end - begin]


def sealed_range(size: int, start: int, length: int | None) -> tuple[int, int]:
    """Return where the segments of a range of ``size`` bytes of plaintext begin and end in the stored form."""
    start, end = _bounds(size, start, length)
    first = start // SEGMENT_BYTES
    last = max(0, end - 1) // SEGMENT_BYTES
    begin = HEAD_BYTES + first * _SEALED_SEGMENT
    if start == end and size:
        return begin, begin
    return begin, min(HEAD_BYTES + (last + 1) * _SEALED_SEGMENT, stored_size(size))


def stored_size(size: int) -> int:
    """Return how long the stored form of ``size`` bytes of plaintext is."""
    return HEAD_BYTES + size + _TAG_BYTES * max(1, -(-size // SEGMENT_BYTES))


def plain_size(stored: int) -> int:
    """Return how long the plaintext is; 0 where the length is none that a blob can have."""
    segments = max(1, -(-(stored - HEAD_BYTES) // _SEALED_SEGMENT))
    return max(0, stored - HEAD_BYTES - _TAG_BYTES * segments)


def _bounds(size: int, start: int, length: int | None) -> tuple[int, int]:
    start = min(max(0, start), size)
    return start, size if length is None else min(start + max(0, length), size)


def _head_of(*wraps: bytes) -> bytes:
    head = bytearray(BLANK_HEAD)
    head[: len(_PREAMBLE)] = _PREAMBLE
    for at, wrap in zip(_SLOTS, wraps, strict=False):
        head[at : at + len(wrap)] = wrap
    return bytes(head)


def _bound_to(name: BlobName, key_id: int) -> bytes:
    return _PREAMBLE + struct.pack(">I", key_id) + str(name).encode("ascii")


def _wrap(secret: bytes, name: BlobName, ring: KeyRing, key_id: int, random: Callable[[int], bytes]) -> bytes:
    salt, nonce = random(16), random(12)
    sealed = AESGCM(ring.wrapping_key(key_id, salt)).encrypt(nonce, secret, _bound_to(name, key_id))
    return _WRAP.pack(key_id, salt, nonce, sealed)


def _unwrap(wrap: bytes, name: BlobName, ring: KeyRing) -> bytes:
    key_id, salt, nonce, sealed = _WRAP.unpack(wrap)
    if key_id == 0:
        raise TarnhelmError(errors.BLOB_DAMAGED)
    try:
        return AESGCM(ring.wrapping_key(key_id, salt)).decrypt(nonce, sealed, _bound_to(name, key_id))
    except InvalidTag:
        raise TarnhelmError(errors.BLOB_DAMAGED) from None
