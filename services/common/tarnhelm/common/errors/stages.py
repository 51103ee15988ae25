"""STG: stages and their workers."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, RETRY, USAGE, error_code

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
STAGE_AWAY = error_code(
    "STG-005",
    RETRY,
    "The stage's service cannot be reached or takes nothing on.",
    "Start the service, or look at its health and its certificates; the objects wait.",
)
STAGE_LOST = error_code(
    "STG-006",
    RETRY,
    "The stage's service took the object on and gave no outcome.",
    "Nothing to do at once: it is tried again, three times in all; look at the service if it happens often.",
)
STAGE_REQUEST = error_code(
    "STG-007",
    QUARANTINE,
    "The request does not follow the protocol of stages, or is beyond the service's bounds.",
    "Compare the versions of gateway and service; the object was not released.",
)
STAGE_GARBLED = error_code(
    "STG-008",
    QUARANTINE,
    "The bytes that arrived are not those that were announced.",
    "Look at the blob store and the network; the object was not released.",
)
STAGE_BUSY = error_code(
    "STG-009",
    RETRY,
    "The stage has {limit} objects in hand and takes no more.",
    "Wait and try again; add replicas if it lasts.",
)
STAGE_CONFIG = error_code(
    "STG-010",
    QUARANTINE,
    "The stage cannot read the configuration that came with the object.",
    "Compile the project's plan anew and compare the versions of gateway and service.",
)
