"""What a project's keys are called in the Transit engine, and what binds a sealed record to its place.

::

    tarnhelm-root-<project id>-<epoch>      HMAC key of an epoch; never rotated, used as version 1 alone
    tarnhelm-seal-<project id>              derived AES-256-GCM key of the way back; rotated and rewrapped freely
    tarnhelm-root-<project id>-destroyed    the project's keys are gone; none is ever made again

The mark of a destroyed project bears the root keys' prefix, so that whoever may sign with root keys can see
it, and needs no further path in his policy.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from tarnhelm.common.errors import BAD_PIN, TarnhelmError

__all__ = [
    "MOUNT",
    "cipher_version",
    "destroyed_mark",
    "is_root_key",
    "root_key",
    "seal_context",
    "seal_key",
]

MOUNT: Final = "transit"
"""Where the engine is mounted unless the settings say otherwise."""

_LONGEST_ID: Final = 64
_CIPHERTEXT: Final = re.compile(rb"vault:v([1-9][0-9]{0,9}):[A-Za-z0-9+/]+={0,2}")


def root_key(project: str, epoch: int) -> str:
    """Name of an epoch's root key; LNK-005 where the project is not named by an opaque id."""
    return f"tarnhelm-root-{_opaque(project)}-{int(epoch)}"


def destroyed_mark(project: str) -> str:
    """Name of the key whose existence says that the project was destroyed."""
    return f"tarnhelm-root-{_opaque(project)}-destroyed"


def seal_key(project: str) -> str:
    """Name of the key to which the way back is sealed."""
    return f"tarnhelm-seal-{_opaque(project)}"


def is_root_key(name: str, project: str) -> bool:
    """Whether a key's name is that of a root key of the project, of any epoch."""
    prefix = f"tarnhelm-root-{_opaque(project)}-"
    return name.startswith(prefix) and name[len(prefix) :].isdecimal()


def seal_context(project: str, context: bytes) -> str:
    """Give the key derivation context of a record, base64.

    The engine derives each record's key from it (HKDF over the seal key), so a record opens only as the kind
    and handle of the project that it was sealed for.

    Parameters
    ----------
    project
        Opaque id.
    context
        What the ledger binds the record to: :func:`~tarnhelm.linkage.core.ledger.record_context`.
    """
    bound = hashlib.sha256(context).digest() + _opaque(project).encode("ascii")
    return base64.b64encode(bound).decode("ascii")


def cipher_version(sealed: bytes) -> int:
    """Version of the seal key that a ciphertext was made with; 0 where it is no ciphertext of the engine."""
    found = _CIPHERTEXT.fullmatch(sealed)
    return int(found.group(1)) if found else 0


def _opaque(project: str) -> str:
    if not (project.isascii() and project.isalnum() and len(project) <= _LONGEST_ID):
        raise TarnhelmError(BAD_PIN)
    return project
