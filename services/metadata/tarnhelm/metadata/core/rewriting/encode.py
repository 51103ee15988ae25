"""Bytes of headers and values for the elements the rewriter makes (PS3.5 §7.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

from tarnhelm.common.dicom.header import Encoding

__all__ = ["LONG_VRS", "TEXT_LENGTHS", "element_bytes", "header_bytes", "pad"]

LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})

#: Most characters of one value (PS3.5 §6.2); VRs without an entry are bounded by their length field alone.
TEXT_LENGTHS: Final = {
    "AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "LO": 64, "LT": 10240,
    "SH": 16, "ST": 1024, "TM": 16, "UI": 64,
}  # fmt: skip


def pad(value: bytes, vr: str) -> bytes:
    """Pad to an even length: NUL for UIDs and bytes, a space for text (PS3.5 §6.2)."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in ("UI", "OB", "UN") else b" ")


def header_bytes(encoding: int, tag: int, vr: str, length: int) -> bytes:
    """Header of one element; ``length`` may be ``0xFFFFFFFF`` for sequences."""
    start, size, order = _header_start(encoding, tag, vr)
    return start + length.to_bytes(size, order)


@lru_cache(maxsize=4096)
def _header_start(encoding: int, tag: int, vr: str) -> tuple[bytes, int, Literal["big", "little"]]:
    """All of a header but the length; the bytes that the length has, and their order."""
    order: Literal["big", "little"] = "big" if encoding == Encoding.EXPLICIT_BIG else "little"
    start = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    if encoding == Encoding.IMPLICIT_LITTLE:
        return start, 4, order
    if vr in LONG_VRS:
        return start + vr.encode() + b"\0\0", 4, order
    return start + vr.encode(), 2, order


def element_bytes(encoding: int, tag: int, vr: str, value: bytes) -> bytes:
    """Header and padded value of one element.

    A value of 64 KiB and more does not fit the two-byte length of short VRs; it is then written as UN, as
    PS3.5 §6.2.2 wants.
    """
    value = pad(value, vr)
    if len(value) > 0xFFFE and vr not in LONG_VRS and encoding != Encoding.IMPLICIT_LITTLE:
        vr = "UN"
    return header_bytes(encoding, tag, vr, len(value)) + value
