"""Withdrawal orders: the steward's signed word that what was released of a person has to go.

The linkage namespace writes them, the gateway pulls them, purges and tells the destinations. An order names
surrogates only. It is one line of canonical JSON (sorted keys, no spaces, UTF-8)::

    {"document": {...}, "label": "withdrawal-order", "signature": Ed25519 in hex}

and the signature is over ``"tarnhelm-reveal 1" ‖ 0 ‖ "withdrawal-order" ‖ 0 ‖ canonical JSON of the document``.
``docs/reference/withdrawal-order.md`` describes each field.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tarnhelm.common.errors import BAD_ORDER_FILE, TarnhelmError

__all__ = ["LABEL", "WithdrawalOrder", "read_order", "sign_order"]

LABEL: Final = "withdrawal-order"
_FORMAT: Final = 1
_LARGEST: Final = 64 << 20
_HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PROJECT: Final = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_CASE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LONGEST: Final = 64


@dataclass(frozen=True, slots=True)
class WithdrawalOrder:
    """What has to go.

    Attributes
    ----------
    project
        Opaque id.
    case, case_digest
        The case that two people signed, and sha256 (hex) of what they signed.
    issued
        Seconds since 1970.
    patient_ids
        Surrogate Patient IDs: everything that was released under them goes. Sorted, each once.
    studies
        Surrogate Study Instance UIDs: everything of them goes. Sorted, each once.
    audit
        sha256 (hex) of the audit line that says the case was used.
    """

    project: str
    case: str
    case_digest: str
    issued: int
    patient_ids: tuple[str, ...] = field(default=())
    studies: tuple[str, ...] = field(default=())
    audit: str = ""

    def document(self) -> dict[str, Any]:
        """What is signed."""
        named = asdict(self)
        return {
            "format": _FORMAT,
            **named,
            "patient_ids": sorted(set(self.patient_ids)),
            "studies": sorted(set(self.studies)),
        }


def sign_order(order: WithdrawalOrder, key: Ed25519PrivateKey) -> bytes:
    """Sign an order; one line, without a line end."""
    document = order.document()
    signature = key.sign(_message(document)).hex()
    return _canonical({"label": LABEL, "document": document, "signature": signature})


def read_order(content: bytes, public: bytes) -> WithdrawalOrder:
    """Read an order and check its signature.

    Parameters
    ----------
    content
        As written; one line end at the end is accepted.
    public
        Ed25519 public key of the steward's audit writer, 32 bytes: from the gateway's settings, never from the order.

    Raises
    ------
    TarnhelmError
        STW-008 where it is not that key's, was changed, is not spelt in the one way, or names nothing well.
    """
    try:
        if len(content) > _LARGEST:
            raise TarnhelmError(BAD_ORDER_FILE)
        line = content.removesuffix(b"\n")
        whole = json.loads(line)
        document = dict(whole["document"])
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(whole["signature"]), _message(document))
        spelt_so = _canonical(whole) == line and set(whole) == {"label", "document", "signature"}
        order = _order(document)
        right = spelt_so and whole["label"] == LABEL and order.document() == document and _is_complete(order)
    except (ValueError, KeyError, TypeError, RecursionError, InvalidSignature):
        raise TarnhelmError(BAD_ORDER_FILE) from None
    if not right:
        raise TarnhelmError(BAD_ORDER_FILE)
    return order


def _order(document: dict[str, Any]) -> WithdrawalOrder:
    named = {name: value for name, value in document.items() if name != "format"}
    lists = {name: tuple(map(str, named[name])) for name in ("patient_ids", "studies")}
    return WithdrawalOrder(**{**named, **lists})


def _is_complete(order: WithdrawalOrder) -> bool:
    return bool(
        _PROJECT.fullmatch(order.project)
        and _CASE.fullmatch(order.case)
        and _HEX.fullmatch(order.case_digest)
        and _HEX.fullmatch(order.audit)
        and type(order.issued) is int
        and all(0 < len(name) <= _LONGEST for name in (*order.patient_ids, *order.studies))
    )


def _canonical(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def _message(document: dict[str, Any]) -> bytes:
    return b"tarnhelm-reveal 1\x00" + LABEL.encode("ascii") + b"\x00" + _canonical(document)
