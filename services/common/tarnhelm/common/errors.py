"""Every error the house can raise: a stable code, a disposition, a message without values.

An error text travels to logs, reports, metrics and senders, so it may hold numbers and DICOM tags, never
a value out of a file. Code that catches a library's exception raises one of these instead, ``from None``,
because the library's text may quote the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["CATALOGUE", "Disposition", "ErrorCode", "TarnhelmError", "error_code"]


class Disposition(StrEnum):
    """What the pump does with an object whose stage raised the error."""

    RETRY = "retry"
    """The object is fine, a dependency is not: wait and try again."""
    QUARANTINE = "quarantine"
    """The object cannot be cleaned as it is: keep it, release nothing."""
    REJECT = "reject"
    """The input is not an object at all, or is not wanted: tell the sender."""
    SKIP = "skip"
    """The file is known litter (a DICOMDIR, a viewer's program): count it, no more."""
    USAGE = "usage"
    """The request or the configuration is wrong: exit code 2."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the catalogue.

    Attributes
    ----------
    code
        Stable for ever, for example ``DCM-003``. Never reused.
    disposition
        What happens to the object.
    message
        One sentence without values. ``{name}`` places take integers (and ``{tag}`` an attribute tag).
    remedy
        What the reader can do about it.
    """

    code: str
    disposition: Disposition
    message: str
    remedy: str


class TarnhelmError(Exception):
    """An error of the catalogue, with integer facts only.

    Parameters
    ----------
    kind
        The row of the catalogue.
    **facts
        Integers for the places in the message; ``tag`` is printed as ``(gggg,eeee)``.
    """

    def __init__(self, kind: ErrorCode, **facts: int) -> None:
        self.kind = kind
        self.facts = facts
        super().__init__(self.safe_message)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.kind, self.facts))

    @property
    def code(self) -> str:
        """The stable code, for example ``DCM-003``."""
        return self.kind.code

    @property
    def disposition(self) -> Disposition:
        """What happens to the object."""
        return self.kind.disposition

    @property
    def safe_message(self) -> str:
        """The sentence with its numbers filled in; holds no value out of a file."""
        shown = {name: _shown(name, value) for name, value in self.facts.items()}
        try:
            return self.kind.message.format_map(shown)
        except KeyError:
            return self.kind.message


def _rebuild(cls: type[TarnhelmError], kind: ErrorCode, facts: dict[str, int]) -> TarnhelmError:
    error = cls.__new__(cls)
    TarnhelmError.__init__(error, kind, **facts)
    return error


def _shown(name: str, value: int) -> str:
    if name == "tag":
        return f"({value >> 16:04X},{value & 0xFFFF:04X})"
    return f"{int(value):,}"


CATALOGUE: Final[dict[str, ErrorCode]] = {}


def error_code(code: str, disposition: Disposition, message: str, remedy: str) -> ErrorCode:
    """Enter one row; a code that exists already is a programming error."""
    if code in CATALOGUE:
        raise ValueError(code)
    CATALOGUE[code] = row = ErrorCode(code, disposition, message, remedy)
    return row


_Q, _R, _S, _U, _W = (
    Disposition.QUARANTINE,
    Disposition.REJECT,
    Disposition.SKIP,
    Disposition.USAGE,
    Disposition.RETRY,
)

# --- DCM: the structure of a DICOM object ------------------------------------------------------------------
NOT_DICOM = error_code(
    "DCM-001", _S, "The file is not DICOM.", "Nothing to do: other files beside images are passed over."
)
DICOMDIR = error_code(
    "DCM-002",
    _S,
    "The file is a DICOMDIR, an index of the medium.",
    "Nothing to do: the images are cleaned, the index is left out.",
)
TRUNCATED = error_code(
    "DCM-003",
    _Q,
    "The data set ends inside the element {tag} at byte {offset}.",
    "Send the object again: the transfer was cut, or the file is damaged.",
)
BAD_LENGTH = error_code(
    "DCM-004",
    _Q,
    "The element {tag} at byte {offset} claims a length that does not fit its parent.",
    "The writer of this file is at fault; look at it with a DICOM validator.",
)
BAD_VR = error_code(
    "DCM-005",
    _Q,
    "The element at byte {offset} has no known value representation.",
    "The file is damaged or not in the transfer syntax that it names.",
)
BAD_ORDER = error_code(
    "DCM-006",
    _Q,
    "The element {tag} at byte {offset} stands out of order or twice.",
    "The writer of this file is at fault; look at it with a DICOM validator.",
)
BAD_SEQUENCE = error_code(
    "DCM-007",
    _Q,
    "The sequence {tag} is not made of items at byte {offset}.",
    "The writer of this file is at fault; look at it with a DICOM validator.",
)
UNKNOWN_SYNTAX = error_code(
    "DCM-008",
    _Q,
    "The transfer syntax is not one this version understands.",
    "Convert the object to a syntax of the list in CONFORMANCE.md.",
)
BAD_META = error_code(
    "DCM-009", _Q, "The file meta information cannot be read.", "The file is damaged; send the object again."
)
BAD_FRAGMENTS = error_code(
    "DCM-010",
    _Q,
    "The encapsulated pixel data are not made of whole fragments.",
    "The file is damaged; send the object again.",
)
BAD_CODESTREAM = error_code(
    "DCM-011",
    _Q,
    "A compressed frame is not a whole code stream of its transfer syntax.",
    "Decompress and recompress the object, or send it again.",
)
MISSING_IDENTITY = error_code(
    "DCM-012",
    _Q,
    "A SOP class, SOP instance, study or series UID is missing or no UID.",
    "The object cannot be filed without them; correct it at its source.",
)
BAD_DEFLATE = error_code(
    "DCM-013", _Q, "The deflated data set cannot be inflated.", "The file is damaged; send the object again."
)
BAD_CHARSET = error_code(
    "DCM-014",
    _Q,
    "Specific Character Set names a repertoire this version does not know.",
    "Correct (0008,0005) at the source.",
)
PIXEL_LENGTH = error_code(
    "DCM-015",
    _Q,
    "The pixel data are {seen} bytes, the header asks for {wanted}.",
    "The file is cut or its header is wrong; send the object again.",
)

