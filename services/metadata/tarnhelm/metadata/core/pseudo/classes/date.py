"""DATE: a date moved by the subject's whole days."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tarnhelm.metadata.core.pseudo.contract import Example, OddValue, Parameter, PseudoContext, PseudoError, Settings
from tarnhelm.metadata.core.pseudo.dates import birth_date, shift_date, shift_datetime
from tarnhelm.metadata.core.pseudo.shifted import ShiftedClass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLASS", "Date"]


class Date(ShiftedClass):
    """The same date, a whole number of days earlier."""

    name = "DATE"
    summary = "The date moved into the past by the subject's whole days; the time of a DT stays."
    vrs = frozenset({"DA", "DT"})
    parameters = MappingProxyType(
        {
            "birth": Parameter(
                "no",
                "For a date of birth: `shift` moves it like any date, but nobody gets older than 90 at the study; `year` "
                "moreover writes the first of January. Both need StudyDate.",
                ("no", "shift", "year"),
            )
        }
    )
    examples = (
        Example("20240301", "DA", "20210605"),
        Example("2024.03.01", "DA", "20210605"),
        Example("19310615", "DA", "19310101", {"birth": "shift"}),
        Example("19710615", "DA", "19680101", {"birth": "year"}),
    )

    def validate(self, vr: str, parameters: Mapping[str, str]) -> Settings:
        """Check besides that a date of birth is a DA."""
        settings = super().validate(vr, parameters)
        if vr == "DT" and settings["birth"] != "no":
            raise PseudoError(f"{self.name}: birth={settings['birth']} is for VR DA, not DT")
        return settings

    def moved(self, value: str, parameters: Settings, context: PseudoContext) -> str:
        """Move one date."""
        if context.vr == "DT":
            if parameters["birth"] != "no":
                raise OddValue
            return shift_datetime(value, context.date_offset_days)
        if parameters["birth"] == "no":
            return shift_date(value, context.date_offset_days)
        year_only = parameters["birth"] == "year"
        return birth_date(value, context.date_offset_days, context.study_date, year_only=year_only)


CLASS = Date()
