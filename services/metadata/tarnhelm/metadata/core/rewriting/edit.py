"""Edits: what becomes of each element of one level that a rule touches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.dicom.header import Element, Item
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.pseudo import OddValue
from tarnhelm.metadata.core.rewriting.encode import element_bytes, header_bytes
from tarnhelm.metadata.core.rewriting.parse import mapped_uids
from tarnhelm.metadata.core.rewriting.surrogates import charset_of
from tarnhelm.metadata.core.rules.makers import carry_day, holds_own

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits
    from tarnhelm.metadata.core.rules.compiler import RuleCompiler, RuleTable
    from tarnhelm.metadata.core.rules.context import ObjectContext
    from tarnhelm.metadata.core.rules.operations import Operation

__all__ = ["Edit", "Editor", "Pass", "assemble", "edit_order", "private_label"]

Edit = tuple[int, int, "bytes | list[bytes | memoryview]"]
"""Bytes ``[start, end)`` of the object become these; an insertion has ``start == end``."""

#: Stands for "never asked"; compared by identity.
_MISSING: Final = b"\0missing\0"
#: Bytes; a longer sequence is worked through each time, so that what is remembered stays small.
_LARGEST_KNOWN_SEQUENCE: Final = 16_384
_DROP, _EMPTY, _VALUE, _UID, _SEQUENCE, _PIXELS, _CHECK, _PRIVATE, _MEANING = range(1, 10)

#: Coding schemes whose meanings are standard text (PS3.16 §8); all others are local and are cleaned.
STANDARD_SCHEMES: Final = frozenset(
    {
        b"DCM", b"SCT", b"SRT", b"SNM3", b"SNM", b"99SDM", b"LN", b"UCUM", b"FMA", b"NCIt", b"RADLEX", b"UMLS",
        b"ACR", b"BARI", b"BI", b"C4", b"C5", b"CD2", b"I10", b"I10P", b"I9", b"I9C", b"ICD10", b"ISO3166_1",
        b"ISO639_2", b"MAYOASRG", b"MSH", b"NEU", b"RXNORM", b"UNS", b"UBERON", b"ITIS_TSN", b"MA", b"NYUMCCG",
    }
) - {b"99SDM", b"MAYOASRG", b"NYUMCCG"}  # fmt: skip


@dataclass(slots=True)
class Pass:
    """State of the second walk over one object.

    ``passing`` says of its sequences that the next object will hold others: none of them is remembered.
    """

    buffer: bytes
    view: memoryview
    context: ObjectContext
    passing: bool = False
    labels: list[tuple[str, str]] = field(default_factory=list)
    findings: list[tuple[str, str]] = field(default_factory=list)


class Editor:
    """Makes edits for one set of compiled rules."""

    def __init__(self, compiler: RuleCompiler, limits: Limits) -> None:
        self.compiler = compiler
        self.limits = limits

    def level(self, state: Pass, acting: list[Element], table: RuleTable | None) -> list[Edit]:
        """Edits for the acting elements of one level."""
        buffer = state.buffer
        context = state.context
        memo = context.memo
        labels = state.labels
        edits: list[Edit] = []
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
                sequence = self._sequence(state, element, operation)
                if sequence is not None:
                    edits.append((start, end, sequence))
            elif code in (_VALUE, _CHECK):
                raw = buffer[value:value_end]
                key = (operation, raw)
                made = memo.get(key, _MISSING)
                if made is _MISSING:
                    beside = b"" if operation.pair is None else self._beside(state, operation.pair, acting)
                    made = self._make(state, operation, element, raw, beside)
                    if operation.memo:
                        memo.put(key, made)
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
                meaning = self._meaning(state, element, operation, acting)
                if meaning is not None:
                    labels.append((operation.label[0], "CLEAN"))
                    edits.append((start, end, meaning))
        return edits

    def _beside(self, state: Pass, tag: int, siblings: list[Element]) -> bytes:
        """Raw value of the time that makes an instant with a date, empty where it is not there or does not move."""
        for element in siblings:
            if element[0][1] == tag:
                operation = element[0][3]
                if operation.condition is not None:
                    operation = self._conditional(state, operation, element)
                return state.buffer[element[2] : element[3]] if operation.moves_time else b""
        return b""

    def _make(
        self, state: Pass, operation: Operation, element: Element, raw: bytes, beside: bytes = b""
    ) -> bytes | None:
        """Bytes of the new element; ``None`` where it stays as it is."""
        entry = element.entry
        if len(raw) > self.limits.max_value_bytes:
            raise TarnhelmError(errors.VALUE_TOO_LONG, tag=entry.tag, seen=len(raw), limit=self.limits.max_value_bytes)
        assert operation.make is not None  # noqa: S101 - the compiler gives every VALUE and CHECK a maker
        try:
            made = operation.make(state.context, raw)
            if beside and made:
                made = carry_day(state.context, made, beside)
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

    def _uid(self, state: Pass, element: Element) -> bytes | None:
        raw = state.buffer[element[2] : element[3]]
        if not mapped_uids(raw):
            return None  # empty, or the standard's own
        text = raw.rstrip(b"\0 ").decode("ascii", "replace")
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

    def _conditional(self, state: Pass, operation: Operation, element: Element) -> Operation:
        """Take the rule whose condition the value fulfils."""
        text = state.context.decode(state.buffer[element.value : element.value_end], element.entry.vr)
        entry = element.entry
        return self.compiler.resolve_condition(operation, state.context, text, entry.tag, entry.vr)

    def _meaning(self, state: Pass, element: Element, operation: Operation, siblings: list[Element]) -> bytes | None:
        """Code meanings of local schemes are free text (PS3.3 §8.3)."""
        raw = state.buffer[element.value : element.value_end]
        scheme = b""
        for other in siblings:
            if other[0][1] == 0x00080102:
                scheme = state.buffer[other[2] : other[3]].strip(b" \0")
        text = state.context.decode(raw, element.entry.vr)
        if scheme in STANDARD_SCHEMES and not holds_own(state.context, text):
            return None
        key = (operation, raw)
        made = state.context.memo.get(key, _MISSING)
        if made is _MISSING:
            made = state.context.memo.put(key, self._make(state, operation, element, raw))
        if made is not None and len(made) <= 8 + 4 * (element.entry.vr in ("UT", "UC")):
            # A code without a meaning is no code (Type 1): say that it was taken out.
            made = element_bytes(element.encoding, element.entry.tag, element.entry.vr, b"REMOVED")
        return made

    def _private(
        self,
        state: Pass,
        element: Element,
        table: RuleTable | None,
        creators: dict[int, list[object]],
        edits: list[Edit],
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
            if operation.condition is not None:
                operation = self._conditional(state, operation, element)
        if operation is None or operation.code == _DROP or state.context.identifiers.found_in(str(block_entry[0])):  # type: ignore[index]
            edits.append((element.start, element.end, b""))
            state.labels.append(private_label(tag))
            return None
        place = block_entry[1]  # type: ignore[index]
        if isinstance(place, int):
            old = edits[place]
            edits[place] = (old[0], old[0], b"")
            block_entry[1] = None  # type: ignore[index]
        return operation

    def _sequence(self, state: Pass, element: Element, operation: Operation) -> bytes | None:
        """Rewrite a sequence; ``None`` where nothing inside changes."""
        entry = element.entry
        if operation.code in (_EMPTY, _VALUE):
            state.labels.append(operation.label)
            return header_bytes(element.encoding, entry.tag, entry.vr, 0)
        size = element.end - element.start
        if state.passing or self.compiler.reads_other_fields or size > _LARGEST_KNOWN_SEQUENCE:
            return self._items(state, element, operation)
        key = (operation, state.buffer[element.start : element.end])
        known = state.context.sequences.get(key)
        if known is not None:
            made, labels, findings = known
            state.labels.extend(labels)
            state.findings.extend(findings)
            return made
        labels_before, findings_before = len(state.labels), len(state.findings)
        made = self._items(state, element, operation)
        state.context.sequences.put(
            key, (made, tuple(state.labels[labels_before:]), tuple(state.findings[findings_before:]))
        )
        return made

    def _items(self, state: Pass, element: Element, operation: Operation) -> bytes | None:
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
        # Items inside UN are Implicit VR Little Endian; the sequence's own header is written like its neighbours.
        head_encoding = int(operation.table.encoding) if operation.table is not None else element.encoding
        if element.undefined:
            delimiter = state.buffer[element.value_end : element.end]
            return header_bytes(head_encoding, entry.tag, entry.vr, 0xFFFFFFFF) + content + delimiter
        return header_bytes(head_encoding, entry.tag, entry.vr, len(content)) + content

    def _item(self, state: Pass, item: Item) -> bytes | None:
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
        edits = self.level(state, acting, acting[0].entry.payload.table)
        state.context = context
        if not edits:
            return None
        edits.sort(key=edit_order)
        return b"".join(assemble(state.view, item.content, item.content_end, edits))


def private_label(tag: int) -> tuple[str, str]:
    """What the report says of a private element that goes: its group only, for its number is the vendor's."""
    return f"({tag >> 16:04x},xxxx)", "REMOVE"


def edit_order(edit: Edit) -> tuple[int, int]:
    """Order of edits: by place, insertions before the element that stands there."""
    return edit[0], edit[1]


def _element_order(element: Element) -> int:
    return element[1]


def assemble(view: memoryview, start: int, end: int, edits: list[Edit]) -> list[bytes | memoryview]:
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
        at = max(at, stop)
    if at < end:
        append(view[at:end])
    return parts


def _item_bytes(item: Item, body: bytes, buffer: bytes) -> bytes:
    head = buffer[item.start : item.start + 4]
    if item.undefined:
        return head + b"\xff\xff\xff\xff" + body + buffer[item.content_end : item.end]
    order = "big" if head[0] == 0xFF else "little"
    return head + len(body).to_bytes(4, order) + body  # type: ignore[arg-type]
