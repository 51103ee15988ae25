"""The verdict: one judgement of one object's bytes, signed.

Clean means that all of it was understood and nothing was found. Whatever the witness cannot read, whatever goes wrong
inside it, whatever exceeds a limit is not clean.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.witness.core.finding import IDENTIFIER, PIXELS, STRUCTURE, UID, UNDECIDED, Finding, merged
from tarnhelm.witness.core.harvest import gather
from tarnhelm.witness.core.needles import NeedleCache
from tarnhelm.witness.core.parsed import Buffer, Fault, Parsed
from tarnhelm.witness.core.parts import Rooms
from tarnhelm.witness.core.pixels import Mask, compare_pixels
from tarnhelm.witness.core.scan import Scan
from tarnhelm.witness.core.seal import SealCheck, sign_batch
from tarnhelm.witness.core.series import Look, Pair, Series
from tarnhelm.witness.core.structure import check_structure
from tarnhelm.witness.core.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from tarnhelm.witness.core.policy import Policy

__all__ = ["Verdict", "Witness", "sign_verdicts", "signed_bytes", "verify_verdict"]

_ORDER: Final = (IDENTIFIER, UID, PIXELS, STRUCTURE, UNDECIDED)
_OBJECT_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_DOMAIN: Final = b"tarnhelm witness verdict v1\0"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the witness says of one object.

    Attributes
    ----------
    clean
        All of the result was understood and nothing was found.
    code
        Empty when clean, else the gravest code among the findings.
    findings
        Codes, positions and classes; never a value.
    output_sha256
        64 hex digits over the judged bytes, computed by the witness itself.
    signature
        Over :func:`signed_bytes`, alone or in a batch (:mod:`tarnhelm.witness.core.seal`); empty before it is signed.
    """

    object_id: str
    clean: bool
    code: str
    findings: tuple[Finding, ...]
    policy_digest: str
    output_sha256: str
    output_bytes: int
    signature: bytes


def signed_bytes(object_id: str, policy_digest: str, output_sha256: str, clean: bool) -> bytes:
    """Return the message that a verdict's signature covers.

    Each field stands behind its length, so that no two verdicts share a message.
    """
    fields = [object_id.encode(), policy_digest.encode(), output_sha256.encode(), b"clean" if clean else b"not clean"]
    return _DOMAIN + b"".join(struct.pack(">I", len(field)) + field for field in fields)


def verify_verdict(public_key: Ed25519PublicKey, verdict: Verdict) -> bool:
    """Tell whether a verdict carries the witness's signature over its own fields."""
    if not SealCheck(public_key)(_message(verdict), verdict.signature):
        return False
    return verdict.clean == (not verdict.code) and verdict.clean == (not verdict.findings)


