"""Admission tickets: the gateway's word that an object was admitted, without which nothing is assigned.

Whoever may ask for surrogates can test guesses: "is this the pseudonym of Patient ID 12345?". So each question must
come with a ticket that the gateway signed for one admitted object, and one ticket is good for as many different
questions as it says, one as a rule. A redelivered object gets a fresh ticket.

A ticket, as bytes::

    "TKT1" ‖ key id (8) ‖ length of the body (2) ‖ body ‖ Ed25519 signature (64) over "tarnhelm ticket" and a zero byte ‖ all before it
    body = expiry, seconds since 1970 (8) ‖ most questions (2) ‖ nonce (16) ‖ project (2 + n) ‖ object id (2 + n)

Numbers are big-endian. The key id is the first 8 bytes of the sha256 of the public key.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tarnhelm.common.errors import TICKET_EXPIRED, TICKET_INVALID, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["LONGEST_LIFETIME_SECONDS", "SKEW_SECONDS", "AdmissionTicket", "TicketIssuer", "TicketReader"]

_MAGIC: Final = b"TKT1"
_PURPOSE: Final = b"tarnhelm ticket\x00"
_HEAD: Final = struct.Struct(">4s8sH")
_BODY: Final = struct.Struct(">QH16s")
_SIGNATURE: Final = 64
_LONGEST: Final = 512
#: Clocks of two machines may differ by this much.
SKEW_SECONDS: Final = 30
#: No gateway signs for longer; a ticket that is good for longer than this shows that a clock is wrong.
LONGEST_LIFETIME_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class AdmissionTicket:
    """What a ticket says.

    Attributes
    ----------
    project
        Opaque id.
    object_id
        Opaque and keyed.
    expires
        Seconds since 1970.
    questions
        How many different questions it is good for.
    digest
        sha256 of the whole ticket: names it.
    """

    project: str
    object_id: str
    expires: int
    questions: int
    digest: bytes


def _key_id(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:8]


class TicketIssuer:
    """Signs tickets; only the gateway has one.

    Parameters
    ----------
    key
        Of the gateway, for tickets only.
    lifetime_seconds
        How long a ticket is good for: longer than a stage may take, with its waiting; a day at most.
    clock
        Gives seconds since 1970.
    random
        Gives n random bytes.
    """

    def __init__(
        self,
        key: Ed25519PrivateKey,
        *,
        lifetime_seconds: int = 900,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if not 0 < lifetime_seconds <= LONGEST_LIFETIME_SECONDS:
            raise ValueError("lifetime of a ticket")
        self._key = key
        self._id = _key_id(key.public_key().public_bytes_raw())
        self._lifetime = lifetime_seconds
        self._clock = clock
        self._random = random

    def issue(self, project: str, object_id: str, *, questions: int = 1) -> bytes:
        """Sign a ticket for one admitted object."""
        names = [name.encode("ascii") for name in (project, object_id)]
        expires = int(self._clock()) + self._lifetime
        body = _BODY.pack(expires, questions, self._random(16)) + b"".join(
            len(name).to_bytes(2, "big") + name for name in names
        )
        signed = _HEAD.pack(_MAGIC, self._id, len(body)) + body
        return signed + self._key.sign(_PURPOSE + signed)


class TicketReader:
    """Checks tickets against the public keys of gateways.

    Parameters
    ----------
    keys
        Raw Ed25519 public keys, 32 bytes each; several while a key is being changed.
    clock
        Gives seconds since 1970.
    """

    def __init__(self, keys: Iterable[bytes], *, clock: Callable[[], float] = time.time) -> None:
        self._keys = {_key_id(raw): Ed25519PublicKey.from_public_bytes(raw) for raw in keys}
        self._clock = clock

    def read(self, ticket: bytes) -> AdmissionTicket:
        """Check a ticket and say what is in it.

        Raises
        ------
        TarnhelmError
            ``LNK-040`` where it is none, not signed by a known gateway, or good for longer than any gateway
            signs; ``LNK-041`` where it has expired.
        """
        found = self._parsed(ticket)
        now = self._clock()
        if found.expires + SKEW_SECONDS < now:
            raise TarnhelmError(TICKET_EXPIRED)
        if found.expires - SKEW_SECONDS > now + LONGEST_LIFETIME_SECONDS:
            raise TarnhelmError(TICKET_INVALID)
        return found

    def _parsed(self, ticket: bytes) -> AdmissionTicket:
        if not _HEAD.size + _BODY.size + _SIGNATURE <= len(ticket) <= _LONGEST:
            raise TarnhelmError(TICKET_INVALID)
        magic, key_id, length = _HEAD.unpack_from(ticket)
        end = _HEAD.size + length
        key = self._keys.get(key_id)
        if magic != _MAGIC or key is None or end + _SIGNATURE != len(ticket) or length < _BODY.size:
            raise TarnhelmError(TICKET_INVALID)
        try:
            key.verify(ticket[end:], _PURPOSE + ticket[:end])
        except InvalidSignature:
            raise TarnhelmError(TICKET_INVALID) from None
        expires, questions, _ = _BODY.unpack_from(ticket, _HEAD.size)
        project, rest = _name(ticket[_HEAD.size + _BODY.size : end])
        object_id, rest = _name(rest)
        if rest or not questions:
            raise TarnhelmError(TICKET_INVALID)
        return AdmissionTicket(project, object_id, expires, questions, hashlib.sha256(ticket).digest())


def _name(data: bytes) -> tuple[str, bytes]:
    stop = 2 + int.from_bytes(data[:2], "big")
    name = data[2:stop]
    if len(data) < stop or not name or not name.isascii():
        raise TarnhelmError(TICKET_INVALID)
    return name.decode("ascii"), data[stop:]
