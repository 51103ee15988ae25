"""LOCATION_BC: a real place in British Columbia, of ten thousand inhabitants or more."""

from __future__ import annotations

from tarnhelm.metadata.core.pseudo.contract import Example
from tarnhelm.metadata.core.pseudo.places import LocationClass

__all__ = ["CLASS", "LocationBC"]


class LocationBC(LocationClass):
    """Another place for the same place."""

    name = "LOCATION_BC"
    summary = "A city, district or town in British Columbia."
    province = "BC"
    examples = (
        Example("Alert Bay, BC", "LO", "Kamloops, BC"),
        Example("ALERT BAY BC", "SH", "Kamloops", {"format": "city"}),
    )


CLASS = LocationBC()