def sign_verdicts(key: Ed25519PrivateKey, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Sign verdicts of :meth:`Witness.examine`: a single one alone, several as a batch.

    Each is good by itself either way; see :mod:`tarnhelm.witness.core.seal`.
    """
    messages = [_message(verdict) for verdict in verdicts]
    signatures = [key.sign(messages[0])] if len(messages) == 1 else sign_batch(key, messages)
    return [replace(one, signature=signature) for one, signature in zip(verdicts, signatures, strict=True)]


def _message(verdict: Verdict) -> bytes:
    return signed_bytes(verdict.object_id, verdict.policy_digest, verdict.output_sha256, verdict.clean)


class Witness:
    """Judges results under one policy.

    Parameters
    ----------
    policy
        What may stay where.
    signing_key
        The only key a witness has; None for one that only examines, so that whoever signs need not read files.
    limits
        Bounds on what it reads.
    needles
        Compiled needles to share between the witnesses of one process; by default its own.
    rooms
        Memory for files, to share likewise.
    """

    def __init__(
        self,
        policy: Policy,
        signing_key: Ed25519PrivateKey | None,
        limits: Limits = DEFAULT_LIMITS,
        needles: NeedleCache | None = None,
        rooms: Rooms | None = None,
    ) -> None:
        self._policy = policy
        self._key = signing_key
        self._limits = limits
        self._needles = needles or NeedleCache()
        self._rooms = rooms or Rooms()
        self._series = Series(policy, limits, self._needles)

    def judge(
        self, source: Path | bytes, result: Path | bytes, object_id: str, masks: tuple[Mask, ...] = ()
    ) -> Verdict:
        """Judge one result against its source.

        Parameters
        ----------
        source, result
            Files or their bytes; only the result's exact bytes are vouched for.
        object_id
            Opaque, 1 to 128 printable characters.
        masks
            Rectangles that a stage reports to have painted over.

        Returns
        -------
        Verdict
            Signed, clean or not. Trouble inside the witness is a verdict too (``WIT-004``); only a result that cannot
            be read at all is not, since there is nothing to sign.

        Raises
        ------
        OSError
            The result cannot be opened.
        ValueError
            ``object_id`` is none.
        """
        return self.sign(self.examine(source, result, object_id, masks))

    def sign(self, verdict: Verdict) -> Verdict:
        """Sign one verdict of :meth:`examine`; ValueError without a key."""
        return replace(verdict, signature=self._signing_key().sign(_message(verdict)))

    def sign_all(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Sign a batch of verdicts of :meth:`examine` at once; see :mod:`tarnhelm.witness.core.seal`."""
        signatures = sign_batch(self._signing_key(), [_message(verdict) for verdict in verdicts])
        return [replace(one, signature=signature) for one, signature in zip(verdicts, signatures, strict=True)]

    def _signing_key(self) -> Ed25519PrivateKey:
        if self._key is None:
            raise ValueError("signing_key")
        return self._key

    def examine(
        self, source: Path | bytes, result: Path | bytes, object_id: str, masks: tuple[Mask, ...] = ()
    ) -> Verdict:
        """Judge like :meth:`judge`, and leave the signature for :meth:`sign`, :meth:`sign_all` or :func:`sign_verdicts`."""
        if not _OBJECT_ID.fullmatch(object_id):
            raise ValueError("object_id")
        with self._rooms.opened(result) as after:
            digest = hashlib.sha256(after).hexdigest()
            try:
                with self._rooms.opened(source) as before:
                    findings = self._examine(before, after, masks)
            except Exception:  # noqa: BLE001 - whatever went wrong, the object is not vouched for
                findings = (Finding(UNDECIDED, "result", "error"),)
            return self._verdict(object_id, findings, digest, len(after))

    def _examine(self, before: Buffer, after: Buffer, masks: tuple[Mask, ...]) -> tuple[Finding, ...]:
        look = Look() if masks else self._series.look(before, after)
        if look.clean:
            return ()
        source = _walked(before, self._limits, strict=False)
        if isinstance(source, Finding):
            return (source,)
        result = _walked(after, self._limits, strict=True)
        if isinstance(result, Finding):
            return (result,)
        if len(result.buf) - (result.pixel or (0, 0, 0))[2] > self._limits.max_header_bytes:
            return (Finding(UNDECIDED, "result", "header-too-large"),)
        pair = Pair(source, result, gather(source), gather(result))
        found = merged(self._search(pair, masks))
        if not found and not masks and not look.known:
            self._series.learn(pair)
        return found

    def _search(self, pair: Pair, masks: tuple[Mask, ...]) -> Iterator[Finding]:
        source, result, wanted = pair.source, pair.result, pair.wanted
        yield from check_structure(source, result, self._policy)
        findings, regions = compare_pixels(source, result, masks)
        yield from findings
        scan = Scan(source, result, (wanted, pair.present), self._policy, regions)
        yield from scan.findings(self._needles.get(wanted.values))

    def _verdict(self, object_id: str, findings: tuple[Finding, ...], digest: str, size: int) -> Verdict:
        codes = {finding.code for finding in findings}
        code = next((code for code in _ORDER if code in codes), "")
        return Verdict(object_id, not findings, code, findings, self._policy.digest, digest, size, b"")


def _walked(buf: Buffer, limits: Limits, *, strict: bool) -> Parsed | Finding:
    try:
        return walk(buf, limits, strict=strict)
    except Fault as fault:
        if strict:
            return Finding(STRUCTURE, fault.position or "result", fault.reason)
        return Finding(UNDECIDED, fault.position or "source", fault.reason)
    except TarnhelmError:
        return Finding(UNDECIDED, "result" if strict else "source", "limit")
