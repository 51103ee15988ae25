"""The rewriter: two walks over a bounded header, pixel data streamed past.

The first walk (:mod:`tarnhelm.metadata.core.scan`) harvests and asks; the second writes. What no rule touches is
never decoded: it is copied as a slice. The work is done on positions and raw bytes; no object is made for an
element that stays.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.assign import AssignReply, AssignRequest, ValueKind
from tarnhelm.common.dicom.charsets import Charset, decoder
from tarnhelm.common.dicom.frames import ExtendedOffsets
from tarnhelm.common.dicom.header import Element, Encoding, FileStart, Item, NeedMore, Walker, read_start
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.compiler import RuleCompiler, RuleTable
from tarnhelm.metadata.core.context import BoundedMap, ObjectContext
from tarnhelm.metadata.core.encode import element_bytes, header_bytes
from tarnhelm.metadata.core.finalise import Outcomes, file_meta, marker_elements
from tarnhelm.metadata.core.harvest import WAY_BACK
from tarnhelm.metadata.core.kinds import KNOWN_SYNTAXES, VIDEO_SYNTAXES, is_image
from tarnhelm.metadata.core.makers import TEXT_VRS, split_values
from tarnhelm.metadata.core.operations import Operation
from tarnhelm.metadata.core.pixels import PixelHeader, clean_frames, clean_native, pixel_header
from tarnhelm.metadata.core.pseudo import OddValue
from tarnhelm.metadata.core.recipe import ElementKey, PathStep
from tarnhelm.metadata.core.scan import Scan, scan_elements
from tarnhelm.metadata.core.source import Source, deflate, inflate
from tarnhelm.metadata.core.text import Identifiers, TextCleaner

__all__ = ["Parsed", "Rewriter", "Written"]

_MISSING: Final = object()
_DROP, _EMPTY, _VALUE, _UID, _SEQUENCE, _PIXELS, _CHECK, _PRIVATE, _MEANING = range(1, 10)

#: Coding schemes whose meanings are standard text (PS3.16 §8); all others are local and are cleaned.
STANDARD_SCHEMES: Final = frozenset(
    {
        b"DCM", b"SCT", b"SRT", b"SNM3", b"SNM", b"99SDM", b"LN", b"UCUM", b"FMA", b"NCIt", b"RADLEX", b"UMLS",
        b"ACR", b"BARI", b"BI", b"C4", b"C5", b"CD2", b"I10", b"I10P", b"I9", b"I9C", b"ICD10", b"ISO3166_1",
        b"ISO639_2", b"MAYOASRG", b"MSH", b"NEU", b"RXNORM", b"UNS", b"UBERON", b"ITIS_TSN", b"MA", b"NYUMCCG",
    }
) - {b"99SDM", b"MAYOASRG", b"NYUMCCG"}  # fmt: skip


#: VRs whose values a recipe's functions and ``%values`` groups can read.
READABLE_VRS: Final = TEXT_VRS | {"AS", "DA", "DS", "DT", "IS", "TM", "UI"}


@dataclass(slots=True)
class Parsed:
    """One object after the first walk."""

    start: FileStart
    buffer: bytes
    view: memoryview
    elements: list[Element]
    scan: Scan
    table: RuleTable
    sop_class: str
    walker: Walker
    trailing: int = 0


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
    """

    parts: list[bytes | memoryview] = field(default_factory=list)
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class _Pass:
    """State of the second walk over one object."""

    buffer: bytes
    view: memoryview
    context: ObjectContext
    labels: list[tuple[str, str]] = field(default_factory=list)
    findings: list[tuple[str, str]] = field(default_factory=list)


_Edit = tuple[int, int, "bytes | list[bytes | memoryview]"]