# --- LIM: bounds --------------------------------------------------------------------------------------------
TOO_LARGE = error_code(
    "LIM-001",
    _Q,
    "The object is {seen} bytes, more than the limit of {limit}.",
    "Clean it from Python with a higher max_object_bytes, or leave it out.",
)
TOO_DEEP = error_code(
    "LIM-002",
    _Q,
    "Sequences are nested deeper than {limit} levels.",
    "No real object needs that; treat the file as hostile.",
)
TOO_MANY_ELEMENTS = error_code(
    "LIM-003", _Q, "The object has more than {limit} elements.", "Raise max_elements if such objects are expected."
)
HEADER_TOO_LARGE = error_code(
    "LIM-004", _Q, "The header is more than {limit} bytes.", "Raise max_header_bytes if such objects are expected."
)
INFLATES_TOO_FAR = error_code(
    "LIM-005",
    _Q,
    "The deflated data set grows beyond {limit} bytes.",
    "Treat the file as hostile; raise max_inflated_bytes only for a trusted source.",
)
TOO_SLOW = error_code(
    "LIM-006",
    _Q,
    "The object took longer than {limit} seconds.",
    "Treat the file as suspect; raise seconds_per_object for large objects.",
)
WORKER_DIED = error_code(
    "LIM-007",
    _Q,
    "The worker died on this object, {seen} times.",
    "Treat the file as hostile; it was kept away from all others.",
)
TOO_MUCH_MEMORY = error_code(
    "LIM-008",
    _Q,
    "The object asked for more memory than a worker has.",
    "Treat the file as hostile; raise worker_memory_bytes only for a trusted source.",
)
TOO_MANY_FRAMES = error_code(
    "LIM-009",
    _Q,
    "The object claims {seen} frames or fragments, more than {limit}.",
    "Raise max_frames if such objects are expected.",
)
VALUE_TOO_LONG = error_code(
    "LIM-010",
    _Q,
    "The value of {tag} is {seen} bytes, more than the limit of {limit}.",
    "Raise max_value_bytes if such objects are expected.",
)
ARCHIVE_BOMB = error_code(
    "LIM-011",
    _Q,
    "An archive holds more than {limit} entries or bytes.",
    "Unpack the archive yourself and clean the folder.",
)

# --- MET: what the metadata stage cannot clean -------------------------------------------------------------
KIND_NOT_COVERED = error_code(
    "MET-001",
    _Q,
    "This kind of object holds content that no stage can clean yet.",
    "It stays in quarantine; images of the same study are not held up.",
)
REQUIRED_NOT_CLEANABLE = error_code(
    "MET-002", _Q, "A required attribute {tag} must go and has no safe substitute.", "Add a rule for it to the recipe."
)
OUT_OF_COHORT = error_code(
    "MET-003",
    _Q,
    "The subject is not one this project accepts.",
    "Add the subject to the project's list, or send the object to another project.",
)
FILTERED = error_code(
    "MET-004",
    _Q,
    "A filter of the recipe sets this object aside.",
    "Change the recipe's %filter section if it should pass.",
)
BAD_SURROGATE = error_code(
    "MET-005",
    _Q,
    "A surrogate for {tag} does not fit its value representation.",
    "Change the PSEUDO rule for this attribute.",
)

# --- PRF: profiles of PS3.15 Annex E ---------------------------------------------------------------------
PROFILE_NEEDS_STAGE = error_code(
    "PRF-001",
    _U,
    "Profile {position} of the list cleans pixels, and no installed stage does that.",
    "Leave the profile out, or install the ocr or imaging service that fulfils it.",
)
PROFILE_DATES_CONFLICT = error_code(
    "PRF-002",
    _U,
    "Full dates and modified dates are both asked for.",
    "Choose one of rtnLongFullDatesOpt and rtnLongModifDatesOpt.",
)
PROFILE_UNKNOWN = error_code(
    "PRF-003",
    _U,
    "Profile {position} of the list is not one this version knows.",
    "The names are listed in docs/reference/profiles.md.",
)

# --- PIX: what may stand in the pixels ----------------------------------------------------------------------
TEXT_UNCHECKED = error_code(
    "PIX-001",
    _Q,
    "The pixels may carry burned-in text, and no OCR stage is installed.",
    "Install the ocr service, or accept unchecked pixels expressly.",
)
FACE_UNCHECKED = error_code(
    "PIX-002",
    _Q,
    "The volume may show a face, and no imaging stage is installed.",
    "Install the imaging service, or accept unchecked pixels expressly.",
)
TEXT_AND_FACE_UNCHECKED = error_code(
    "PIX-003",
    _Q,
    "The pixels may carry text and a face, and neither the ocr nor the imaging stage is installed.",
    "Install both services, or accept unchecked pixels expressly.",
)
MASK_WANTED = error_code(
    "PIX-004",
    _Q,
    "The recipe asks for regions to be masked, and no OCR stage is installed.",
    "Install the ocr service.",
)
BAD_PIXEL_HEADER = error_code(
    "PIX-005",
    _Q,
    "The attributes that describe the pixels contradict each other.",
    "Look at the object with a DICOM validator.",
)

