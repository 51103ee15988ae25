"""LOCATION_CA: a real place anywhere in Canada, of ten thousand inhabitants or more."""

from __future__ import annotations

from tarnhelm.metadata.core.pseudo.contract import Example
from tarnhelm.metadata.core.pseudo.places import LocationClass

__all__ = ["CLASS", "LocationCA"]


class LocationCA(LocationClass):
    """Another place for the same place."""

    name = "LOCATION_CA"
    summary = "A city or town anywhere in Canada."
    province = ""
    examples = (
        Example("Alert Bay, BC", "LO", "Corner Brook, NL"),
        Example("ALERT BAY BC", "SH", "Corner Brook", {"format": "city"}),
    )


CLASS = LocationCA()