class Rewriter:
    """Cleans objects of one plan. Not thread-safe: one per worker.

    Parameters
    ----------
    compiler
        The compiled rules.
    cleaner
        Cleans texts.
    limits
        Bounds.
    variables
        Values of the recipe's ``var:`` names.
    """

    def __init__(
        self,
        compiler: RuleCompiler,
        cleaner: TextCleaner,
        limits: Limits,
        variables: Mapping[str, str],
    ) -> None:
        self.compiler = compiler
        self.cleaner = cleaner
        self.limits = limits
        self.variables = variables
        self.uids: BoundedMap[str, str] = BoundedMap(20_000)
        self.values: BoundedMap[tuple[ValueKind, str, str], str] = BoundedMap(20_000)
        self._contexts: BoundedMap[tuple[object, ...], ObjectContext] = BoundedMap(8)
        self._uid_texts: BoundedMap[bytes, tuple[str, ...]] = BoundedMap(2_000)

    # -- first walk -------------------------------------------------------------------------------------------

    def parse(self, source: Source) -> Parsed:
        """Walk an object and gather what it holds.

        Raises
        ------
        TarnhelmError
            ``DCM-…`` for structure, ``LIM-…`` for bounds, ``MET-001`` for kinds of object that are not covered.
        """
        start = read_start(source.head, KNOWN_SYNTAXES)
        if start.deflated:
            data: bytes = inflate(source.view[start.dataset :], self.limits)
            return self._parse(start, data, memoryview(data), 0, None)
        try:
            return self._parse(start, source.head, source.view, start.dataset, source.size)  # type: ignore[arg-type]
        except NeedMore:
            return self._parse(start, source.whole(), source.view, start.dataset, None)  # type: ignore[arg-type]

    def _parse(self, start: FileStart, buffer: bytes, view: memoryview, base: int, total: int | None) -> Parsed:
        raw = start.meta.get(0x00020002)
        sop_class = _uid_text(buffer[raw[0] : raw[1]]) if raw and not start.deflated else ""
        walker, table, elements, trailing = self._walk(start, buffer, base, total, sop_class)
        shown = self._sop_class(elements, buffer)
        if shown != sop_class:
            sop_class = shown
            walker, table, elements, trailing = self._walk(start, buffer, base, total, sop_class)
        if not sop_class:
            raise TarnhelmError(errors.MISSING_IDENTITY)
        if not is_image(sop_class) or start.syntax in VIDEO_SYNTAXES:
            raise TarnhelmError(errors.KIND_NOT_COVERED)
        if elements and elements[-1].entry.tag != 0x7FE00010 and elements[-1].end > len(buffer):
            raise NeedMore
        scan = scan_elements(buffer, elements, lambda element: self._open_unknown(walker, table, element))
        return Parsed(start, buffer, view, elements, scan, table, sop_class, walker, trailing)

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
                    return _uid_text(buffer[element.value : element.value_end])
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

    # -- asking -----------------------------------------------------------------------------------------------

    def request(self, parsed: Parsed) -> AssignRequest:
        """Put together what this object asks the assigner for."""
        self.uids.trim()
        self.values.trim()
        facts = parsed.scan.facts
        charset = charset_of(facts.get(0x00080005, b""))
        return AssignRequest(
            patient_id=_text(charset, facts.get(0x00100020, b""), "LO"),
            issuer=_text(charset, facts.get(0x00100021, b""), "LO"),
            study_uid=_uid_text(facts.get(0x0020000D, b"")),
            sex=_text(charset, facts.get(0x00100040, b""), "CS"),
            uids=tuple(uid for raw in parsed.scan.uids for uid in self._mapped(raw) if uid not in self.uids),
            values=tuple(
                query
                for operation, raw, local in parsed.scan.questions
                if raw and operation.queries is not None
                for query in operation.queries(lambda data, vr, c=local: _text(charset_of(c), data, vr), raw)
                if (query.kind, query.domain, query.value) not in self.values
            ),
            way_back=tuple(
                (kind, _text(charset_of(local), raw, vr))
                for _, tag, vr, raw, local in parsed.scan.harvest
                if (kind := WAY_BACK.get(tag)) is not None
            ),
        )

    def _mapped(self, raw: bytes) -> tuple[str, ...]:
        """UIDs of a raw value that are not the standard's."""
        return tuple(
            uid
            for part in raw.rstrip(b"\0 ").decode("ascii", "replace").split("\\")
            if (uid := part.strip(" \0")) and not standard.is_standard_uid(uid)
        )

    def context(self, parsed: Parsed, request: AssignRequest, reply: AssignReply) -> ObjectContext:
        """Return the context for this object: an old one where nothing in it would differ."""
        for original, surrogate in reply.uids.items():
            self.uids[original] = surrogate
        for query, answer in zip(request.values, reply.values, strict=True):
            self.values[query.kind, query.domain, query.value] = answer
        raw_charset = parsed.scan.facts.get(0x00080005, b"")
        key = (
            raw_charset,
            reply.subject_key,
            reply.sex,
            reply.date_offset_days,
            parsed.start.encoding,
            frozenset(parsed.scan.harvest),
        )
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts.put(
                key,
                ObjectContext(
                    reply=reply,
                    identifiers=_identifiers(parsed.scan),
                    charset=charset_of(raw_charset),
                    cleaner=self.cleaner,
                    uids=self.uids,
                    values=self.values,
                    variables=self.variables,
                    byteorder=parsed.start.encoding.byteorder,
                    study_date=_uid_text(parsed.scan.facts.get(0x00080020, b"")),
                ),
            )
        return found

    # -- second walk ------------------------------------------------------------------------------------------

    def write(self, parsed: Parsed, context: ObjectContext, outcomes: Outcomes) -> Written:
        """Write the cleaned object.

        Parameters
        ----------
        parsed, context
            From the first walk and the assigner.
        outcomes
            What the markers shall say.
        """
        state = _Pass(parsed.buffer, parsed.view, context)
        if self.compiler.reads_other_fields:
            reader = _FieldReader(parsed, context)
            context.field_value = reader
            context.value_groups = self.compiler.value_groups(reader.present())
        edits = self._level(state, parsed.scan.acting, parsed.table)
        pixel_edit = self._pixels(state, parsed)
        if pixel_edit:
            edits.extend(pixel_edit)
        self._additions(parsed, context, outcomes, edits, state)
        edits.sort(key=_edit_order)
        made = Written()
        sop_instance = self._surrogate_sop_instance(parsed, context)
        meta = file_meta(parsed.sop_class, sop_instance, parsed.start.syntax)
        base = 0 if parsed.start.deflated else parsed.start.dataset
        end = len(parsed.view) - parsed.trailing
        body = _assemble(parsed.view, base, end, edits)
        if parsed.start.deflated:
            body = list(deflate(body))
        made.parts = [meta, *body]
        made.labels = Counter(state.labels)
        made.findings = Counter(state.findings)
        if parsed.trailing:
            made.findings["trailing-zeros", "file"] += 1
        return made

    def _surrogate_sop_instance(self, parsed: Parsed, context: ObjectContext) -> str:
        original = _uid_text(parsed.scan.facts.get(0x00080018, b""))
        if not original:
            raise TarnhelmError(errors.MISSING_IDENTITY)
        return original if self.compiler.keeps_uid(parsed.table, 0x00080018) else context.uid(original)

    def _level(self, state: _Pass, acting: list[Element], table: RuleTable | None) -> list[_Edit]:
        """Edits for the acting elements of one level."""
        buffer = state.buffer
        context = state.context
        memo = context.memo
        labels = state.labels
        edits: list[_Edit] = []
        creators: dict[int, list[object]] | None = None
        for element in acting:
            entry, start, value, value_end, end, items, _, _ = element
            operation = entry[3]
            code = operation.code
            if operation.condition is not None:
                operation = self._conditional(state, operation, element)
                code = operation.code
                if not code:
                    continue
            if code == _PRIVATE:
                if creators is None:
                    creators = {}
                operation = self._private(state, element, table, creators, edits)
                if operation is None:
                    continue
                code = operation.code
                if not code:
                    labels.append(operation.label)
                    continue
            if code == _DROP:
                edits.append((start, end, b""))
                labels.append(operation.label)
            elif items is not None or code == _SEQUENCE:
                made = self._sequence(state, element, operation)
                if made is not None:
                    edits.append((start, end, made))
            elif code == _VALUE or code == _CHECK:
                raw = buffer[value:value_end]
                key = (operation, raw)
                made = memo.get(key, _MISSING)  # type: ignore[arg-type]
                if made is _MISSING:
                    made = self._make(state, operation, element, raw)
                    if operation.memo:
                        memo.put(key, made)  # type: ignore[arg-type]
                if made is None:
                    continue
                if key in context.flags:
                    state.findings.append((context.flags[key], operation.label[0]))
                labels.append(operation.label)
                edits.append((start, end, made))
            elif code == _UID:
                made_uid = self._uid(state, element)
                if made_uid is not None:
                    labels.append(operation.label)
                    edits.append((start, end, made_uid))
            elif code == _EMPTY:
                labels.append(operation.label)
                edits.append((start, end, header_bytes(element[7], entry[1], entry[2], 0)))
            elif code == _MEANING:
                made = self._meaning(state, element, operation, acting)
                if made is not None:
                    labels.append((operation.label[0], "CLEAN"))
                    edits.append((start, end, made))
        return edits

    def _make(self, state: _Pass, operation: Operation, element: Element, raw: bytes) -> bytes | None:
        """Bytes of the new element; ``None`` where it stays as it is."""
        entry = element.entry
        if len(raw) > self.limits.max_value_bytes:
            raise TarnhelmError(errors.VALUE_TOO_LONG, tag=entry.tag, seen=len(raw), limit=self.limits.max_value_bytes)
        assert operation.make is not None  # noqa: S101 - the compiler gives every VALUE and CHECK a maker
        try:
            made = operation.make(state.context, raw)
        except (OddValue, UnicodeError, ValueError, LookupError, OverflowError):
            state.context.flags.put((operation, raw), "odd-value")
            return header_bytes(element.encoding, entry.tag, entry.vr, 0)
        if made is None:
            return b""
        if made == raw:
            return None
        if operation.code == _CHECK:
            state.context.flags.put((operation, raw), "identifier-in-text")
        return element_bytes(element.encoding, entry.tag, entry.vr, made)

    def _uid(self, state: _Pass, element: Element) -> bytes | None:
        raw = state.buffer[element[2] : element[3]]
        text = raw.rstrip(b"\0 ").decode("ascii", "replace")
        if not text:
            return None
        uids = state.context.uids
        parts = [part.strip(" \0") for part in text.split("\\")]
        made = [uids.get(part) or self._standard(part, element) for part in parts]
        if made == parts:
            return None
        return element_bytes(element[7], element[0][1], element[0][2], "\\".join(made).encode("ascii", "replace"))

    @staticmethod
    def _standard(uid: str, element: Element) -> str:
        """Let a standard UID pass; a UID that the assigner was not asked for must never pass."""
        if uid and not standard.is_standard_uid(uid):
            raise TarnhelmError(errors.BAD_SURROGATE, tag=element.entry.tag)
        return uid

    def _conditional(self, state: _Pass, operation: Operation, element: Element) -> Operation:
        """Take the rule whose condition the value fulfils."""
        text = state.context.decode(state.buffer[element.value : element.value_end], element.entry.vr)
        entry = element.entry
        return self.compiler.resolve_condition(operation, state.context, text, entry.tag, entry.vr)

    def _meaning(
        self, state: _Pass, element: Element, operation: Operation, siblings: list[Element]
    ) -> bytes | None:
        """Code meanings of local schemes are free text (PS3.3 §8.3)."""
        raw = state.buffer[element.value : element.value_end]
        scheme = b""
        for other in siblings:
            if other[0][1] == 0x00080102:
                scheme = state.buffer[other[2] : other[3]].strip(b" \0")
        text = state.context.decode(raw, element.entry.vr)
        if scheme in STANDARD_SCHEMES and not state.context.identifiers.found_in(text):
            return None
        key = (operation, raw)
        made = state.context.memo.get(key, _MISSING)  # type: ignore[arg-type]
        if made is _MISSING:
            made = state.context.memo.put(key, self._make(state, operation, element, raw))
        if made is not None and len(made) <= 8 + 4 * (element.entry.vr in ("UT", "UC")):
            # A code without a meaning is no code (Type 1): say that it was taken out.
            made = element_bytes(element.encoding, element.entry.tag, element.entry.vr, b"REMOVED")
        return made  # type: ignore[return-value]

    def _private(
        self,
        state: _Pass,
        element: Element,
        table: RuleTable | None,
        creators: dict[int, list[object]],
        edits: list[_Edit],
    ) -> Operation | None:
        """Decide a private element by its block's creator; ``None`` where it was dealt with here.

        A creator element goes unless something of its block stays (PS3.5 §7.8.1).
        """
        tag = element.entry.tag
        number = tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            raw = state.buffer[element.value : element.value_end]
            name = state.context.decode(raw, "LO").strip()
            block = (tag >> 16) << 8 | number
            creators[block] = [name, len(edits)]
            edits.append((element.start, element.end, b""))
            return None
        block_entry = creators.get((tag >> 16) << 8 | number >> 8)
        operation = None
        if block_entry is not None and table is not None:
            operation = table.private(tag, element.entry.vr, str(block_entry[0]))
        if operation is None or operation.code == _DROP or state.context.identifiers.found_in(str(block_entry[0])):  # type: ignore[index]
            edits.append((element.start, element.end, b""))
            state.labels.append((f"({tag >> 16:04x},xxxx)", "REMOVE"))
            return None
        place = block_entry[1]  # type: ignore[index]
        if isinstance(place, int):
            old = edits[place]
            edits[place] = (old[0], old[0], b"")
            block_entry[1] = None  # type: ignore[index]
        return operation

    def _sequence(self, state: _Pass, element: Element, operation: Operation) -> bytes | None:
        """Rewrite a sequence; ``None`` where nothing inside changes."""
        entry = element.entry
        if operation.code == _EMPTY or operation.code == _VALUE:
            state.labels.append(operation.label)
            return header_bytes(element.encoding, entry.tag, entry.vr, 0)
        key = None
        raw = b""
        if not self.compiler.reads_other_fields:
            raw = state.buffer[element.start : element.end]
            key = (operation, raw)
            found = state.context.memo.get(key, _MISSING)  # type: ignore[arg-type]
            if found is not _MISSING:
                made, labels, findings = found  # type: ignore[misc]
                state.labels.extend(labels)
                state.findings.extend(findings)
                return made  # type: ignore[return-value]
        labels_before, findings_before = len(state.labels), len(state.findings)
        made = self._items(state, element, operation)
        if key is not None and len(raw) <= 65_536:
            state.context.memo.put(
                key,  # type: ignore[arg-type]
                (made, tuple(state.labels[labels_before:]), tuple(state.findings[findings_before:])),  # type: ignore[arg-type]
            )
        return made

    def _items(self, state: _Pass, element: Element, operation: Operation) -> bytes | None:
        if element.items is None:
            if element.entry.vr == "UN" and element.value != element.value_end:
                # Called a sequence by the dictionary, but its bytes are no items: unknown means remove.
                state.findings.append(("opaque-sequence", operation.label[0]))
                state.labels.append((operation.label[0], "REMOVE"))
                return b""
            return None
        written: list[bytes] = []
        changed = False
        for item in element.items:
            body = self._item(state, item)
            if body is None:
                written.append(state.buffer[item.start : item.end])
            else:
                changed = True
                written.append(_item_bytes(item, body, state.buffer))
        if not changed:
            return None
        state.labels.append(operation.label)
        content = b"".join(written)
        entry = element.entry
        head_encoding = element.encoding
        if entry.vr == "UN" and element.start + 12 == element.value:
            head_encoding = int(Encoding.EXPLICIT_LITTLE)
        if element.undefined:
            delimiter = state.buffer[element.value_end : element.end]
            return header_bytes(head_encoding, entry.tag, entry.vr, 0xFFFFFFFF) + content + delimiter
        return header_bytes(head_encoding, entry.tag, entry.vr, len(content)) + content

    def _item(self, state: _Pass, item: Item) -> bytes | None:
        """New content of one item, ``None`` where nothing changes."""
        acting = []
        context = state.context
        for element in item.elements:
            if element[0][1] == 0x00080005:
                raw = state.buffer[element[2] : element[3]]
                state.context = context.with_charset(raw.decode("latin-1"), charset_of(raw))
            if element[0][3].interesting and element[0][3].code:
                acting.append(element)
        if not acting:
            state.context = context
            return None
        if any(element[0][3].code == _MEANING for element in acting):
            acting = [*acting, *(e for e in item.elements if e[0][1] == 0x00080102 and e not in acting)]
            acting.sort(key=_element_order)
        edits = self._level(state, acting, acting[0].entry.payload.table)
        state.context = context
        if not edits:
            return None
        edits.sort(key=_edit_order)
        return b"".join(_assemble(state.view, item.content, item.content_end, edits))

    # -- pixels and additions -----------------------------------------------------------------------------------

    def header_of(self, parsed: Parsed) -> PixelHeader:
        """Return the numbers that describe the pixels."""
        return pixel_header(parsed.scan.facts, parsed.start.encoding.byteorder, self.limits)

    def _pixels(self, state: _Pass, parsed: Parsed) -> list[_Edit]:
        edits: list[_Edit] = []
        for element in parsed.scan.acting:
            if element.entry[3].code != _PIXELS:
                continue
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
                continue
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

    def _additions(
        self, parsed: Parsed, context: ObjectContext, outcomes: Outcomes, edits: list[_Edit], state: _Pass
    ) -> None:
        """Insert the markers, and what the recipe adds, at their places in ascending order."""
        encoding = int(parsed.start.encoding)
        tags = [element[0][1] for element in parsed.elements]
        present = set(tags)
        wanted = list(marker_elements(outcomes, encoding))
        reply = context.reply
        for tag, text in ((0x00100020, reply.subject_id), (0x00100021, reply.issuer)):
            if tag not in present and text and self.compiler.sets_identity(parsed.table, tag):
                wanted.append((tag, element_bytes(encoding, tag, "LO", text.encode("ascii"))))
        for addition in self.compiler.additions():
            if addition.tag not in present:
                try:
                    raw = addition.make(context, b"")
                except (OddValue, UnicodeError, ValueError, LookupError):
                    raise TarnhelmError(errors.BAD_SURROGATE, tag=addition.tag) from None
                wanted = [one for one in wanted if one[0] != addition.tag]
                wanted.append((addition.tag, element_bytes(encoding, addition.tag, addition.vr, raw or b"")))
                state.labels.append(addition.label)
        wanted.sort(key=_tag_order)
        starts = parsed.elements
        tail = len(parsed.view) - parsed.trailing
        for tag, made in wanted:
            index = bisect_left(tags, tag)
            place = starts[index].start if index < len(starts) else tail
            edits.append((place, place, made))


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


