"""The bounded head of a DICOM file: preamble, prefix and file meta information; the data set is never looked at.

A door and admission must know three things of a file: where its data set begins, in which transfer syntax, and which
instance it says it is. All of that stands in at most 64 KiB of Explicit VR Little Endian (PS3.10, section 7.1). A head
that is not plainly so is no head: the object is then taken by its bytes alone, and the metadata service, which parses
in a sandbox, says what is wrong with it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Final

__all__ = ["IMPLEMENTATION_CLASS_UID", "IMPLEMENTATION_VERSION", "MOST_BYTES", "FileHead", "file_head", "read_head"]

IMPLEMENTATION_CLASS_UID: Final = "2.25.97093542746683564656966415296741377151"
IMPLEMENTATION_VERSION: Final = "TARNHELM_0.1"

MOST_BYTES: Final = 64 * 1024
"""A head that is longer is none."""
_PREFIX_AT: Final = 128
_PREFIX: Final = b"DICM"
_FIRST: Final = 132
_SHORT: Final = struct.Struct("<HH2sH")
_LONG: Final = struct.Struct("<I")
_GROUP: Final = 0x0002
_LONG_VRS: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_UNDEFINED: Final = 0xFFFFFFFF
_CLASS: Final = 0x0002
_INSTANCE: Final = 0x0003
_SYNTAX: Final = 0x0010
_UID: Final = re.compile(rb"[0-9](?:[0-9.]{0,62}[0-9])?", re.ASCII)
_MOST_ELEMENTS: Final = 256


@dataclass(frozen=True, slots=True)
class FileHead:
    """What the head of a DICOM file says.

    Attributes
    ----------
    content_start
        Offset of the data set's first byte.
    transfer_syntax_uid, sop_class_uid
        From closed vocabularies; the class is empty where it is not given.
    sop_instance_uid
        An identifier: for a keyed digest only. Empty where it is not given.
    """

    content_start: int
    transfer_syntax_uid: str
    sop_class_uid: str = ""
    sop_instance_uid: str = field(default="", repr=False)


def read_head(data: bytes | bytearray | memoryview) -> FileHead | None:
    """Walk the head; None where there is none within the first ``MOST_BYTES`` of ``data``.

    ``data`` holds the file's begin: all of it, or at least ``MOST_BYTES``. Never raises for any bytes.
    """
    view = memoryview(data)[:MOST_BYTES]
    if bytes(view[_PREFIX_AT:_FIRST]) != _PREFIX:
        return None
    found: dict[int, bytes] = {}
    at, size = _FIRST, len(view)
    last = -1
    for _ in range(_MOST_ELEMENTS):
        if at + _SHORT.size > size:
            # A file may end with its head: then nothing comes behind it.
            return _head(found, at) if at == size < MOST_BYTES else None
        group, element, vr, length = _SHORT.unpack_from(view, at)
        if group != _GROUP:
            return _head(found, at) if group > _GROUP else None
        if element <= last:
            return None
        last = element
        at += _SHORT.size
        if vr in _LONG_VRS:
            if length or at + _LONG.size > size:
                return None
            length = _LONG.unpack_from(view, at)[0]
            at += _LONG.size
        elif vr not in _SHORT_VRS:
            return None
        if length == _UNDEFINED or at + length > size:
            return None
        if element in (_CLASS, _INSTANCE, _SYNTAX):
            if vr != b"UI":
                return None
            found[element] = bytes(view[at : at + length]).rstrip(b"\0 ")
        at += length
    return None


def file_head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return the head that this gateway puts before a data set: a preamble of zeros, prefix and file meta.

    It depends on nothing but its three values, so that the same object sent twice becomes the same bytes. It is a part
    of what an object is named by (see :mod:`tarnhelm.gateway.stream.content`): another head makes it another object.
    """
    body = (
        _META_VERSION
        + _element(_CLASS, b"UI", sop_class_uid)
        + _element(_INSTANCE, b"UI", sop_instance_uid)
        + _element(_SYNTAX, b"UI", transfer_syntax_uid)
        + _IMPLEMENTATION
    )
    return _BEGIN + _LONG.pack(len(body)) + body


def _element(element: int, vr: bytes, value: str) -> bytes:
    encoded = value.encode("ascii")
    if len(encoded) % 2:
        encoded += b"\0" if vr == b"UI" else b" "
    return _SHORT.pack(_GROUP, element, vr, len(encoded)) + encoded


def _head(found: dict[int, bytes], at: int) -> FileHead | None:
    if any(value and not _UID.fullmatch(value) for value in found.values()) or not found.get(_SYNTAX):
        return None
    return FileHead(at, *(found.get(element, b"").decode("ascii") for element in (_SYNTAX, _CLASS, _INSTANCE)))


_BEGIN: Final = bytes(_PREFIX_AT) + _PREFIX + _SHORT.pack(_GROUP, 0, b"UL", _LONG.size)
_META_VERSION: Final = _SHORT.pack(_GROUP, 1, b"OB", 0) + _LONG.pack(2) + b"\0\1"
_IMPLEMENTATION: Final = _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID) + _element(
    0x0013, b"SH", IMPLEMENTATION_VERSION
)
