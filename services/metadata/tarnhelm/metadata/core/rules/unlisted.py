"""What becomes of a standard attribute for which PS3.15 Table E.1-1 has no row, told by its VR and its keyword.

The table names what its authors thought of. Beside it the dictionary has some four hundred attributes into which
somebody may type what he likes. So text does not stay because nobody forbade it: it is cleaned word by word, and
stays as it is only where a machine or a code table writes it. An identifier cannot be judged by its words and goes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["FORMED_VRS", "Treatment", "treatment"]


class Treatment(StrEnum):
    """What is done to the value of an attribute without a row."""

    COPIED = "copied"
    """Numbers, and bytes whose form the standard defines."""
    FORMED = "formed"
    """A number, date or time written as text: stays if it is one."""
    CHECKED = "checked"
    """Written by a machine or out of a code table: stays but for the object's own identifiers."""
    CLEANED = "cleaned"
    """Free text: its useful words stay."""
    REMOVED = "removed"
    """An identifier, an address, or bytes that may hold anything."""


#: Numbers, dates and times that are written as text (PS3.5 §6.2).
FORMED_VRS: Final = frozenset({"DA", "DS", "DT", "IS", "TM"})
_WORDS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_TEXT: Final = _WORDS | {"AE", "CS", "PN", "UR"}
_WRITTEN: Final = FORMED_VRS | {"AS", "UI"}
#: Arrays of numbers. OB is left out: its bytes mean whatever the writer wants.
_ARRAYS: Final = frozenset({"OD", "OF", "OL", "OV", "OW"})
_OPAQUE: Final = frozenset({"OB", "UN"})
_IDENTIFIERS: Final = ("ID", "IDs", "Identifier", "AlternativeCalendar")

#: Bytes of VR OB that image objects need: pixels, their palettes' profile, waveforms.
_KNOWN_BYTES: Final = frozenset(
    {
        0x00282000,  # ICC Profile: without it colours of slides and photographs have no meaning
        0x54000110, 0x54000112, 0x5400100A, 0x54001010,  # Waveform samples
        0x7FE00010,  # Pixel Data
    }
)  # fmt: skip

#: What names equipment, its settings and its software, or belongs to a code. The manufacturer's program writes
#: these, out of its own lists; their words (``B30f``, ``*fl3d1_ns``) are in no lexicon and are what a researcher
#: sorts by.
_MACHINE_WRITTEN: Final = frozenset(
    {
        # codes: value, scheme, version, context group
        0x00080100, 0x00080102, 0x00080103, 0x00080119, 0x00080120, 0x00080112, 0x00080122,
        # makers, models and versions
        0x00080070, 0x00081090, 0x00181016, 0x00181018, 0x00181019, 0x00181020, 0x0018702A, 0x0018702B,
        0x00189041, 0x00189050, 0x00189524, 0x00189525, 0x00189526, 0x00660031, 0x00660036, 0x3010001A, 0x00160020,
        # sequences, coils, kernels, filters, grids, plates
        0x00180024, 0x00189005, 0x00181250, 0x00181251, 0x00189046, 0x00189047, 0x00181210, 0x00181160,
        0x00181161, 0x00181180, 0x00189320, 0x00181260, 0x00181261, 0x00181401, 0x00185000, 0x00185020, 0x00185021,
        0x00181022, 0x00181023, 0x00181061, 0x00181064, 0x00181085,
        # nuclei, tracers, windows, corrections, reconstructions
        0x00180085, 0x00180031, 0x00540018, 0x00541101, 0x00541103, 0x00541104, 0x00541105,
        # units and kinds of a look-up table; stacks and optical paths, which other attributes refer to
        0x00281054, 0x00283004, 0x00209056, 0x00480106, 0x006A000E,
    }
)  # fmt: skip

#: Labels that people choose, though their VR is that of codes (PS3.3 §10.9, §C.10.7).
_FREE_CODES: Final = frozenset({0x00700002, 0x00700080})


def treatment(tag: int, vr: str, keyword: str, known_vrs: frozenset[str]) -> Treatment:
    """Say what is done to an attribute without a row.

    Ages, sequences and UIDs are not asked for here, and dates only where they are kept: they are capped, opened,
    mapped and moved wherever they stand.

    Parameters
    ----------
    tag
        ``group << 16 | element``.
    vr
        The one that the file gives.
    keyword
        In PS3.6.
    known_vrs
        Those that PS3.6 allows. Where the file differs from it, the stricter treatment counts: a text that the file
        calls a number goes.

    Notes
    -----
    ==========================  ====================================================
    VR                          treatment
    ==========================  ====================================================
    LO LT SH ST UC UT           CLEANED; REMOVED for identifiers; CHECKED if machine-written
    CS                          CHECKED; CLEANED for labels
    AE UR                       REMOVED (a code value as URN: CHECKED)
    DA DS DT IS TM              FORMED
    OB UN                       REMOVED but for pixels, waveforms and colour profiles
    all others                  COPIED
    ==========================  ====================================================
    """
    if _hides(vr, known_vrs):
        return Treatment.REMOVED
    if vr in _OPAQUE:
        kept = tag in _KNOWN_BYTES or not known_vrs.isdisjoint(_ARRAYS)
        return Treatment.COPIED if kept else Treatment.REMOVED
    if vr in FORMED_VRS:
        return Treatment.FORMED
    if vr not in _TEXT:
        return Treatment.COPIED
    return _of_text(tag, vr, keyword, known_vrs)


def _hides(vr: str, known_vrs: frozenset[str]) -> bool:
    """Say whether a file calls words, or items with words in them, numbers that nobody would look into."""
    if "SQ" in known_vrs:
        return vr != "SQ"
    if known_vrs & _TEXT:
        return vr not in _TEXT
    if known_vrs & _WRITTEN:
        return vr not in _TEXT | _WRITTEN
    return vr in _ARRAYS and known_vrs.isdisjoint(_ARRAYS | {"OB"})


def _of_text(tag: int, vr: str, keyword: str, known_vrs: frozenset[str]) -> Treatment:
    if tag in _MACHINE_WRITTEN:
        return Treatment.CHECKED
    if vr in ("AE", "UR") or not known_vrs.isdisjoint({"AE", "UR"}):
        return Treatment.REMOVED
    if vr == "CS" and known_vrs == {"CS"}:
        return Treatment.CLEANED if tag in _FREE_CODES else Treatment.CHECKED
    identifies = "Number" in keyword or keyword.endswith(_IDENTIFIERS)
    return Treatment.REMOVED if identifies else Treatment.CLEANED
