"""LNK: projects, keys and the way back."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, REJECT, RETRY, USAGE, error_code

PROJECT_UNKNOWN = error_code(
    "LNK-001",
    USAGE,
    "No project has this label.",
    "Look at `tarnhelm project list`, or make one with `tarnhelm project create`.",
)
PROJECT_EXISTS = error_code(
    "LNK-002",
    USAGE,
    "A project with this label exists already.",
    "Use it, or choose another label; a label is never used twice.",
)
PINS_DIFFER = error_code(
    "LNK-003",
    USAGE,
    "The run wants {count} of the project's pins otherwise than they are.",
    "Run with what the project pins, open a revision with tarnhelm project upgrade, or use another project.",
)
BAD_LABEL = error_code(
    "LNK-004",
    USAGE,
    "The label of a project is 1 to 48 letters, digits, dots, hyphens and underscores, and starts with a letter or digit.",
    "Choose such a label; it must not name a person.",
)
BAD_PIN = error_code(
    "LNK-005",
    USAGE,
    "A setting of the project is not valid.",
    "Look at the project's settings in the reference: prefix, UID root, custodian key, placeholders.",
)
BAD_CUSTODIAN_KEY = error_code(
    "LNK-006",
    USAGE,
    "The custodian's key is no X25519 key that can be used.",
    "Make a pair with `create_custodian_key`, and give the public half as PEM.",
)
VAULT_UNAVAILABLE = error_code(
    "LNK-007",
    RETRY,
    "The vault is sealed or cannot be reached.",
    "Wait, or unseal the vault; nothing was assigned and nothing is lost.",
)
LEDGER_BUSY = error_code(
    "LNK-008",
    RETRY,
    "The ledger is busy or cannot be written.",
    "Wait; look at the disk's space and at other processes of the project.",
)
PROJECT_DESTROYED = error_code(
    "LNK-009", USAGE, "The project's keys were destroyed.", "Nobody can continue it; open another project."
)
KEY_MISSING = error_code(
    "LNK-010",
    USAGE,
    "The vault has no key of the project for epoch {epoch}.",
    "Restore the key from its backup; a key is never made anew for an existing project.",
)
STATE_UNSAFE = error_code(
    "LNK-011",
    USAGE,
    "The private state directory or a file in it cannot be used: it is missing, not writable, or open to others.",
    "Give the directory to the user who runs this, mode 0700, its files 0600.",
)
LEDGER_DAMAGED = error_code(
    "LNK-012",
    USAGE,
    "The ledger cannot be read, or is not one of this project.",
    "Restore the project's ledger from its backup.",
)
PROJECT_DAMAGED = error_code(
    "LNK-013",
    USAGE,
    "The project's file cannot be read, or a newer version wrote it.",
    "Restore it from its backup, or use the version that wrote it.",
)
WRONG_PRIVATE_KEY = error_code(
    "LNK-014",
    USAGE,
    "The private key cannot be read, or is not the one that the records were sealed to.",
    "Give the custodian's private key and its passphrase.",
)
RECORD_DAMAGED = error_code(
    "LNK-015",
    USAGE,
    "The sealed record {index} was changed or cut.",
    "Restore the ledger from its backup; the other records are not touched.",
)
KEY_FILE_EXISTS = error_code(
    "LNK-016", USAGE, "A key file of this name exists already.", "Choose another name; a key is never overwritten."
)
SUBJECT_WITHDRAWN = error_code(
    "LNK-017",
    REJECT,
    "The subject was withdrawn from the project.",
    "Nothing to do: later arrivals of a withdrawn subject are refused, and nothing is kept of them.",
)
NOT_IN_COHORT = error_code(
    "LNK-018",
    QUARANTINE,
    "The subject is not on the project's list.",
    "Add the subject to the list and retry, or send the object to another project.",
)
LINK_CONFLICT = error_code(
    "LNK-019",
    USAGE,
    "The subject is merged or the study moved already, or the two would come to stand for each other.",
    "Look at the history of links; undo the earlier one first.",
)
LINK_UNKNOWN = error_code(
    "LNK-020",
    USAGE,
    "There is no link {link} of this kind, or it was undone already.",
    "Look at the history of links.",
)
COHORT_CONFLICT = error_code(
    "LNK-021",
    USAGE,
    "Of the list, {count} entries differ from what the project holds already; nothing was taken over.",
    "Compare the list with the one that was imported before.",
)
BAD_COHORT = error_code(
    "LNK-022",
    USAGE,
    "The list has {count} faults, the first in line {line}; nothing was taken over.",
    "Mend the lines that are named; the reference describes the columns.",
)
LEDGER_VERSION = error_code(
    "LNK-023",
    USAGE,
    "The ledger's tables are of version {found}; this software needs version {wanted}.",
    "Let the database's owner bring them up to date with `migrate`, or use the version that wrote them.",
)
VAULT_REFUSED = error_code(
    "LNK-030",
    RETRY,
    "The vault does not take this service's identity, or its policy does not let it do its work.",
    "Renew the service's credential, or compare its role and policy with the vault guide; nothing is lost.",
)
VAULT_SETTINGS = error_code(
    "LNK-031",
    USAGE,
    "The settings of the vault are not valid: address, CA file, a credential that everybody can read, or a key's properties.",
    "Compare them with the vault guide.",
)
NO_CUSTODIAN_HERE = error_code(
    "LNK-032",
    USAGE,
    "A vault server has no custodian: its policies say who may open the way back.",
    "Leave the custodian's key out, or keep the project in the local vault.",
)
KEY_VERSION_CLOSED = error_code(
    "LNK-033",
    USAGE,
    "The sealed record {index} is of a key version that is closed.",
    "Lower min_decryption_version, rewrap the project's records, and raise it again.",
)

TICKET_INVALID = error_code(
    "LNK-040",
    RETRY,
    "The question came without an admission ticket that a known gateway signed.",
    "Give the assigner the gateway's public ticket key; nothing is assigned without a ticket.",
)
TICKET_EXPIRED = error_code(
    "LNK-041",
    RETRY,
    "The admission ticket has expired.",
    "Nothing to do: a fresh ticket comes with the next delivery. If it goes on, compare the clocks.",
)
TICKET_SPENT = error_code(
    "LNK-042",
    RETRY,
    "The admission ticket was used for another question before.",
    "Find out who asked twice: an object has one question. An alarm was raised.",
)
ASSIGN_QUOTA = error_code(
    "LNK-043",
    RETRY,
    "More new subjects were asked for than the quota of {limit} in an hour allows.",
    "Look at the alarm: raise the quota for a large import, or find out who tests guesses.",
)
ASSIGN_REQUEST = error_code(
    "LNK-044",
    QUARANTINE,
    "The question to the assigner is not well formed or too large.",
    "The object holds more distinct UIDs or values than the assigner takes at once, or the two sides' versions differ.",
)
ASSIGNER_AWAY = error_code(
    "LNK-045",
    RETRY,
    "The assigner cannot be reached or is busy.",
    "Wait; nothing was assigned and nothing is lost.",
)
CALLER_REFUSED = error_code(
    "LNK-046",
    RETRY,
    "The caller's certificate does not allow this call.",
    "Give the certificate of the service that may call, or add its name to the list of callers.",
)
ASSIGN_FAILED = error_code(
    "LNK-047",
    QUARANTINE,
    "The assigner failed at this question.",
    "Report this as a fault of the assigner; other questions are not touched.",
)
ASSIGN_SETTINGS = error_code(
    "LNK-048",
    USAGE,
    "The assigner's settings are not valid: listener, certificates, or a file of a secret that everybody can read.",
    "Compare them with the guide to the assign server.",
)
