"""PRF: profiles of PS3.15 Annex E."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import USAGE, error_code

PROFILE_NEEDS_STAGE = error_code(
    "PRF-001",
    USAGE,
    "Profile {position} of the list cleans pixels, and no installed stage does that.",
    "Leave the profile out, or install the ocr or imaging service that fulfils it.",
)
PROFILE_DATES_CONFLICT = error_code(
    "PRF-002",
    USAGE,
    "Full dates and modified dates are both asked for.",
    "Choose one of rtnLongFullDatesOpt and rtnLongModifDatesOpt.",
)
PROFILE_UNKNOWN = error_code(
    "PRF-003",
    USAGE,
    "Profile {position} of the list is not one this version knows.",
    "The names are listed in docs/reference/profiles.md.",
)
