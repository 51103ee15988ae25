"""Which attributes of the dictionary each rule of a recipe decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.recipe import Decision, ElementKey, PathStep
from tarnhelm.metadata.core.recipe.selectors import PathSelector
from tarnhelm.metadata.core.recipe.tags import TagPattern
from tarnhelm.metadata.core.rules.attributes import first_vr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tarnhelm.metadata.core.recipe import Recipe, Rule

__all__ = ["Reached", "reach"]


@dataclass(frozen=True, slots=True)
class Reached:
    """One attribute that a rule decides: its path (one tag for the data set itself) and its VR."""

    path: tuple[int, ...]
    vr: str

    @property
    def tag(self) -> int:
        """The attribute itself."""
        return self.path[-1]


def reach(recipe: Recipe) -> Mapping[Rule, tuple[Reached, ...]]:
    """Give for every rule the public attributes that it decides, where its condition holds.

    Attributes of the dictionary are looked at in the data set itself, and the paths that the recipe names.
    """
    found: dict[Rule, list[Reached]] = {rule: [] for rule in recipe.header_rules}
    for path in _paths(recipe):
        vr = first_vr(path[-1])
        decision = recipe.decide(ElementKey(tuple(PathStep(tag) for tag in path), vr))
        for one in _chain(decision):
            found[one.rule].append(Reached(path, vr))
    return {rule: tuple(reached) for rule, reached in found.items()}


def _paths(recipe: Recipe) -> Iterator[tuple[int, ...]]:
    for row in standard.dictionary_rows():
        yield (row.value,)
    for rule in recipe.header_rules:
        selector = rule.selector
        if isinstance(selector, PathSelector):
            steps = [step.value for step in selector.steps if isinstance(step, TagPattern) and step.exact]
            if len(steps) == len(selector.steps) > 1:
                yield tuple(steps)


def _chain(decision: Decision | None) -> Iterator[Decision]:
    """Give a decision and those that stand in for it where conditions do not hold."""
    while decision is not None:
        yield decision
        decision = decision.otherwise
