"""STW: the life of a link."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import REJECT, USAGE, error_code

ACT_UNKNOWN = error_code(
    "STW-001",
    USAGE,
    "What the case is to do is not on file here, or is not what was signed.",
    "Open the case anew on the machine where it shall be carried out.",
)
ACT_DONE = error_code(
    "STW-002", REJECT, "The case was carried out already.", "A case is carried out once; open a new one."
)
BAD_PAIRS = error_code(
    "STW-003",
    USAGE,
    "The list of merges has a fault in line {line}; nothing was taken over.",
    "Mend the line: the guide describes the columns, and which HL7 messages are read.",
)
NOBODY_NAMED = error_code(
    "STW-004",
    USAGE,
    "What was given names nobody in this project: a placeholder, or a surrogate that was not given out.",
    "Compare it with the project; the entry is number {index}.",
)
SURROGATE_SHARED = error_code(
    "STW-005",
    USAGE,
    "The surrogate stands for {count} people, because of a merge that was taken back.",
    "Name the person by the original Patient ID, or by a surrogate Study Instance UID.",
)
OTHER_ARGUMENTS = error_code(
    "STW-006",
    REJECT,
    "The case was opened for something else than what was given.",
    "Ask who opened it what was meant.",
)
NOT_REWRAPPED = error_code(
    "STW-007",
    USAGE,
    "There are still {count} records sealed with a version that would be closed.",
    "Rewrap them first: tarnhelm-steward keys rewrap.",
)
BAD_ORDER_FILE = error_code(
    "STW-008",
    USAGE,
    "The order or certificate was changed, is not whole, or is not signed by this key.",
    "Give the file as it was written, and the key of the steward who wrote it.",
)
ENDS_DAMAGED = error_code(
    "STW-009",
    REJECT,
    "The book of withdrawals and destructions does not hold from line {line} on.",
    "Restore it from one of its copies; nothing is restored or served before.",
)
BAD_SHARE = error_code(
    "STW-010",
    USAGE,
    "Share {index} of the recovery key cannot be read: a word is wrong or missing.",
    "Compare it with the paper: the last words are a checksum over the others.",
)
SHARES_DO_NOT_FIT = error_code(
    "STW-011",
    USAGE,
    "The shares are too few, or not all of one recovery key.",
    "Bring {wanted} shares of the key whose fingerprint the backup shows.",
)
BACKUP_UNREADABLE = error_code(
    "STW-012",
    USAGE,
    "The backup is not whole, was changed, or is sealed to another recovery key.",
    "Compare its fingerprint with the recovery key's; take another copy.",
)
RESTORE_EXPOSED = error_code(
    "STW-013",
    USAGE,
    "The server to restore into can be reached by others.",
    "Let it listen on the loopback address alone until withdrawals and destructions were applied again.",
)
END_DOES_NOT_HOLD = error_code(
    "STW-014",
    REJECT,
    "After the restore, {count} destroyed or withdrawn entries could still be used; they were not all ended again.",
    "Keep the server closed; run tarnhelm-steward ends apply until it says that all hold.",
)
NOT_ON_THIS_BACKEND = error_code(
    "STW-015",
    USAGE,
    "This is not done on this backend.",
    "Keys of the local vault are not rotated and not rewrapped; a project of one machine is made with tarnhelm project.",
)
STILL_RESOLVABLE = error_code(
    "STW-016",
    REJECT,
    "The project was destroyed and yet {count} ways to its keys or records still answer.",
    "Keep everything closed and find out why; no certificate was written.",
)
BAD_RECOVERY_KEY = error_code(
    "STW-017",
    USAGE,
    "There is no recovery key here, or one already, or its numbers are out of bounds (2 to 16 shares, 2 or more needed).",
    "Make one with: tarnhelm-steward key recovery.",
)
INPUT_UNREADABLE = error_code(
    "STW-018",
    USAGE,
    "A file that was named, or a name of a project or person, is missing or cannot be read.",
    "Name what exists.",
)