# --- WIT: what the witness found ----------------------------------------------------------------------------
WITNESS_IDENTIFIER = error_code(
    "WIT-001",
    _Q,
    "An identifier of the source stands in the result.",
    "Report this as a fault of the cleaner; the object was not released.",
)
WITNESS_STRUCTURE = error_code(
    "WIT-002",
    _Q,
    "The result is not a well-formed object.",
    "Report this as a fault of the cleaner; the object was not released.",
)
WITNESS_PIXELS = error_code(
    "WIT-003",
    _Q,
    "Pixels differ from the source outside the reported masks.",
    "Report this as a fault of the cleaner; the object was not released.",
)
WITNESS_UNDECIDED = error_code(
    "WIT-004",
    _Q,
    "The witness cannot judge this object.",
    "The object was not released; its kind is beyond what the witness understands.",
)
WITNESS_UID = error_code(
    "WIT-005",
    _Q,
    "A UID of the source stands in the result.",
    "Report this as a fault of the cleaner; the object was not released.",
)
WITNESS_SIGNATURE = error_code(
    "WIT-006",
    _Q,
    "The verdict does not fit the bytes that would be released.",
    "Integrity failure: look at the machine before going on.",
)
WITNESS_POLICY = error_code(
    "WIT-007",
    _U,
    "The policy is not one the witness can read.",
    "Let the metadata compiler make the policy; compare the versions of both services.",
)
WITNESS_REQUEST = error_code(
    "WIT-008",
    _U,
    "The request does not follow the protocol, or its parts differ from its header.",
    "Send a header first, then the parts in order with the sizes and the digest it names.",
)
WITNESS_BUSY = error_code(
    "WIT-009",
    _W,
    "The witness has {limit} objects in hand and takes no more.",
    "Wait and try again; add replicas if it lasts.",
)

# --- STG: stages and their workers --------------------------------------------------------------------------
STAGE_FAULT = error_code(
    "STG-001",
    _Q,
    "The stage met a fault of its own on this object.",
    "Report the place that the report and `tarnhelm quarantine show` name; the object was not released.",
)
STAGE_BROKEN = error_code(
    "STG-002",
    _U,
    "The stage's workers cannot start.",
    "Look at the configuration and the installation: nothing was processed.",
)
STAGE_MISSING = error_code(
    "STG-003",
    _Q,
    "The object needs a stage that is not installed.",
    "Install the stage; the object stays in quarantine until then.",
)
ASSIGN_TWICE = error_code(
    "STG-004",
    _Q,
    "A worker asked for the surrogates of more than one subject.",
    "Treat the file as hostile; it was kept away from all others.",
)

# --- GTW: admission, state, release -------------------------------------------------------------------------
UNREADABLE = error_code(
    "GTW-001", _R, "The file cannot be read.", "Look at its permissions and at the disk, then run again with --resume."
)
SOURCE_CHANGED = error_code(
    "GTW-002",
    _Q,
    "The source changed while it was being cleaned.",
    "Wait until the sender has finished, then retry it.",
)
RESULT_CHANGED = error_code(
    "GTW-003",
    _Q,
    "The result changed between the verdict and the release.",
    "Integrity failure: look at the machine before going on.",
)
NO_SPACE = error_code("GTW-004", _W, "The disk is full.", "Free some space, then run again with --resume.")
STATE_LOCKED = error_code("GTW-005", _U, "Another run writes into the same folder.", "Wait until it has ended.")
STATE_BROKEN = error_code(
    "GTW-006", _U, "The private state cannot be read.", "Restore the state directory, or choose an empty OUT."
)
ARCHIVE_UNREADABLE = error_code(
    "GTW-007", _R, "The archive is damaged or encrypted.", "Unpack it yourself and clean the folder."
)
NAME_TAKEN = error_code(
    "GTW-008",
    _Q,
    "Another file stands where this object would be released.",
    "Move the file that Tarnhelm did not write out of OUT.",
)
REJECTED_BY_REVIEWER = error_code(
    "GTW-009", _R, "A reviewer rejected the object.", "Nothing to do: the decision is recorded."
)

