"""WIT: what the witness found."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, RETRY, USAGE, error_code

WITNESS_IDENTIFIER = error_code(
    "WIT-001",
    QUARANTINE,
    "An identifier of the source stands in the result.",
    "Report this as a fault of the cleaner; the object was not released.",
)
WITNESS_STRUCTURE = error_code(
    "WIT-002",
    QUARANTINE,
    "The result is not a well-formed object.",
    "Report this as a fault of the cleaner; the object was not released.",
)
WITNESS_PIXELS = error_code(
    "WIT-003",
    QUARANTINE,
    "Pixels differ from the source outside the reported masks.",
    "Report this as a fault of the cleaner; the object was not released.",
)
WITNESS_UNDECIDED = error_code(
    "WIT-004",
    QUARANTINE,
    "The witness cannot judge this object.",
    "The object was not released; its kind is beyond what the witness understands.",
)
WITNESS_UID = error_code(
    "WIT-005",
    QUARANTINE,
    "A UID of the source stands in the result.",
    "Report this as a fault of the cleaner; the object was not released.",
)
WITNESS_SIGNATURE = error_code(
    "WIT-006",
    QUARANTINE,
    "The verdict does not fit the bytes that would be released.",
    "Integrity failure: look at the machine before going on.",
)
WITNESS_POLICY = error_code(
    "WIT-007",
    USAGE,
    "The policy is not one the witness can read.",
    "Let the metadata compiler make the policy; compare the versions of both services.",
)
WITNESS_REQUEST = error_code(
    "WIT-008",
    USAGE,
    "The request does not follow the protocol, or its parts differ from its header.",
    "Send a header first, then the parts in order with the sizes and the digest it names.",
)
WITNESS_BUSY = error_code(
    "WIT-009",
    RETRY,
    "The witness has {limit} objects in hand and takes no more.",
    "Wait and try again; add replicas if it lasts.",
)
