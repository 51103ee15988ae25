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
from typing import Final, NamedTuple

from tarnhelm.common import errors
from tarnhelm.common.dicom.file_start import FileStart, read_start
from tarnhelm.common.dicom.key_table import PIXEL_DATA, Encoding, Entry, HeaderCut, KeyTable, Kind, UnknownVr
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "PIXEL_DATA",
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

UNDEFINED: Final = 0xFFFFFFFF


class NeedMore(Exception):  # noqa: N818 - a request, not an error
    """The buffer holds only the head of the file and the walk has to go beyond it."""


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
        except HeaderCut:
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
            except UnknownVr:
                if pos + 6 > have:
                    raise HeaderCut from None
                entry = self._odd_vr(pos, end, table)
            kind = entry[0]
            tag = entry[1]
            if tag <= last:
                raise TarnhelmError(errors.BAD_ORDER, tag=tag, offset=pos)
            last = tag
            if kind == 0:
                value = pos + 8
                if value > have:
                    raise HeaderCut
                stop = value + (buf[pos + 6] | buf[pos + 7] << 8)
                if stop > end:
                    raise TarnhelmError(errors.TRUNCATED if depth == 0 else errors.BAD_LENGTH, tag=tag, offset=pos)
                append(new(Element, (entry, pos, value, stop, stop, None, False, 0)))
                pos = stop
            else:
                value = pos + 12
                if value > have:
                    raise HeaderCut
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
            except UnknownVr:
                if pos + 6 > self.have:
                    raise HeaderCut from None
                raise TarnhelmError(errors.BAD_VR, offset=pos) from None
            tag = entry.tag
            if tag <= last:
                raise TarnhelmError(errors.BAD_ORDER, tag=tag, offset=pos)
            last = tag
            if entry.kind == Kind.SHORT:
                value = pos + 8
                if value > self.have:
                    raise HeaderCut
                stop = value + int.from_bytes(buf[pos + 6 : value], "big")
                if stop > end:
                    raise TarnhelmError(errors.TRUNCATED if depth == 0 else errors.BAD_LENGTH, tag=tag, offset=pos)
                element = Element(entry, pos, value, stop, stop, None, False, 2)
            else:
                value = pos + 12
                if value > self.have:
                    raise HeaderCut
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
                raise HeaderCut
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
                    raise HeaderCut
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
        except (TarnhelmError, HeaderCut):
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
                raise HeaderCut
            head = buf[pos : pos + 4]
            length = int.from_bytes(buf[pos + 4 : content], order)  # type: ignore[arg-type]
            if head == item_tag:
                if length != UNDEFINED:
                    stop = content + length
                    if stop > end:
                        raise TarnhelmError(errors.BAD_LENGTH, tag=tag, offset=pos)
                    if stop > self.have:
                        raise HeaderCut
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
                raise HeaderCut
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
        except HeaderCut:
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
            except UnknownVr:
                raise TarnhelmError(errors.BAD_VR, offset=pos) from None
            if entry.kind == Kind.SHORT:
                value = pos + 8
                length = int.from_bytes(buf[pos + 6 : value], order)  # type: ignore[arg-type]
            else:
                value = pos + 12
                if value > self.have:
                    raise HeaderCut
                length = int.from_bytes(buf[pos + 8 : value], order)  # type: ignore[arg-type]
        if length != UNDEFINED and entry.kind not in (Kind.SEQUENCE, Kind.IMPLICIT_SEQUENCE):
            stop = value + length
            if stop > end:
                raise TarnhelmError(errors.BAD_LENGTH, tag=entry.tag, offset=pos)
            if stop > self.have:
                raise HeaderCut
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
                raise HeaderCut
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
