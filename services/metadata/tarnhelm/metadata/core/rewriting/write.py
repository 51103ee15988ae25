"""Second walk: the cleaned object, as untouched slices and new elements in order.

What no rule touches is never decoded. For an object that fits a layout only the changed elements are made; all the
rest was joined when the first object of that layout was written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.dicom.frames import ExtendedOffsets
from tarnhelm.common.dicom.header import Element, Encoding
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.pseudo import OddValue
from tarnhelm.metadata.core.recipe import ElementKey, PathStep
from tarnhelm.metadata.core.rewriting.edit import Edit, Editor, Pass, assemble, edit_order, private_label
from tarnhelm.metadata.core.rewriting.encode import element_bytes, header_bytes
from tarnhelm.metadata.core.rewriting.finalise import Outcomes, file_meta, marker_elements
from tarnhelm.metadata.core.rewriting.parse import Parsed, uid_text
from tarnhelm.metadata.core.rewriting.pixels import PixelHeader, clean_frames, clean_native, pixel_header
from tarnhelm.metadata.core.rewriting.source import deflate
from tarnhelm.metadata.core.rules.makers import TEXT_VRS, split_values
from tarnhelm.metadata.core.rules.operations import OperationCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.common.limits import Limits
    from tarnhelm.metadata.core.rewriting.layout import Fit, Layout
    from tarnhelm.metadata.core.rules.compiler import RuleCompiler
    from tarnhelm.metadata.core.rules.context import ObjectContext
    from tarnhelm.metadata.core.rules.operations import UidMaker

__all__ = ["Writer", "Written"]

#: VRs whose values a recipe's functions and ``%values`` groups can read.
READABLE_VRS: Final = TEXT_VRS | {"AS", "DA", "DS", "DT", "IS", "TM", "UI"}


@dataclass(slots=True)
class Written:
    """One object after the second walk.

    Attributes
    ----------
    parts
        The bytes to write, in order.
    labels
        (attribute, action) of everything that was touched.
    findings
        (finding, attribute) of odd things.
    sop_uid
        The SOP Instance UID that the object has now.
    """

    parts: list[bytes | memoryview] = field(default_factory=list)
    labels: Mapping[tuple[str, str], int] = field(default_factory=dict)
    findings: Mapping[tuple[str, str], int] = field(default_factory=dict)
    sop_uid: str = ""


_Labels = tuple[tuple[str, str], ...]


class _Frame:
    """What all objects of a layout have in common once written: joined bytes, with gaps for the changed elements."""

    __slots__ = ("_findings", "_labels", "_totals", "pieces", "sop_instance")

    def __init__(self, pieces: tuple[bytes, ...], state: Pass, sop_instance: UidMaker) -> None:
        self.pieces = pieces
        self.sop_instance = sop_instance
        self._labels = tuple(state.labels)
        self._findings = tuple(state.findings)
        self._totals: dict[tuple[_Labels, _Labels], tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]] = {}

    def totals(self, state: Pass) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
        """Count what was done in all; one object for all slices of which it is the same, so that it is told once."""
        key = (tuple(state.labels), tuple(state.findings))
        found = self._totals.get(key)
        if found is None:
            if len(self._totals) >= 16:
                self._totals.clear()
            found = self._totals[key] = (Counter(self._labels + key[0]), Counter(self._findings + key[1]))
        return found


class Writer:
    """Writes objects for one set of compiled rules."""

    def __init__(self, compiler: RuleCompiler, limits: Limits) -> None:
        self.compiler = compiler
        self.limits = limits
        self.editor = Editor(compiler, limits)

    def write(self, parsed: Parsed, context: ObjectContext, outcomes: Outcomes) -> Written:
        """Write the cleaned object.

        Parameters
        ----------
        parsed, context
            From the first walk and the assigner.
        outcomes
            What the markers shall say.
        """
        if parsed.fit is not None:
            return self._write_as_layout(parsed, parsed.fit, context, outcomes)
        state = Pass(parsed.buffer, parsed.view, context)
        if self.compiler.reads_other_fields:
            reader = _FieldReader(parsed, context)
            context.field_value = reader
            context.value_groups = self.compiler.value_groups(reader.present())
        edits = self.editor.level(state, parsed.scan.acting, parsed.table)
        for element in parsed.scan.acting:
            if element.entry.payload.code == OperationCode.PIXELS:
                edits.extend(self._pixels(state, parsed, element))
        edits.extend(self._additions(parsed, context, outcomes, state))
        edits.sort(key=edit_order)
        base = 0 if parsed.start.deflated else parsed.start.dataset
        body = assemble(parsed.view, base, len(parsed.view) - parsed.trailing, edits)
        if parsed.start.deflated:
            body = list(deflate(body))
        if parsed.trailing:
            state.findings.append(("trailing-zeros", "file"))
        uid = _sop_uid(parsed, context, self.compiler.sop_instance(parsed.table))
        meta = file_meta(parsed.sop_class, uid, parsed.start.syntax)
        return Written([meta, *body], Counter(state.labels), Counter(state.findings), uid)

    def _write_as_layout(self, parsed: Parsed, fit: Fit, context: ObjectContext, outcomes: Outcomes) -> Written:
        """Write an object that fits a layout: its changed elements, between what is known already."""
        layout = fit.layout
        key = (context, outcomes)
        frame = layout.written.get(key)
        if frame is None:
            if len(layout.written) >= 8:
                layout.written.clear()
            frame = layout.written[key] = self._frame(layout, context, outcomes)
        state = Pass(parsed.buffer, parsed.view, context, passing=True)
        made: dict[int, bytes | list[bytes | memoryview]] = {}
        behind: list[Edit] = []
        for edit in self.editor.level(state, parsed.scan.acting, parsed.table):
            if edit[0] < fit.end:
                made[edit[0]] = edit[2]
            else:
                behind.append(edit)
        uid = _sop_uid(parsed, context, frame.sop_instance)
        parts: list[bytes | memoryview] = [file_meta(parsed.sop_class, uid, parsed.start.syntax)]
        buffer = parsed.buffer
        for place, (piece, element) in enumerate(zip(frame.pieces, fit.elements, strict=False)):
            parts.append(piece)
            if place in layout.dropped:
                continue
            new = made.get(element[1])
            parts.append(buffer[element[1] : element[4]] if new is None else new)  # type: ignore[arg-type]
        parts.append(frame.pieces[-1])
        behind.extend(self._pixels(state, parsed, parsed.elements[len(fit.elements)]))
        behind.sort(key=edit_order)
        parts.extend(assemble(parsed.view, fit.end, len(parsed.view), behind))
        labels, findings = frame.totals(state)
        return Written(parts, labels, findings, uid)

    def _frame(self, layout: Layout, context: ObjectContext, outcomes: Outcomes) -> _Frame:
        """Join everything but the changed elements and the pixels, once for a layout."""
        first = layout.parsed
        state = Pass(first.buffer, first.view, context)
        edits = self.editor.level(state, layout.unchanged.acting, first.table)
        edits.extend(self._additions(first, context, outcomes, state))
        edits.sort(key=edit_order)
        gaps = [layout.elements[index] for index in layout.changed]
        state.labels.extend(private_label(gaps[place].entry.tag) for place in layout.dropped)
        pieces = []
        at = first.start.dataset
        end = len(first.buffer)
        for stop, after in [*((gap.start, gap.end) for gap in gaps), (end, end)]:
            inside = [edit for edit in edits if at <= edit[0] and edit[1] <= stop]
            pieces.append(b"".join(assemble(first.view, at, stop, inside)))
            at = after
        return _Frame(tuple(pieces), state, self.compiler.sop_instance(first.table))

    def uid_of(self, parsed: Parsed, context: ObjectContext, tag: int) -> str:
        """Return a UID of the data set as it is written; empty where the source has none."""
        original = uid_text(parsed.scan.facts.get(tag, b""))
        if not original:
            return ""
        try:
            return self.compiler.uid_maker(parsed.table, tag)(context, original)
        except TarnhelmError:  # an odd value, which is removed
            return ""

    # -- pixels and additions -----------------------------------------------------------------------------------

    def header_of(self, parsed: Parsed) -> PixelHeader:
        """Return the numbers that describe the pixels."""
        if parsed.pixels is None:
            parsed.pixels = pixel_header(parsed.scan.facts, parsed.start.encoding.byteorder, self.limits)
        return parsed.pixels

    def _pixels(self, state: Pass, parsed: Parsed, element: Element) -> list[Edit]:
        edits: list[Edit] = []
        header = self.header_of(parsed)
        if not element.undefined:
            clean, findings = clean_native(
                parsed.view[element.value : element.value_end],
                header,
                big_endian=parsed.start.encoding is Encoding.EXPLICIT_BIG,
            )
            if findings:
                state.findings.extend((finding, "PixelData") for finding in findings)
                head = header_bytes(element.encoding, element.entry.tag, element.entry.vr, len(clean))
                edits.append((element.start, element.end, [head, clean]))
            return edits
        extended, places = _extended_offsets(parsed)
        frames = clean_frames(
            parsed.view, element.value, element.end, parsed.start.syntax, header, self.limits, extended
        )
        state.findings.extend((f"codestream-{name}", "PixelData") for name in frames.removed.elements())
        if frames.changed:
            edits.append((element.value, element.end, frames.parts))
        if frames.extended is not None and places is not None:
            for place, numbers in zip(places, (frames.extended.offsets, frames.extended.lengths), strict=True):
                data = b"".join(number.to_bytes(8, "little") for number in numbers)
                made = element_bytes(place.encoding, place.entry.tag, place.entry.vr, data)
                edits.append((place.start, place.end, made))
        return edits

    def _additions(self, parsed: Parsed, context: ObjectContext, outcomes: Outcomes, state: Pass) -> list[Edit]:
        """Insert the markers, and what the recipe adds, at their places in ascending order."""
        encoding = int(parsed.start.encoding)
        tags = [element[0][1] for element in parsed.elements]
        present = set(tags)
        wanted = dict(marker_elements(outcomes, encoding))
        reply = context.reply
        for tag, text in ((0x00100020, reply.subject_id), (0x00100021, reply.issuer)):
            if tag not in present and text and self.compiler.sets_identity(parsed.table, tag):
                wanted[tag] = element_bytes(encoding, tag, "LO", text.encode("ascii"))
        for addition in self.compiler.additions():
            if addition.tag in present:
                continue
            try:
                raw = addition.make(context, b"")
            except (OddValue, UnicodeError, ValueError, LookupError):
                raise TarnhelmError(errors.BAD_SURROGATE, tag=addition.tag) from None
            wanted[addition.tag] = element_bytes(encoding, addition.tag, addition.vr, raw or b"")
            state.labels.append(addition.label)
        tail = len(parsed.view) - parsed.trailing
        edits: list[Edit] = []
        for tag, made in sorted(wanted.items()):
            index = bisect_left(tags, tag)
            place = parsed.elements[index].start if index < len(tags) else tail
            edits.append((place, place, made))
        return edits


def _sop_uid(parsed: Parsed, context: ObjectContext, sop_instance: UidMaker) -> str:
    original = uid_text(parsed.scan.facts.get(0x00080018, b""))
    if not original:
        raise TarnhelmError(errors.MISSING_IDENTITY)
    return sop_instance(context, original)


class _FieldReader:
    """Looks up another top-level attribute by keyword, for functions of a recipe."""

    def __init__(self, parsed: Parsed, context: ObjectContext) -> None:
        self._places = {element[0][1]: element for element in parsed.elements}
        self._buffer = parsed.buffer
        self._context = context

    def __call__(self, name: str) -> str:
        tag = standard.tag_of(name)
        element = self._places.get(tag) if tag is not None else None
        if element is None or element.items is not None or element.value_end - element.value > 65_536:
            return ""
        return self._context.decode(self._buffer[element.value : element.value_end], element.entry.vr)

    def present(self) -> list[tuple[ElementKey, list[str]]]:
        """Values of the text elements of the data set, for ``%values`` groups."""
        found = []
        for tag, element in self._places.items():
            vr = element.entry.vr
            if vr in READABLE_VRS and element.items is None and element.value_end - element.value <= 65_536:
                text = self._context.decode(self._buffer[element.value : element.value_end], vr)
                found.append((ElementKey((PathStep(tag, None),), vr), split_values(text, vr)))
        return found


def _extended_offsets(parsed: Parsed) -> tuple[ExtendedOffsets | None, tuple[Element, Element] | None]:
    """Read the Extended Offset Table and its lengths, where the object has them (PS3.3 C.7.6.3.1.8)."""
    found = {element[0][1]: element for element in parsed.elements if element[0][1] in (0x7FE00001, 0x7FE00002)}
    if len(found) != 2:
        return None, None
    places = (found[0x7FE00001], found[0x7FE00002])
    numbers = []
    for place in places:
        data = parsed.view[place.value : place.value_end]
        if len(data) % 8:
            raise TarnhelmError(errors.BAD_FRAGMENTS)
        numbers.append(tuple(int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)))
    return ExtendedOffsets(numbers[0], numbers[1]), places
