"""The seam to whatever holds root keys: sign with them, seal to a reader, and no more.

A vault has no method that opens what it sealed. Whoever may open does it elsewhere, with a key that this
side does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SealItem", "Vault", "VaultKeeper"]


@dataclass(frozen=True, slots=True)
class SealItem:
    """One record to seal.

    Attributes
    ----------
    plaintext
        What only the reader of the way back may see.
    context
        Bound to the record: it opens only together with the same context, so records cannot be exchanged.
    """

    plaintext: bytes = field(repr=False)
    context: bytes = field(repr=False)


class Vault(Protocol):
    """What assigning needs. Projects are named by their opaque id.

    Every method raises TarnhelmError: LNK-007 (RETRY) where the vault is sealed or away, LNK-030 (RETRY) where
    it does not take this process's identity, LNK-009 for a destroyed project, LNK-010 where it has no key for
    the project. A missing key is never made.
    """

    def hmac(self, project: str, epoch: int, data: bytes) -> bytes:
        """HMAC-SHA-256 (32 bytes) under the root key of a project's epoch."""
        ...

    def seal(self, project: str, plaintext: bytes, context: bytes) -> bytes:
        """Seal one record; whoever calls cannot open it again."""
        ...

    def seal_batch(self, project: str, items: Sequence[SealItem]) -> list[bytes]:
        """Seal many records in one call, in their order."""
        ...

    def health(self) -> None:
        """Raise LNK-007 if the vault cannot serve."""
        ...

    def who_can_reidentify(self, project: str) -> str:
        """Give a sentence for the report: who holds the way back. No key material, no identifier."""
        ...


class VaultKeeper(Protocol):
    """What the life of a project's keys needs; an identity of its own where the vault is a server."""

    def create(self, project: str, epoch: int, custodian: bytes | None) -> None:
        """Make the root key of an epoch and fix the reader of the way back (X25519 public key, 32 bytes).

        Raises LNK-016 where the epoch has a key already, LNK-009 where the project was destroyed, LNK-006 for
        a custodian's key that hides nothing, LNK-032 for any where the vault's own policies name the reader.
        """
        ...

    def destroy(self, project: str) -> None:
        """Delete every key of the project, for good; may be called again."""
        ...
