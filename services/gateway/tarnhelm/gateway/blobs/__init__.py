"""Where the gateway keeps bytes: encrypted, under opaque names, the first writer wins.

``tarnhelm.gateway.blobs.s3`` is imported by whoever wants it: it needs the extra ``s3``.
"""

from __future__ import annotations

from tarnhelm.gateway.blobs.base import BlobInfo, BlobName, BlobReader, BlobStore, BlobWriter, Commit, StoredBlob, put
from tarnhelm.gateway.blobs.folder import FolderBlobs
from tarnhelm.gateway.blobs.keyring import KeyRing
from tarnhelm.gateway.blobs.rotation import RewrapCounts, rewrap_all

__all__ = [
    "BlobInfo",
    "BlobName",
    "BlobReader",
    "BlobStore",
    "BlobWriter",
    "Commit",
    "FolderBlobs",
    "KeyRing",
    "RewrapCounts",
    "StoredBlob",
    "put",
    "rewrap_all",
]
