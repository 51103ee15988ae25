"""STG: stages and their workers."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, USAGE, error_code

STAGE_FAULT = error_code(
    "STG-001",
    QUARANTINE,
    "The stage met a fault of its own on this object.",
    "Report the place that the report and `tarnhelm quarantine show` name; the object was not released.",
)
STAGE_BROKEN = error_code(
    "STG-002",
    USAGE,
    "The stage's workers cannot start.",
    "Look at the configuration and the installation: nothing was processed.",
)
STAGE_MISSING = error_code(
    "STG-003",
    QUARANTINE,
    "The object needs a stage that is not installed.",
    "Install the stage; the object stays in quarantine until then.",
)
ASSIGN_TWICE = error_code(
    "STG-004",
    QUARANTINE,
    "A worker asked for the surrogates of more than one subject.",
    "Treat the file as hostile; it was kept away from all others.",
)
