"""Documents that people sign: canonical JSON, one label per kind of document, Ed25519.

What is signed is ``"tarnhelm-reveal 1" ‖ 0 ‖ label ‖ 0 ‖ canonical JSON``. The label keeps a signature on one
kind of document from being shown as one on another.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tarnhelm.common.errors import WRONG_SIGNATURE, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "CARD",
    "CASE",
    "COLLECT",
    "DECISION",
    "ENTRY",
    "HEAD",
    "LOGIN",
    "Signed",
    "canonical",
    "digest_of",
    "sign",
    "verify",
]

CARD: Final = "card"
CASE: Final = "case"
DECISION: Final = "decision"
COLLECT: Final = "collect"
ENTRY: Final = "entry"
HEAD: Final = "head"
LOGIN: Final = "login"

_LONGEST: Final = 1 << 22


def canonical(document: Mapping[str, Any]) -> bytes:
    """Give the one spelling of a document: sorted keys, no spaces, UTF-8; ValueError where it has none."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest_of(label: str, document: Mapping[str, Any]) -> str:
    """sha256 (hex) of what is signed."""
    return hashlib.sha256(_message(label, document)).hexdigest()


def verify(label: str, document: Mapping[str, Any], signature: bytes, public: bytes) -> bool:
    """Whether the signature is that key's on this document (RFC 8032)."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _message(label, document))
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(label: str, document: Mapping[str, Any], key: Ed25519PrivateKey) -> Signed:
    """Sign a document as this label."""
    return Signed(label, dict(document), key.sign(_message(label, document)))


@dataclass(frozen=True, slots=True)
class Signed:
    """A document with one signature; who signed stands in the document.

    Attributes
    ----------
    label
        What kind of document it is.
    document
        Strings, integers, and lists and objects of them.
    signature
        Ed25519, 64 bytes.
    """

    label: str
    document: Mapping[str, Any] = field(repr=False)
    signature: bytes

    @property
    def digest(self) -> str:
        """sha256 (hex) of what is signed."""
        return digest_of(self.label, self.document)

    def holds(self, public: bytes) -> bool:
        """Whether the signature is that key's."""
        return verify(self.label, self.document, self.signature, public)

    def to_bytes(self) -> bytes:
        """One line of canonical JSON."""
        return canonical({"label": self.label, "document": self.document, "signature": self.signature.hex()})

    @classmethod
    def from_bytes(cls, content: bytes, label: str) -> Signed:
        """Read what :meth:`to_bytes` gave.

        Raises
        ------
        TarnhelmError
            RVL-012 where it is of another kind, too long, or not spelt in the one way: two spellings of one
            document would be two digests.
        """
        try:
            if len(content) > _LONGEST:
                raise TarnhelmError(WRONG_SIGNATURE)
            whole = json.loads(content)
            found = cls(str(whole["label"]), dict(whole["document"]), bytes.fromhex(whole["signature"]))
            same = found.to_bytes() == content.strip()
        except (ValueError, KeyError, TypeError, RecursionError):
            raise TarnhelmError(WRONG_SIGNATURE) from None
        if found.label != label or not same:
            raise TarnhelmError(WRONG_SIGNATURE)
        return found


def _message(label: str, document: Mapping[str, Any]) -> bytes:
    return b"tarnhelm-reveal 1\x00" + label.encode("ascii") + b"\x00" + canonical(document)
