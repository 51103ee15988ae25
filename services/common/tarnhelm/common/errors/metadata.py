"""MET: what the metadata stage cannot clean."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, error_code

KIND_NOT_COVERED = error_code(
    "MET-001",
    QUARANTINE,
    "This kind of object holds content that no stage can clean yet.",
    "It stays in quarantine; images of the same study are not held up.",
)
REQUIRED_NOT_CLEANABLE = error_code(
    "MET-002",
    QUARANTINE,
    "A required attribute {tag} must go and has no safe substitute.",
    "Add a rule for it to the recipe.",
)
OUT_OF_COHORT = error_code(
    "MET-003",
    QUARANTINE,
    "The subject is not one this project accepts.",
    "Add the subject to the project's list, or send the object to another project.",
)
FILTERED = error_code(
    "MET-004",
    QUARANTINE,
    "A filter of the recipe sets this object aside.",
    "Change the recipe's %filter section if it should pass.",
)
BAD_SURROGATE = error_code(
    "MET-005",
    QUARANTINE,
    "A surrogate for {tag} does not fit its value representation.",
    "Change the PSEUDO rule for this attribute.",
)
