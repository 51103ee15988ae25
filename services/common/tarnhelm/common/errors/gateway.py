"""GTW: admission, state, release."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, REJECT, RETRY, USAGE, error_code

UNREADABLE = error_code(
    "GTW-001",
    REJECT,
    "The file cannot be read.",
    "Look at its permissions and at the disk, then run again with --resume.",
)
SOURCE_CHANGED = error_code(
    "GTW-002",
    QUARANTINE,
    "The source changed while it was being cleaned.",
    "Wait until the sender has finished, then retry it.",
)
RESULT_CHANGED = error_code(
    "GTW-003",
    QUARANTINE,
    "The result changed between the verdict and the release.",
    "Integrity failure: look at the machine before going on.",
)
NO_SPACE = error_code("GTW-004", RETRY, "The disk is full.", "Free some space, then run again with --resume.")
STATE_LOCKED = error_code("GTW-005", USAGE, "Another run writes into the same folder.", "Wait until it has ended.")
STATE_BROKEN = error_code(
    "GTW-006", USAGE, "The private state cannot be read.", "Restore the state directory, or choose an empty OUT."
)
ARCHIVE_UNREADABLE = error_code(
    "GTW-007", REJECT, "The archive is damaged or encrypted.", "Unpack it yourself and clean the folder."
)
NAME_TAKEN = error_code(
    "GTW-008",
    QUARANTINE,
    "Another file stands where this object would be released.",
    "Move the file that Tarnhelm did not write out of OUT.",
)
REJECTED_BY_REVIEWER = error_code(
    "GTW-009", REJECT, "A reviewer rejected the object.", "Nothing to do: the decision is recorded."
)
