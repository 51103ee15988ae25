"""DATETIME: a date and time moved by the subject's whole days."""

from __future__ import annotations

from types import MappingProxyType

from tarnhelm.metadata.core.pseudo.contract import Example, Parameter, PseudoContext, Settings
from tarnhelm.metadata.core.pseudo.dates import shift_date, shift_datetime, time_offset_seconds
from tarnhelm.metadata.core.pseudo.shifted import ShiftedClass

__all__ = ["CLASS", "DateTime"]


class DateTime(ShiftedClass):
    """The same time of day, a whole number of days earlier."""

    name = "DATETIME"
    summary = "Date and time moved into the past by the subject's whole days; precision, fraction and zone stay."
    vrs = frozenset({"DT", "DA"})
    parameters = MappingProxyType(
        {
            "shift": Parameter(
                "false",
                "Move the time of day too, by the subject's seconds, with carry into the date. Use it together with "
                "`TIME shift=true`.",
                ("true", "false"),
            )
        }
    )
    examples = (
        Example("20240301081530.25-0800", "DT", "20210605081530.25-0800"),
        Example("202403", "DT", "202106"),
        Example("20240301001530", "DT", "20210604020405", {"shift": "true"}),
    )

    def moved(self, value: str, parameters: Settings, context: PseudoContext) -> str:
        """Move one date and time; in a DA there is a date alone."""
        if context.vr == "DA":
            return shift_date(value, context.date_offset_days)
        seconds = time_offset_seconds(context.subject_key) if parameters["shift"] else 0
        return shift_datetime(value, context.date_offset_days, seconds)


CLASS = DateTime()