# --- BRK: the broker between the parts of the gateway -------------------------------------------------------
BROKER_AWAY = error_code(
    "BRK-001", _W, "The broker cannot be reached.", "Wait; work goes on when it is back, and nothing is lost meanwhile."
)
MESSAGE_TOO_LARGE = error_code(
    "BRK-002",
    _Q,
    "A message of {size} bytes is larger than the {limit} bytes that one may have.",
    "Send it in chunks, or by reference.",
)
TOPIC_NOT_ALLOWED = error_code(
    "BRK-003",
    _U,
    "The topic is not one of this gateway's.",
    "Name a topic of the list that the gateway was started with.",
)
BROKER_REFUSES = error_code(
    "BRK-004",
    _W,
    "The broker lets this gateway not in, or not do this.",
    "Look at its name, certificate and password, and at the broker's access rules.",
)
TOPIC_MISSING = error_code("BRK-005", _W, "The broker does not have the topic.", "Run tarnhelm topics ensure.")
BROKER_SETTINGS = error_code(
    "BRK-006",
    _U,
    "The settings of the broker do not fit together, or a file that they name cannot be used.",
    "Look at addresses, certificate files and their permissions.",
)
BROKER_FAULT = error_code(
    "BRK-007", _W, "The broker answered with an error.", "Look at the broker's own log; the request is made again."
)
BROKER_BUSY = error_code(
    "BRK-008",
    _W,
    "{size} bytes wait for the broker's acknowledgement, and no more are taken.",
    "Wait: the sender is told to slow down.",
)
TOPICS_DIFFER = error_code(
    "BRK-009",
    _U,
    "{count} topics are missing or are not as the gateway needs them.",
    "Change them with the broker's own tools: nothing was changed or deleted here.",
)
BROKER_UNREADABLE = error_code(
    "BRK-010",
    _U,
    "The embedded broker's files cannot be read.",
    "Restore its folder, or move it away and recover from the state.",
)
BROKER_CLOSED = error_code("BRK-011", _W, "The broker's client was closed.", "Nothing to do: the process is ending.")
BROKER_EXTRA_MISSING = error_code(
    "BRK-012", _U, "The client of Apache Kafka is not installed.", "Install the extra: pip install 'tarnhelm[kafka]'."
)
TOPIC_TOO_NARROW = error_code(
    "BRK-013",
    _W,
    "The broker's topic takes smaller messages only than the gateway has to send.",
    "Compare with tarnhelm topics ensure --check, then raise its max.message.bytes.",
)

# --- BLB: stored bytes ----------------------------------------------------------------------------------------
BLOB_NO_SPACE = error_code(
    "BLB-001", _W, "The blob store is full.", "Free some space or raise the quota; nothing half-written was left."
)
BLOB_STORE_AWAY = error_code(
    "BLB-002",
    _W,
    "The blob store cannot be reached, or refuses.",
    "Look at the volume or the S3 server, its credentials and the network; work goes on when it answers.",
)
BLOB_DAMAGED = error_code(
    "BLB-003",
    _Q,
    "A stored blob is not what was written.",
    "Integrity failure: look at the store before going on, and send the object again.",
)
BLOB_MISSING = error_code(
    "BLB-004", _Q, "A blob that should be there is not.", "Look at the store; send the object again."
)
BLOB_KEY_MISSING = error_code(
    "BLB-005",
    _W,
    "Key {key} of a blob is not in the key ring.",
    "Put the key's file back. If it was destroyed on purpose, its blobs cannot be read by anybody.",
)
BLOB_RING_UNUSABLE = error_code(
    "BLB-006",
    _U,
    "The key ring of the blob store cannot be used.",
    "Its folder needs files named NUMBER.key of 32 bytes each, which others may not read.",
)
BLOB_STORE_UNUSABLE = error_code(
    "BLB-007",
    _U,
    "The blob store cannot be used as it is set up.",
    "Look at the folder and its owner, or at the endpoint, the bucket and the rights to it.",
)
BLOB_UNCONDITIONAL = error_code(
    "BLB-008",
    _U,
    "The S3 server does not honour conditional writes.",
    "Choose one that answers If-None-Match and If-Match with 412: without it a second write would replace the first.",
)
BLOB_VERSIONED = error_code(
    "BLB-009",
    _U,
    "The bucket keeps old versions, so that a purge would purge nothing.",
    "Suspend versioning, or choose a bucket without it.",
)
BLOB_UNLIKE = error_code(
    "BLB-010",
    _Q,
    "The bytes that arrived have another sha256 or size than was announced.",
    "Send the object again: it changed on its way.",
)
BLOB_BAD_NAME = error_code(
    "BLB-011", _R, "A blob's name is not made of ids and digests.", "The reference does not come from this gateway."
)

# --- STA: the state on a server --------------------------------------------------------------------------------
STATE_AWAY = error_code(
    "STA-001",
    _W,
    "The state's database cannot be reached, or is overloaded.",
    "Look at PostgreSQL; work goes on when it answers.",
)
STATE_VERSION = error_code(
    "STA-002",
    _U,
    "The state's tables are of version {found}, this software wants {wanted}.",
    "Run the newest software; to bring older tables up to date, start it once with the owner's role.",
)

