"""Layouts: what the slices of a series have in common, so that a slice costs what is different in it.

Two objects have the same layout when they hold the same top-level elements (tags, VRs) up to the pixels, and differ
in the values of a few of them only: UIDs, numbers, times, positions. Which ones, is learned from the first slices
that were walked. Of a later slice, the bytes between those elements are compared as they are, and only the elements
that usually differ, and what follows the header, are walked, scanned and made anew. Whatever is not plainly of a
known layout is walked from the beginning.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.dicom.header import PIXEL_DATA, Element, Encoding, Kind, Walker
from tarnhelm.metadata.core.rewriting.regions import REGION_TAGS, region_codes
from tarnhelm.metadata.core.rewriting.scan import Scan, scan_elements
from tarnhelm.metadata.core.rules.operations import OperationCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.metadata.core.rewriting.parse import Parsed

__all__ = ["Fit", "Layout", "LayoutCache"]

#: A change in these makes another object of it, not another slice.
_FIXED: Final = frozenset({0x00080005, 0x00080016, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011,
                           0x00280100, 0x00280101, 0x00280102, 0x00280103})  # fmt: skip
#: More changed elements than this, and the object is walked itself.
_MOST_CHANGED: Final = 64
#: Bytes; a longer header is walked itself, so that what is remembered stays small.
_LONGEST_HEADER: Final = 256 * 1024
_SERIES: Final = 0x0020000E
_SERIES_BYTES: Final = b"\x20\x00\x0e\x00"
#: Values before the pixels that are made from them (PS3.3 C.7.6.3.1.8).
_EXTENDED_OFFSETS: Final = frozenset({0x7FE00001, 0x7FE00002})


class Fit:
    """How one object fits a layout.

    Attributes
    ----------
    layout
        The layout.
    elements
        The elements that usually differ, at their places in this object, in the order of ``layout.changed``.
    end
        Where its Pixel Data begin.
    """

    __slots__ = ("elements", "end", "layout")

    def __init__(self, layout: Layout, elements: list[Element], end: int) -> None:
        self.layout = layout
        self.elements = elements
        self.end = end


class Layout:
    """The layout of one series: all of an object up to the pixels.

    Attributes
    ----------
    parsed
        The object it was taken from, its buffer cut at the pixels.
    elements
        Of that object's header, by position.
    changed
        Indices of the elements that usually differ.
    dropped
        Places in ``changed`` of private elements that go whatever they hold.
    unchanged
        The scan of all others.
    walked
        Elements and items of the header, of all levels.
    series
        Raw Series Instance UID, and the transfer syntax.
    written
        Room for the writer: what it made of the unchanged elements, by context and outcomes.
    """

    def __init__(
        self,
        data: bytes,
        end: int,
        parsed: Parsed,
        series: tuple[bytes, str],
        open_unknown: Callable[[Element], Element],
    ) -> None:
        self.series = series
        self._end = end
        # What follows the tag and VR of Pixel Data is not the header's.
        self._key_bytes = 4 if parsed.start.encoding is Encoding.IMPLICIT_LITTLE else 6
        self._probe = data[end : end + self._key_bytes]
        self.elements = [
            open_unknown(element) if element.entry.payload.code == OperationCode.SEQUENCE else element
            for element in parsed.elements
            if element.end <= end
        ]
        self._entries = [element.entry for element in self.elements]
        self.walked = parsed.walked
        self.parsed = replace(parsed, buffer=data[:end], view=memoryview(data[:end]), elements=self.elements)
        self.written: dict[tuple[Any, ...], Any]
        self.cover(())

    def fit(self, data: bytes, at: int, walker: Walker) -> Fit | None:
        """Find out whether an object whose data set begins at ``at`` is of this layout.

        Raises
        ------
        TarnhelmError
            Where one of the elements that usually differ is damaged.
        """
        found: list[Element] = []
        size = len(data)
        table = self.parsed.table
        for same, entry, short in self._gaps:
            if not data.startswith(same, at):
                return None
            at += len(same)
            if short:
                value = at + 2
                if value > size:
                    return None
                stop = value + (data[at] | data[at + 1] << 8)
                if stop > size:
                    return None
                element = Element(entry, at - 6, value, stop, stop, None, False, 0)
            else:
                element = walker.one(at - self._key_bytes, size, table)
            found.append(element)
            at = element[4]
        if not data.startswith(self._last, at):
            return None
        return Fit(self, found, at + len(self._last) - len(self._probe))

    def learn(self, parsed: Parsed) -> Layout | None:
        """Return this layout with what a walked object differs in; ``None`` where it has another layout.

        A layout that others were read by never changes: they are written later, and by it.
        """
        header = [element for element in parsed.elements if element[0][1] < PIXEL_DATA]
        # Entries are the table's own, so equal lists hold the same objects.
        if [element[0] for element in header] != self._entries:
            return None
        known, seen = self.parsed.buffer, parsed.buffer
        union = set(self.changed)
        for index, (mine, other) in enumerate(zip(self.elements, header, strict=True)):
            if index not in union and known[mine[1] : mine[4]] != seen[other[1] : other[4]]:
                if len(union) == _MOST_CHANGED or not self._may_differ(mine):
                    return None
                union.add(index)
        if len(union) == len(self.changed):
            return self
        wider = copy(self)
        wider.cover(tuple(sorted(union)))
        return wider

    def scan(self, buffer: bytes, fit: Fit, rest: list[Element], open_unknown: Callable[[Element], Element]) -> Scan:
        """Return the scan of an object with this layout: what did not change, and all else anew.

        Parameters
        ----------
        buffer, fit
            The object, and how it fits.
        rest
            Its elements from Pixel Data on.
        open_unknown
            As :func:`scan_elements` wants it.
        """
        anew = fit.elements
        if self.dropped:
            anew = [element for place, element in enumerate(anew) if place not in self.dropped]
        charset = self.unchanged.facts.get(0x00080005, b"")
        return self.unchanged.joined(scan_elements(buffer, anew + rest, open_unknown, charset))

    def regions_of(self, buffer: bytes, fit: Fit) -> tuple[str, ...]:
        """Return the codes of the anatomic regions of an object with this layout."""
        if not self._regions_differ:
            return self._regions
        return tuple(sorted({*self._regions, *region_codes(buffer, fit.elements)}))

    def cover(self, changed: tuple[int, ...]) -> None:
        """Take these as the elements that usually differ; only while the layout is being made."""
        self.changed = changed
        self.dropped = frozenset(
            place for place, index in enumerate(changed) if self._entries[index].payload.code == OperationCode.PRIVATE
        )
        self.written = {}
        left = set(changed)
        kept = [element for index, element in enumerate(self.elements) if index not in left]
        self.unchanged = scan_elements(self.parsed.buffer, kept, _as_it_is)
        self.unchanged.harvest_key()
        self._regions = region_codes(self.parsed.buffer, kept)
        self._regions_differ = any(self._entries[index].tag in REGION_TAGS for index in changed)
        buffer = self.parsed.buffer
        explicit = self.parsed.start.encoding is Encoding.EXPLICIT_LITTLE
        self._gaps = []
        at = self.parsed.start.dataset
        for index in changed:
            element = self.elements[index]
            same = buffer[at : element.start + self._key_bytes]
            short = explicit and element.entry.kind == Kind.SHORT
            self._gaps.append((same, element.entry, short))
            at = element.end
        self._last = buffer[at : self._end] + self._probe

    def _may_differ(self, element: Element) -> bool:
        """Whether the rules for all other elements stay as they are when this one has another value."""
        tag = element.entry.tag
        operation = element.entry.payload
        if operation.code != OperationCode.PRIVATE:
            return tag not in _FIXED and tag not in _EXTENDED_OFFSETS
        # Whether a block's creator stays depends on its elements, so only what goes in any case may differ.
        number = tag & 0xFFFF
        if number <= 0xFF or operation.harvest or operation.fact:
            return False
        creator = self._creator(tag)
        if creator is None:
            return True
        decided = self.parsed.table.private(tag, element.entry.vr, creator)
        return decided.condition is None and decided.code == OperationCode.DROP

    def _creator(self, tag: int) -> str | None:
        """Name of a private block's creator (PS3.5 §7.8.1); empty where it is not plain text."""
        wanted = tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8
        for element in self.elements:
            if element[0][1] == wanted:
                raw = self.parsed.buffer[element[2] : element[3]]
                return raw.decode("ascii").strip() if raw.isascii() else ""
        return None


