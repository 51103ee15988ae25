"""The fixed words of the recipe grammar: actions, sections, criteria, expanders, PSEUDO classes.

They stand together so that a message about an unknown word can suggest a known one, and so that a reader
sees the whole vocabulary at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final, Protocol

__all__ = [
    "ACTION_RANK",
    "BULK_VRS",
    "CLASS_ALIASES",
    "COORDINATE_WORDS",
    "EXPANDERS",
    "GROUP_WORDS",
    "PROTECTED",
    "PSEUDO_CLASSES",
    "SECTIONS",
    "SECTION_OF",
    "VALUE_REPRESENTATIONS",
    "ActionName",
    "ClassCatalogue",
    "ClassParameter",
    "Criterion",
]


class ClassParameter(Protocol):
    """What the parser asks of a parameter: the ``Parameter`` of a PSEUDO class, or of a caller's own."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The values allowed, empty for a text."""
        ...

    @property
    def expected(self) -> str:
        """What a text is to look like, in words."""
        ...

    def accepts(self, text: str) -> bool:
        """Whether a recipe may write this value."""
        ...


ClassCatalogue = Mapping[str, Mapping[str, ClassParameter] | Collection[str] | None]
"""PSEUDO class → its parameters, or only their names (any value then); ``None`` stands for any name."""


class ActionName(StrEnum):
    """What a rule does with an attribute."""

    ADD = "ADD"
    """Set the value, and create the attribute if it is absent."""
    BLANK = "BLANK"
    """Keep the attribute with an empty value."""
    JITTER = "JITTER"
    """Move the date by a number of days that the recipe names."""
    KEEP = "KEEP"
    """Leave the value as it is."""
    REPLACE = "REPLACE"
    """Set the value where the attribute is present."""
    REMOVE = "REMOVE"
    """Take the attribute out."""
    PSEUDO = "PSEUDO"
    """Set a keyed surrogate of a class where the attribute is present."""


ACTION_RANK: Final[Mapping[ActionName, int]] = {
    ActionName.KEEP: 6,
    ActionName.ADD: 5,
    ActionName.REPLACE: 4,
    ActionName.PSEUDO: 4,
    ActionName.JITTER: 3,
    ActionName.REMOVE: 2,
    ActionName.BLANK: 1,
}
"""deid's order, KEEP > ADD > REPLACE > JITTER > REMOVE > BLANK; PSEUDO is a REPLACE with a keyed value."""


class Criterion(StrEnum):
    """A test of a filter on one attribute of the header."""

    CONTAINS = "contains"
    NOTCONTAINS = "notcontains"
    EQUALS = "equals"
    NOTEQUALS = "notequals"
    MISSING = "missing"
    PRESENT = "present"
    EMPTY = "empty"
    NOTEMPTY = "notempty"

    @property
    def takes_value(self) -> bool:
        """Whether a value follows the attribute."""
        return self.value.endswith(("contains", "equals"))


SECTIONS: Final = ("header", "filter", "values", "fields", "labels")
SECTION_OF: Final = {"LABEL": "%filter", "FIELD": "%values or %fields", "SPLIT": "%values"}
GROUP_WORDS: Final = ("FIELD", "SPLIT")
COORDINATE_WORDS: Final = ("coordinates", "keepcoordinates", "ctpcoordinates", "ctpkeepcoordinates")
EXPANDERS: Final = ("contains", "startswith", "endswith", "except", "allexcept", "select", "fields", "values")

PSEUDO_CLASSES: Final[ClassCatalogue] = {
    "GIVEN_NAME": None,
    "SURNAME": None,
    "FULL_NAME": None,
    "LOCATION_CA": None,
    "LOCATION_BC": None,
    "DATE": None,
    "TIME": None,
    "DATETIME": None,
    "ID_NUMERICAL": None,
    "ID_ALPHANUMERICAL": None,
    "UID": None,
    "HEALTH_INSTITUTION_CA": None,
}
"""The classes of the grammar; a caller with classes of its own hands its catalogue to ``parse_recipe``."""

CLASS_ALIASES: Final[Mapping[str, str]] = {"HEALTH_INSTITUTION": "HEALTH_INSTITUTION_CA"}

VALUE_REPRESENTATIONS: Final = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()  # noqa: SIM905
)
"""PS3.5 table 6.2-1."""

BULK_VRS: Final = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW"})
"""What has no text: such an element can be kept, emptied or removed, but not given a value."""

PROTECTED: Final = frozenset(
    {
        0x0002_0000,  # FileMetaInformationGroupLength
        0x0002_0001,  # FileMetaInformationVersion
        0x0002_0010,  # TransferSyntaxUID
        0x0002_0012,  # ImplementationClassUID
        0x0028_1201,  # RedPaletteColorLookupTableData
        0x0028_1202,  # GreenPaletteColorLookupTableData
        0x0028_1203,  # BluePaletteColorLookupTableData
        0x0028_3010,  # VOILUTSequence
        0x7FE0_0008,  # FloatPixelData
        0x7FE0_0009,  # DoubleFloatPixelData
        0x7FE0_0010,  # PixelData
    }
)
"""Attributes of the data set itself that, as in deid, only KEEP may name: without them there is no image."""
