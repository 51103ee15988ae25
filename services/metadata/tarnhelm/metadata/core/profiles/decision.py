"""What a profile says of one attribute, and why."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ProfileConflict", "ProfileDecision"]


@dataclass(frozen=True, slots=True)
class ProfileDecision:
    """The action for an attribute, before its Type is looked at.

    Attributes
    ----------
    action
        Raw code: ``X``, ``Z``, ``D``, ``K``, ``C``, ``U`` or a compound such as ``X/Z/D``. Under
        rtnLongModifDatesOpt ``C`` on a date or time means shifted, elsewhere it means cleaned.
    row
        ``E.1-1 (0010,0010)`` for a row of the standard, ``house …`` for a rule that fills a gap of it.
    reason
        One sentence for a reader, without any value.
    option
        The profile name that decided: ``basicProfile`` or one of the options.
    """

    action: str
    row: str
    reason: str
    option: str


@dataclass(frozen=True, slots=True)
class ProfileConflict:
    """A row for which two chosen options give different codes.

    ``actions`` holds (profile name, code) in the order of the names; ``winner`` is the profile that
    decided and ``action`` its code.
    """

    row: str
    name: str
    actions: tuple[tuple[str, str], ...]
    winner: str
    action: str
