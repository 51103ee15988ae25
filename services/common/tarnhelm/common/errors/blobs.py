"""BLB: stored bytes."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, REJECT, RETRY, USAGE, error_code

BLOB_NO_SPACE = error_code(
    "BLB-001", RETRY, "The blob store is full.", "Free some space or raise the quota; nothing half-written was left."
)
BLOB_STORE_AWAY = error_code(
    "BLB-002",
    RETRY,
    "The blob store cannot be reached, or refuses.",
    "Look at the volume or the S3 server, its credentials and the network; work goes on when it answers.",
)
BLOB_DAMAGED = error_code(
    "BLB-003",
    QUARANTINE,
    "A stored blob is not what was written.",
    "Integrity failure: look at the store before going on, and send the object again.",
)
BLOB_MISSING = error_code(
    "BLB-004", QUARANTINE, "A blob that should be there is not.", "Look at the store; send the object again."
)
BLOB_KEY_MISSING = error_code(
    "BLB-005",
    RETRY,
    "Key {key} of a blob is not in the key ring.",
    "Put the key's file back. If it was destroyed on purpose, its blobs cannot be read by anybody.",
)
BLOB_RING_UNUSABLE = error_code(
    "BLB-006",
    USAGE,
    "The key ring of the blob store cannot be used.",
    "Its folder needs files named NUMBER.key of 32 bytes each, which others may not read.",
)
BLOB_STORE_UNUSABLE = error_code(
    "BLB-007",
    USAGE,
    "The blob store cannot be used as it is set up.",
    "Look at the folder and its owner, or at the endpoint, the bucket and the rights to it.",
)
BLOB_UNCONDITIONAL = error_code(
    "BLB-008",
    USAGE,
    "The S3 server does not honour conditional writes.",
    "Choose one that answers If-None-Match and If-Match with 412: without it a second write would replace the first.",
)
BLOB_VERSIONED = error_code(
    "BLB-009",
    USAGE,
    "The bucket keeps old versions, so that a purge would purge nothing.",
    "Suspend versioning, or choose a bucket without it.",
)
BLOB_UNLIKE = error_code(
    "BLB-010",
    QUARANTINE,
    "The bytes that arrived have another sha256 or size than was announced.",
    "Send the object again: it changed on its way.",
)
BLOB_BAD_NAME = error_code(
    "BLB-011", REJECT, "A blob's name is not made of ids and digests.", "The reference does not come from this gateway."
)