# --- RUN: the command ---------------------------------------------------------------------------------------
OUT_INSIDE_IN = error_code(
    "RUN-001",
    _U,
    "IN and OUT lie inside each other.",
    "Choose an OUT outside IN: originals and released objects must not mix.",
)
OUT_OF_OTHER_PROJECT = error_code(
    "RUN-002",
    _U,
    "OUT holds objects of another project.",
    "Choose an empty OUT, name that project, or continue it with --resume.",
)
OUT_NOT_EMPTY = error_code(
    "RUN-003",
    _U,
    "OUT is not empty and is not known here.",
    "Choose an empty OUT: it holds released objects and the report, nothing else.",
)
NO_INPUT = error_code(
    "RUN-004", _U, "IN does not exist, cannot be read, or holds no file.", "Look at the path and its permissions."
)
NOTHING_TO_RESUME = error_code("RUN-005", _U, "There is no earlier run into this OUT.", "Start without --resume.")
OUT_OF_OTHER_PLAN = error_code(
    "RUN-006", _U, "OUT was made with another recipe or other profiles.", "Use the same recipe, or choose an empty OUT."
)
UNKNOWN_ENTRY = error_code(
    "RUN-007", _U, "There is no such entry in the quarantine.", "List the entries with: tarnhelm quarantine list"
)
NOT_ACCEPTABLE = error_code(
    "RUN-008",
    _U,
    "This entry cannot be accepted; only PIX-001, PIX-002 and PIX-003 can.",
    "Retry it with another recipe or a newer version, or reject it.",
)
BAD_VARIABLE = error_code(
    "RUN-009", _U, "A variable is not of the form NAME=VALUE.", "Write --var SITE=7, for example."
)
FLAG_NEEDS_STAGE = error_code(
    "RUN-010",
    _U,
    "An option of deidentify.py asks for a stage that is not installed.",
    "Leave out -t, -s, -de, -tw, -w and --gpu; objects that need those stages are quarantined.",
)
RECIPE_UNREADABLE = error_code("RUN-011", _U, "The recipe file cannot be read.", "Look at the path.")
KEY_UNREADABLE = error_code(
    "RUN-012",
    _U,
    "The key file cannot be read or does not fit.",
    "Give the private key that belongs to the project's custodian.",
)
OUT_UNWRITABLE = error_code(
    "RUN-013",
    _U,
    "OUT or the report's folder cannot be written.",
    "Look at its permissions and at the disk; go on with --resume if the run had begun.",
)
SOURCE_GONE = error_code(
    "RUN-014",
    _U,
    "The source of this entry is not where it was, or has changed.",
    "Put the file back, or clean it again with --resume: other bytes are a new object.",
)
UNKNOWN_CODE = error_code("RUN-015", _U, "No code begins like that.", "List them all with: tarnhelm codes")
BAD_SITE = error_code(
    "RUN-016",
    _U,
    "Mistakes in the site file: {seen}.",
    "Read the list of lines and suggestions that comes with this message.",
)
SITE_UNREADABLE = error_code("RUN-017", _U, "The site file cannot be read.", "Look at the path.")
SITE_DIFFERS = error_code(
    "RUN-018",
    _U,
    "The site file is not the one that this project was made with.",
    "Leave --site away, or make another project: tarnhelm project create LABEL --site FILE",
)
REPORT_UNREADABLE = error_code(
    "RUN-019",
    _U,
    "There is no report here, or it is not whole.",
    "Name OUT; if its report was written elsewhere, add --report DIR.",
)
REPORT_DIFFERS = error_code(
    "RUN-020",
    _U,
    "The report and the files do not agree: {seen}.",
    "Do not pass these files on. Clean the originals again into an empty OUT.",
)
STATE_UNWRITABLE = error_code(
    "RUN-021",
    _U,
    "The private state directory cannot be used.",
    "Look at its permissions and at the disk, or name another folder with TARNHELM_STATE.",
)
NO_OUT = error_code("RUN-022", _U, "OUT is missing.", "Say where the clean files shall go: tarnhelm clean IN OUT")
SYSTEM_REFUSED = error_code(
    "RUN-023",
    _U,
    "The system refused to read or write a file (errno {seen}).",
    "Look at permissions and at the disk, then go on with --resume if the run had begun.",
)

# --- RCP: what is wrong with a recipe -----------------------------------------------------------------------
BAD_RECIPE = error_code(
    "RCP-001",
    _U,
    "Mistakes in the recipe: {seen}.",
    "Read the list of lines and suggestions that comes with this message.",
)
RECIPE_VARIABLE = error_code(
    "RCP-002",
    _U,
    "The recipe uses a variable that has no value.",
    "Give the run a value for every variable of the recipe.",
)

