"""The policy: what the witness is told of a plan. Positions and classes of identifiers, never values.

It is made of the compiled rules of every attribute of the dictionary, so that it says what the rewriter does; what no
dictionary lists, private attributes and paths, is taken from the recipe's own lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.dicom.header import Encoding
from tarnhelm.common.ids import canonical_digest
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.recipe import ActionName, TagPattern, TagSelector
from tarnhelm.metadata.core.recipe.selectors import FieldGroupSelector, GroupNumberSelector, PathSelector
from tarnhelm.metadata.core.rules.attributes import first_vr
from tarnhelm.metadata.core.rules.operations import Operation, OperationCode

if TYPE_CHECKING:
    from tarnhelm.metadata.core.profiles import Profile
    from tarnhelm.metadata.core.recipe import Recipe
    from tarnhelm.metadata.core.recipe.selectors import Selector
    from tarnhelm.metadata.core.rules.compiler import RuleCompiler

__all__ = ["policy_of"]

#: Even groups of repeating attributes that objects still hold: curves and overlays.
_REPEATING: Final = frozenset({0x50, 0x60})
_ANY_GROUP: Final = 0x00FE_0000


def policy_of(compiler: RuleCompiler, profile: Profile, recipe: Recipe | None) -> dict[str, Any]:
    """Write the policy of a plan; docs/concepts/witness.md describes the document."""
    keep: dict[str, list[str]] = {}
    surrogate: dict[str, str] = {}
    table = compiler.root("", Encoding.EXPLICIT_LITTLE)
    for position, tag in _positions(recipe):
        vr = first_vr(tag)
        _enter(position, compiler.operation(table, tag, vr), vr, keep, surrogate)
    for rule in recipe.header_rules if recipe is not None else ():
        if rule.action is ActionName.REMOVE:
            continue
        for position in _own_positions(rule.selector):
            if rule.action is ActionName.KEEP:
                keep[position] = ["*"]
            else:
                surrogate.setdefault(position, "text")
    document: dict[str, Any] = {
        "version": 1,
        "keep": dict(sorted(keep.items())),
        "surrogate": dict(sorted(surrogate.items())),
        "uids": "kept" if profile.retain_uids else "mapped",
        "dates": profile.dates,
        "private_keep": _safe_private(profile),
        "standard_uids": "builtin",
    }
    document["digest"] = canonical_digest(document)
    return document


def _positions(recipe: Recipe | None) -> Iterator[tuple[str, int]]:
    """Positions of public attributes, each with a tag to compile: the dictionary's, and single ones of repeating groups."""
    for tag in standard.known_attributes():
        yield f"{tag:08X}", tag
    for row in standard.dictionary_rows():
        if row.mask == 0xFF00_FFFF and row.value >> 24 in _REPEATING:
            yield f"{row.value >> 24:02X}xx{row.value & 0xFFFF:04X}", row.value | _ANY_GROUP
    for rule in recipe.header_rules if recipe is not None else ():
        selector = rule.selector
        if isinstance(selector, TagSelector) and selector.tag.exact and standard.is_repeating(selector.tag.value):
            yield f"{selector.tag.value:08X}", selector.tag.value


def _enter(position: str, operation: Operation, vr: str, keep: dict[str, list[str]], surrogate: dict[str, str]) -> None:
    if operation.keeps and operation.code == OperationCode.COPY:
        keep[position] = ["*"]
    elif operation.keeps:
        keep[position] = ["birth", "date", "text"]
    elif vr == "TM" and operation.label[1] == "KEEP":
        keep[position] = ["time"]
    elif vr == "AE" and operation.label[1] == "CLEAN":
        # An option that retains devices lets the plain words of an application entity's title stay (``CT1``).
        keep[position] = ["id"]
    elif operation.surrogate:
        surrogate[position] = operation.surrogate
    elif vr == "UI" and operation.code == OperationCode.UID:
        surrogate[position] = "uid"


def _own_positions(selector: Selector) -> Iterator[str]:
    """Positions of private attributes and of paths that a rule names itself."""
    if isinstance(selector, FieldGroupSelector):
        for member in selector.members:
            yield from _own_positions(member)
    elif isinstance(selector, GroupNumberSelector):
        if selector.group & 1:
            yield f"{selector.group:04X}xxxx"
    elif isinstance(selector, TagSelector):
        yield from _private_position(selector.tag)
    elif isinstance(selector, PathSelector):
        steps = [] if selector.anchored or selector.steps[0] == "**" else ["**"]
        steps += map(_step, selector.steps)
        yield "." * (len(steps) == 1) + ".".join(steps)


def _private_position(tag: TagPattern) -> Iterator[str]:
    if tag.creator is not None or tag.private:
        yield _step(tag)


def _step(step: TagPattern | str) -> str:
    """Write one step of a path: ``**`` for any number of steps, ``?`` for any one, else a tag with its open digits."""
    if isinstance(step, str):
        return "**" if step == "**" else "?"
    group, element = step.value >> 16, step.value & 0xFFFF
    if step.creator is not None:
        return f'{group:04X}"{step.creator}"{"xx" if step.block else f"{element & 0xFF:02X}"}'
    digits = f"{step.value:08X}", f"{step.mask:08X}"
    return "".join(digit if mask == "F" else "x" for digit, mask in zip(*digits, strict=True))


def _safe_private(profile: Profile) -> list[list[Any]]:
    if not profile.retain_safe_private:
        return []
    return sorted([row.creator, row.group, row.element] for row in standard.safe_private_rows().values())
