"""Which kinds of object the metadata stage can clean, by SOP Class (PS3.4 Annex B.5, PS3.6 Annex A)."""

from __future__ import annotations

from typing import Final

__all__ = ["IMAGE_SOP_CLASSES", "KNOWN_SYNTAXES", "VIDEO_SYNTAXES", "is_image"]

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."

#: Image Storage SOP Classes: everything they hold is header and pixels. Documents, waveforms, presentation
#: states, radiotherapy objects and segmentations hold further content and are refused with MET-001.
IMAGE_SOP_CLASSES: Final = frozenset(
    _STORAGE + suffix
    for suffix in [
        "1",
        "1.1",
        "1.1.1",
        "1.2",
        "1.2.1",
        "1.3",
        "1.3.1",
        "2",
        "2.1",
        "2.2",
        "3",
        "3.1",
        "4",
        "4.1",
        "4.3",
        "4.4",
        "5",
        "6",
        "6.1",
        "6.2",
        "6.3",
        "7",
        "7.1",
        "7.2",
        "7.3",
        "7.4",
        "12.1",
        "12.1.1",
        "12.2",
        "12.2.1",
        "12.3",
        "13.1.1",
        "13.1.2",
        "13.1.3",
        "13.1.4",
        "13.1.5",
        "14.1",
        "14.2",
        "20",
        "30",
        "77.1",
        "77.2",
        "77.1.1",
        "77.1.1.1",
        "77.1.2",
        "77.1.2.1",
        "77.1.3",
        "77.1.4",
        "77.1.4.1",
        "77.1.5.1",
        "77.1.5.2",
        "77.1.5.4",
        "77.1.5.5",
        "77.1.5.6",
        "77.1.5.7",
        "77.1.6",
        "77.1.7",
        "77.1.8",
        "77.1.9",
        "81.1",
        "82.1",
        "128",
        "128.1",
        "130",
        "481.1",
    ]
)

_SYNTAX: Final = "1.2.840.10008.1.2"

#: Transfer syntaxes whose data sets and code streams this version understands.
KNOWN_SYNTAXES: Final = frozenset(
    _SYNTAX + suffix
    for suffix in (
        "", ".1", ".1.98", ".1.99", ".2", ".5",
        ".4.50", ".4.51", ".4.52", ".4.53", ".4.54", ".4.55", ".4.56", ".4.57", ".4.58", ".4.59", ".4.60",
        ".4.61", ".4.62", ".4.63", ".4.64", ".4.65", ".4.66", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91",
        ".4.92", ".4.93", ".4.201", ".4.202", ".4.203",
        ".4.100", ".4.100.1", ".4.101", ".4.101.1", ".4.102", ".4.102.1", ".4.103", ".4.103.1", ".4.104",
        ".4.104.1", ".4.105", ".4.105.1", ".4.106", ".4.106.1", ".4.107", ".4.108",
    )
)  # fmt: skip

#: Video: user data in the elementary stream cannot be removed without a decoder.
VIDEO_SYNTAXES: Final = frozenset(uid for uid in KNOWN_SYNTAXES if uid.startswith(_SYNTAX + ".4.10"))


def is_image(sop_class_uid: str) -> bool:
    """Tell whether the object is an image this stage cleans."""
    return sop_class_uid in IMAGE_SOP_CLASSES
