"""The profiles by name, the column of the standard behind each, and the code that says it was applied."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["BASIC", "METHODS", "NEEDS_STAGE", "OPTION_OF", "PROFILE_NAMES", "MethodCode"]

BASIC: Final = "basicProfile"

OPTION_OF: Final = MappingProxyType(
    {
        "cleanDescOpt": "clean_descriptors",
        "cleanGraphOpt": "clean_graphics",
        "cleanStructContOpt": "clean_structured_content",
        "rtnDevIdOpt": "retain_device_identity",
        "rtnInstIdOpt": "retain_institution_identity",
        "rtnLongFullDatesOpt": "retain_longitudinal_full_dates",
        "rtnLongModifDatesOpt": "retain_longitudinal_modified_dates",
        "rtnPatCharsOpt": "retain_patient_characteristics",
        "rtnSafePrivOpt": "retain_safe_private",
        "rtnUIDsOpt": "retain_uids",
    }
)
"""Profile name → option column of Table E.1-1."""

NEEDS_STAGE: Final = MappingProxyType({"cleanPixDataOpt": "ocr", "cleanRecogVisFeatOpt": "imaging"})
"""Profiles without a column: no header rule fulfils them, a stage that works on pixels does."""

PROFILE_NAMES: Final = (BASIC, *OPTION_OF, *NEEDS_STAGE)
"""Every name :func:`combine` knows, in the order in which a profile lists them."""


@dataclass(frozen=True, slots=True)
class MethodCode:
    """A concept of CID 7050 (PS3.16) for De-identification Method Code Sequence (0012,0064)."""

    value: str
    meaning: str
    scheme: str = "DCM"


METHODS: Final = MappingProxyType(
    {
        BASIC: MethodCode("113100", "Basic Application Confidentiality Profile"),
        "cleanPixDataOpt": MethodCode("113101", "Clean Pixel Data Option"),
        "cleanRecogVisFeatOpt": MethodCode("113102", "Clean Recognizable Visual Features Option"),
        "cleanGraphOpt": MethodCode("113103", "Clean Graphics Option"),
        "cleanStructContOpt": MethodCode("113104", "Clean Structured Content Option"),
        "cleanDescOpt": MethodCode("113105", "Clean Descriptors Option"),
        "rtnLongFullDatesOpt": MethodCode("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
        "rtnLongModifDatesOpt": MethodCode("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
        "rtnPatCharsOpt": MethodCode("113108", "Retain Patient Characteristics Option"),
        "rtnDevIdOpt": MethodCode("113109", "Retain Device Identity Option"),
        "rtnUIDsOpt": MethodCode("113110", "Retain UIDs Option"),
        "rtnSafePrivOpt": MethodCode("113111", "Retain Safe Private Option"),
        "rtnInstIdOpt": MethodCode("113112", "Retain Institution Identity Option"),
    }
)
"""Profile name → its code. Which of them an object may carry is decided from what was really done to it."""
