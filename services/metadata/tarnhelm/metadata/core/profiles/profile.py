"""A combination of profiles: one decision for every tag there can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.profiles.decision import ProfileConflict, ProfileDecision
from tarnhelm.metadata.core.profiles.names import BASIC, OPTION_OF, MethodCode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RULES_VERSION", "Profile"]

RULES_VERSION: Final = 1
"""Raised when a house rule of this file changes what is done to an attribute: it is part of the digest."""

_KEPT: Final = ProfileDecision("K", "house no-row", "Table E.1-1 has no row for this standard attribute", BASIC)
_UNKNOWN: Final = ProfileDecision("X", "house unknown", "PS3.6 does not define this public tag", BASIC)
_GROUP_LENGTH: Final = ProfileDecision(
    "X", "house group-length", "group lengths are retired, and wrong once anything is removed", BASIC
)
_NOT_IN_DATA_SET: Final = ProfileDecision(
    "X",
    "house not-in-data-set",
    "commands, file meta information, directory records and delimiters have no place here",
    BASIC,
)
_RETIRED_REPEATING: Final = ProfileDecision(
    "X",
    "house retired-repeating",
    "a retired repeating group: no current IOD holds it and no stage looks into it",
    BASIC,
)
_NOT_PRIVATE: Final = ProfileDecision(
    "X", "house reserved-private", "no private element may have this number (PS3.5 Section 7.8)", BASIC
)
_SAFE_CREATOR: Final = ProfileDecision(
    "K", "E.3.10-1", "this private creator has safe attributes in this group", "rtnSafePrivOpt"
)
_SAFE_ELEMENT: Final = ProfileDecision("K", "E.3.10-1", "listed as safe for this private creator", "rtnSafePrivOpt")
_UNLISTED: Final = ProfileDecision(
    "X", "E.1-1 (odd group)", "rtnSafePrivOpt keeps what Table E.3.10-1 lists, and this is not listed", "rtnSafePrivOpt"
)
_OVERLAY_GOES: Final = ProfileDecision(
    "X", "house overlay-plane", "an overlay plane without its data is not valid, so it goes as a whole", BASIC
)
_OVERLAY_GEOMETRY: Final = ProfileDecision(
    "K", "house overlay-plane", "describes the geometry of an overlay plane that stays", "cleanGraphOpt"
)
_OVERLAY_TEXT: Final = ProfileDecision(
    "C", "house overlay-plane", "text of an overlay plane that stays", "cleanGraphOpt"
)
_OUTSIDE: Final = frozenset({0x0000, 0x0002, 0x0004, 0xFFFE})
_NEVER_PRIVATE: Final = frozenset({0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF})
_TEXT_VR: Final = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN"})

Dates = Literal["removed", "shifted", "kept"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Profiles combined as PS3.15 Annex E says. Made by :func:`~tarnhelm.metadata.core.profiles.combine`.

    Attributes
    ----------
    names
        The profiles in the order of the reference page; always with basicProfile.
    method_codes
        Their concepts of CID 7050, in the same order. An object carries those that were really applied.
    conflicts
        Rows for which two of the options differ, and which of them decided.
    digest
        Sha256 (hex) of names, tables and house rules: two equal digests decide alike for every tag.
    """

    names: tuple[str, ...]
    method_codes: tuple[MethodCode, ...]
    conflicts: tuple[ProfileConflict, ...]
    digest: str
    rows: Mapping[int, ProfileDecision] = field(repr=False, compare=False)
    """Decisions for the rows of Table E.1-1 that name one tag: what a rewriter compiles into its own table."""
    patterns: Mapping[str, ProfileDecision] = field(repr=False, compare=False)
    content_items: Mapping[tuple[str, str, str], ProfileDecision] = field(repr=False, compare=False)

    # --- what is chosen ---------------------------------------------------------------------------------------

    def keeps(self, name: str) -> bool:
        """Whether a profile is part of the combination, by its own name or by the standard's option."""
        return name in self.names or any(OPTION_OF.get(chosen) == name for chosen in self.names)

    @property
    def dates(self) -> Dates:
        """What happens to dates and times of the longitudinal rows."""
        if "rtnLongFullDatesOpt" in self.names:
            return "kept"
        return "shifted" if "rtnLongModifDatesOpt" in self.names else "removed"

    @property
    def retain_uids(self) -> bool:
        """UIDs stay as they are (E.3.9)."""
        return "rtnUIDsOpt" in self.names

    @property
    def retain_safe_private(self) -> bool:
        """Private attributes of Table E.3.10-1 stay (E.3.10)."""
        return "rtnSafePrivOpt" in self.names

    @property
    def patient_characteristics(self) -> bool:
        """Age, sex, size, weight and the like stay (E.3.7)."""
        return "rtnPatCharsOpt" in self.names

    @property
    def device(self) -> bool:
        """The identity of the device stays (E.3.8)."""
        return "rtnDevIdOpt" in self.names

    @property
    def institution(self) -> bool:
        """The identity of the institution stays (E.3.11)."""
        return "rtnInstIdOpt" in self.names

    @property
    def clean_descriptors(self) -> bool:
        """Descriptions and comments are cleaned rather than removed (E.3.5)."""
        return "cleanDescOpt" in self.names

    @property
    def clean_graphics(self) -> bool:
        """Overlays, curves and graphic annotations are cleaned rather than removed (E.3.3)."""
        return "cleanGraphOpt" in self.names

    @property
    def clean_structured_content(self) -> bool:
        """Content items are cleaned one by one rather than removed with their tree (E.3.4)."""
        return "cleanStructContOpt" in self.names

    # --- what that means for an attribute ---------------------------------------------------------------------

    def decide(self, tag: int, creator: str | None = None) -> ProfileDecision:
        """Say what is done to an attribute; there is an answer for every tag, and it is never "leave it" by default.

        Parameters
        ----------
        tag
            ``group << 16 | element``.
        creator
            For a private data element the value of its block's private creator, for a private creator
            element its own value; None where the block has none, and for public tags.
        """
        found = self.rows.get(tag)
        if found is not None:
            return found
        group, element = tag >> 16, tag & 0xFFFF
        if group & 1:
            return self._private(group, element, creator)
        if element == 0:
            return _GROUP_LENGTH
        if group >> 8 == 0x50:
            return self.patterns["50xxxxxx"]
        if group >> 8 == 0x60:
            return self._overlay(tag, element)
        if group in _OUTSIDE:
            return _NOT_IN_DATA_SET
        if not standard.is_known_attribute(tag):
            return _UNKNOWN
        return _RETIRED_REPEATING if standard.is_repeating(tag) else _KEPT

    def _private(self, group: int, element: int, creator: str | None) -> ProfileDecision:
        if element == 0:
            return _GROUP_LENGTH
        if group in _NEVER_PRIVATE or element < 0x0010 or 0x0100 <= element < 0x1000:
            return _NOT_PRIVATE
        if not self.retain_safe_private:
            return self.patterns["PRIVATE"]
        if creator is None:
            return _UNLISTED
        if element < 0x0100:
            return _SAFE_CREATOR if standard.is_safe_creator(creator, group) else _UNLISTED
        return _SAFE_ELEMENT if standard.safe_private(creator, group, element) else _UNLISTED

    def _overlay(self, tag: int, element: int) -> ProfileDecision:
        row = self.patterns.get(f"60xx{element:04X}")
        if row is not None:
            return row
        if not self.clean_graphics:
            return _OVERLAY_GOES
        vr = standard.vr_of(tag)
        if vr is None:
            return _UNKNOWN
        return _OVERLAY_TEXT if vr in _TEXT_VR else _OVERLAY_GEOMETRY

    def decide_content_item(self, scheme: str, code: str, value_type: str | None = None) -> ProfileDecision | None:
        """Say what Table E.3.4-1 does to a content item of this concept name; None without a row.

        It counts only under cleanStructContOpt: without it the whole tree goes by the row of Content Sequence.
        """
        rule = standard.content_item_rule(scheme, code, value_type)
        return None if rule is None else self.content_items[rule.scheme, rule.code, rule.value_type]
