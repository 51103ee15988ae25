"""A manifest line: what left, why it was allowed to, and the hash of the line before it.

One line of canonical JSON (sorted keys, no spaces, UTF-8)::

    {"document": {...}, "label": "manifest-line", "signature": Ed25519 in hex}

signed over ``"tarnhelm-manifest 1" ‖ 0 ‖ label ‖ 0 ‖ canonical JSON of the document``. ``docs/reference/manifest.md``
describes each field.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from tarnhelm.common.orders import WithdrawalOrder
    from tarnhelm.common.stage import ObjectFacts
    from tarnhelm.gateway.manifest.keys import ManifestKey

__all__ = ["GENESIS", "LINE_LABEL", "NOTICE_LABEL", "Line", "ReleaseEntry", "read_line", "signed_line"]

GENESIS: Final = "0" * 64
"""What the first line of a chain names as the hash of the line before it."""
LINE_LABEL: Final = "manifest-line"
NOTICE_LABEL: Final = "withdrawal-notice"
_FORMAT: Final = 1
_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WRITER: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReleaseEntry:
    """What a line says of one object; no identifiers: all UIDs are surrogates.

    Attributes
    ----------
    sha256, size
        Of the bytes that leave.
    recipe_digest, policy_digest, plan_digest
        sha256 (hex) each.
    verdict
        The witness's signature, hex.
    destinations
        Names of those that it goes to, sorted; which of them have it stands in the state.
    supersedes
        Object id of the version that it replaces under the same surrogate SOP Instance UID; empty: none.
    accepted_unchecked
        Somebody accepted pixels that no stage had checked.
    software
        Name → version.
    time
        Seconds since 1970 when its release was decided.
    """

    object_id: str
    project: str
    facts: ObjectFacts
    path: str
    sha256: str
    size: int
    recipe_digest: str
    policy_digest: str
    plan_digest: str
    verdict: str
    destinations: tuple[str, ...]
    time: float
    supersedes: str = ""
    accepted_unchecked: bool = False
    software: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return its part of what is signed."""
        facts = self.facts
        return {
            "accepted_unchecked": self.accepted_unchecked,
            "destinations": sorted(self.destinations),
            "object": self.object_id,
            "path": self.path,
            "patient_id": facts.subject_id,
            "plan": self.plan_digest,
            "policy": self.policy_digest,
            "project": self.project,
            "recipe": self.recipe_digest,
            "series": facts.series_uid,
            "sha256": self.sha256,
            "size": self.size,
            "software": dict(self.software),
            "sop_class": facts.sop_class_uid,
            "sop_instance": facts.sop_uid,
            "study": facts.study_uid,
            "supersedes": self.supersedes,
            "time": round(self.time, 3),
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Line:
    """A line whose signature holds.

    Attributes
    ----------
    sequence
        Its number in the chain of its writer, from 1.
    previous
        sha256 (hex) of the line before it, without its line end.
    digest
        sha256 (hex) of this line.
    """

    writer: str
    sequence: int
    previous: str
    digest: str
    document: Mapping[str, Any]


def signed_line(key: ManifestKey, writer: str, sequence: int, previous: str, entry: ReleaseEntry) -> bytes:
    """Sign one line; without a line end."""
    document = {
        "format": _FORMAT,
        "previous": previous,
        "sequence": sequence,
        "writer": writer,
        **entry.document(),
    }
    return _enveloped(key, LINE_LABEL, document)


def withdrawal_document(
    key: ManifestKey, order: WithdrawalOrder, name: str, instances: Sequence[str], paths: Sequence[str]
) -> bytes:
    """Sign what a destination is told to delete.

    Parameters
    ----------
    name
        Of the order: sha256 (hex) of its file.
    instances
        Surrogate SOP Instance UIDs that were released.
    paths
        Their surrogate paths.
    """
    document = {
        "format": _FORMAT,
        "instances": sorted(instances),
        "issued": order.issued,
        "order": name,
        "paths": sorted(paths),
        "patient_ids": sorted(order.patient_ids),
        "project": order.project,
        "studies": sorted(order.studies),
    }
    return _enveloped(key, NOTICE_LABEL, document)


def read_line(content: bytes, public: Ed25519PublicKey, label: str = LINE_LABEL) -> Line | None:
    """Read a line; None where its signature or its spelling is not right.

    A notice (``label``) is in no chain: its writer is empty.
    """
    try:
        whole = json.loads(content)
        document = dict(whole["document"])
        public.verify(bytes.fromhex(whole["signature"]), _message(label, _canonical(document)))
        right = (
            whole["label"] == label
            and set(whole) == {"document", "label", "signature"}
            and _canonical(whole) == content
            and document["format"] == _FORMAT
        )
        chained = label != LINE_LABEL or (
            type(document["sequence"]) is int
            and _WRITER.fullmatch(document["writer"])
            and _HEX.fullmatch(document["previous"])
        )
    except (ValueError, KeyError, TypeError, RecursionError, InvalidSignature):
        return None
    if not right or not chained:
        return None
    return Line(
        writer=str(document.get("writer", "")),
        sequence=int(document.get("sequence", 0)),
        previous=str(document.get("previous", "")),
        digest=hashlib.sha256(content).hexdigest(),
        document=document,
    )


def _enveloped(key: ManifestKey, label: str, document: dict[str, Any]) -> bytes:
    """Sign a document; it is written once, for the signature and for the line, whose three keys are in order here."""
    written = _canonical(document)
    signature = key.sign(_message(label, written)).hex()
    return b'{"document":%b,"label":"%b","signature":"%b"}' % (
        written,
        label.encode("ascii"),
        signature.encode("ascii"),
    )


def _message(label: str, written: bytes) -> bytes:
    return b"tarnhelm-manifest 1\x00" + label.encode("ascii") + b"\x00" + written


def _canonical(document: Any) -> bytes:
    return _JSON.encode(document).encode("utf-8")
