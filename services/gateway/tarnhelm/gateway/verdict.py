"""The witness as the pump sees it: a job in, a signed verdict out."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["Judge", "JudgeJob", "SignedVerdict", "VerdictCheck", "signed_message"]


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """Source and result of one object; of the stages' own reports it carries only the masks."""

    object_id: str
    source: Path
    result: Path
    policy_digest: str
    size: int = 0
    masks: str = ""
    """JSON of the reported masks, empty for none."""


@dataclass(frozen=True, slots=True)
class SignedVerdict:
    """What the witness signed.

    Attributes
    ----------
    code
        Empty for a clean object, else ``WIT-…`` or ``LIM-…``.
    findings
        (finding code, attribute) → count; no values.
    signature
        Hex, over (object id, policy digest, output sha256, clean); of this verdict alone, or of a batch with this
        verdict's path in it.
    """

    object_id: str
    policy_digest: str
    output_sha256: str
    clean: bool
    code: str = ""
    signature: str = ""
    findings: Mapping[tuple[str, str], int] = field(default_factory=dict)
    seconds: float = 0.0


class Judge(Protocol):
    """The witness, in worker processes or behind gRPC."""

    def submit(self, job: JudgeJob) -> Future[SignedVerdict]:
        """Judge one object; what cannot be judged is a verdict that is not clean."""
        ...

    def close(self) -> None:
        """Finish what runs, then stop."""
        ...


_SIGNATURE_BYTES: Final = 64
_DIGEST_BYTES: Final = 32
_PLACE: Final = struct.Struct(">HH")
_LENGTH: Final = struct.Struct(">I")
_VERDICT: Final = b"tarnhelm witness verdict v1\0"
_BATCH: Final = b"tarnhelm witness batch v1\0"
_MOST_HEX: Final = 4096
_REMEMBERED: Final = 256


class VerdictCheck:
    """Checks signatures of witnesses, by this package's own code (docs/concepts/witness.md gives the format).

    A signature is Ed25519 over one verdict, or over the root of a hash tree of a batch of them (RFC 9162, section
    2.1.3), with the verdict's place, the number of leaves and the path behind it. A batch's root is checked once.

    Parameters
    ----------
    keys
        Raw public keys of the witnesses that are trusted, 32 bytes each; several while a key is changed.
    """

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = [Ed25519PublicKey.from_public_bytes(key) for key in keys]
        self._good: dict[tuple[bytes, bytes], None] = {}

    def __call__(self, verdict: SignedVerdict) -> bool:
        """Tell whether a trusted witness signed exactly this."""
        if len(verdict.signature) > _MOST_HEX:
            return False
        try:
            signature = bytes.fromhex(verdict.signature)
        except ValueError:
            return False
        message = signed_message(verdict)
        head, tail = signature[:_SIGNATURE_BYTES], signature[_SIGNATURE_BYTES:]
        if len(head) < _SIGNATURE_BYTES:
            return False
        if tail:
            found = _batch_message(message, tail)
            if found is None:
                return False
            message = found
        if (head, message) in self._good:
            return True
        if not any(_signed(key, head, message) for key in self._keys):
            return False
        if tail:
            if len(self._good) >= _REMEMBERED:
                self._good.clear()
            self._good[head, message] = None
        return True


def signed_message(verdict: SignedVerdict) -> bytes:
    """Return what a witness signs for a verdict: each field behind its length, so that no two share a message."""
    judgement = b"clean" if verdict.clean else b"not clean"
    fields = (verdict.object_id.encode(), verdict.policy_digest.encode(), verdict.output_sha256.encode(), judgement)
    return _VERDICT + b"".join(_LENGTH.pack(len(field)) + field for field in fields)


def _signed(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _batch_message(message: bytes, tail: bytes) -> bytes | None:
    """Return what the batch's signature covers, if the path leads from this verdict to a root; else nothing."""
    if len(tail) < _PLACE.size:
        return None
    place, count = _PLACE.unpack_from(tail)
    path = tail[_PLACE.size :]
    if place >= count or len(path) % _DIGEST_BYTES:
        return None
    nodes = [path[at : at + _DIGEST_BYTES] for at in range(0, len(path), _DIGEST_BYTES)]
    digest = hashlib.sha256(b"\0" + message).digest()
    width = count
    while width > 1:
        if place & 1 or place + 1 < width:
            if not nodes:
                return None
            other = nodes.pop(0)
            pair = other + digest if place & 1 else digest + other
            digest = hashlib.sha256(b"\1" + pair).digest()
        place //= 2
        width = (width + 1) // 2
    return None if nodes else _BATCH + _LENGTH.pack(count) + digest
