"""LIM: bounds."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, error_code

TOO_LARGE = error_code(
    "LIM-001",
    QUARANTINE,
    "The object is {seen} bytes, more than the limit of {limit}.",
    "Clean it from Python with a higher max_object_bytes, or leave it out.",
)
TOO_DEEP = error_code(
    "LIM-002",
    QUARANTINE,
    "Sequences are nested deeper than {limit} levels.",
    "No real object needs that; treat the file as hostile.",
)
TOO_MANY_ELEMENTS = error_code(
    "LIM-003",
    QUARANTINE,
    "The object has more than {limit} elements.",
    "Raise max_elements if such objects are expected.",
)
HEADER_TOO_LARGE = error_code(
    "LIM-004",
    QUARANTINE,
    "The header is more than {limit} bytes.",
    "Raise max_header_bytes if such objects are expected.",
)
INFLATES_TOO_FAR = error_code(
    "LIM-005",
    QUARANTINE,
    "The deflated data set grows beyond {limit} bytes.",
    "Treat the file as hostile; raise max_inflated_bytes only for a trusted source.",
)
TOO_SLOW = error_code(
    "LIM-006",
    QUARANTINE,
    "The object took longer than {limit} seconds.",
    "Treat the file as suspect; raise seconds_per_object for large objects.",
)
WORKER_DIED = error_code(
    "LIM-007",
    QUARANTINE,
    "The worker died on this object, {seen} times.",
    "Treat the file as hostile; it was kept away from all others.",
)
TOO_MUCH_MEMORY = error_code(
    "LIM-008",
    QUARANTINE,
    "The object asked for more memory than a worker has.",
    "Treat the file as hostile; raise worker_memory_bytes only for a trusted source.",
)
TOO_MANY_FRAMES = error_code(
    "LIM-009",
    QUARANTINE,
    "The object claims {seen} frames or fragments, more than {limit}.",
    "Raise max_frames if such objects are expected.",
)
VALUE_TOO_LONG = error_code(
    "LIM-010",
    QUARANTINE,
    "The value of {tag} is {seen} bytes, more than the limit of {limit}.",
    "Raise max_value_bytes if such objects are expected.",
)
ARCHIVE_BOMB = error_code(
    "LIM-011",
    QUARANTINE,
    "An archive holds more than {limit} entries or bytes.",
    "Unpack the archive yourself and clean the folder.",
)
