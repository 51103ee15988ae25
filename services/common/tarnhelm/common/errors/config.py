"""CFG: the gateway's configuration."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import USAGE, error_code

BAD_CONFIG = error_code(
    "CFG-001",
    USAGE,
    "The configuration cannot be used.",
    "Mend what is listed, then run `tarnhelm config check FILE`.",
)
CONFIG_UNREADABLE = error_code(
    "CFG-002",
    USAGE,
    "The configuration cannot be read.",
    "Look at the file's path and permissions; it is UTF-8 text.",
)
CONFIG_REFERENCE = error_code(
    "CFG-003",
    USAGE,
    "The configuration names something that it does not define.",
    "Look at the names of projects and destinations in it.",
)
KEY_EXPOSED = error_code(
    "CFG-004",
    USAGE,
    "A key file can be read by everybody on this machine, or is none.",
    "chmod 600 the file; make a new key if it may have been read.",
)
PORT_TAKEN = error_code(
    "CFG-005",
    USAGE,
    "An address of the configuration cannot be taken.",
    "See which process listens there, or change the port.",
)
ALREADY_UP = error_code(
    "CFG-006",
    USAGE,
    "A gateway runs on this state directory already.",
    "Stop it, or name another state directory.",
)
PART_MISSING = error_code(
    "CFG-007",
    USAGE,
    "This command needs a part that is not installed.",
    "pip install 'tarnhelm[gateway,linkage]'",
)
