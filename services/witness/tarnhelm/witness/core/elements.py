"""What the witness knows of DICOM's attributes: representations, which of them identify, which UIDs are standard.

The table of value representations lies in ``data/elements.txt`` (generated from PS3.6); which attributes carry an
identifier is written out here, after PS3.15 Table E.1-1, so that the witness shares no table with the rewriter.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = [
    "CLASS_UID_TAGS",
    "DEVICE_TAGS",
    "IDENTIFIER_TAGS",
    "IDENTITY_NAME_TAGS",
    "LONG_VRS",
    "NUMBER_VRS",
    "PIXEL_TAGS",
    "SHORT_VRS",
    "STANDARD_SCHEMES",
    "TEXT_VRS",
    "is_standard_uid",
    "vr_of",
]

LONG_VRS: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Explicit VRs with two reserved bytes and a 32-bit length (PS3.5 Table 7.1-1)."""
SHORT_VRS: Final = frozenset(
    {
        b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL",
        b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
    }
)  # fmt: skip
TEXT_VRS: Final = frozenset({b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"})
"""VRs whose bytes follow Specific Character Set (PS3.5 6.1.2.2)."""
NUMBER_VRS: Final = frozenset(
    {b"AS", b"AT", b"DS", b"FD", b"FL", b"IS", b"SL", b"SS", b"SV", b"TM", b"UL", b"US", b"UV"}
)
PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
IDENTITY_NAME_TAGS: Final = frozenset({0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00102297})
"""Person names that are the patient's own or his family's; all other PN are incidental."""
DEVICE_TAGS: Final = frozenset(
    {
        0x00020012, 0x00020013, 0x00080070, 0x00081090, 0x00181018, 0x00181019, 0x00181020, 0x00181210, 0x00181250,
        0x00181251, 0x00180023, 0x00180024, 0x00182010, 0x0018A001, 0x00080060, 0x00080061, 0x00120063,
    }
)  # fmt: skip
"""Makers, models, versions, coils, kernels: words and numbers of a device, where a likeness is no evidence."""
CLASS_UID_TAGS: Final = frozenset(
    {
        0x00020002, 0x00020010, 0x00020012, 0x00080016, 0x0008001A, 0x0008001B, 0x00080062, 0x0008010C, 0x0008010D,
        0x00080117, 0x00080118, 0x00081150, 0x0008115A, 0x0040DB0D, 0x00400555, 0x04000010, 0x00041510, 0x00041512,
        0x0018990C, 0x00083002,
    }
)  # fmt: skip
"""UIDs that name a class, a syntax or a vocabulary, never an instance; a maker's private class is one too."""
STANDARD_SCHEMES: Final = frozenset(
    {b"DCM", b"SCT", b"SRT", b"SNM3", b"99SDM", b"LN", b"UCUM", b"FMA", b"RADLEX", b"NCIt", b"UMLS", b"MSH", b"NEU",
     b"ICD10", b"I10", b"I9", b"C4", b"BI", b"MDC", b"RXNORM", b"DCMUID", b"NYUMCCG", b"ISO3166_1", b"RFC5646"}
)  # fmt: skip
"""Coding schemes of PS3.16 section 8 whose meanings are published words."""

_IDS = (
    "00080050 00100020 00101000 00101050 00101090 00120040 00120042 00200010 00380010 00380060 00400512 00400551 "
    "0040050A 004006FA 00402016 00402017 40080200 40080040 00120071"
)
_DEVICE_IDS = (
    "00080054 00080055 00081000 00081010 00181000 00181004 00181005 00181007 00181008 00181009 00181010 00181011 "
    "0018700A 00189367 00189371 00203401 00321021 00400001 00400009 00400010 00400241 00400242 00400253 00401001 "
    "00741234 00741236 21000070 21000140 30080105 3010001B 30100043 300A00B2 00020016 00020017 00020018"
)
_PATIENT_PLACES = "00101040 00102152 00380400 0038001E 00401102"
_PLACES = "00080081 00080092 00380300 00400011 00400243 00401005 00321020 00402009"
_ORGANISATIONS = (
    "00080080 00081040 00100021 00102299 00380011 00380061 00321033 0040A027 00404036 00120010 00120031 00120060"
)
_PATIENT_TEXTS = "00102154 00102155 00401103 00401104"
_TEXTS = "00080094 00402010 00402011"


def _rows(tags: str, identifier_class: str, *, identity: bool) -> dict[int, tuple[str, bool]]:
    return {int(tag, 16): (identifier_class, identity) for tag in tags.split()}


IDENTIFIER_TAGS: Final[dict[int, tuple[str, bool]]] = {
    **_rows(_IDS, "id", identity=True),
    **_rows(_DEVICE_IDS, "id", identity=False),
    **_rows(_PATIENT_PLACES, "place", identity=True),
    **_rows(_PLACES, "place", identity=False),
    **_rows(_ORGANISATIONS, "organisation", identity=False),
    **_rows(_PATIENT_TEXTS, "text", identity=True),
    **_rows(_TEXTS, "text", identity=False),
}
"""Attribute → (identifier class, does it name the patient himself). PN, DA, DT and UI come by their VR."""

_STANDARD_UID = re.compile(rb"1\.2\.840\.10008(\.(0|[1-9][0-9]{0,3})){1,8}")


def is_standard_uid(value: bytes) -> bool:
    """Tell whether a UID is one that DICOM itself assigns (PS3.6 Annex A).

    The root alone does not decide: a UID of patient number and date under DICOM's root is nobody's standard, so every
    further component must be as short as DICOM's own are.
    """
    return _STANDARD_UID.fullmatch(value) is not None


@cache
def _table() -> dict[int, bytes]:
    table: dict[int, bytes] = {}
    text = (files(__package__) / "data" / "elements.txt").read_text(encoding="ascii")
    for line in text.splitlines():
        if not line.startswith("#"):
            vr, group, *elements = line.split()
            name, high = vr.encode(), int(group, 16) << 16
            for element in elements:
                table[high | int(element, 16)] = name
    return table


_OVERLAY: Final = {
    0x0010: b"US", 0x0011: b"US", 0x0015: b"IS", 0x0022: b"LO", 0x0040: b"CS", 0x0045: b"LO", 0x0050: b"SS",
    0x0051: b"US", 0x0100: b"US", 0x0102: b"US", 0x1001: b"CS", 0x1500: b"LO", 0x3000: b"OW", 0x4000: b"LT",
}  # fmt: skip


def vr_of(tag: int) -> bytes:
    """Return the VR that PS3.6 gives an attribute, ``UN`` where it gives none (implicit VR needs it)."""
    vr = _table().get(tag)
    if vr is not None:
        return vr
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0:
        return b"UL"
    if group & 1:
        return b"LO" if 0x10 <= element <= 0xFF else b"UN"
    if group & 0xFF00 == 0x6000:
        return _OVERLAY.get(element, b"UN")
    return b"UN"
