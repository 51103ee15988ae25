"""ING: records of the topics ``ingest`` and ``clean``, and those who send and read them."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, REJECT, RETRY, USAGE, error_code

INGEST_SETTINGS = error_code(
    "ING-001",
    USAGE,
    "The settings of an ingest door do not fit together, or a key file that they name cannot be used.",
    "Name a project or producers, prefixes that end with a slash, and key files that others may not read.",
)
RECORD_UNREADABLE = error_code(
    "ING-002",
    REJECT,
    "The record is not an IngestRecord, or lacks what one must have.",
    "Compare the producer with docs/reference/topics.md.",
)
RECORD_NOT_SIGNED = error_code(
    "ING-003",
    REJECT,
    "The record is not signed, and this topic belongs to no single project.",
    "Give the producer a signing key, and the door its public half.",
)
RECORD_SIGNATURE = error_code(
    "ING-004",
    REJECT,
    "The record's signature is not that of a producer that this door knows.",
    "Compare the key's number with the producers of the configuration.",
)
RECORD_OTHER_PROJECT = error_code(
    "ING-005",
    REJECT,
    "The record names another project than the one that its producer is bound to.",
    "Send it with the key of that project, or to its topic.",
)
RECORD_NOT_SEALED = error_code(
    "ING-006", REJECT, "The payload is not sealed, and this door takes sealed ones only.", "Send it with --seal-to."
)
SEAL_KEY_UNKNOWN = error_code(
    "ING-007",
    REJECT,
    "The payload is sealed to a key that this door does not have.",
    "Seal it to the gateway's present key, or give the door the former one too.",
)
SEAL_BROKEN = error_code(
    "ING-008",
    REJECT,
    "The sealed payload is damaged, cut off, or belongs to another record.",
    "Send the object again.",
)
PAYLOAD_DIFFERS = error_code(
    "ING-009", REJECT, "The payload has not the size or the sha256 that the record names.", "Send the object again."
)
CHUNKS_MISSING = error_code(
    "ING-010",
    REJECT,
    "{seen} of {limit} chunks came in time; the object was given up.",
    "Send the object again: its producer stopped half-way.",
)
CHUNKS_FULL = error_code(
    "ING-011",
    RETRY,
    "Too many bytes of unfinished objects wait already.",
    "Wait until they are complete or given up; look for producers that stopped half-way.",
)
REFERENCE_NOT_ALLOWED = error_code(
    "ING-012",
    REJECT,
    "The reference leads to a place that this door may not read.",
    "Compare it with the prefixes of the configuration; links, redirects and inner addresses are never followed.",
)
REFERENCE_EXPIRED = error_code(
    "ING-013",
    REJECT,
    "The reference has expired, or would be valid for too long.",
    "Send a new one with an expiry that leaves time to read it.",
)
REFERENCE_GONE = error_code(
    "ING-014",
    REJECT,
    "There is nothing to read where the reference leads, or it was refused.",
    "Look whether the object is still there and the door may read it, then send the reference again.",
)
REFERENCE_AWAY = error_code(
    "ING-015",
    RETRY,
    "The server that the reference leads to cannot be reached.",
    "Wait; the door asks again until its patience or the reference ends.",
)
PAYLOAD_OTHER_KIND = error_code(
    "ING-016",
    REJECT,
    "The payload is not of the kind that the record names.",
    "Look at what the producer sends; a DICOM file has DICM after 128 bytes.",
)
SEND_KEY = error_code(
    "ING-017",
    USAGE,
    "A key file is missing, of another kind, or open to others.",
    "Sealing needs an X25519 public key in PEM, signing an Ed25519 private key that nobody else may read.",
)
SEND_UNSEALED = error_code(
    "ING-018",
    USAGE,
    "Objects would leave this machine unsealed.",
    "Name the gateway's public key with --seal-to, or say --unsealed expressly.",
)
SEND_TARGET = error_code(
    "ING-019",
    USAGE,
    "The target is not a broker.",
    "Write kafka://HOST:PORT/TOPIC, with several HOST:PORT between commas, or folder:FOLDER.",
)
SEND_CHANGED = error_code(
    "ING-020", QUARANTINE, "The file changed while it was being sent.", "Wait until it is written, then send again."
)
CLEAN_UNREADABLE = error_code(
    "ING-021",
    REJECT,
    "The record is not a CleanRecord, or its bytes are not those that it names.",
    "Integrity failure: look at who may write the topic.",
)
EXPORT_FAILED = error_code(
    "ING-022",
    RETRY,
    "The export folder cannot be written.",
    "Look at the disk and the folder's permissions.",
)
RECORD_FAILED = error_code(
    "ING-023",
    RETRY,
    "The door failed on the record in a way that it does not know.",
    "It is tried three times, then kept as a dead letter: report it with the version of the software.",
)