# --- LNK: projects, keys and the way back --------------------------------------------------------------------
PROJECT_UNKNOWN = error_code(
    "LNK-001",
    _U,
    "No project has this label.",
    "Look at `tarnhelm project list`, or make one with `tarnhelm project create`.",
)
PROJECT_EXISTS = error_code(
    "LNK-002",
    _U,
    "A project with this label exists already.",
    "Use it, or choose another label; a label is never used twice.",
)
PINS_DIFFER = error_code(
    "LNK-003",
    _U,
    "The run wants {count} of the project's pins otherwise than they are.",
    "Run with what the project pins, or open a revision or another project.",
)
BAD_LABEL = error_code(
    "LNK-004",
    _U,
    "The label of a project is 1 to 48 letters, digits, dots, hyphens and underscores, and starts with a letter or digit.",
    "Choose such a label; it must not name a person.",
)
BAD_PIN = error_code(
    "LNK-005",
    _U,
    "A setting of the project is not valid.",
    "Look at the project's settings in the reference: prefix, UID root, custodian key, placeholders.",
)
BAD_CUSTODIAN_KEY = error_code(
    "LNK-006",
    _U,
    "The custodian's key is no X25519 key that can be used.",
    "Make a pair with `create_custodian_key`, and give the public half as PEM.",
)
VAULT_UNAVAILABLE = error_code(
    "LNK-007",
    _W,
    "The vault is sealed or cannot be reached.",
    "Wait, or unseal the vault; nothing was assigned and nothing is lost.",
)
LEDGER_BUSY = error_code(
    "LNK-008",
    _W,
    "The ledger is busy or cannot be written.",
    "Wait; look at the disk's space and at other processes of the project.",
)
PROJECT_DESTROYED = error_code(
    "LNK-009", _U, "The project's keys were destroyed.", "Nobody can continue it; open another project."
)
KEY_MISSING = error_code(
    "LNK-010",
    _U,
    "The vault has no key of the project for epoch {epoch}.",
    "Restore the key from its backup; a key is never made anew for an existing project.",
)
STATE_UNSAFE = error_code(
    "LNK-011",
    _U,
    "The private state directory or a file in it cannot be used: it is missing, not writable, or open to others.",
    "Give the directory to the user who runs this, mode 0700, its files 0600.",
)
LEDGER_DAMAGED = error_code(
    "LNK-012",
    _U,
    "The ledger cannot be read, or is not one of this project.",
    "Restore the project's ledger from its backup.",
)
PROJECT_DAMAGED = error_code(
    "LNK-013",
    _U,
    "The project's file cannot be read, or a newer version wrote it.",
    "Restore it from its backup, or use the version that wrote it.",
)
WRONG_PRIVATE_KEY = error_code(
    "LNK-014",
    _U,
    "The private key cannot be read, or is not the one that the records were sealed to.",
    "Give the custodian's private key and its passphrase.",
)
RECORD_DAMAGED = error_code(
    "LNK-015",
    _U,
    "The sealed record {index} was changed or cut.",
    "Restore the ledger from its backup; the other records are not touched.",
)
KEY_FILE_EXISTS = error_code(
    "LNK-016", _U, "A key file of this name exists already.", "Choose another name; a key is never overwritten."
)
SUBJECT_WITHDRAWN = error_code(
    "LNK-017",
    _R,
    "The subject was withdrawn from the project.",
    "Nothing to do: later arrivals of a withdrawn subject are refused, and nothing is kept of them.",
)
NOT_IN_COHORT = error_code(
    "LNK-018",
    _Q,
    "The subject is not on the project's list.",
    "Add the subject to the list and retry, or send the object to another project.",
)
LINK_CONFLICT = error_code(
    "LNK-019",
    _U,
    "The subject is merged or the study moved already, or the two would come to stand for each other.",
    "Look at the history of links; undo the earlier one first.",
)
LINK_UNKNOWN = error_code(
    "LNK-020",
    _U,
    "There is no link {link} of this kind, or it was undone already.",
    "Look at the history of links.",
)
COHORT_CONFLICT = error_code(
    "LNK-021",
    _U,
    "Of the list, {count} entries differ from what the project holds already; nothing was taken over.",
    "Compare the list with the one that was imported before.",
)
BAD_COHORT = error_code(
    "LNK-022",
    _U,
    "The list has {count} faults, the first in line {line}; nothing was taken over.",
    "Mend the lines that are named; the reference describes the columns.",
)
LEDGER_VERSION = error_code(
    "LNK-023",
    _U,
    "The ledger's tables are of version {found}; this software needs version {wanted}.",
    "Let the database's owner bring them up to date with `migrate`, or use the version that wrote them.",
)
VAULT_REFUSED = error_code(
    "LNK-030",
    _W,
    "The vault does not take this service's identity, or its policy does not let it do its work.",
    "Renew the service's credential, or compare its role and policy with the vault guide; nothing is lost.",
)
VAULT_SETTINGS = error_code(
    "LNK-031",
    _U,
    "The settings of the vault are not valid: address, CA file, a credential that everybody can read, or a key's properties.",
    "Compare them with the vault guide.",
)
NO_CUSTODIAN_HERE = error_code(
    "LNK-032",
    _U,
    "A vault server has no custodian: its policies say who may open the way back.",
    "Leave the custodian's key out, or keep the project in the local vault.",
)
KEY_VERSION_CLOSED = error_code(
    "LNK-033",
    _U,
    "The sealed record {index} is of a key version that is closed.",
    "Lower min_decryption_version, rewrap the project's records, and raise it again.",
)

TICKET_INVALID = error_code(
    "LNK-040",
    _W,
    "The question came without an admission ticket that a known gateway signed.",
    "Give the assigner the gateway's public ticket key; nothing is assigned without a ticket.",
)
TICKET_EXPIRED = error_code(
    "LNK-041",
    _W,
    "The admission ticket has expired.",
    "Nothing to do: a fresh ticket comes with the next delivery. If it goes on, compare the clocks.",
)
TICKET_SPENT = error_code(
    "LNK-042",
    _W,
    "The admission ticket was used for another question before.",
    "Find out who asked twice: an object has one question. An alarm was raised.",
)
ASSIGN_QUOTA = error_code(
    "LNK-043",
    _W,
    "More new subjects were asked for than the quota of {limit} in an hour allows.",
    "Look at the alarm: raise the quota for a large import, or find out who tests guesses.",
)
ASSIGN_REQUEST = error_code(
    "LNK-044",
    _Q,
    "The question to the assigner is not well formed or too large.",
    "The object holds more distinct UIDs or values than the assigner takes at once, or the two sides' versions differ.",
)
ASSIGNER_AWAY = error_code(
    "LNK-045",
    _W,
    "The assigner cannot be reached or is busy.",
    "Wait; nothing was assigned and nothing is lost.",
)
CALLER_REFUSED = error_code(
    "LNK-046",
    _W,
    "The caller's certificate does not allow this call.",
    "Give the certificate of the service that may call, or add its name to the list of callers.",
)
ASSIGN_FAILED = error_code(
    "LNK-047",
    _Q,
    "The assigner failed at this question.",
    "Report this as a fault of the assigner; other questions are not touched.",
)
ASSIGN_SETTINGS = error_code(
    "LNK-048",
    _U,
    "The assigner's settings are not valid: listener, certificates, or a file of a secret that everybody can read.",
    "Compare them with the guide to the assign server.",
)

# --- RVL: the guarded way back -----------------------------------------------------------------------------------
# REJECT means "refused": the person may not do this, now or ever.

