"""Certificates: what was done, by whose signatures, for a privacy office's file; signed, without an identifier.

A certificate is one line of canonical JSON with one signature, like a case
(:mod:`tarnhelm.reveal.core.documents`). The key is that of the audit's writer, whom an admin enrolled: whoever has
the register can check it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tarnhelm.common.errors import BAD_ORDER_FILE, TarnhelmError
from tarnhelm.common.orders import WithdrawalOrder, sign_order
from tarnhelm.reveal.core.cases import Step
from tarnhelm.reveal.core.documents import Signed, sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.reveal.core.view import CaseView

__all__ = ["CERTIFICATE", "CORRECTION", "END", "Signer", "read_certificate", "signatures_of"]

CERTIFICATE: Final = "certificate"
CORRECTION: Final = "correction"
END: Final = "end"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Signer:
    """The audit writer's key; the representation shows nothing of it."""

    writer: str
    raw: bytes = field(repr=False)

    @property
    def key(self) -> Ed25519PrivateKey:
        """The private key."""
        return Ed25519PrivateKey.from_private_bytes(self.raw)

    @property
    def public(self) -> bytes:
        """32 bytes, Ed25519."""
        return self.key.public_key().public_bytes_raw()

    def certificate(self, what: str, view: CaseView, now: int, facts: Mapping[str, Any]) -> Signed:
        """Sign what was done."""
        case = view.case
        document = {
            "format": _FORMAT,
            "certificate": what,
            "project": case.project,
            "case": case.id,
            "case_digest": view.digest,
            "act_digest": case.arguments,
            "signatures": signatures_of(view),
            "writer": self.writer,
            "issued": now,
            "issued_utc": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "facts": dict(facts),
        }
        return sign(CERTIFICATE, document, self.key)

    def correction(self, view: CaseView, now: int, entries: Mapping[str, Any]) -> Signed:
        """Sign a list of released surrogates that changed."""
        case = view.case
        document = {
            "format": _FORMAT,
            "project": case.project,
            "case": case.id,
            "kind": str(case.kind),
            "writer": self.writer,
            "issued": now,
            **entries,
        }
        return sign(CORRECTION, document, self.key)

    def order(self, order: WithdrawalOrder) -> bytes:
        """Sign an order for the gateway."""
        return sign_order(order, self.key)


def signatures_of(view: CaseView) -> list[dict[str, Any]]:
    """Who asked and who approved: ids, times, keys, and what they signed."""
    steps = (view.step(Step.OPEN), view.step(Step.APPROVE))
    return [
        {
            "step": str(step.step),
            "person": step.person,
            "time": step.signed_time,
            "key": step.key.hex(),
            "digest": step.digest,
            "signature": step.signature.hex(),
        }
        for step in steps
        if step is not None
    ]


def read_certificate(content: bytes, writers: Mapping[str, bytes]) -> Signed:
    """Read a certificate or a correction and check it against the enrolled writers; STW-008."""
    for label in (CERTIFICATE, CORRECTION):
        try:
            found = Signed.from_bytes(content, label)
        except TarnhelmError:
            continue
        public = writers.get(str(found.document.get("writer", "")), b"")
        if len(public) == 32 and found.holds(public):
            return found
    raise TarnhelmError(BAD_ORDER_FILE)
