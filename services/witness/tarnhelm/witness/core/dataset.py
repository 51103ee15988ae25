"""The witness's own walk over the elements of a data set (PS3.5 section 7).

One bounded pass serves the source (tolerant of disorder, since nothing of it is released) and the result (strict: every
byte must belong to an element, every length must fit, tags must ascend). It shares no line with the walker of the
rewriter, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.witness.core.elements import IDENTIFIER_TAGS, LONG_VRS, PIXEL_TAGS, SHORT_VRS, TEXT_VRS, vr_of
from tarnhelm.witness.core.parsed import Container, Fault, Parsed

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits

__all__ = ["HIDDEN_ITEM", "Walker"]

UNDEFINED: Final = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
HIDDEN_ITEM: Final = b"\xfe\xff\x00\xe0"
"""What a value of unknown representation begins with when it holds a sequence."""
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


class Walker:
    """State of one walk over ``parsed``, whose lists it fills."""

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
                    pos = self.fragments(tag, start, end)
                elif tag in PIXEL_TAGS and container and parsed.encapsulated and not strict:
                    # A picture inside the source's header (an icon): stepped over; a result may hold none.
                    held = parsed.fragments, parsed.pixel
                    pos = self.fragments(tag, start, end)
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
                    if vr == b"UN" and length >= 8 and buf[start : start + 4] == HIDDEN_ITEM:
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
        around = parsed.containers[container]
        path = (*around.path, tag)
        unbounded = open_ended and around.elastic
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
            elastic = unbounded and length == UNDEFINED
            parsed.containers.append(Container(path, container, explicit=explicit, elastic=elastic))
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

    def fragments(self, tag: int, start: int, end: int) -> int:
        """Step through the items of encapsulated pixel data (PS3.5 A.4); return the first byte after them."""
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
