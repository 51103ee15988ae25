"""DOR: the doors of the gateway and those who call at them."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import REJECT, RETRY, USAGE, error_code

PROTOCOL_BROKEN = error_code(
    "DOR-001",
    REJECT,
    "The caller broke the rules of its protocol.",
    "Look at the sender's software and at what else can reach the port.",
)
CALLER_SLOW = error_code(
    "DOR-002",
    REJECT,
    "The caller was too slow.",
    "Look at the network; the bounds are among the door's settings.",
)
CALLER_UNKNOWN = error_code(
    "DOR-003",
    REJECT,
    "The caller may not store here.",
    "Compare the sender's AE titles, address, certificate or token with the door's settings.",
)
IDENTITY_DIFFERS = error_code(
    "DOR-004",
    REJECT,
    "The data set is of another SOP class or instance than its message says.",
    "Look at the sender's software: the object was not taken.",
)
CALLER_LEFT = error_code(
    "DOR-005",
    REJECT,
    "The connection ended in the middle of an object.",
    "The sender has to send it again; nothing of it was kept.",
)
CALLERS_TOO_MANY = error_code(
    "DOR-006",
    RETRY,
    "The door has as many callers as it may have.",
    "The sender tries again; the bounds are among the door's settings.",
)
NO_OBJECT = error_code(
    "DOR-007",
    REJECT,
    "What was handed in is no DICOM object.",
    "Send single objects: archives and other files are not unpacked at this door.",
)
OTHER_STUDY = error_code(
    "DOR-008",
    REJECT,
    "The object is not of the study that the request names, or does not show it.",
    "Store it without naming a study.",
)
DOOR_FAULT = error_code(
    "DOR-009",
    RETRY,
    "The door met a fault of its own; nothing was accepted.",
    "Look at the disk and at the log, and report it.",
)
DOOR_SHUT = error_code(
    "DOR-010",
    USAGE,
    "The door cannot be opened.",
    "Look at its address, its certificates and its folders.",
)
DOOR_FULL = error_code(
    "DOR-011",
    RETRY,
    "There is no room for further objects now.",
    "Nothing to do: the sender tries again when work has been done.",
)