@dataclass(frozen=True, slots=True)
class _First:
    """The first object of a series, until a second one comes."""

    data: bytes
    end: int
    parsed: Parsed


class LayoutCache:
    """The layouts of the last few series, the last one first.

    A layout is made when the second object of a series comes: single images cost nothing here.
    """

    _MOST: Final = 16
    _MOST_OF_A_SERIES: Final = 4
    _MOST_HINTS: Final = 256

    def __init__(self) -> None:
        self._layouts: list[Layout] = []
        self._firsts: dict[tuple[bytes, str], _First] = {}
        self._of_series: dict[bytes, Layout] = {}

    def find(self, data: bytes, dataset: int, syntax: str, walker: Walker) -> Fit | None:
        """Find a layout that an object fits: the last one of its series first, then the others."""
        hint = _hint(data, dataset)
        usual = self._of_series.get(hint)
        if usual is not None and usual.parsed.start.syntax == syntax:
            fit = usual.fit(data, dataset, walker)
            if fit is not None:
                return fit
        for place, layout in enumerate(self._layouts):
            if layout.parsed.start.syntax != syntax:
                continue
            fit = layout.fit(data, dataset, walker)
            if fit is not None:
                if place:
                    self._layouts.insert(0, self._layouts.pop(place))
                if len(self._of_series) >= self._MOST_HINTS:
                    self._of_series.clear()
                self._of_series[hint] = layout
                return fit
        return None

    def remember(self, data: bytes, parsed: Parsed, open_unknown: Callable[[Element], Element]) -> None:
        """Learn from an object that was walked, where it has pixels and a header of usual length."""
        end = _header_end(parsed)
        if not isinstance(data, bytes) or not 0 < end <= _LONGEST_HEADER:
            return
        self._of_series.clear()  # it keeps no layout that is dropped or widened here
        series = parsed.scan.facts.get(_SERIES, b""), parsed.start.syntax
        others = [layout for layout in self._layouts if layout.series == series]
        for layout in others:
            learned = layout.learn(parsed)
            if learned is not None:
                self._layouts[self._layouts.index(layout)] = learned
                return
        if len(others) == self._MOST_OF_A_SERIES:
            self._layouts.remove(others[-1])
        first = self._firsts.pop(series, None)
        if first is not None:
            layout = Layout(first.data, first.end, first.parsed, series, open_unknown)
            learned = layout.learn(parsed)
            self._layouts.insert(0, learned or layout)
            del self._layouts[self._MOST :]
            if learned is not None:
                return
        # Another kind of object of the same series, or the first one: the next may be like it.
        header = data[:end]
        self._firsts[series] = _First(data[: end + 6], end, replace(parsed, buffer=header, view=memoryview(header)))
        while len(self._firsts) > self._MOST:
            del self._firsts[next(iter(self._firsts))]


def _hint(data: bytes, dataset: int) -> bytes:
    """Return what looks like the Series Instance UID of an object. It only says which layout is tried first."""
    at = data.find(_SERIES_BYTES, dataset, dataset + _LONGEST_HEADER)
    head = data[at : at + 72] if at >= 0 else b""
    if len(head) < 8:
        return b""
    return head[8 : 8 + head[6]] if head[4:6] == b"UI" else head[8 : 8 + head[4]]


def _as_it_is(element: Element) -> Element:
    return element


def _header_end(parsed: Parsed) -> int:
    """Where Pixel Data begin; 0 where the object is not of that form."""
    if parsed.start.deflated or parsed.trailing:
        return 0
    end = 0
    for element in reversed(parsed.elements):
        tag = element[0][1]
        if tag == PIXEL_DATA:
            end = element[1]
        elif tag < PIXEL_DATA:
            return 0 if tag in _EXTENDED_OFFSETS else end
    return end
