"""Layouts: what the slices of a series have in common, so that a slice costs what is different in it.

Two files have the same layout when they differ only inside the values of elements: same tags, same VRs, same
lengths, in the same places. Then the positions found for the first hold for the second, and everything that was
decided for an unchanged value is decided for it. One vectorised comparison of the two heads tells; whatever is not
plainly the same layout is walked from the beginning.

A difference in any byte that carries structure (a tag, a VR, a length, an item, a delimiter), in the SOP class, the
transfer syntax or a character set is another layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tarnhelm.metadata.core.operations import OperationCode
from tarnhelm.metadata.core.scan import Scan, scan_elements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tarnhelm.common.dicom.header import Element
    from tarnhelm.metadata.core.parse import Parsed
    from tarnhelm.metadata.core.source import Source

__all__ = ["Layout", "LayoutCache"]

_PIXEL_DATA: Final = 0x7FE00010
#: A change in these makes another object of it, not another slice.
_FIXED: Final = frozenset({0x00080005, 0x00080016, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011,
                           0x00280100, 0x00280101, 0x00280102, 0x00280103})  # fmt: skip
_META_FIXED: Final = frozenset({0x00020000, 0x00020002, 0x00020010})
#: More changed values than this, and the file is walked itself.
_MOST_CHANGED: Final = 64


class Layout:
    """The layout of one object that was walked.

    Attributes
    ----------
    parsed
        The object it was taken from; its scan is not used for other objects, its positions are.
    written
        Room for the writer: what it made of the unchanged elements, by (changed, context, outcomes).
    """

    def __init__(self, head: bytes, end: int, parsed: Parsed) -> None:
        self.parsed = parsed
        self.end = end
        self.size = len(parsed.view)
        self.written: dict[tuple[Any, ...], Any] = {}
        self._bytes: NDArray[np.uint8] = np.frombuffer(head, np.uint8, end).copy()
        starts, stops, owners = _places(parsed, end)
        self._starts: NDArray[np.int64] = np.array(starts, np.int64)
        self._stops: NDArray[np.int64] = np.array(stops, np.int64)
        self._owners: NDArray[np.int64] = np.array(owners, np.int64)
        self._unchanged: dict[tuple[int, ...], Scan] = {}

    def changed(self, head: bytes) -> tuple[int, ...] | None:
        """Return the top-level elements in which another head differs, ``None`` where it has another layout."""
        differences = np.flatnonzero(np.frombuffer(head, np.uint8, self.end) != self._bytes)
        if not differences.size:
            return ()
        places = np.searchsorted(self._starts, differences, "right") - 1
        if places[0] < 0 or (differences >= self._stops[places]).any():
            return None
        owners: list[int] = np.unique(self._owners[places]).tolist()
        if len(owners) > _MOST_CHANGED:
            return None
        return tuple(owner for owner in owners if owner >= 0)

    def scan(self, buffer: bytes, changed: tuple[int, ...]) -> Scan:
        """Return the scan of an object with this layout: what did not change, and the changed elements anew."""
        elements = self.parsed.elements
        base = self.unchanged(changed)
        charset = base.facts.get(0x00080005, b"")
        fresh = scan_elements(buffer, [elements[index] for index in changed], _as_it_is, charset)
        return base.joined(fresh)

    def unchanged(self, changed: tuple[int, ...]) -> Scan:
        """Return the scan of all elements but the changed ones."""
        found = self._unchanged.get(changed)
        if found is None:
            if len(self._unchanged) >= 32:
                self._unchanged.clear()
            left = set(changed)
            rest = [element for index, element in enumerate(self.parsed.elements) if index not in left]
            found = self._unchanged[changed] = scan_elements(self.parsed.buffer, rest, _as_it_is)
        return found


class LayoutCache:
    """The layouts of the last few series, by file size."""

    _MOST_SIZES: Final = 16
    _MOST_PER_SIZE: Final = 4

    def __init__(self) -> None:
        self._by_size: dict[int, list[Layout]] = {}

    def find(self, source: Source) -> tuple[Layout, tuple[int, ...]] | None:
        """Find a layout that an object fits."""
        for layout in self._by_size.get(len(source.view), ()):
            if len(source.head) < layout.end:
                continue
            changed = layout.changed(source.head)  # type: ignore[arg-type]
            if changed is not None:
                return layout, changed
        return None

    def remember(self, source: Source, parsed: Parsed) -> None:
        """Keep the layout of an object that was walked, where its header lies in the head and ends with pixels."""
        end = _header_end(parsed)
        if not isinstance(source.head, bytes) or end == 0 or end > len(source.head) or parsed.trailing:
            return
        layouts = self._by_size.setdefault(len(source.view), [])
        layouts.insert(0, Layout(source.head, end, parsed))
        del layouts[self._MOST_PER_SIZE :]
        while len(self._by_size) > self._MOST_SIZES:
            del self._by_size[next(iter(self._by_size))]


def _as_it_is(element: Element) -> Element:
    return element


def _header_end(parsed: Parsed) -> int:
    """Where native pixel data that end the object begin; 0 where the object is not of that form."""
    if not parsed.elements or parsed.start.deflated:
        return 0
    last = parsed.elements[-1]
    if last.entry.tag != _PIXEL_DATA or last.undefined or last.end != len(parsed.view):
        return 0
    return last.value


def _places(parsed: Parsed, end: int) -> tuple[list[int], list[int], list[int]]:
    """Ranges of bytes in which objects of one layout may differ, ascending, and the top-level element of each.

    The owner is -1 for bytes that are written anew whatever they are: the preamble and the meta information.
    """
    ranges: list[tuple[int, int, int]] = []
    if parsed.start.preamble:
        ranges.append((0, 128, -1))
    ranges.extend(
        (value, stop, -1) for tag, (value, stop) in parsed.start.meta.items() if tag not in _META_FIXED and stop > value
    )
    for index, element in enumerate(parsed.elements):
        ranges.extend((value, stop, index) for value, stop in _leaves(element) if stop <= end)
    ranges.sort()
    return [one[0] for one in ranges], [one[1] for one in ranges], [one[2] for one in ranges]


def _leaves(element: Element) -> Iterator[tuple[int, int]]:
    if element.items is not None:
        for item in element.items:
            for inner in item.elements:
                yield from _leaves(inner)
        return
    operation = element.entry.payload
    if element.entry.tag in _FIXED or operation.code in (OperationCode.PRIVATE, OperationCode.CODE_MEANING):
        return
    if element.value_end > element.value and element.entry.tag != _PIXEL_DATA:
        yield element.value, element.value_end
