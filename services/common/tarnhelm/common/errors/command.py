"""RUN: the command."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import USAGE, error_code

OUT_INSIDE_IN = error_code(
    "RUN-001",
    USAGE,
    "IN and OUT lie inside each other.",
    "Choose an OUT outside IN: originals and released objects must not mix.",
)
OUT_OF_OTHER_PROJECT = error_code(
    "RUN-002",
    USAGE,
    "OUT holds objects of another project.",
    "Choose an empty OUT, name that project, or continue it with --resume.",
)
OUT_NOT_EMPTY = error_code(
    "RUN-003",
    USAGE,
    "OUT is not empty and is not known here.",
    "Choose an empty OUT: it holds released objects and the report, nothing else.",
)
NO_INPUT = error_code(
    "RUN-004", USAGE, "IN does not exist, cannot be read, or holds no file.", "Look at the path and its permissions."
)
NOTHING_TO_RESUME = error_code("RUN-005", USAGE, "There is no earlier run into this OUT.", "Start without --resume.")
OUT_OF_OTHER_PLAN = error_code(
    "RUN-006",
    USAGE,
    "OUT was made with another recipe or other profiles.",
    "Use the same recipe, or choose an empty OUT.",
)
UNKNOWN_ENTRY = error_code(
    "RUN-007", USAGE, "There is no such entry in the quarantine.", "List the entries with: tarnhelm quarantine list"
)
NOT_ACCEPTABLE = error_code(
    "RUN-008",
    USAGE,
    "This entry cannot be accepted; only PIX-001, PIX-002 and PIX-003 can.",
    "Retry it with another recipe or a newer version, or reject it.",
)
BAD_VARIABLE = error_code(
    "RUN-009", USAGE, "A variable is not of the form NAME=VALUE.", "Write --var SITE=7, for example."
)
FLAG_NEEDS_STAGE = error_code(
    "RUN-010",
    USAGE,
    "An option of deidentify.py asks for a stage that is not installed.",
    "Leave out -t, -s, -de, -tw, -w and --gpu; objects that need those stages are quarantined.",
)
RECIPE_UNREADABLE = error_code("RUN-011", USAGE, "The recipe file cannot be read.", "Look at the path.")
KEY_UNREADABLE = error_code(
    "RUN-012",
    USAGE,
    "The key file cannot be read or does not fit.",
    "Give the private key that belongs to the project's custodian.",
)
OUT_UNWRITABLE = error_code(
    "RUN-013",
    USAGE,
    "OUT or the report's folder cannot be written.",
    "Look at its permissions and at the disk; go on with --resume if the run had begun.",
)
SOURCE_GONE = error_code(
    "RUN-014",
    USAGE,
    "The source of this entry is not where it was, or has changed.",
    "Put the file back, or clean it again with --resume: other bytes are a new object.",
)
UNKNOWN_CODE = error_code("RUN-015", USAGE, "No code begins like that.", "List them all with: tarnhelm codes")
BAD_SITE = error_code(
    "RUN-016",
    USAGE,
    "Mistakes in the site file: {seen}.",
    "Read the list of lines and suggestions that comes with this message.",
)
SITE_UNREADABLE = error_code("RUN-017", USAGE, "The site file cannot be read.", "Look at the path.")
SITE_DIFFERS = error_code(
    "RUN-018",
    USAGE,
    "The site file is not the one that this project was made with.",
    "Leave --site away, or make another project: tarnhelm project create LABEL --site FILE",
)
REPORT_UNREADABLE = error_code(
    "RUN-019",
    USAGE,
    "There is no report here, or it is not whole.",
    "Name OUT; if its report was written elsewhere, add --report DIR.",
)
REPORT_DIFFERS = error_code(
    "RUN-020",
    USAGE,
    "The report and the files do not agree: {seen}.",
    "Do not pass these files on. Clean the originals again into an empty OUT.",
)
STATE_UNWRITABLE = error_code(
    "RUN-021",
    USAGE,
    "The private state directory cannot be used.",
    "Look at its permissions and at the disk, or name another folder with TARNHELM_STATE.",
)
NO_OUT = error_code("RUN-022", USAGE, "OUT is missing.", "Say where the clean files shall go: tarnhelm clean IN OUT")
SYSTEM_REFUSED = error_code(
    "RUN-023",
    USAGE,
    "The system refused to read or write a file (errno {seen}).",
    "Look at permissions and at the disk, then go on with --resume if the run had begun.",
)
WAY_BACK_ELSEWHERE = error_code(
    "RUN-024",
    USAGE,
    "The way back to the patient is no part of this command.",
    "On the custodian's side: tarnhelm-reveal mapping export. See the guide to projects and keys.",
)
TOO_MANY_ARGUMENTS = error_code(
    "RUN-025",
    USAGE,
    "The command line holds more words than the command takes: {seen} too many.",
    "Name one IN and one OUT, names with spaces in quotation marks; see the command's --help.",
)
UNKNOWN_COMMAND = error_code(
    "RUN-026",
    USAGE,
    "There is no such command.",
    "List them with --help. To clean a folder: tarnhelm clean IN OUT",
)
