"""Codes of the anatomic regions that an object names, for the gate (PS3.3 C.8.x, C.7.6.16.2.8, CID 4)."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.common.dicom.header import Element, Item

__all__ = ["REGION_TAGS", "region_codes"]

_ANATOMIC_REGION: Final = 0x00082218
#: The way to a region in an enhanced object: functional groups, shared and of each frame, then Frame Anatomy.
_ABOVE: Final = frozenset({0x00209071, 0x52009229, 0x52009230})
REGION_TAGS: Final = (_ANATOMIC_REGION, 0x52009229, 0x52009230)
_SCHEME: Final = 0x00080102
#: Code Value, Long Code Value, URN Code Value.
_VALUES: Final = frozenset({0x00080100, 0x00080119, 0x00080120})
_SNOMED: Final = frozenset({"SCT", "SRT", "SNM3", "99SDM"})


def region_codes(buffer: bytes, elements: list[Element]) -> tuple[str, ...]:
    """Give the code values of every Anatomic Region Sequence that describes the object or one of its frames.

    Parameters
    ----------
    buffer
        Bytes that the positions refer to.
    elements
        Of the data set, ascending; a sequence that was not opened names nothing.

    Returns
    -------
    tuple of str
        Sorted, each once. A code of SNOMED stands by itself; any other behind its scheme and a colon, so that a local
        code that looks like one of SNOMED's is none.
    """
    found: set[str] = set()
    for tag in REGION_TAGS:
        place = bisect_left(elements, tag, key=_tag)
        if place < len(elements) and elements[place][0][1] == tag:
            found.update(_below(buffer, elements[place]))
    return tuple(sorted(found))


def _tag(element: Element) -> int:
    return element[0][1]


def _below(buffer: bytes, element: Element) -> Iterator[str]:
    for item in element.items or ():
        if element.entry.tag == _ANATOMIC_REGION:
            yield from _code(buffer, item)
            continue
        for inner in item.elements:
            if inner.entry.tag in _ABOVE or inner.entry.tag == _ANATOMIC_REGION:
                yield from _below(buffer, inner)


def _code(buffer: bytes, item: Item) -> Iterator[str]:
    texts = {
        element.entry.tag: buffer[element.value : element.value_end].strip(b" \0").decode("latin-1")
        for element in item.elements
        if element.entry.tag in _VALUES or element.entry.tag == _SCHEME
    }
    scheme = texts.pop(_SCHEME, "")
    for value in texts.values():
        if value:
            yield value if scheme in _SNOMED else f"{scheme}:{value}"
