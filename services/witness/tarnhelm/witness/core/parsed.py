"""What a walk over a DICOM file leaves behind: flat tuples, no object per element."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field

__all__ = ["Buffer", "Container", "Element", "Fault", "Parsed"]

Buffer = bytes | bytearray | mmap.mmap
Element = tuple[int, bytes, int, int, int]
"""tag, VR, first byte of the value, bytes of the value, container."""


class Fault(Exception):  # noqa: N818 - a fault of the file, not of the program
    """The bytes are not a well-formed object; ``reason`` is a word of a closed list, ``position`` a tag or region."""

    def __init__(self, reason: str, position: str = "") -> None:
        self.reason = reason
        self.position = position
        super().__init__(reason)


@dataclass(slots=True)
class Container:
    """The data set (number 0), the file meta (number 1) or one item of a sequence.

    Attributes
    ----------
    path
        Tags of the sequences around it, outermost first.
    explicit
        Its elements carry their VR; of the data set itself :class:`Parsed` knows.
    elastic
        No length around it is written down: a value in it may grow and nothing else changes.
    """

    path: tuple[int, ...]
    parent: int
    explicit: bool = True
    elastic: bool = True


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
    deflated: bool = False
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
