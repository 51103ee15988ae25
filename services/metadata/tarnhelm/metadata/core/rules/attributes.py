"""Attributes as rules and people name them: label, VR, and the time of day that belongs to a date."""

from __future__ import annotations

from functools import lru_cache

from tarnhelm.metadata.core import standard

__all__ = ["attribute_label", "first_vr", "time_beside"]


def attribute_label(tag: int, creator: str | None = None) -> str:
    """Name of an attribute for people: its keyword, or its tag where it has none."""
    if tag >> 16 & 1:
        if creator:
            return f'({tag >> 16:04x},"{creator}",{tag & 0xFF:02x})'
        return f"({tag >> 16:04x},xx{tag & 0xFF:02x})" if tag & 0xFFFF > 0xFF else f"({tag >> 16:04x},00xx)"
    return standard.keyword_of(tag) or f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def first_vr(tag: int) -> str:
    """VR of an attribute in the dictionary, the first of several (``US or SS``), ``UN`` where it has none."""
    return (standard.vr_of(tag) or "UN").split(" ", 1)[0]


@lru_cache(maxsize=512)
def time_beside(tag: int) -> int | None:
    """Tag of the time of day (TM) that makes an instant with a date (DA), ``None`` where the standard has none.

    The standard names the two alike: StudyDate and StudyTime, DateOfLastCalibration and TimeOfLastCalibration. They
    stand at the same level of the data set.
    """
    keyword = standard.keyword_of(tag)
    if keyword is None or "Date" not in keyword or first_vr(tag) != "DA":
        return None
    time = standard.tag_of(keyword.replace("Date", "Time"))
    return time if time is not None and first_vr(time) == "TM" else None