PERSON_UNKNOWN = error_code(
    "RVL-001", _U, "No person with this id or key is enrolled.", "List them: tarnhelm-reveal person list."
)
PERSON_TAKEN = error_code(
    "RVL-002",
    _R,
    "The id, a key or the identity-provider subject is enrolled already under another name.",
    "One human is one person: use the entry that exists, or new keys for another human.",
)
PERSON_NOT_ALLOWED = error_code(
    "RVL-003", _R, "The person has no role that allows this.", "Ask somebody who has it, or an admin."
)
PERSON_REVOKED = error_code(
    "RVL-004", _R, "A person of this case was revoked.", "Open a new case with people who are enrolled."
)
REGISTRY_DAMAGED = error_code(
    "RVL-005",
    _R,
    "The register of people was changed: line {line} does not hold.",
    "Stop using it; find out who changed it, and restore it from its backup.",
)
BAD_PERSON_CARD = error_code(
    "RVL-006", _U, "The file is no card of a person, or its own signature is wrong.", "Make one with: person new."
)
BAD_PERSON_KEY = error_code(
    "RVL-007",
    _U,
    "The person's key file cannot be read, or the passphrase is wrong or too short.",
    "Give the file that `person new` wrote and its passphrase of at least {least} characters.",
)
CASE_UNKNOWN = error_code("RVL-008", _U, "There is no such case.", "List them: tarnhelm-reveal case list.")
CASE_INVALID = error_code(
    "RVL-009",
    _U,
    "The case is not complete: project, kind, surrogates, purpose, legal basis or expiry is missing or out of bounds.",
    "See tarnhelm-reveal case open --help.",
)
CASE_EXISTS = error_code("RVL-010", _R, "A case of this id was opened before.", "Open a new case; none is repeated.")
SAME_PERSON = error_code(
    "RVL-011",
    _R,
    "Who asked cannot decide: two different people are needed.",
    "Ask somebody else with the role of an approver.",
)
WRONG_SIGNATURE = error_code(
    "RVL-012", _R, "A signature does not hold.", "Sign again with your own key, on the case as it is."
)
CLOCKS_DIFFER = error_code(
    "RVL-013",
    _R,
    "What was signed is older or newer than this clock allows ({seconds} seconds).",
    "Set the clocks; sign again.",
)
CASE_EXPIRED = error_code("RVL-014", _R, "The case has expired.", "Open a new case.")
CASE_NOT_APPROVED = error_code(
    "RVL-015", _R, "The case is not approved.", "A second person has to approve it: tarnhelm-reveal case approve."
)
CASE_DENIED = error_code("RVL-016", _R, "The case was denied.", "Talk to the person who denied it.")
CASE_USED = error_code("RVL-017", _R, "The case was used already.", "A case is used once; open a new one.")
CASE_DECIDED = error_code("RVL-018", _R, "The case was decided already.", "Open a new case to have it decided again.")
TOO_MANY_ANSWERS = error_code(
    "RVL-019", _R, "More answers a day than the {limit} allowed.", "Wait, or ask who sets the limits."
)
TOO_MANY_SURROGATES = error_code(
    "RVL-020", _U, "More surrogates in one case than the {limit} allowed.", "Ask for fewer, or open several cases."
)
AUDIT_DAMAGED = error_code(
    "RVL-021",
    _R,
    "The audit does not hold from line {line} on.",
    "Run tarnhelm-reveal audit verify; nothing is answered before this is cleared up.",
)
AUDIT_UNWRITABLE = error_code(
    "RVL-022", _W, "The audit cannot be written, so nothing is answered.", "Look at the disk and at other processes."
)
ANCHOR_AWAY = error_code(
    "RVL-023",
    _W,
    "An anchor or the log server of the audit cannot be reached, so nothing is answered.",
    "Bring it back; nothing is lost.",
)
CASES_BUSY = error_code("RVL-024", _W, "The store of cases is busy or cannot be written.", "Wait; try again.")
CASES_DAMAGED = error_code(
    "RVL-025", _R, "The store of cases was changed or cannot be read.", "Restore it from its backup."
)
ANSWER_UNREADABLE = error_code(
    "RVL-026",
    _U,
    "The answer is not whole, not from this system, or not for this key.",
    "Give the file as it was written and the key of who asked.",
)
NO_SURROGATES = error_code(
    "RVL-027", _U, "No surrogate was found in what was given.", "Name Patient IDs or UIDs of released objects."
)
REVEAL_EXISTS = error_code("RVL-028", _U, "There is a register of people already.", "Use it, or another directory.")
REVEAL_MISSING = error_code("RVL-029", _U, "There is no register of people yet.", "Make one: tarnhelm-reveal init.")
OUTPUT_EXISTS = error_code(
    "RVL-030", _U, "The file to write exists already, or cannot be made.", "Name a new file in a folder of yours."
)
BAD_REVEAL_SETTINGS = error_code(
    "RVL-031", _U, "The settings cannot be read: line {line} or a value is not valid.", "Compare with the guide."
)
CASE_OF_OTHER_KIND = error_code(
    "RVL-032", _R, "The case was opened and approved for something else.", "Open a case of the right kind."
)
NO_ORIGINALS = error_code(
    "RVL-033",
    _U,
    "No UID was found in the list of originals.",
    "Give a CSV, what the PACS lists, or a folder of DICOM files.",
)
PROJECT_NOT_HERE = error_code(
    "RVL-034", _R, "The case belongs to another project.", "Name the project for which it was opened."
)
NOT_LOGGED_IN = error_code(
    "RVL-040", _U, "You are not logged in at the identity provider, or the login is over.", "Run tarnhelm-reveal login."
)
TOKEN_REFUSED = error_code(
    "RVL-041",
    _R,
    "The identity token is not one for this server, was not signed by its identity provider, or belongs to another login.",
    "Log in again. If it goes on, compare issuer, audience and clocks on both sides.",
)
OTHER_SUBJECT = error_code(
    "RVL-042",
    _R,
    "Who is logged in is not who signed.",
    "Log in as yourself and sign with your own key.",
)
IDENTITY_AWAY = error_code(
    "RVL-043",
    _W,
    "The identity provider cannot be reached or gives no usable answer.",
    "Wait; nobody is let in unseen.",
)
LOGIN_FAILED = error_code(
    "RVL-044",
    _U,
    "The identity provider did not let you in, or it took too long.",
    "Try again; ask who runs the provider whether this client is registered there.",
)
REVEAL_AWAY = error_code(
    "RVL-045",
    _W,
    "The reveal server cannot be reached, or it is busy.",
    "Wait; look whether a case was spent before you ask again: tarnhelm-reveal case show.",
)
REVEAL_REQUEST = error_code(
    "RVL-046", _U, "The request is not well formed, or too large.", "Use a tool of the server's version; ask for less."
)
REVEAL_FAILED = error_code(
    "RVL-047", _R, "The reveal server failed at this request.", "Report this as a fault of the server."
)
NOT_LET_PASS = error_code(
    "RVL-048",
    _R,
    "The vault waited {seconds} seconds for a second person to let the decryption pass.",
    "Ask the approver to run tarnhelm-reveal case release; the case is not spent.",
)
OTHER_REQUEST = error_code(
    "RVL-049",
    _R,
    "What waits in the vault is not a decryption for this case's project.",
    "Let nothing pass; find out who asked for it.",
)

