"""A look at the first elements of a data set that came by association (PS3.5 section 7)."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Final

__all__ = [
    "DEFLATED",
    "element_of",
    "identity_of",
    "is_uid",
]

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""Syntaxes whose whole data set is compressed; the JPIP ones begin with a deflated data set (PS3.5 A.5, A.6)."""

_LONG_VRS: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_SOP_CLASS: Final = 0x0008_0016
_SOP_INSTANCE: Final = 0x0008_0018
_UNDEFINED: Final = 0xFFFF_FFFF


def is_uid(text: str) -> bool:
    """Whether it has the letters and the length of a UID (PS3.5 section 9); leading zeros are let pass."""
    return _UID.fullmatch(text) is not None


def identity_of(data_set: bytes | bytearray, transfer_syntax_uid: str) -> tuple[str | None, str | None]:
    """Return SOP Class and SOP Instance UID out of a data set's first bytes; None for what they do not show."""
    found = element_of(data_set, transfer_syntax_uid, (_SOP_CLASS, _SOP_INSTANCE))
    return found.get(_SOP_CLASS), found.get(_SOP_INSTANCE)


def element_of(data_set: bytes | bytearray, transfer_syntax_uid: str, wanted: tuple[int, ...]) -> dict[int, str]:
    """Return UIDs of the top level of a data set whose first bytes these are.

    Elements are passed over by their lengths and nothing else is decoded; one of undefined length, one that ends
    beyond the bytes given and one out of order end the look. ``wanted`` is in ascending order.
    """
    if transfer_syntax_uid in DEFLATED:
        try:
            data_set = zlib.decompressobj(-zlib.MAX_WBITS).decompress(bytes(data_set), 65_536)
        except zlib.error:
            return {}
    order = ">" if transfer_syntax_uid == EXPLICIT_BIG else "<"
    implicit = transfer_syntax_uid == IMPLICIT_LITTLE
    tags, long_form, short_form = struct.Struct(order + "HH"), struct.Struct(order + "I"), struct.Struct(order + "H")
    view, position, last, end, found = memoryview(data_set), 0, 0, len(data_set), dict[int, str]()
    while position + 8 <= end:
        group, element = tags.unpack_from(view, position)
        tag = group << 16 | element
        if tag > wanted[-1] or tag < last:
            break
        last = tag
        if implicit:
            (length,) = long_form.unpack_from(view, position + 4)
            position += 8
        elif bytes(view[position + 4 : position + 6]) in _LONG_VRS:
            if position + 12 > end:
                break
            (length,) = long_form.unpack_from(view, position + 8)
            position += 12
        else:
            (length,) = short_form.unpack_from(view, position + 6)
            position += 8
        if length == _UNDEFINED or position + length > end:
            break
        if tag in wanted and length <= 64:
            found[tag] = _text(view[position : position + length])
        position += length
    return found


def _text(value: memoryview) -> str:
    return bytes(value).decode("ascii", "replace").rstrip("\x00 ")
