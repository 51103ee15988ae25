"""First walk: from bytes to positions and to what one object holds.

The slices of a series differ in a dozen values and agree in everything else. So the last objects are remembered as
*layouts* (:mod:`tarnhelm.metadata.core.layout`); an object that fits one is not walked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.dicom.header import Element, Encoding, FileStart, NeedMore, Walker, read_start
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core.kinds import KNOWN_SYNTAXES, VIDEO_SYNTAXES, is_image
from tarnhelm.metadata.core.layout import Layout, LayoutCache
from tarnhelm.metadata.core.scan import Scan, scan_elements
from tarnhelm.metadata.core.source import Source, inflate

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits
    from tarnhelm.metadata.core.compiler import RuleCompiler, RuleTable

__all__ = ["Parsed", "Parser", "uid_text"]

_PIXEL_DATA: Final = 0x7FE00010


@dataclass(slots=True)
class Parsed:
    """One object after the first walk.

    Attributes
    ----------
    start
        Where the data set begins and how it is written.
    buffer
        Bytes that the positions refer to: the head of the file, or the inflated data set.
    view
        All bytes of the same, for streaming.
    elements
        Of the data set, by position.
    scan
        What they hold.
    trailing
        Zero bytes behind the data set, which are left out.
    layout, changed
        The layout that the object fits, and the top-level elements (by index) whose values differ from it; of an
        object that was walked itself, ``None``.
    """

    start: FileStart
    buffer: bytes
    view: memoryview
    elements: list[Element]
    scan: Scan
    table: RuleTable
    sop_class: str
    trailing: int = 0
    layout: Layout | None = None
    changed: tuple[int, ...] = ()


class Parser:
    """Reads objects for one set of compiled rules."""

    def __init__(self, compiler: RuleCompiler, limits: Limits) -> None:
        self.compiler = compiler
        self.limits = limits
        # Rules that look at other attributes may decide anew for values that did not change.
        self._layouts = None if compiler.reads_other_fields else LayoutCache()

    def parse(self, source: Source) -> Parsed:
        """Walk an object and gather what it holds.

        Raises
        ------
        TarnhelmError
            ``DCM-…`` for structure, ``LIM-…`` for bounds, ``MET-001`` for kinds of object that are not covered.
        """
        if self._layouts is not None:
            fits = self._layouts.find(source)
            if fits is not None:
                return self._as_layout(source, *fits)
        start = read_start(source.head, KNOWN_SYNTAXES)
        if start.deflated:
            data: bytes = inflate(source.view[start.dataset :], self.limits)
            return self._parse(start, data, memoryview(data), 0, None)
        try:
            parsed = self._parse(start, source.head, source.view, start.dataset, source.size)  # type: ignore[arg-type]
        except NeedMore:
            return self._parse(start, source.whole(), source.view, start.dataset, None)  # type: ignore[arg-type]
        if self._layouts is not None:
            self._layouts.remember(source, parsed)
        return parsed

    @staticmethod
    def _as_layout(source: Source, layout: Layout, changed: tuple[int, ...]) -> Parsed:
        first = layout.parsed
        buffer: bytes = source.head  # type: ignore[assignment]
        return Parsed(
            first.start,
            buffer,
            source.view,
            first.elements,
            layout.scan(buffer, changed),
            first.table,
            first.sop_class,
            0,
            layout,
            changed,
        )

    def _parse(self, start: FileStart, buffer: bytes, view: memoryview, base: int, total: int | None) -> Parsed:
        raw = start.meta.get(0x00020002)
        sop_class = uid_text(buffer[raw[0] : raw[1]]) if raw and not start.deflated else ""
        walker, table, elements, trailing = self._walk(start, buffer, base, total, sop_class)
        shown = self._sop_class(elements, buffer)
        if shown != sop_class:
            sop_class = shown
            walker, table, elements, trailing = self._walk(start, buffer, base, total, sop_class)
        if not sop_class:
            raise TarnhelmError(errors.MISSING_IDENTITY)
        if not is_image(sop_class) or start.syntax in VIDEO_SYNTAXES:
            raise TarnhelmError(errors.KIND_NOT_COVERED)
        if elements and elements[-1].entry.tag != _PIXEL_DATA and elements[-1].end > len(buffer):
            raise NeedMore
        scan = scan_elements(buffer, elements, lambda element: self._open_unknown(walker, table, element))
        return Parsed(start, buffer, view, elements, scan, table, sop_class, trailing)

    def _walk(
        self, start: FileStart, buffer: bytes, base: int, total: int | None, sop_class: str
    ) -> tuple[Walker, RuleTable, list[Element], int]:
        table = self.compiler.root(sop_class, start.encoding)
        end = len(buffer) if total is None else total
        walker = Walker(buffer, end, self.limits)
        try:
            return walker, table, walker.walk(base, end, table), 0
        except TarnhelmError as error:
            # Zeros behind the data set are how some archives round a file up; anything else there is refused.
            offset = error.facts.get("offset", 0)
            if error.kind not in (errors.BAD_VR, errors.BAD_ORDER, errors.TRUNCATED) or offset <= base:
                raise
            if len(buffer) < end:
                raise NeedMore from None
            if bytes(buffer[offset:end]).strip(b"\0"):
                raise
        walker = Walker(buffer, end, self.limits)
        return walker, table, walker.walk(base, offset, table), end - offset

    @staticmethod
    def _sop_class(elements: list[Element], buffer: bytes) -> str:
        for element in elements:
            if element.entry.tag >= 0x00080016:
                if element.entry.tag == 0x00080016:
                    return uid_text(buffer[element.value : element.value_end])
                break
        return ""

    @staticmethod
    def _open_unknown(walker: Walker, table: RuleTable, element: Element) -> Element:
        if element.items is not None:
            return element
        items = walker.unknown_items(element, table, 0)
        if items is None:
            return element
        return element._replace(items=items, encoding=int(Encoding.IMPLICIT_LITTLE))


def uid_text(raw: bytes) -> str:
    """Text of a UID value without its padding."""
    return bytes(raw).strip(b" \0").decode("ascii", "replace")
