"""Rules of a recipe that stand against each other, or that never do anything.

The search tries every attribute of the dictionary and every private tag and path that the recipe names. What
it finds is true of those; a rule that means private data by a pattern is given the benefit of the doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarnhelm.metadata.core.recipe.names import attribute_names, describe_tag
from tarnhelm.metadata.core.recipe.selectors import (
    ElementKey,
    FieldGroupSelector,
    NameSelector,
    PathSelector,
    TagSelector,
)
from tarnhelm.metadata.core.recipe.tags import PathStep, TagPattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.metadata.core.recipe.recipe import Recipe
    from tarnhelm.metadata.core.recipe.rules import Rule
    from tarnhelm.metadata.core.recipe.selectors import Selector

__all__ = ["RuleConflict", "conflicts"]


@dataclass(frozen=True, slots=True)
class RuleConflict:
    """Two rules that do not go together.

    Attributes
    ----------
    rule_a
        The one that decides; for a rule that means nothing, that rule itself.
    rule_b
        The other one.
    why
        One sentence, with an attribute as an example.
    """

    rule_a: Rule
    rule_b: Rule
    why: str

    def __str__(self) -> str:
        """One line: where the rules stand, and why they do not go together."""
        lines = (
            f"line {self.rule_b.line}"
            if self.rule_a is self.rule_b
            else f"lines {self.rule_a.line} and {self.rule_b.line}"
        )
        return f"{lines} of {self.rule_b.source}: {self.why}"


def conflicts(recipe: Recipe) -> tuple[RuleConflict, ...]:
    """Find what the author of a recipe should look at.

    Returns
    -------
    tuple[RuleConflict, ...]
        In the order of the later rule's line: two rules of different actions and equal specificity for one
        attribute; a rule that another one takes every attribute from; a rule that means no attribute.
    """
    fights: dict[tuple[Rule, Rule], str] = {}
    beaten: dict[Rule, tuple[Rule, str]] = {}
    decides: set[Rule] = set()
    for key in _keys(recipe):
        rules = recipe.matching(key)
        if not rules:
            continue
        last = next((at for at, rule in enumerate(rules) if rule.condition is None), len(rules) - 1)
        decides.update(rules[: last + 1])
        for rule in rules[last + 1 :]:
            beaten.setdefault(rule, (rules[last], _shown(key)))
            _note_fight(rules[last], rule, key, fights)
    found = [RuleConflict(a, b, why) for (a, b), why in fights.items()]
    fought = {rule for pair in fights for rule in pair}
    for rule in recipe.header_rules:
        if rule in decides or rule in fought:
            continue
        found.extend(_idle(rule, beaten.get(rule)))
    return tuple(sorted(found, key=lambda conflict: (conflict.rule_b.line, conflict.rule_a.line)))


def _note_fight(winner: Rule, loser: Rule, key: ElementKey, fights: dict[tuple[Rule, Rule], str]) -> None:
    if winner.selector.specificity == loser.selector.specificity and winner.action is not loser.action:
        why = f"both mean {_shown(key)}: {winner.action} comes before {loser.action}, whatever their order"
        fights.setdefault((winner, loser), why)


def _idle(rule: Rule, by: tuple[Rule, str] | None) -> Iterator[RuleConflict]:
    if by is None:
        if not _beyond_dictionary(rule.selector):
            yield RuleConflict(rule, rule, "the rule means no attribute of the dictionary")
        return
    winner, example = by
    if not _beyond_dictionary(rule.selector):
        again = winner.says_the_same_as(rule)
        why = (
            f"says of {example} what line {winner.line} says"
            if again
            else f"never decides: line {winner.line} takes {example} from it"
        )
        yield RuleConflict(winner, rule, why)


def _beyond_dictionary(selector: Selector) -> bool:
    """Whether attributes that no dictionary lists may be meant: private ones, by number, creator or VR."""
    if isinstance(selector, TagSelector):
        return not selector.tag.exact
    if isinstance(selector, FieldGroupSelector):
        return any(map(_beyond_dictionary, selector.members))
    if isinstance(selector, NameSelector):
        return any(char.isdigit() or char in '".,[(*+?\\' for char in selector.pattern.text)
    return not isinstance(selector, PathSelector)


def _keys(recipe: Recipe) -> Iterator[ElementKey]:
    for row in attribute_names():
        yield ElementKey((PathStep(row.value),), row.vr)
    for rule in recipe.header_rules:
        if isinstance(rule.selector, TagSelector):
            yield _key((rule.selector.tag,))
        elif isinstance(rule.selector, PathSelector):
            steps = [step for step in rule.selector.steps if step != "**"]
            yield _key(tuple(step if isinstance(step, TagPattern) else TagPattern(0x0040A730) for step in steps))


def _key(steps: tuple[TagPattern, ...]) -> ElementKey:
    path = tuple(PathStep(step.value | (0x1000 if step.creator else 0), step.creator) for step in steps)
    row = describe_tag(path[-1].tag)
    return ElementKey(path, row.vr if row else "UN")


def _shown(key: ElementKey) -> str:
    names = []
    for step in key.path:
        row = describe_tag(step.tag)
        names.append(row.keyword if row else str(TagPattern(step.tag)))
    return "/".join(names)
