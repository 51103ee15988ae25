"""Opaque names: object ids and digests."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

__all__ = ["canonical_digest", "object_id"]


def object_id(gateway_key: bytes, project: str, raw_sha256: bytes) -> str:
    """HMAC(gateway key, project ‖ sha256 of the raw bytes), 32 hex digits.

    Without the key nobody can test whether a file he has is the object of an id.

    Parameters
    ----------
    gateway_key
        At least 32 bytes.
    project
        Label of the project.
    raw_sha256
        32 bytes.
    """
    message = project.encode() + b"\x00" + raw_sha256
    return hmac.digest(gateway_key, message, hashlib.sha256).hex()[:32]


def canonical_digest(document: Any) -> str:
    """sha256 (hex) over the canonical JSON of ``document``: sorted keys, no spaces, UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
