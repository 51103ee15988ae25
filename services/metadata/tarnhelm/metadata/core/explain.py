"""Which rule decides for each attribute of one object, what it overrules, and why: positions and rules, no values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tarnhelm.common.dicom.header import Element
from tarnhelm.metadata.core.plan import MetadataConfig, compile_rules
from tarnhelm.metadata.core.recipe import Condition
from tarnhelm.metadata.core.rewriting.rewriter import Parsed, Rewriter
from tarnhelm.metadata.core.rewriting.source import open_source
from tarnhelm.metadata.core.rewriting.surrogates import charset_of
from tarnhelm.metadata.core.rules.attributes import attribute_label, first_vr
from tarnhelm.metadata.core.rules.compiler import MARKER_TAGS
from tarnhelm.metadata.core.rules.operations import Operation, OperationCode
from tarnhelm.metadata.core.text import TextCleaner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.metadata.core.recipe import Rule
    from tarnhelm.metadata.core.rules.compiler import RuleCompiler, RuleTable

__all__ = ["ExplainRow", "explain_file"]


@dataclass(frozen=True, slots=True)
class ExplainRow:
    """One attribute: where it stands, what happens to it, which rule says so.

    Attributes
    ----------
    path
        Tags from the data set down, item numbers in brackets; empty for what stands in no data element.
    action
        In capitals; with its conditions, if the rule has one.
    source
        The line of the recipe or the row of the profile that decides.
    reason
        Why, in a few words.
    overruled
        What other rules would have done, the weightiest first, the profile last.
    """

    path: str
    name: str
    vr: str
    action: str
    source: str
    reason: str
    overruled: tuple[str, ...] = ()


_SHOWN = {
    OperationCode.COPY: "KEEP",
    OperationCode.DROP: "REMOVE",
    OperationCode.EMPTY: "BLANK",
    OperationCode.UID: "PSEUDO UID, standard UIDs stay",
    OperationCode.SEQUENCE: "KEEP, items by their own rules",
    OperationCode.PIXELS: "KEEP",
    OperationCode.CHECK: "KEEP, own identifiers out",
    OperationCode.CODE_MEANING: "KEEP, local codes cleaned",
    OperationCode.PRIVATE: "REMOVE",
}
_WRITTEN = ExplainRow(
    "", "preamble and file meta information", "", "WRITE", "structure", "written anew; nothing of the file's is copied"
)


def explain_file(path: Path, config: MetadataConfig) -> list[ExplainRow]:
    """Explain one file.

    Raises
    ------
    TarnhelmError
        What would keep the object from being cleaned.
    """
    compiler, profile, _ = compile_rules(config)
    rewriter = Rewriter(compiler, TextCleaner(), config.limits, config.variables)
    disputed = {one.row: one.actions for one in profile.conflicts}
    with open_source(path, config.limits) as source:
        parsed = rewriter.parse(source)
        rows = [_WRITTEN, *_Explainer(compiler, parsed, disputed).rows(parsed.elements, "")]
    present = {element.entry.tag for element in parsed.elements}
    rows += [
        ExplainRow(_place(one.tag), one.label[0], one.vr, "ADD", one.source, "absent here")
        for one in compiler.additions()
        if one.tag not in present
    ]
    rows += [
        ExplainRow(_place(tag), attribute_label(tag), first_vr(tag), "WRITE", "finalise", "says what was really done")
        for tag in MARKER_TAGS - present
    ]
    return sorted(rows, key=lambda row: row.path[: len(_place(0))])


def _place(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class _Explainer:
    """Explains the elements of one object.

    Parameters
    ----------
    disputed
        Row of the standard → what each of the chosen options says of it, where they differ.
    """

    def __init__(
        self, compiler: RuleCompiler, parsed: Parsed, disputed: dict[str, tuple[tuple[str, str], ...]]
    ) -> None:
        self.compiler = compiler
        self.parsed = parsed
        self.disputed = disputed

    def rows(self, elements: list[Element], prefix: str) -> Iterator[ExplainRow]:
        """Give a row for every element of one level, each followed by what it holds."""
        creators: dict[int, str] = {}
        for element in elements:
            entry = element.entry
            tag = entry.tag
            operation: Operation = entry.payload
            shown = prefix + _place(tag)
            name = attribute_label(tag)
            if operation.code == OperationCode.PRIVATE and operation.table is not None:
                number = tag & 0xFFFF
                if 0x10 <= number <= 0xFF:
                    raw = self.parsed.buffer[element.value : element.value_end]
                    creators[(tag >> 16) << 8 | number] = charset_of(b"").decode(raw, "LO").strip()
                    why = "a creator stays where an attribute of its block does"
                    yield ExplainRow(shown, "private creator", entry.vr, "as its block", "structure", why)
                    continue
                creator = creators.get((tag >> 16) << 8 | number >> 8)
                if creator is not None:
                    operation = operation.table.private(tag, entry.vr, creator)
                    # The name of a creator that goes may be anybody's.
                    name = operation.label[0] if operation.code != OperationCode.DROP else name
            overruled = tuple(self._overruled(operation, tag, entry.vr))
            action = _action(operation)
            if element.items and operation.code in (OperationCode.DROP, OperationCode.EMPTY):
                action += ", with its items"
            yield ExplainRow(shown, name, entry.vr, action, operation.source, _reason(operation), overruled)
            if element.items is not None and operation.code == OperationCode.SEQUENCE:
                for number, item in enumerate(element.items, 1):
                    yield from self.rows(item.elements, f"{shown}[{number}]")

    def _overruled(self, operation: Operation, tag: int, vr: str) -> Iterator[str]:
        decision = operation.decision
        if decision is None:
            for name, code in self.disputed.get(operation.source.removeprefix("profile "), ()):
                if not operation.reason.startswith(name):
                    yield f"{name} says {code}"
            return
        stands_in = set(_rules_behind(operation))
        for rule in decision.overridden:
            if rule not in stands_in:
                yield f"recipe line {rule.line} ({rule.text})"
        if not tag >> 16 & 1 and operation.table is not None:
            yield from self._profile(operation, operation.table, tag, vr)

    def _profile(self, operation: Operation, table: RuleTable, tag: int, vr: str) -> Iterator[str]:
        """Say what the profile would do, where that is something else."""
        last = operation
        while last.otherwise is not None:
            last = last.otherwise
        if last.decision is None:
            return  # the profile is what stands behind the conditions
        profile = self.compiler.profile_says(table, tag, vr)
        if _action(profile) != _action(last):
            yield f"{profile.source} ({_action(profile)}: {profile.reason})"


def _action(operation: Operation) -> str:
    """Say what is done; a rule with a condition is followed by what is done where it does not hold."""
    decision = operation.decision
    if operation.code == OperationCode.DROP and decision is not None and decision.action != "REMOVE":
        said = "REMOVE"
    else:
        said = operation.label[1] if operation.code == OperationCode.VALUE else _SHOWN[operation.code]
    if operation.code == OperationCode.DROP and operation.label[1] == "REPLACE":
        said = "REPLACE"
    if operation.condition is None:
        return said
    behind = _action(operation.otherwise) if operation.otherwise is not None else "REMOVE"
    if behind == said:
        return said
    return f"{said} if {_condition(operation.condition)}, else {behind}"


def _reason(operation: Operation) -> str:
    """Say why, and quote the recipe's line; where conditions decide, quote them all."""
    decision = operation.decision
    if decision is None:
        return operation.reason
    quoted = decision.rule.text or str(decision.action)
    if operation.otherwise is None:
        return f"{quoted} ({operation.reason})"
    behind = operation.otherwise
    return f"{quoted} ({operation.reason}); else {behind.source}: {_reason(behind)}"


def _rules_behind(operation: Operation) -> Iterator[Rule]:
    behind = operation.otherwise
    while behind is not None and behind.decision is not None:
        yield behind.decision.rule
        behind = behind.otherwise


def _condition(condition: Condition) -> str:
    parts = [f"values:{condition.group}"] if condition.group is not None else []
    if condition.function is not None:
        parts.append(condition.function.name)
    return " and ".join(parts)
