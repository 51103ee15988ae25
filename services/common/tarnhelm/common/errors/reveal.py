"""RVL: the guarded way back.

``REJECT`` means "refused": the person may not do this, now or ever.
"""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import REJECT, RETRY, USAGE, error_code

PERSON_UNKNOWN = error_code(
    "RVL-001", USAGE, "No person with this id or key is enrolled.", "List them: tarnhelm-reveal person list."
)
PERSON_TAKEN = error_code(
    "RVL-002",
    REJECT,
    "The id, a key or the identity-provider subject is enrolled already under another name.",
    "One human is one person: use the entry that exists, or new keys for another human.",
)
PERSON_NOT_ALLOWED = error_code(
    "RVL-003", REJECT, "The person has no role that allows this.", "Ask somebody who has it, or an admin."
)
PERSON_REVOKED = error_code(
    "RVL-004", REJECT, "A person of this case was revoked.", "Open a new case with people who are enrolled."
)
REGISTRY_DAMAGED = error_code(
    "RVL-005",
    REJECT,
    "The register of people was changed: line {line} does not hold.",
    "Stop using it; find out who changed it, and restore it from its backup.",
)
BAD_PERSON_CARD = error_code(
    "RVL-006", USAGE, "The file is no card of a person, or its own signature is wrong.", "Make one with: person new."
)
BAD_PERSON_KEY = error_code(
    "RVL-007",
    USAGE,
    "The person's key file cannot be read, or the passphrase is wrong or too short.",
    "Give the file that `person new` wrote and its passphrase of at least {least} characters.",
)
CASE_UNKNOWN = error_code("RVL-008", USAGE, "There is no such case.", "List them: tarnhelm-reveal case list.")
CASE_INVALID = error_code(
    "RVL-009",
    USAGE,
    "The case is not complete: project, kind, surrogates, purpose, legal basis or expiry is missing or out of bounds.",
    "See tarnhelm-reveal case open --help.",
)
CASE_EXISTS = error_code(
    "RVL-010", REJECT, "A case of this id was opened before.", "Open a new case; none is repeated."
)
SAME_HUMAN = error_code(
    "RVL-011",
    REJECT,
    "Who asked cannot decide: two different people are needed.",
    "Ask somebody else with the role of an approver.",
)
WRONG_SIGNATURE = error_code(
    "RVL-012", REJECT, "A signature does not hold.", "Sign again with your own key, on the case as it is."
)
CLOCKS_DIFFER = error_code(
    "RVL-013",
    REJECT,
    "What was signed is older or newer than this clock allows ({seconds} seconds).",
    "Set the clocks; sign again.",
)
CASE_EXPIRED = error_code("RVL-014", REJECT, "The case has expired.", "Open a new case.")
CASE_NOT_APPROVED = error_code(
    "RVL-015", REJECT, "The case is not approved.", "A second person has to approve it: tarnhelm-reveal case approve."
)
CASE_DENIED = error_code("RVL-016", REJECT, "The case was denied.", "Talk to the person who denied it.")
CASE_USED = error_code("RVL-017", REJECT, "The case was used already.", "A case is used once; open a new one.")
CASE_DECIDED = error_code(
    "RVL-018", REJECT, "The case was decided already.", "Open a new case to have it decided again."
)
TOO_MANY_ANSWERS = error_code(
    "RVL-019", REJECT, "More answers a day than the {limit} allowed.", "Wait, or ask who sets the limits."
)
TOO_MANY_SURROGATES = error_code(
    "RVL-020", USAGE, "More surrogates in one case than the {limit} allowed.", "Ask for fewer, or open several cases."
)
AUDIT_DAMAGED = error_code(
    "RVL-021",
    REJECT,
    "The audit does not hold from line {line} on.",
    "Run tarnhelm-reveal audit verify; nothing is answered before this is cleared up.",
)
AUDIT_UNWRITABLE = error_code(
    "RVL-022", RETRY, "The audit cannot be written, so nothing is answered.", "Look at the disk and at other processes."
)
ANCHOR_AWAY = error_code(
    "RVL-023",
    RETRY,
    "An anchor or the log server of the audit cannot be reached, so nothing is answered.",
    "Bring it back; nothing is lost.",
)
CASES_BUSY = error_code("RVL-024", RETRY, "The store of cases is busy or cannot be written.", "Wait; try again.")
CASES_DAMAGED = error_code(
    "RVL-025", REJECT, "The store of cases was changed or cannot be read.", "Restore it from its backup."
)
ANSWER_UNREADABLE = error_code(
    "RVL-026",
    USAGE,
    "The answer is not whole, not from this system, or not for this key.",
    "Give the file as it was written and the key of who asked.",
)
NO_SURROGATES = error_code(
    "RVL-027", USAGE, "No surrogate was found in what was given.", "Name Patient IDs or UIDs of released objects."
)
REVEAL_EXISTS = error_code("RVL-028", USAGE, "There is a register of people already.", "Use it, or another directory.")
REVEAL_MISSING = error_code("RVL-029", USAGE, "There is no register of people yet.", "Make one: tarnhelm-reveal init.")
OUTPUT_EXISTS = error_code(
    "RVL-030", USAGE, "The file to write exists already, or cannot be made.", "Name a new file in a folder of yours."
)
BAD_REVEAL_SETTINGS = error_code(
    "RVL-031", USAGE, "The settings cannot be read: line {line} or a value is not valid.", "Compare with the guide."
)
CASE_OF_OTHER_KIND = error_code(
    "RVL-032", REJECT, "The case was opened and approved for something else.", "Open a case of the right kind."
)
NO_ORIGINALS = error_code(
    "RVL-033",
    USAGE,
    "No UID was found in the list of originals.",
    "Give a CSV, what the PACS lists, or a folder of DICOM files.",
)
PROJECT_NOT_HERE = error_code(
    "RVL-034", REJECT, "The case belongs to another project.", "Name the project for which it was opened."
)
NOT_LOGGED_IN = error_code(
    "RVL-040",
    USAGE,
    "You are not logged in at the identity provider, or the login is over.",
    "Run tarnhelm-reveal login.",
)
TOKEN_REFUSED = error_code(
    "RVL-041",
    REJECT,
    "The identity token is not one for this server, was not signed by its identity provider, or belongs to another login.",
    "Log in again. If it goes on, compare issuer, audience and clocks on both sides.",
)
OTHER_SUBJECT = error_code(
    "RVL-042",
    REJECT,
    "Who is logged in is not who signed.",
    "Log in as yourself and sign with your own key.",
)
IDENTITY_AWAY = error_code(
    "RVL-043",
    RETRY,
    "The identity provider cannot be reached or gives no usable answer.",
    "Wait; nobody is let in unseen.",
)
LOGIN_FAILED = error_code(
    "RVL-044",
    USAGE,
    "The identity provider did not let you in, or it took too long.",
    "Try again; ask who runs the provider whether this client is registered there.",
)
REVEAL_AWAY = error_code(
    "RVL-045",
    RETRY,
    "The reveal server cannot be reached, or it is busy.",
    "Wait; look whether a case was spent before you ask again: tarnhelm-reveal case show.",
)
REVEAL_REQUEST = error_code(
    "RVL-046",
    USAGE,
    "The request is not well formed, or too large.",
    "Use a tool of the server's version; ask for less.",
)
REVEAL_FAILED = error_code(
    "RVL-047", REJECT, "The reveal server failed at this request.", "Report this as a fault of the server."
)
NOT_LET_PASS = error_code(
    "RVL-048",
    REJECT,
    "The vault waited {seconds} seconds for a second person to let the decryption pass.",
    "Ask the approver to run tarnhelm-reveal case release; the case is not spent.",
)
OTHER_REQUEST = error_code(
    "RVL-049",
    REJECT,
    "What waits in the vault is not a decryption for this case's project.",
    "Let nothing pass; find out who asked for it.",
)
