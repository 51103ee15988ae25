"""The manifest: one signed line for each object that leaves, chained so that none can be taken out."""

from __future__ import annotations

from tarnhelm.gateway.manifest.keys import ManifestKey, load_public_key
from tarnhelm.gateway.manifest.line import GENESIS, Line, ReleaseEntry, read_line, signed_line, withdrawal_document
from tarnhelm.gateway.manifest.verify import Chain, Verification, verify_lines

__all__ = [
    "GENESIS",
    "Chain",
    "Line",
    "ManifestKey",
    "ReleaseEntry",
    "Verification",
    "load_public_key",
    "read_line",
    "signed_line",
    "verify_lines",
    "withdrawal_document",
]
