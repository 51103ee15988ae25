"""What one element header says: tag, VR and kind by a dictionary look-up over its raw bytes (PS3.5 §7.1)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, NamedTuple

__all__ = ["LONG_VRS", "PIXEL_DATA", "SHORT_VRS", "Encoding", "Entry", "HeaderCut", "KeyTable", "Kind", "UnknownVr"]

PIXEL_DATA: Final = 0x7FE00010

SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SV UC UN UR UT UV".split())


class Encoding(IntEnum):
    """How a data set is written (PS3.5 A.1, A.2, A.3)."""

    EXPLICIT_LITTLE = 0
    IMPLICIT_LITTLE = 1
    EXPLICIT_BIG = 2

    @property
    def byteorder(self) -> str:
        """``little`` or ``big``."""
        return "big" if self is Encoding.EXPLICIT_BIG else "little"


class Kind(IntEnum):
    """What the walker has to do at an element header."""

    SHORT = 0
    """Explicit VR with a length of two bytes."""
    LONG = 1
    """Explicit VR with two reserved bytes and a length of four bytes."""
    SEQUENCE = 2
    """SQ: items follow."""
    UNKNOWN = 3
    """UN: opaque, but of undefined length it is a sequence in Implicit VR Little Endian (PS3.5 §6.2.2)."""
    IMPLICIT = 4
    """No VR in the header; four bytes of length."""
    IMPLICIT_SEQUENCE = 5
    BULK = 6
    """OB, OW, UN in the place of pixel data: of undefined length it is a sequence of fragments (PS3.5 A.4)."""


class Entry(NamedTuple):
    """What a table knows of one header: ``payload`` is the table owner's own."""

    kind: int
    tag: int
    vr: str
    payload: Any
    child: KeyTable | None


class KeyTable(dict[bytes, Entry]):
    """Header bytes → :class:`Entry`, filled on first sight.

    Subclasses override :meth:`payload` (what their owner wants to know of the element) and :meth:`nested`
    (the table for the items of a sequence). Keys are six bytes (tag and VR) where the VR is explicit and four
    where it is implicit.
    """

    #: A file with absurdly many distinct tags must not fill memory through the table.
    most_keys: Final = 20_000

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self.encoding = encoding

    def payload(self, tag: int, vr: str) -> Any:
        """Return what the owner attaches to elements of this tag and VR."""
        del tag, vr

    def nested(self, tag: int, encoding: Encoding) -> KeyTable:
        """Return the table for the items of sequence ``tag``, written in ``encoding``."""
        del tag
        return self if encoding is self.encoding else KeyTable(encoding)

    def vr_of(self, tag: int) -> str:
        """VR of ``tag`` in the data dictionary, ``UN`` where it has none. Used where the header names none."""
        del tag
        return "UN"

    def __missing__(self, key: bytes) -> Entry:
        big = self.encoding is Encoding.EXPLICIT_BIG
        if len(key) < 4:
            raise HeaderCut
        order = "big" if big else "little"
        tag = int.from_bytes(key[:2], order) << 16 | int.from_bytes(key[2:4], order)  # type: ignore[arg-type]
        if self.encoding is Encoding.IMPLICIT_LITTLE:
            vr = self.vr_of(tag)
            kind = Kind.IMPLICIT_SEQUENCE if vr == "SQ" else Kind.IMPLICIT
            if tag == PIXEL_DATA:
                kind = Kind.IMPLICIT
        else:
            if len(key) < 6:
                raise HeaderCut
            raw = key[4:6]
            if raw in SHORT_VRS:
                kind = Kind.SHORT
            elif raw == b"SQ":
                kind = Kind.SEQUENCE
            elif raw not in LONG_VRS:
                raise UnknownVr
            elif tag == PIXEL_DATA and raw in (b"OB", b"OW", b"UN"):
                kind = Kind.BULK
            elif raw == b"UN":
                kind = Kind.UNKNOWN
            elif raw in (b"OB", b"OW"):
                kind = Kind.BULK
            else:
                kind = Kind.LONG
            vr = raw.decode("ascii")
        entry = Entry(int(kind), tag, vr, self.payload(tag, vr), None)
        if len(self) < self.most_keys:
            self[key] = entry
        return entry


class HeaderCut(Exception):  # noqa: N818
    """Fewer bytes are left than a header has."""


class UnknownVr(Exception):  # noqa: N818
    """The two bytes after the tag are no VR."""
