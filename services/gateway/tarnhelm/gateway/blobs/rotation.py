"""Rotation of the gateway's blob keys: heads are wrapped anew, bodies stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tarnhelm.gateway.blobs.base import BlobStore

__all__ = ["RewrapCounts", "rewrap_all"]


@dataclass(frozen=True, slots=True)
class RewrapCounts:
    """What one pass over the store did; when ``rewrapped`` is 0, no head needs an older key."""

    seen: int
    rewrapped: int


def rewrap_all(store: BlobStore, areas: Iterable[str]) -> RewrapCounts:
    """Wrap every head with the current key.

    To be run again until nothing was rewrapped: a writer that began before the new key arrived may have ended after
    the pass went by. Only then may the old key's file be destroyed.
    """
    seen = rewrapped = 0
    for area in areas:
        for blob in store.listing(area):
            seen += 1
            rewrapped += store.rewrap(blob.name)
    return RewrapCounts(seen, rewrapped)
