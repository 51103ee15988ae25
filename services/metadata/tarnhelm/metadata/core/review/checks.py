"""A whole review: identity, values, Types, classes, intervals, conflicts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from tarnhelm.common.dicom.header import Encoding
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.plan import MetadataConfig, compile_rules
from tarnhelm.metadata.core.pseudo import get_class
from tarnhelm.metadata.core.recipe import ActionName, Literal, PseudoCall, conflicts
from tarnhelm.metadata.core.review.findings import Finding, Review, some
from tarnhelm.metadata.core.review.identity import against_profile
from tarnhelm.metadata.core.review.reach import Reached, reach
from tarnhelm.metadata.core.rules.attributes import attribute_label, first_vr
from tarnhelm.metadata.core.rules.by_recipe import moves_times
from tarnhelm.metadata.core.rules.compiler import FILED_BY
from tarnhelm.metadata.core.rules.kinds import IMAGE_SOP_CLASSES
from tarnhelm.metadata.core.rules.literals import fits
from tarnhelm.metadata.core.rules.operations import OperationCode

if TYPE_CHECKING:
    from tarnhelm.metadata.core.profiles import Profile
    from tarnhelm.metadata.core.recipe import Recipe, Rule
    from tarnhelm.metadata.core.rules.compiler import RuleCompiler

__all__ = ["review"]

_SETS: Final = frozenset({ActionName.ADD, ActionName.REPLACE})
_BULK: Final = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW"})


def review(config: MetadataConfig) -> Review:
    """Review a recipe with its profiles.

    Parameters
    ----------
    config
        As a run would get it.

    Raises
    ------
    RecipeError, ProfileError
        What would keep a run from starting, with all mistakes of the recipe.
    """
    compiler, profile, recipe = compile_rules(config)
    found = [
        Finding(0, "conflict", f"{one.name}: {', '.join(f'{name} says {code}' for name, code in one.actions)}; "
                f"{one.winner} decides")
        for one in profile.conflicts
    ]  # fmt: skip
    decided: frozenset[int] = frozenset()
    if recipe is not None:
        reached = reach(recipe)
        decided = frozenset(one.tag for attributes in reached.values() for one in attributes if len(one.path) == 1)
        found += against_profile(compiler, reached)
        for rule, attributes in reached.items():
            found += _of_rule(rule, attributes)
        found += _of_recipe(compiler, recipe)
    return Review(tuple(sorted(found, key=lambda one: one.line)), tuple(_notes(profile, decided)))


def _of_rule(rule: Rule, attributes: tuple[Reached, ...]) -> Iterator[Finding]:
    if rule.action in _SETS and isinstance(rule.value, Literal):
        yield from _unfit(rule, rule.value.text, attributes)
    if isinstance(rule.value, PseudoCall):
        known = get_class(rule.value.cls)
        other = [one.tag for one in attributes if one.vr not in known.vrs]
        if other:
            writes = ", ".join(sorted(known.vrs))
            why = f"{known.name} writes {writes}; what has another VR is removed: {some(other)}"
            yield Finding(rule.line, "class", why)
    empties = rule.action is ActionName.BLANK or (rule.action in _SETS and rule.value == Literal(""))
    if empties or rule.action is ActionName.REMOVE:
        yield from _types(rule, attributes, empties=empties)


def _unfit(rule: Rule, text: str, attributes: tuple[Reached, ...]) -> Iterator[Finding]:
    by_vr: dict[str, list[int]] = {}
    for one in attributes:
        if one.vr not in _BULK and not fits(text, one.vr):
            by_vr.setdefault(one.vr, []).append(one.tag)
    for vr, tags in sorted(by_vr.items()):
        yield Finding(rule.line, "value", f"'{text[:60]}' is no value of VR {vr}: {some(tags)}")


def _types(rule: Rule, attributes: tuple[Reached, ...], *, empties: bool) -> Iterator[Finding]:
    """Find what an object cannot do without (PS3.5 §7.4): Type 1 needs a value, Type 2 may be empty."""
    must: dict[str, list[tuple[int, int]]] = {"1": [], "2": []}
    filed = [one.tag for one in attributes if len(one.path) == 1 and one.tag in FILED_BY]
    if filed:
        yield Finding(rule.line, "type", f"maps {some(filed)}: without them an object cannot be filed")
    for one in attributes:
        if len(one.path) == 1 and one.tag in FILED_BY:
            continue
        for kind in ("1",) if empties else ("1", "2"):
            count = sum(_type(uid, one.path) == kind for uid in _image_kinds())
            if count:
                must[kind].append((one.tag, count))
                break
    does = "leaves no value in" if empties else "removes"
    does = f"where its condition holds, {does}" if rule.condition else does
    for kind, tags in must.items():
        if not tags:
            continue
        where = f" (in {tags[0][1]} of {len(_image_kinds())} kinds of image)" if len(tags) == 1 else ""
        better = "PSEUDO or REPLACE keeps the object valid" if kind == "1" else "BLANK keeps the object valid"
        names = some([tag for tag, _ in tags])
        yield Finding(rule.line, "type", f"{does} attributes of Type {kind}: {names}{where}; {better}")


@cache
def _image_kinds() -> tuple[str, ...]:
    return tuple(uid for uid in sorted(IMAGE_SOP_CLASSES) if standard.is_known_iod(uid))


@lru_cache(maxsize=65_536)
def _type(sop_class: str, path: tuple[int, ...]) -> str | None:
    return standard.attribute_type(sop_class, path)


def _of_recipe(compiler: RuleCompiler, recipe: Recipe) -> Iterator[Finding]:
    for one in conflicts(recipe):
        with_line = (
            "" if one.rule_a is one.rule_b or f"line {one.rule_a.line} " in one.why else f"line {one.rule_a.line}: "
        )
        yield Finding(one.rule_b.line, "conflict", f"{with_line}{one.why}")
    for remark in recipe.warnings:
        better = f"; better {remark.expected}" if remark.expected else ""
        yield Finding(remark.line, "remark", f"{remark.message}{better}")
    if moves_times(recipe):
        yield from _intervals(compiler, compiler.profile.rows)


def _intervals(compiler: RuleCompiler, rows: Collection[int]) -> Iterator[Finding]:
    """Find times of day that stay where others move: the intervals between them would change.

    Only those that Table E.1-1 lists count: a time without a row tells nothing of the patient's history.
    """
    table = compiler.root("", Encoding.EXPLICIT_LITTLE)
    staying = []
    for tag in rows:
        vr = first_vr(tag)
        if vr not in ("TM", "DT"):
            continue
        operation = compiler.operation(table, tag, vr)
        gone = operation.code in (OperationCode.DROP, OperationCode.EMPTY)
        if not gone and not operation.moves_time:
            staying.append(tag)
    if staying:
        rules = "PSEUDO select:VR:TM TIME shift=true and PSEUDO select:VR:DT DATETIME shift=true"
        why = f"some times of day move and others stay, so intervals between them change: {some(staying)}; {rules}"
        yield Finding(0, "interval", why)


def _notes(profile: Profile, decided: frozenset[int]) -> Iterator[str]:
    rows = profile.rows
    own = len(decided & rows.keys())
    yield (
        f"Of {len(rows)} attributes of PS3.15 Table E.1-1 ({standard.edition()}) the recipe decides {own}, "
        f"the profile {len(rows) - own}."
    )
    kept: dict[str, list[int]] = {}
    for tag, decision in rows.items():
        if decision.action == "K" and tag not in decided:
            kept.setdefault(decision.option, []).append(tag)
    for option, tags in sorted(kept.items()):
        yield f"{option} keeps {len(tags)} of them as they are: {some(tags)}."
    names = sorted(attribute_label(tag) for tag in decided - rows.keys())
    if names:
        yield f"Besides, the recipe decides {len(names)} attributes for which the table has no row."
