"""What the classes for places share: how a place is written in a VR."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from tarnhelm.metadata.core.pseudo.contract import TEXT_VRS, Parameter, PseudoContext, Settings
from tarnhelm.metadata.core.pseudo.keyed import SCOPE, Draws, KeyedClass, pick
from tarnhelm.metadata.core.pseudo.normalise import text_key, to_ascii
from tarnhelm.metadata.core.pseudo.tables import load_places

__all__ = ["LocationClass"]

_SH_CHARACTERS = 16


class LocationClass(KeyedClass):
    """A keyed class that picks a real place of ten thousand inhabitants or more, so that it points at nobody."""

    vrs = TEXT_VRS
    parameters = MappingProxyType(
        {
            **SCOPE,
            "format": Parameter(
                "city_province",
                "What is written: `Kelowna, BC`, `Kelowna` or `BC`.",
                ("city_province", "city", "province"),
            ),
        }
    )
    province: ClassVar[str] = ""
    """Two letters, or empty for all of Canada."""

    def key_of(self, value: str) -> str:
        """Compare by letters and digits alone."""
        return text_key(value)

    def render(self, value: str, draws: Draws, parameters: Settings, context: PseudoContext) -> str:  # noqa: ARG002
        """Write a place; where SH has no room for the province, the city alone."""
        place = pick(load_places(self.province), draws[1])
        if parameters["format"] == "province":
            return place.province
        text = place.city if parameters["format"] == "city" else f"{place.city}, {place.province}"
        if context.vr == "SH" and len(text) > _SH_CHARACTERS:
            text = place.city
        return to_ascii(text) if context.ascii_only else text
