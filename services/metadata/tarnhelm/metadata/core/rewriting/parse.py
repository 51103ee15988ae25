"""First walk: from bytes to positions and to what one object holds.

The slices of a series differ in a dozen values and agree in everything else. So the last objects are remembered as
*layouts* (:mod:`tarnhelm.metadata.core.rewriting.layout`); an object that fits one is not walked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.common.dicom.header import PIXEL_DATA, Element, Encoding, FileStart, Walker, read_start
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.rewriting.layout import Fit, LayoutCache
from tarnhelm.metadata.core.rewriting.pixels import pixel_header
from tarnhelm.metadata.core.rewriting.regions import region_codes
from tarnhelm.metadata.core.rewriting.scan import Scan, scan_elements
from tarnhelm.metadata.core.rewriting.source import Source, inflate
from tarnhelm.metadata.core.rules.kinds import KNOWN_SYNTAXES, VIDEO_SYNTAXES, is_image

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits
    from tarnhelm.metadata.core.rewriting.pixels import PixelHeader
    from tarnhelm.metadata.core.rules.compiler import RuleCompiler, RuleTable

__all__ = ["Parsed", "Parser", "mapped_uids", "uid_text"]


@dataclass(slots=True)
class Parsed:
    """One object after the first walk.

    Attributes
    ----------
    start
        Where the data set begins and how it is written.
    buffer
        Bytes that the positions refer to: the file, or the inflated data set.
    view
        The same, for streaming.
    elements
        Of the data set, by position.
    scan
        What they hold.
    trailing
        Zero bytes behind the data set, which are left out.
    fit
        How the object fits a known layout; ``elements`` are then only those that were read anew. ``None`` for an
        object that was walked itself.
    walked
        Elements and items of all levels.
    pixels
        The numbers of the pixels, once they were read.
    regions
        Codes of the anatomic regions.
    """

    start: FileStart
    buffer: bytes
    view: memoryview
    elements: list[Element]
    scan: Scan
    table: RuleTable
    sop_class: str
    trailing: int = 0
    fit: Fit | None = None
    walked: int = 0
    pixels: PixelHeader | None = None
    regions: tuple[str, ...] = ()


class Parser:
    """Reads objects for one set of compiled rules."""

    def __init__(self, compiler: RuleCompiler, limits: Limits) -> None:
        self.compiler = compiler
        self.limits = limits
        # Rules that look at other attributes may decide anew for values that did not change, and what a recipe adds
        # behind the pixels has no place in a layout.
        apart = compiler.reads_other_fields or any(added.tag >= PIXEL_DATA for added in compiler.additions())
        self._layouts = None if apart else LayoutCache()

    def parse(self, source: Source) -> Parsed:
        """Walk an object and gather what it holds.

        Raises
        ------
        TarnhelmError
            ``DCM-…`` for structure, ``LIM-…`` for bounds, ``MET-001`` for kinds of object that are not covered.
        """
        # A mapped file slices into bytes too.
        data: bytes = source.data  # type: ignore[assignment]
        start = read_start(data, KNOWN_SYNTAXES)
        if start.deflated:
            inflated: bytes = inflate(source.view[start.dataset :], self.limits)
            return self._parse(start, inflated, memoryview(inflated), 0)
        if self._layouts is not None:
            known = self._as_layout(self._layouts, start, data, source.view)
            if known is not None:
                return known
        parsed = self._parse(start, data, source.view, start.dataset)
        if self._layouts is not None:
            parsed.pixels = pixel_header(parsed.scan.facts, start.encoding.byteorder, self.limits)
            walker = Walker(data, len(data), self.limits)
            self._layouts.remember(data, parsed, lambda element: self._open_unknown(walker, parsed.table, element))
        return parsed

    def _as_layout(self, layouts: LayoutCache, start: FileStart, data: bytes, view: memoryview) -> Parsed | None:
        """Read an object as one of a known layout; ``None`` where it is of another, or odd, and is walked itself."""
        walker = Walker(data, len(data), self.limits)
        try:
            fit = layouts.find(data, start.dataset, start.syntax, walker)
            if fit is None:
                return None
            first = fit.layout.parsed
            walker.elements_left -= fit.layout.walked
            rest = walker.walk(fit.end, len(data), first.table)
        except TarnhelmError:
            return None
        scan = fit.layout.scan(data, fit, rest, lambda element: self._open_unknown(walker, first.table, element))
        return Parsed(
            start,
            data,
            view,
            fit.elements + rest,
            scan,
            first.table,
            first.sop_class,
            fit=fit,
            pixels=first.pixels,
            regions=fit.layout.regions_of(data, fit),
        )

    def _parse(self, start: FileStart, buffer: bytes, view: memoryview, base: int) -> Parsed:
        raw = start.meta.get(0x00020002)
        sop_class = uid_text(buffer[raw[0] : raw[1]]) if raw and not start.deflated else ""
        walker, table, elements, trailing = self._walk(start, buffer, base, sop_class)
        shown = self._sop_class(elements, buffer)
        if shown != sop_class:
            sop_class = shown
            walker, table, elements, trailing = self._walk(start, buffer, base, sop_class)
        if not sop_class:
            raise TarnhelmError(errors.MISSING_IDENTITY)
        if not is_image(sop_class) or start.syntax in VIDEO_SYNTAXES:
            raise TarnhelmError(errors.KIND_NOT_COVERED)
        scan = scan_elements(buffer, elements, lambda element: self._open_unknown(walker, table, element))
        walked = self.limits.max_elements - walker.elements_left
        return Parsed(
            start,
            buffer,
            view,
            elements,
            scan,
            table,
            sop_class,
            trailing,
            walked=walked,
            regions=region_codes(buffer, elements),
        )

    def _walk(
        self, start: FileStart, buffer: bytes, base: int, sop_class: str
    ) -> tuple[Walker, RuleTable, list[Element], int]:
        table = self.compiler.root(sop_class, start.encoding)
        end = len(buffer)
        walker = Walker(buffer, end, self.limits)
        try:
            return walker, table, walker.walk(base, end, table), 0
        except TarnhelmError as error:
            # Zeros behind the data set are how some archives round a file up; anything else there is refused.
            offset = error.facts.get("offset", 0)
            if error.kind not in (errors.BAD_VR, errors.BAD_ORDER, errors.TRUNCATED) or offset <= base:
                raise
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


@lru_cache(maxsize=4096)
def mapped_uids(raw: bytes) -> tuple[str, ...]:
    """UIDs of a raw value that are not the standard's, so that each gets a surrogate."""
    return tuple(
        uid
        for part in raw.rstrip(b"\0 ").decode("ascii", "replace").split("\\")
        if (uid := part.strip(" \0")) and not standard.is_standard_uid(uid)
    )


def uid_text(raw: bytes) -> str:
    """Text of a UID value without its padding."""
    return bytes(raw).strip(b" \0").decode("ascii", "replace")