def _edit_order(edit: _Edit) -> tuple[int, int]:
    return edit[0], edit[1]


def _tag_order(one: tuple[int, bytes]) -> int:
    return one[0]


def _element_order(element: Element) -> int:
    return element[1]


def _assemble(view: memoryview, start: int, end: int, edits: list[_Edit]) -> list[bytes | memoryview]:
    """Untouched slices and edits, in order."""
    parts: list[bytes | memoryview] = []
    append = parts.append
    at = start
    for begin, stop, made in edits:
        if begin > at:
            append(view[at:begin])
        if made:
            if isinstance(made, list):
                parts.extend(made)
            else:
                append(made)
        if stop > at:
            at = stop
    if at < end:
        append(view[at:end])
    return parts


def _item_bytes(item: Item, body: bytes, buffer: bytes) -> bytes:
    head = buffer[item.start : item.start + 4]
    if item.undefined:
        return head + b"\xff\xff\xff\xff" + body + buffer[item.content_end : item.end]
    order = "big" if head[0] == 0xFF else "little"
    return head + len(body).to_bytes(4, order) + body  # type: ignore[arg-type]


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


@lru_cache(maxsize=64)
def charset_of(raw: bytes) -> Charset:
    """Decoder for a raw Specific Character Set; raises ``DCM-014``."""
    text = raw.decode("ascii", "replace").strip(" \0")
    return decoder(tuple(part.strip() for part in text.split("\\")) if text else ())


def _text(charset: Charset, raw: bytes, vr: str) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").strip(" \0")
    return charset.decode(raw, vr).strip(" \0")


def _uid_text(raw: bytes) -> str:
    return bytes(raw).strip(b" \0").decode("ascii", "replace")


def _identifiers(scan: Scan) -> Identifiers:
    groups: dict[str, list[str]] = {"name": [], "id": [], "date": [], "place": [], "organisation": []}
    for kind, _, vr, raw, local in scan.harvest:
        text = _text(charset_of(local), raw, vr)
        groups[kind].extend(part for part in text.split("\\") if part)
    return Identifiers.build(
        names=groups["name"],
        ids=groups["id"],
        dates=groups["date"],
        places=groups["place"],
        organisations=groups["organisation"],
        extra=(),
    )
