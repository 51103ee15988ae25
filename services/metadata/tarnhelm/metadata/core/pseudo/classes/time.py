"""TIME: a time of day, left as it is unless a recipe asks otherwise."""

from __future__ import annotations

from types import MappingProxyType

from tarnhelm.metadata.core.pseudo.contract import Example, Parameter, PseudoContext, Settings
from tarnhelm.metadata.core.pseudo.dates import check_time, shift_pair, time_offset_seconds
from tarnhelm.metadata.core.pseudo.shifted import ShiftedClass

__all__ = ["CLASS", "Time"]


class Time(ShiftedClass):
    """The same time of day, or one a keyed number of seconds earlier."""

    name = "TIME"
    summary = "The time of day as it is; with `shift=true` moved by the subject's seconds."
    vrs = frozenset({"TM"})
    parameters = MappingProxyType(
        {
            "shift": Parameter(
                "false",
                "Move the time by the subject's seconds. Where it wraps at midnight, the date beside it carries. Use it "
                "for every time, and `DATETIME shift=true` with it, so that intervals survive.",
                ("true", "false"),
            )
        }
    )
    examples = (
        Example("081530.25", "TM", "081530.25"),
        Example("08:15:30", "TM", "081530"),
        Example("0815", "TM", "1003", {"shift": "true"}),
    )

    def moved(self, value: str, parameters: Settings, context: PseudoContext) -> str:
        """Check one time and, on request, move it."""
        if not parameters["shift"]:
            return check_time(value)
        return shift_pair("", value, 0, time_offset_seconds(context.subject_key))[1]


CLASS = Time()