# --- STW: the life of a link ---------------------------------------------------------------------------------------

ACT_UNKNOWN = error_code(
    "STW-001",
    _U,
    "What the case is to do is not on file here, or is not what was signed.",
    "Open the case anew on the machine where it shall be carried out.",
)
ACT_DONE = error_code("STW-002", _R, "The case was carried out already.", "A case is carried out once; open a new one.")
BAD_PAIRS = error_code(
    "STW-003",
    _U,
    "The list of merges has a fault in line {line}; nothing was taken over.",
    "Mend the line: the guide describes the columns, and which HL7 messages are read.",
)
NOBODY_NAMED = error_code(
    "STW-004",
    _U,
    "What was given names nobody in this project: a placeholder, or a surrogate that was not given out.",
    "Compare it with the project; the entry is number {index}.",
)
SURROGATE_SHARED = error_code(
    "STW-005",
    _U,
    "The surrogate stands for {count} people, because of a merge that was taken back.",
    "Name the person by the original Patient ID, or by a surrogate Study Instance UID.",
)
OTHER_ARGUMENTS = error_code(
    "STW-006", _R, "The case was opened for something else than what was given.", "Ask who opened it what was meant."
)
NOT_REWRAPPED = error_code(
    "STW-007",
    _U,
    "There are still {count} records sealed with a version that would be closed.",
    "Rewrap them first: tarnhelm-steward keys rewrap.",
)
BAD_ORDER_FILE = error_code(
    "STW-008",
    _U,
    "The order or certificate was changed, is not whole, or is not signed by this key.",
    "Give the file as it was written, and the key of the steward who wrote it.",
)
ENDS_DAMAGED = error_code(
    "STW-009",
    _R,
    "The book of withdrawals and destructions does not hold from line {line} on.",
    "Restore it from one of its copies; nothing is restored or served before.",
)
BAD_SHARE = error_code(
    "STW-010",
    _U,
    "Share {index} of the recovery key cannot be read: a word is wrong or missing.",
    "Compare it with the paper: the last words are a checksum over the others.",
)
SHARES_DO_NOT_FIT = error_code(
    "STW-011",
    _U,
    "The shares are too few, or not all of one recovery key.",
    "Bring {wanted} shares of the key whose fingerprint the backup shows.",
)
BACKUP_UNREADABLE = error_code(
    "STW-012",
    _U,
    "The backup is not whole, was changed, or is sealed to another recovery key.",
    "Compare its fingerprint with the recovery key's; take another copy.",
)
RESTORE_EXPOSED = error_code(
    "STW-013",
    _U,
    "The server to restore into can be reached by others.",
    "Let it listen on the loopback address alone until withdrawals and destructions were applied again.",
)
END_DOES_NOT_HOLD = error_code(
    "STW-014",
    _R,
    "After the restore, {count} destroyed or withdrawn entries could still be used; they were not all ended again.",
    "Keep the server closed; run tarnhelm-steward ends apply until it says that all hold.",
)
NOT_ON_THIS_BACKEND = error_code(
    "STW-015",
    _U,
    "This is not done on this backend.",
    "Keys of the local vault are not rotated and not rewrapped; a project of one machine is made with tarnhelm project.",
)
STILL_RESOLVABLE = error_code(
    "STW-016",
    _R,
    "The project was destroyed and yet {count} ways to its keys or records still answer.",
    "Keep everything closed and find out why; no certificate was written.",
)
BAD_RECOVERY_KEY = error_code(
    "STW-017",
    _U,
    "There is no recovery key here, or one already, or its numbers are out of bounds (2 to 16 shares, 2 or more needed).",
    "Make one with: tarnhelm-steward key recovery.",
)
INPUT_UNREADABLE = error_code(
    "STW-018",
    _U,
    "A file that was named, or a name of a project or person, is missing or cannot be read.",
    "Name what exists.",
)
