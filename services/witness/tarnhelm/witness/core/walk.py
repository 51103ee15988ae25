"""The witness's own walk over the bytes of a DICOM file (PS3.5 section 7, PS3.10 section 7).

One bounded pass turns a file into flat tuples, no object per element: the same walk serves the source (tolerant of
disorder, since nothing of it is released) and the result (strict: every byte must belong to an element, every length
must fit, tags must ascend). It shares no line with the walker of the rewriter, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.witness.core.elements import IDENTIFIER_TAGS, LONG_VRS, PIXEL_TAGS, SHORT_VRS, TEXT_VRS, vr_of

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits

__all__ = ["Buffer", "Container", "Element", "Fault", "Parsed", "walk"]

Buffer = bytes | mmap.mmap
Element = tuple[int, bytes, int, int, int]
"""tag, VR, first byte of the value, bytes of the value, container."""

UNDEFINED: Final = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_LITTLE: Final = b"\xfe\xff\x00\xe0"
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_IMPLICIT: Final = b"1.2.840.10008.1.2"
_BIG_ENDIAN: Final = b"1.2.840.10008.1.2.2"
EXPLICIT_LITTLE: Final = b"1.2.840.10008.1.2.1"
PLAIN_SYNTAXES: Final = frozenset({_IMPLICIT, EXPLICIT_LITTLE, _BIG_ENDIAN})
"""Native and not deflated: what a data set without meta information may be written in."""
_NATIVE: Final = frozenset({_IMPLICIT, EXPLICIT_LITTLE, _BIG_ENDIAN, _DEFLATED})
_INFLATE_STEP: Final = 1 << 20
_NAMED: Final = frozenset({b"DA", b"DT", b"PN", b"UI"})
_NOTED: Final = frozenset({*IDENTIFIER_TAGS, 0x00080005})
_PLAIN, _TEXT, _CODED, _ALWAYS = 1, 2, 3, 4
_SHORT: Final = {
    vr: _ALWAYS if vr in _NAMED else _TEXT if vr in TEXT_VRS else _CODED if vr in {b"AE", b"CS"} else _PLAIN
    for vr in SHORT_VRS
}
"""How a short VR is noted: never, when it is text, when its attribute identifies, always (person names are both)."""
_HEADS: Final = {little: tuple(struct.Struct(order + form).unpack_from for form in ("HH2sH", "HHI", "I"))
                 for little, order in ((True, "<"), (False, ">"))}  # fmt: skip


class Fault(Exception):  # noqa: N818 - a fault of the file, not of the program
    """The bytes are not a well-formed object; ``reason`` is a word of a closed list, ``position`` a tag or region."""

    def __init__(self, reason: str, position: str = "") -> None:
        self.reason = reason
        self.position = position
        super().__init__(reason)


@dataclass(slots=True)
class Container:
    """The data set (number 0), the file meta (number 1) or one item of a sequence."""

    path: tuple[int, ...]
    parent: int


@dataclass(slots=True)
class Parsed:
    """A walked file.

    Attributes
    ----------
    buf
        The file; of a deflated one the file's head followed by the inflated data set, so that offsets are uniform.
    elements
        All elements in the order of the bytes, sequences themselves included (with length 0), the file meta's first.
    containers
        What the last member of each element tuple counts into.
    data_start
        First byte of the data set.
    pixel
        The top-level pixel data: tag, first byte, bytes; encapsulated ones from the first item to the delimiter.
    fragments
        (first byte, bytes) of every item of encapsulated pixel data, the offset table first.
    named
        The elements that may identify somebody, and every Specific Character Set.
    texts
        The elements whose bytes follow Specific Character Set.
    top
        The elements of the data set itself, by tag; of a source's duplicates the last.
    trailing
        First byte after the data set; equal to the file's size when nothing follows.
    """

    buf: Buffer
    elements: list[Element] = field(default_factory=list)
    containers: list[Container] = field(default_factory=lambda: [Container((), -1), Container((), -1)])
    syntax: bytes = b""
    has_meta: bool = False
    little: bool = True
    explicit: bool = True
    encapsulated: bool = False
    data_start: int = 0
    end: int = 0
    pixel: tuple[int, int, int] | None = None
    fragments: list[tuple[int, int]] | None = None
    trailing: int = 0
    named: list[Element] = field(default_factory=list)
    texts: list[Element] = field(default_factory=list)
    top: dict[int, Element] = field(default_factory=dict)

    def value(self, tag: int, container: int = 0) -> bytes | None:
        """Return the raw value of an attribute of one container, None where it is absent."""
        if not container:
            found = self.top.get(tag)
            return None if found is None else bytes(self.buf[found[2] : found[2] + found[3]])
        for element in self.elements:
            if element[0] == tag and element[4] == container:
                return bytes(self.buf[element[2] : element[2] + element[3]])
        return None


class _Walker:
    """State of one walk."""

    def __init__(self, parsed: Parsed, limits: Limits, *, strict: bool) -> None:
        self.parsed = parsed
        self.limits = limits
        self.strict = strict

    def data_set(self, pos: int, end: int, container: int, depth: int, *, explicit: bool, open_ended: bool) -> int:
        """Walk elements from ``pos``; return the first byte after the set (after its delimiter, if it has one)."""
        parsed, strict = self.parsed, self.strict
        buf, out = parsed.buf, parsed.elements
        append = out.append
        note, note_text = parsed.named.append, parsed.texts.append
        top = parsed.top if not container else {}
        short, plain, long = _HEADS[parsed.little]
        noted, shorts, longs = _NOTED, _SHORT, LONG_VRS
        limit = self.limits.max_elements
        many = (end - pos) >> 3 > limit - len(out)
        last = -1
        while pos < end:
            if explicit:
                group, element, vr, length = short(buf, pos)
                tag = group << 16 | element
                start = pos + 8
                manner = shorts.get(vr)
                if manner is not None:
                    # The common case, written out: most of the witness's time is spent in these lines.
                    pos = start + length
                    if pos > end:
                        raise Fault("length", f"{tag:08X}")
                    top[tag] = row = (tag, vr, start, length, container)
                    append(row)
                    if strict and (tag <= last or length & 1):
                        raise Fault("order" if tag <= last else "odd-length", f"{tag:08X}")
                    last = tag
                    if manner != _PLAIN and length:
                        if manner == _ALWAYS or tag in noted:
                            note(row)
                        if manner == _TEXT or vr == b"PN":
                            note_text(row)
                    if many and len(out) > limit:
                        raise Fault("elements", f"{tag:08X}")
                    continue
                if group == 0xFFFE:
                    (length,) = long(buf, pos + 4)
                elif vr in longs or (vr.isalpha() and vr.isupper() and not strict):
                    (length,) = long(buf, start)
                    start += 4
                else:
                    raise Fault("vr", f"{tag:08X}")
            else:
                group, element, length = plain(buf, pos)
                tag = group << 16 | element
                start = pos + 8
                vr = vr_of(tag)
            if group == 0xFFFE:
                if open_ended and tag == ITEM_END:
                    if length:
                        raise Fault("delimiter", f"{tag:08X}")
                    return int(start)
                raise Fault("stray-item", f"{tag:08X}")
            if tag <= last and strict:
                raise Fault("order", f"{tag:08X}")
            last = tag
            if length == UNDEFINED:
                top[tag] = row = (tag, vr, start, 0, container)
                append(row)
                if tag in PIXEL_TAGS and not container and parsed.encapsulated:
                    pos = self._fragments(tag, start, end)
                elif tag in PIXEL_TAGS and container and parsed.encapsulated and not strict:
                    # A picture inside the source's header (an icon): stepped over; a result may hold none.
                    held = parsed.fragments, parsed.pixel
                    pos = self._fragments(tag, start, end)
                    parsed.fragments, parsed.pixel = held
                elif vr in {b"SQ", b"UN"}:
                    inner = explicit and vr == b"SQ"
                    pos = self._sequence(tag, start, end, container, depth, explicit=inner, open_ended=True)
                else:
                    raise Fault("undefined-length", f"{tag:08X}")
            else:
                pos = start + length
                if pos > end:
                    raise Fault("length", f"{tag:08X}")
                if strict and length & 1:
                    raise Fault("odd-length", f"{tag:08X}")
                if vr == b"SQ":
                    top[tag] = row = (tag, vr, start, 0, container)
                    append(row)
                    self._sequence(tag, start, pos, container, depth, explicit=explicit, open_ended=False)
                else:
                    if tag in PIXEL_TAGS and not container:
                        parsed.pixel = (tag, start, length)
                    top[tag] = row = (tag, vr, start, length, container)
                    append(row)
                    if length and (vr in _NAMED or tag in noted):
                        note(row)
                    if length and vr in TEXT_VRS:
                        note_text(row)
                    if vr == b"UN" and length >= 8 and buf[start : start + 4] == _ITEM_LITTLE:
                        self._hidden_sequence(tag, start, pos, container, depth)
            if len(out) > limit:
                raise Fault("elements", f"{tag:08X}")
        if last >= 0xFFFE0000:
            raise Fault("stray-item", f"{last:08X}")
        if pos != end or open_ended:
            raise Fault("truncated", "")
        return pos

    def _hidden_sequence(self, tag: int, start: int, end: int, container: int, depth: int) -> None:
        """Look into an UN value that begins like an item; what is none after all stays an opaque value."""
        parsed = self.parsed
        lists: tuple[list[Any], ...] = (parsed.elements, parsed.containers, parsed.named, parsed.texts)
        marks = [len(rows) for rows in lists]
        little, parsed.little = parsed.little, True
        strict, self.strict = self.strict, False
        try:
            self._sequence(tag, start, end, container, depth, explicit=False, open_ended=False)
        except (Fault, struct.error):
            for rows, mark in zip(lists, marks, strict=True):
                del rows[mark:]
        finally:
            parsed.little, self.strict = little, strict

    def _sequence(
        self, tag: int, pos: int, end: int, container: int, depth: int, *, explicit: bool, open_ended: bool
    ) -> int:
        if depth >= self.limits.max_depth:
            raise Fault("depth", f"{tag:08X}")
        parsed = self.parsed
        buf = parsed.buf
        head = struct.Struct("<HHI" if parsed.little else ">HHI").unpack_from
        path = (*parsed.containers[container].path, tag)
        while pos < end:
            group, element, length = head(buf, pos)
            mark = group << 16 | element
            pos += 8
            if mark == SEQUENCE_END and open_ended:
                if length:
                    raise Fault("delimiter", f"{mark:08X}")
                return pos
            if mark != ITEM:
                raise Fault("not-an-item", f"{tag:08X}")
            parsed.containers.append(Container(path, container))
            if len(parsed.containers) > self.limits.max_elements:
                raise Fault("elements", f"{tag:08X}")
            number = len(parsed.containers) - 1
            if length == UNDEFINED:
                pos = self.data_set(pos, end, number, depth + 1, explicit=explicit, open_ended=True)
            else:
                if pos + length > end:
                    raise Fault("length", f"{tag:08X}")
                pos = self.data_set(pos, pos + length, number, depth + 1, explicit=explicit, open_ended=False)
        if open_ended or pos != end:
            raise Fault("truncated", f"{tag:08X}")
        return pos

    def _fragments(self, tag: int, start: int, end: int) -> int:
        parsed = self.parsed
        head = struct.Struct("<HHI" if parsed.little else ">HHI").unpack_from
        found: list[tuple[int, int]] = []
        pos = start
        while True:
            group, element, length = head(parsed.buf, pos)
            pos += 8
            if group << 16 | element == SEQUENCE_END:
                if length:
                    raise Fault("delimiter", f"{tag:08X}")
                break
            if group << 16 | element != ITEM or length == UNDEFINED or pos + length > end:
                raise Fault("fragments", f"{tag:08X}")
            if length & 1 and self.strict:
                raise Fault("odd-length", f"{tag:08X}")
            found.append((pos, length))
            if len(found) > self.limits.max_frames + 1:
                raise Fault("frames", f"{tag:08X}")
            pos += length
        if not found:
            raise Fault("fragments", f"{tag:08X}")
        parsed.fragments = found
        parsed.pixel = (tag, start, pos - start)
        return pos


def _inflate(buf: Buffer, start: int, limits: Limits) -> tuple[bytes, bytes]:
    """Inflate the data set (PS3.5 A.5), bounded in bytes and in ratio; also return what stands after the stream."""
    packed = bytes(buf[start:])
    bound = min(limits.max_inflated_bytes, max(len(packed) * limits.max_inflate_ratio, 1 << 20))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    total = 0
    pending = packed
    try:
        while pending and not stream.eof:
            part = stream.decompress(pending, _INFLATE_STEP)
            total += len(part)
            if total > bound:
                raise Fault("inflates-too-far")
            parts.append(part)
            pending = stream.unconsumed_tail
    except zlib.error:
        raise Fault("deflate") from None
    if not stream.eof:
        raise Fault("deflate")
    return b"".join(parts), stream.unused_data


def _meta(parsed: Parsed, walker: _Walker, pos: int, end: int) -> int:
    """Walk group 2, always explicit little endian (PS3.10 7.1); return where the data set begins."""
    buf = parsed.buf
    stop = pos
    while stop + 8 <= end and buf[stop : stop + 2] == b"\x02\x00":
        vr = bytes(buf[stop + 4 : stop + 6])
        if vr in LONG_VRS:
            (length,) = struct.unpack_from("<I", buf, stop + 8)
            stop += 12 + length
        elif vr in SHORT_VRS:
            (length,) = struct.unpack_from("<H", buf, stop + 6)
            stop += 8 + length
        else:
            raise Fault("meta")
    if stop > end:
        raise Fault("meta")
    walker.data_set(pos, stop, 1, 0, explicit=True, open_ended=False)
    return stop


def _looks_explicit(buf: Buffer, pos: int) -> bool:
    vr = bytes(buf[pos + 4 : pos + 6])
    return vr in SHORT_VRS or vr in LONG_VRS


def walk(buf: Buffer, limits: Limits, *, strict: bool) -> Parsed:
    """Walk a whole file.

    Parameters
    ----------
    buf
        The file's bytes.
    strict
        For the result: file meta wanted, tags ascending, lengths even, nothing left over. The source is read with more
        patience: disorder, odd lengths and rubbish after the pixel data are looked over, not refused.

    Raises
    ------
    Fault
        The bytes are no well-formed object, or exceed a limit.
    """
    parsed = Parsed(buf)
    walker = _Walker(parsed, limits, strict=strict)
    size = len(buf)
    if size > limits.max_object_bytes:
        raise Fault("object-too-large")
    try:
        pos = 132 if buf[128:132] == b"DICM" else 0
        if strict and not pos:
            raise Fault("preamble", "preamble")
        parsed.has_meta = pos > 0 or buf[:2] == b"\x02\x00"
        if parsed.has_meta:
            pos = _meta(parsed, walker, pos, size)
            parsed.syntax = (parsed.value(0x00020010, 1) or b"").rstrip(b"\0 ")
        return _body(parsed, walker, pos, limits)
    except struct.error:
        raise Fault("truncated") from None


def _body(parsed: Parsed, walker: _Walker, pos: int, limits: Limits) -> Parsed:
    buf = parsed.buf
    if parsed.syntax == _DEFLATED:
        data, rest = _inflate(buf, pos, limits)
        if walker.strict and rest not in {b"", b"\0"}:
            raise Fault("trailing", "trailing")
        parsed.buf = buf = bytes(buf[:pos]) + data
    if parsed.syntax:
        parsed.explicit = parsed.syntax != _IMPLICIT
        parsed.little = parsed.syntax != _BIG_ENDIAN
        parsed.encapsulated = parsed.syntax not in _NATIVE
    else:
        parsed.explicit = _looks_explicit(buf, pos)
    parsed.data_start, parsed.end = pos, len(buf)
    parsed.trailing = parsed.end
    try:
        walker.data_set(pos, parsed.end, 0, 0, explicit=parsed.explicit, open_ended=False)
    except (Fault, struct.error):
        if walker.strict or parsed.pixel is None:
            raise
        parsed.trailing = _after_pixels(parsed)
    return parsed


def _after_pixels(parsed: Parsed) -> int:
    """Forget what was half read after the pixel data of a source: rubbish that no viewer shows."""
    _, start, length = parsed.pixel or (0, 0, 0)
    parsed.elements = [element for element in parsed.elements if element[2] <= start]
    parsed.named = [element for element in parsed.named if element[2] <= start]
    parsed.top = {tag: element for tag, element in parsed.top.items() if element[2] <= start}
    return start + length
