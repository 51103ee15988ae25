"""Which rule decides for each attribute of one object, and why: positions and rules, no values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tarnhelm.common.dicom.header import Element
from tarnhelm.metadata.core.compiler import attribute_label
from tarnhelm.metadata.core.operations import Operation, OperationCode
from tarnhelm.metadata.core.plan import MetadataConfig, compile_rules
from tarnhelm.metadata.core.rewrite import Parsed, Rewriter
from tarnhelm.metadata.core.source import ScratchBuffer, open_source
from tarnhelm.metadata.core.surrogates import charset_of
from tarnhelm.metadata.core.text import TextCleaner

__all__ = ["ExplainRow", "explain_file"]


@dataclass(frozen=True, slots=True)
class ExplainRow:
    """One attribute: where it stands, what happens to it, which rule says so."""

    path: str
    name: str
    vr: str
    action: str
    source: str
    reason: str


_SHOWN = {
    OperationCode.COPY: "KEEP",
    OperationCode.DROP: "REMOVE",
    OperationCode.EMPTY: "BLANK",
    OperationCode.UID: "PSEUDO UID",
    OperationCode.SEQUENCE: "KEEP, items by their own rules",
    OperationCode.PIXELS: "KEEP",
    OperationCode.CHECK: "KEEP, own identifiers out",
    OperationCode.CODE_MEANING: "KEEP, local codes cleaned",
    OperationCode.PRIVATE: "REMOVE",
}


def explain_file(path: Path, config: MetadataConfig) -> list[ExplainRow]:
    """Explain one file.

    Raises
    ------
    TarnhelmError
        What would keep the object from being cleaned.
    """
    compiler, _, _ = compile_rules(config)
    rewriter = Rewriter(compiler, TextCleaner(), config.limits, config.variables)
    with open_source(path, ScratchBuffer(), config.limits) as source:
        parsed = rewriter.parse(source)
        rows: list[ExplainRow] = []
        _rows(parsed, parsed.elements, "", rows)
    return rows


def _rows(parsed: Parsed, elements: list[Element], prefix: str, rows: list[ExplainRow]) -> None:
    creators: dict[int, str] = {}
    for element in elements:
        entry = element.entry
        tag = entry.tag
        operation: Operation = entry.payload
        shown = f"{prefix}({tag >> 16:04X},{tag & 0xFFFF:04X})"
        name = attribute_label(tag)
        if operation.code == OperationCode.PRIVATE and operation.table is not None:
            number = tag & 0xFFFF
            if 0x10 <= number <= 0xFF:
                raw = parsed.buffer[element.value : element.value_end]
                creators[(tag >> 16) << 8 | number] = charset_of(b"").decode(raw, "LO").strip()
                rows.append(
                    ExplainRow(shown, "PrivateCreator", entry.vr, "as its block", "structure", operation.reason)
                )
                continue
            creator = creators.get((tag >> 16) << 8 | number >> 8)
            if creator is not None:
                operation = operation.table.private(tag, entry.vr, creator)
                name = operation.label[0]
        action = _SHOWN.get(operation.code) or operation.label[1]
        rows.append(ExplainRow(shown, name, entry.vr, action, operation.source, operation.reason))
        if element.items is not None and operation.code == OperationCode.SEQUENCE:
            for number, item in enumerate(element.items, 1):
                _rows(parsed, item.elements, f"{shown}[{number}]", rows)
