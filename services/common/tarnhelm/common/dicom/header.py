"""The one bounded element walker of the house: byte positions, never values.

It reads element headers over ``bytes`` (or a read-only ``mmap``) and returns positions; it decodes nothing.
A table decides by the raw header bytes (tag and VR in one dictionary look-up) what an element is, so the
cost of an element is one slice, one look-up and one tuple. Every length is checked against its parent before
it is followed, depth and count are bounded, and tags must ascend (PS3.5 §7.1), because a parser that forgives
is a parser that two tools read differently.

Source: DICOM PS3.5 §7 (data set encoding), PS3.5 A (transfer syntaxes), PS3.10 §7 (file meta information).
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "Element",
    "Encoding",
    "Entry",
    "FileStart",
    "Item",
    "KeyTable",
    "Kind",
    "NeedMore",
    "Walker",
    "read_start",
]

type_buffer = bytes | mmap.mmap

PIXEL_DATA: Final = 0x7FE00010
UNDEFINED: Final = 0xFFFFFFFF

EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
JPIP_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

_SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SV UC UN UR UT UV".split())


class NeedMore(Exception):  # noqa: N818 - a request, not an error
    """The buffer holds only the head of the file and the walk has to go beyond it."""


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


class Item(NamedTuple):
    """One item of a sequence: positions of its header, its content and its end (delimiter included)."""

    start: int
    content: int
    content_end: int
    end: int
    elements: list[Element]
    undefined: bool


class Element(NamedTuple):
    """One data element: positions only.

    ``start`` is its header, ``value`` and ``value_end`` bound the value, ``end`` is where the next element
    starts (after a sequence delimiter where there is one). ``items`` is a list for sequences. ``undefined``
    tells how the length was written, ``encoding`` how the items inside are.
    """

    entry: Entry
    start: int
    value: int
    value_end: int
    end: int
    items: list[Item] | None
    undefined: bool
    encoding: int


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
            raise _Short
        order = "big" if big else "little"
        tag = int.from_bytes(key[:2], order) << 16 | int.from_bytes(key[2:4], order)  # type: ignore[arg-type]
        if self.encoding is Encoding.IMPLICIT_LITTLE:
            vr = self.vr_of(tag)
            kind = Kind.IMPLICIT_SEQUENCE if vr == "SQ" else Kind.IMPLICIT
            if tag == PIXEL_DATA:
                kind = Kind.IMPLICIT
        else:
            if len(key) < 6:
                raise _Short
            raw = key[4:6]
            if raw in _SHORT_VRS:
                kind = Kind.SHORT
            elif raw == b"SQ":
                kind = Kind.SEQUENCE
            elif raw not in _LONG_VRS:
                raise _BadVr
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


class _Short(Exception):  # noqa: N818
    """Fewer bytes are left than a header has."""


class _BadVr(Exception):  # noqa: N818
    """The two bytes after the tag are no VR."""


class Walker:
    """Walks one object. Create one per object: it counts elements over all levels.

    Parameters
    ----------
    buffer
        The file, or its first bytes; inflated already where the syntax is deflated.
    total
        Bytes that the whole data set has; more than ``len(buffer)`` where only the head was read. Then native
        pixel data may reach beyond the buffer, and anything else raises :class:`NeedMore`.
    limits
        Bounds on depth, elements, fragments.
    """

    __slots__ = ("buffer", "elements_left", "have", "limits", "total")

    def __init__(self, buffer: type_buffer, total: int | None = None, limits: Limits = DEFAULT_LIMITS) -> None:
        self.buffer = buffer
        self.have = len(buffer)
        self.total = self.have if total is None else total
        self.limits = limits
        self.elements_left = limits.max_elements

    def walk(self, start: int, end: int, table: KeyTable, depth: int = 0) -> list[Element]:
        """List the elements between two positions, nested ones included.

        Parameters
        ----------
        start, end
            Byte positions; ``end`` is exclusive and at most ``total``.
        table
            Decides by header bytes; its ``encoding`` is the encoding of these elements.
        depth
            Level of nesting of this call.

        Raises
        ------
        TarnhelmError
            ``DCM-003`` … ``DCM-007``, ``DCM-010`` and ``LIM-002``, ``LIM-003``, ``LIM-009``.
        NeedMore
            The buffer is only the head and more of it is needed.
        """
        try:
            if table.encoding is Encoding.IMPLICIT_LITTLE:
                found = self._implicit(start, end, table, depth)
            elif table.encoding is Encoding.EXPLICIT_LITTLE:
                found = self._explicit_little(start, end, table, depth)
            else:
                found = self._explicit_big(start, end, table, depth)
        except _Short:
            if self.have < self.total:
                raise NeedMore from None
            raise TarnhelmError(errors.TRUNCATED, tag=0, offset=self.have) from None
        self.elements_left -= len(found)
        if self.elements_left < 0:
            raise TarnhelmError(errors.TOO_MANY_ELEMENTS, limit=self.limits.max_elements)
        return found

    def _explicit_little(self, pos: int, end: int, table: KeyTable, depth: int) -> list[Element]:
        buf = self.buffer
        have = self.have
        found: list[Element] = []
        append = found.append
        new = tuple.__new__  # what Element(...) does, without its Python-level frame
        last = -1
        room = self.elements_left
        while pos < end:
            try:
                entry = table[buf[pos : pos + 6]]
            except _BadVr:
                if pos + 6 > have:
                    raise _Short from None
                entry = self._odd_vr(pos, end, table)
            kind = entry[0]
            tag = entry[1]
            if tag <= last:
                raise TarnhelmError(errors.BAD_ORDER, tag=tag, offset=pos)
            last = tag
            if kind == 0:
                value = pos + 8
                if value > have:
                    raise _Short
                stop = value + (buf[pos + 6] | buf[pos + 7] << 8)
                if stop > end:
                    raise TarnhelmError(errors.TRUNCATED if depth == 0 else errors.BAD_LENGTH, tag=tag, offset=pos)
                append(new(Element, (entry, pos, value, stop, stop, None, False, 0)))
                pos = stop
            else:
                value = pos + 12
                if value > have:
                    raise _Short
                length = int.from_bytes(buf[pos + 8 : value], "little")
                element = self._long(entry, pos, value, length, end, table, depth)
                append(element)
                pos = element.end
            room -= 1
            if room < 0:
                raise TarnhelmError(errors.TOO_MANY_ELEMENTS, limit=self.limits.max_elements)
        if pos > have and have == self.total:
            raise TarnhelmError(errors.TRUNCATED, tag=last, offset=pos)
        return found

    def _odd_vr(self, pos: int, end: int, table: KeyTable) -> Entry:
        """A header whose VR is none of the standard's.

        Two blanks, two zeros or ``??`` are written by old software for an unknown VR; the length is then two
        bytes in some files and four in others, so nothing can be concluded and the object is refused.
        """
        del end, table
        raise TarnhelmError(errors.BAD_VR, offset=pos)

    def _explicit_big(self, pos: int, end: int, table: KeyTable, depth: int) -> list[Element]:
        buf = self.buffer
        found: list[Element] = []
        last = -1
        while pos < end:
            try:
                entry = table[buf[pos : pos + 6]]
            except _BadVr:
                if pos + 6 > self.have:
                    raise _Short from None
                raise TarnhelmError(errors.BAD_VR, offset=pos) from None
            tag = entry.tag
            if tag <= last:
                raise TarnhelmError(errors.BAD_ORDER, tag=tag, offset=pos)
            last = tag
            if entry.kind == Kind.SHORT:
                value = pos + 8
                if value > self.have:
                    raise _Short
                stop = value + int.from_bytes(buf[pos + 6 : value], "big")
                if stop > end:
                    raise TarnhelmError(errors.TRUNCATED if depth == 0 else errors.BAD_LENGTH, tag=tag, offset=pos)
                element = Element(entry, pos, value, stop, stop, None, False, 2)
            else:
                value = pos + 12
                if value > self.have:
                    raise _Short
                length = int.from_bytes(buf[pos + 8 : value], "big")
                element = self._long(entry, pos, value, length, end, table, depth)
            found.append(element)
            pos = element.end
            if len(found) > self.elements_left:
                raise TarnhelmError(errors.TOO_MANY_ELEMENTS, limit=self.limits.max_elements)
        return found

    def _implicit(self, pos: int, end: int, table: KeyTable, depth: int) -> list[Element]:
        buf = self.buffer
        have = self.have
        found: list[Element] = []
        new = tuple.__new__
        last = -1
        while pos < end:
            entry = table[buf[pos : pos + 4]]
            tag = entry[1]
            if tag <= last:
                raise TarnhelmError(errors.BAD_ORDER, tag=tag, offset=pos)
            last = tag
            value = pos + 8
            if value > have:
                raise _Short
            length = int.from_bytes(buf[pos + 4 : value], "little")
            if entry[0] == 4 and length != UNDEFINED:
                stop = value + length
                if stop > end:
                    raise TarnhelmError(errors.TRUNCATED if depth == 0 else errors.BAD_LENGTH, tag=tag, offset=pos)
                element = new(Element, (entry, pos, value, stop, stop, None, False, 1))
            else:
                element = self._long(entry, pos, value, length, end, table, depth)
            found.append(element)
            pos = element[4]
            if len(found) > self.elements_left:
                raise TarnhelmError(errors.TOO_MANY_ELEMENTS, limit=self.limits.max_elements)
        return found

    def _long(self, entry: Entry, pos: int, value: int, length: int, end: int, table: KeyTable, depth: int) -> Element:
        kind = entry.kind
        tag = entry.tag
        encoding = table.encoding
        if length != UNDEFINED:
            stop = value + length
            if stop > end:
                raise TarnhelmError(errors.TRUNCATED if depth == 0 else errors.BAD_LENGTH, tag=tag, offset=pos)
            if kind in (Kind.SEQUENCE, Kind.IMPLICIT_SEQUENCE):
                if stop > self.have:
                    raise _Short
                items, _ = self._items(value, stop, False, table, tag, depth)
                return Element(entry, pos, value, stop, stop, items, False, encoding)
            return Element(entry, pos, value, stop, stop, None, False, encoding)
        if kind == Kind.BULK or (tag == PIXEL_DATA and kind in (Kind.IMPLICIT, Kind.UNKNOWN)):
            value_end, stop = self._fragments(value, end, encoding, tag)
            return Element(entry, pos, value, value_end, stop, None, True, encoding)
        if kind in (Kind.LONG, Kind.SHORT):
            raise TarnhelmError(errors.BAD_LENGTH, tag=tag, offset=pos)
        if kind == Kind.UNKNOWN:
            # A sequence of unknown VR is written as Implicit VR Little Endian, whatever is around it (CP-246).
            encoding = Encoding.IMPLICIT_LITTLE
            inner = table.nested(tag, encoding)
            items, stop = self._items(value, end, True, inner, tag, depth, nested=inner)
        else:
            items, stop = self._items(value, end, True, table, tag, depth)
        return Element(entry, pos, value, stop - 8, stop, items, True, encoding)

    def unknown_items(self, element: Element, table: KeyTable, depth: int) -> list[Item] | None:
        """Read a UN value of defined length as a sequence; ``None`` where it is none.

        A tag that the dictionary calls a sequence may arrive as UN (PS3.5 §6.2.2 note 3); inside it is
        Implicit VR Little Endian.
        """
        inner = table.nested(element.entry.tag, Encoding.IMPLICIT_LITTLE)
        try:
            items, _ = self._items(
                element.value, element.value_end, False, inner, element.entry.tag, depth, nested=inner
            )
        except (TarnhelmError, _Short):
            return None
        return items

    def _items(
        self,
        pos: int,
        end: int,
        undefined: bool,
        table: KeyTable,
        tag: int,
        depth: int,
        nested: KeyTable | None = None,
    ) -> tuple[list[Item], int]:
        if depth >= self.limits.max_depth:
            raise TarnhelmError(errors.TOO_DEEP, limit=self.limits.max_depth)
        inner = nested if nested is not None else table.nested(tag, table.encoding)
        buf = self.buffer
        big = inner.encoding is Encoding.EXPLICIT_BIG
        order = "big" if big else "little"
        item_tag = b"\xff\xfe\xe0\x00" if big else b"\xfe\xff\x00\xe0"
        stop_tag = b"\xff\xfe\xe0\xdd" if big else b"\xfe\xff\xdd\xe0"
        items: list[Item] = []
        while pos < end:
            content = pos + 8
            if content > end:
                raise TarnhelmError(errors.BAD_SEQUENCE, tag=tag, offset=pos)
            if content > self.have:
                raise _Short
            head = buf[pos : pos + 4]
            length = int.from_bytes(buf[pos + 4 : content], order)  # type: ignore[arg-type]
            if head == item_tag:
                if length != UNDEFINED:
                    stop = content + length
                    if stop > end:
                        raise TarnhelmError(errors.BAD_LENGTH, tag=tag, offset=pos)
                    if stop > self.have:
                        raise _Short
                    elements = self.walk(content, stop, inner, depth + 1) if length else []
                    items.append(Item(pos, content, stop, stop, elements, False))
                else:
                    elements, content_end, stop = self._undefined_item(content, end, inner, tag, depth + 1)
                    items.append(Item(pos, content, content_end, stop, elements, True))
                pos = stop
                self.elements_left -= 1
                if self.elements_left < 0:
                    raise TarnhelmError(errors.TOO_MANY_ELEMENTS, limit=self.limits.max_elements)
            elif head == stop_tag and undefined:
                if length:
                    raise TarnhelmError(errors.BAD_SEQUENCE, tag=tag, offset=pos)
                return items, content
            else:
                raise TarnhelmError(errors.BAD_SEQUENCE, tag=tag, offset=pos)
        if undefined:
            raise TarnhelmError(errors.TRUNCATED, tag=tag, offset=pos)
        return items, pos

    def _undefined_item(
        self, pos: int, end: int, table: KeyTable, tag: int, depth: int
    ) -> tuple[list[Element], int, int]:
        """Walk an item of undefined length: element by element, until its delimiter."""
        buf = self.buffer
        big = table.encoding is Encoding.EXPLICIT_BIG
        stop_tag = b"\xff\xfe\xe0\x0d" if big else b"\xfe\xff\x0d\xe0"
        found: list[Element] = []
        last = -1
        while True:
            if pos + 8 > end:
                raise TarnhelmError(errors.TRUNCATED, tag=tag, offset=pos)
            if pos + 8 > self.have:
                raise _Short
            if buf[pos : pos + 4] == stop_tag:
                if buf[pos + 4 : pos + 8] != b"\0\0\0\0":
                    raise TarnhelmError(errors.BAD_SEQUENCE, tag=tag, offset=pos)
                return found, pos, pos + 8
            element = self._one(pos, end, table, depth)
            if element.entry.tag <= last:
                raise TarnhelmError(errors.BAD_ORDER, tag=element.entry.tag, offset=pos)
            last = element.entry.tag
            found.append(element)
            pos = element.end
            self.elements_left -= 1
            if self.elements_left < 0:
                raise TarnhelmError(errors.TOO_MANY_ELEMENTS, limit=self.limits.max_elements)

    def one(self, pos: int, end: int, table: KeyTable) -> Element:
        """Read the one top-level element at ``pos``, with all that is in it; raises as :meth:`walk` does."""
        try:
            return self._one(pos, end, table, 0)
        except _Short:
            if self.have < self.total:
                raise NeedMore from None
            raise TarnhelmError(errors.TRUNCATED, tag=0, offset=self.have) from None

    def _one(self, pos: int, end: int, table: KeyTable, depth: int) -> Element:
        """Read the one element at ``pos``."""
        buf = self.buffer
        encoding = table.encoding
        if encoding is Encoding.IMPLICIT_LITTLE:
            entry = table[buf[pos : pos + 4]]
            value = pos + 8
            length = int.from_bytes(buf[pos + 4 : value], "little")
        else:
            order = "big" if encoding is Encoding.EXPLICIT_BIG else "little"
            try:
                entry = table[buf[pos : pos + 6]]
            except _BadVr:
                raise TarnhelmError(errors.BAD_VR, offset=pos) from None
            if entry.kind == Kind.SHORT:
                value = pos + 8
                length = int.from_bytes(buf[pos + 6 : value], order)  # type: ignore[arg-type]
            else:
                value = pos + 12
                if value > self.have:
                    raise _Short
                length = int.from_bytes(buf[pos + 8 : value], order)  # type: ignore[arg-type]
        if length != UNDEFINED and entry.kind not in (Kind.SEQUENCE, Kind.IMPLICIT_SEQUENCE):
            stop = value + length
            if stop > end:
                raise TarnhelmError(errors.BAD_LENGTH, tag=entry.tag, offset=pos)
            if stop > self.have:
                raise _Short
            return Element(entry, pos, value, stop, stop, None, False, encoding)
        return self._long(entry, pos, value, length, end, table, depth)

    def _fragments(self, pos: int, end: int, encoding: Encoding, tag: int) -> tuple[int, int]:
        """Step over encapsulated fragments; returns where the delimiter starts and where it ends."""
        if encoding is Encoding.EXPLICIT_BIG:
            raise TarnhelmError(errors.BAD_FRAGMENTS)
        buf = self.buffer
        left = self.limits.max_frames + 1
        while pos + 8 <= end:
            if pos + 8 > self.have:
                raise _Short
            head = buf[pos : pos + 4]
            length = int.from_bytes(buf[pos + 4 : pos + 8], "little")
            if head == b"\xfe\xff\x00\xe0" and length != UNDEFINED:
                pos += 8 + length
                left -= 1
                if left < 0:
                    raise TarnhelmError(
                        errors.TOO_MANY_FRAMES, seen=self.limits.max_frames + 1, limit=self.limits.max_frames
                    )
            elif head == b"\xfe\xff\xdd\xe0" and length == 0:
                return pos, pos + 8
            else:
                raise TarnhelmError(errors.BAD_FRAGMENTS)
        raise TarnhelmError(errors.TRUNCATED, tag=tag, offset=pos)


@dataclass(frozen=True, slots=True)
class FileStart:
    """Where the data set of a file begins and how it is written.

    Attributes
    ----------
    dataset
        Byte position of the first element of the data set.
    syntax
        Transfer Syntax UID; of a file without meta information the one that the bytes show.
    encoding
        Encoding of the data set (after inflating, where ``deflated``).
    meta
        Elements of group 0002 by tag → (start, end) of the value; empty where there is none.
    preamble
        The file has the 128 bytes and ``DICM``.
    """

    dataset: int
    syntax: str
    encoding: Encoding
    deflated: bool
    meta: dict[int, tuple[int, int]]
    preamble: bool


def read_start(buffer: type_buffer, known_syntaxes: frozenset[str]) -> FileStart:
    """Read the preamble and the file meta information (PS3.10 §7.1).

    Files without preamble, without ``DICM`` or without meta information are common in old archives; they are
    read where the first element says clearly what it is.

    Raises
    ------
    TarnhelmError
        ``DCM-001`` not DICOM, ``DCM-002`` a DICOMDIR, ``DCM-008`` unknown syntax, ``DCM-009`` damaged meta.
    """
    if len(buffer) < 8:
        raise TarnhelmError(errors.NOT_DICOM)
    preamble = buffer[128:132] == b"DICM"
    start = 132 if preamble else (4 if buffer[:4] == b"DICM" else 0)
    meta, pos = _read_meta(buffer, start)
    if not meta:
        if preamble and buffer[start : start + 2] == b"\x02\x00":
            raise TarnhelmError(errors.BAD_META)
        return _guess(buffer, start, preamble=preamble)
    raw = meta.get(0x00020010)
    if raw is None:
        return _guess(buffer, pos, preamble=preamble, meta=meta)
    syntax = buffer[raw[0] : raw[1]].rstrip(b"\0 ").decode("ascii", "replace")
    sop_class = meta.get(0x00020002)
    if sop_class and buffer[sop_class[0] : sop_class[1]].rstrip(b"\0 ") == b"1.2.840.10008.1.3.10":
        raise TarnhelmError(errors.DICOMDIR)
    if syntax not in known_syntaxes:
        raise TarnhelmError(errors.UNKNOWN_SYNTAX)
    encoding = Encoding.EXPLICIT_LITTLE
    if syntax == IMPLICIT_LITTLE:
        encoding = Encoding.IMPLICIT_LITTLE
    elif syntax == EXPLICIT_BIG:
        encoding = Encoding.EXPLICIT_BIG
    deflated = syntax == DEFLATED or syntax in JPIP_DEFLATED
    return FileStart(pos, syntax, encoding, deflated, meta, preamble)


def _read_meta(buffer: type_buffer, pos: int) -> tuple[dict[int, tuple[int, int]], int]:
    """Elements of group 0002, which are always Explicit VR Little Endian."""
    meta: dict[int, tuple[int, int]] = {}
    total = len(buffer)
    last = -1
    while True:
        head = buffer[pos : pos + 8]
        if head[:2] != b"\x02\x00":
            return meta, pos
        if len(head) < 8:
            raise TarnhelmError(errors.BAD_META)
        tag = 0x00020000 | head[2] | head[3] << 8
        vr = head[4:6]
        if vr in _SHORT_VRS:
            value = pos + 8
            length = head[6] | head[7] << 8
        elif vr in _LONG_VRS:
            value = pos + 12
            length = int.from_bytes(buffer[pos + 8 : value], "little")
        else:
            raise TarnhelmError(errors.BAD_META)
        stop = value + length
        if tag <= last or length == UNDEFINED or stop > total or len(meta) > 64:
            raise TarnhelmError(errors.BAD_META)
        last = tag
        meta[tag] = (value, stop)
        pos = stop


def _guess(
    buffer: type_buffer, pos: int, *, preamble: bool, meta: dict[int, tuple[int, int]] | None = None
) -> FileStart:
    """Find out how a data set without a named syntax is written: by its first element, group 0008 as a rule."""
    head = bytes(buffer[pos : pos + 8])
    if len(head) < 8:
        raise TarnhelmError(errors.NOT_DICOM if not preamble else errors.BAD_META)
    vr = head[4:6]
    explicit = vr in _SHORT_VRS or vr in _LONG_VRS or vr == b"SQ"
    little = int.from_bytes(head[:2], "little")
    big = int.from_bytes(head[:2], "big")
    plausible = {0x0008, 0x0004, 0x0010} if not preamble else set(range(0x0004, 0x0040, 2))
    if little in plausible and explicit:
        encoding, syntax = Encoding.EXPLICIT_LITTLE, EXPLICIT_LITTLE
    elif big in plausible and explicit:
        encoding, syntax = Encoding.EXPLICIT_BIG, EXPLICIT_BIG
    elif little in plausible and int.from_bytes(head[4:8], "little") <= len(buffer) - pos - 8:
        encoding, syntax = Encoding.IMPLICIT_LITTLE, IMPLICIT_LITTLE
    else:
        raise TarnhelmError(errors.NOT_DICOM if not preamble else errors.BAD_META)
    if little == 0x0004 and not preamble:
        raise TarnhelmError(errors.DICOMDIR)
    return FileStart(pos, syntax, encoding, deflated=False, meta=meta or {}, preamble=preamble)
