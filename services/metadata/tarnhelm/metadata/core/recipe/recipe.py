"""A recipe that has been read, and what it decides.

Precedence between rules that match one element:

1. the action, in deid's order: KEEP > ADD > REPLACE and PSEUDO > JITTER > REMOVE > BLANK;
2. the selector: path > one tag > private block > tag pattern, expander or group > ALL and ``except:``;
3. the later line.

A rule with a condition (``values:``, a test function) applies to values for which the condition holds; for
the others the next rule in this order decides.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarnhelm.common.ids import canonical_digest
from tarnhelm.metadata.core.recipe.filters import Filter, FilterMatch, HeaderView, match_filters
from tarnhelm.metadata.core.recipe.rules import Decision, FunctionCall, Label, Rule, ValueExpr, Variable
from tarnhelm.metadata.core.recipe.selectors import ElementKey, TagSelector
from tarnhelm.metadata.core.recipe.vocabulary import BULK_VRS, PROTECTED, ActionName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tarnhelm.metadata.core.recipe.groups import FieldGroup, ValueGroup
    from tarnhelm.metadata.core.recipe.problems import RecipeProblem

__all__ = ["Recipe", "evaluate_filters", "may_keep_private"]

_GRAMMAR = 1
"""Enters the digest; raised when the meaning of a construct changes."""


@dataclass(frozen=True)
class Recipe:
    """The rules of one recipe file.

    Attributes
    ----------
    name
        For messages; it does not count for the digest.
    header_rules
        In the order of the file.
    value_groups, field_groups, filters, labels
        The other sections.
    warnings
        Remarks on lines that can be used, but perhaps not as meant.
    """

    name: str = "recipe"
    header_rules: tuple[Rule, ...] = ()
    value_groups: tuple[ValueGroup, ...] = ()
    field_groups: tuple[FieldGroup, ...] = ()
    filters: tuple[Filter, ...] = ()
    labels: tuple[Label, ...] = ()
    warnings: tuple[RecipeProblem, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        """sha256 (hex) of what the recipe says; comments, blanks, case and spelling of tags do not count."""
        return canonical_digest(
            {
                "grammar": _GRAMMAR,
                "header": [rule.canonical() for rule in self.header_rules],
                "values": [group.canonical() for group in self.value_groups],
                "fields": [group.canonical() for group in self.field_groups],
                "filters": [section.canonical() for section in self.filters],
                "labels": [[label.action.value, label.name, label.value] for label in self.labels],
            }
        )

    @functools.cached_property
    def variables(self) -> frozenset[str]:
        """Names after ``var:``; a run gives a value for each."""
        return frozenset(rule.value.name for rule in self.header_rules if isinstance(rule.value, Variable))

    @functools.cached_property
    def functions(self) -> frozenset[str]:
        """Names of the functions that the recipe calls."""
        calls = {rule.value.name for rule in self.header_rules if isinstance(rule.value, FunctionCall)}
        conditions = (rule.condition.function for rule in self.header_rules if rule.condition)
        return frozenset(calls | {call.name for call in conditions if call})

    @functools.cached_property
    def additions(self) -> tuple[Rule, ...]:
        """Rules that create an attribute where it is absent: ADD of one tag, the last one for each.

        As in deid the other actions change what is there. An attribute is created whatever other rules say of
        it, since those look at elements that are present; conditions hold of no absent value, so a rule with one
        is not among these.
        """
        last: dict[str, Rule] = {}
        for rule in self.header_rules:
            exact = isinstance(rule.selector, TagSelector) and rule.selector.tag.exact
            if rule.action is ActionName.ADD and exact and rule.condition is None:
                last[str(rule.selector)] = rule
        return tuple(last.values())

    @functools.cached_property
    def _by_tag(self) -> Mapping[int, tuple[Rule, ...]]:
        rules: dict[int, list[Rule]] = {}
        for rule in self.header_rules:
            if (tag := _plain_tag(rule)) is not None:
                rules.setdefault(tag, []).append(rule)
        return {tag: tuple(found) for tag, found in rules.items()}

    @functools.cached_property
    def _others(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.header_rules if _plain_tag(rule) is None)

    def matching(self, key: ElementKey, *, named: bool = False) -> tuple[Rule, ...]:
        """Give the rules whose selector means the element, the weightiest first; see :meth:`decide`."""
        found = [*self._by_tag.get(key.last.tag, ()), *(rule for rule in self._others if rule.selector.matches(key))]
        return tuple(
            sorted(
                (rule for rule in found if _applies(rule, key, named=named)), key=lambda rule: rule.weight, reverse=True
            )
        )

    def decide(self, key: ElementKey, *, named: bool = False) -> Decision | None:
        """Decide what is done with an element; ``None`` if no rule means it.

        Depends on nothing but the key, so a caller asks once for each distinct one.

        Parameters
        ----------
        key
            The element.
        named
            The element is private and nobody vouches for it: whatever lets something of it stay must name it by
            creator or group. ``KEEP`` must in any case.
        """
        return _decision(self.matching(key, named=named), key)

    def collect_values(self, fields: Callable[[str], Sequence[str]]) -> Mapping[str, frozenset[str]]:
        """Collect the values of each ``%values`` group from the data set's own attributes.

        Parameters
        ----------
        fields
            Values of an attribute by keyword, ``(gggg,eeee)`` or ``(gggg,"CREATOR",ee)``; empty if absent. It is
            asked for every attribute of the dictionary that a line means: cheap for single names, some
            thousand calls for ``ALL``. :meth:`collect_values_from` goes the other way round.
        """
        return {group.name: group.collect(fields) for group in self.value_groups}

    def collect_values_from(self, elements: Iterable[tuple[ElementKey, Sequence[str]]]) -> Mapping[str, frozenset[str]]:
        """Collect the values of each ``%values`` group from elements that are present, nested and private ones too."""
        present = tuple(elements) if self.value_groups else ()
        return {group.name: group.collect_from(present) for group in self.value_groups}


def evaluate_filters(recipe: Recipe, fields: HeaderView) -> tuple[FilterMatch, ...]:
    """Give every label of the recipe's filters that an object fits, in the order of the recipe.

    Parameters
    ----------
    fields
        Values by keyword, tag or ``Sequence/Attribute``; ``None`` if the attribute is absent.
    """
    return match_filters(recipe.filters, fields)


def may_keep_private(recipe: Recipe) -> bool:
    """Tell whether any rule could let a private element stay; most recipes have none, and then none is looked at."""
    return any(rule.action is not ActionName.REMOVE and rule.selector.may_name_private for rule in recipe.header_rules)


def _plain_tag(rule: Rule) -> int | None:
    """Return the tag, if the rule means one tag and no creator."""
    selector = rule.selector
    if isinstance(selector, TagSelector) and selector.tag.exact and selector.tag.creator is None:
        return selector.tag.value
    return None


def _applies(rule: Rule, key: ElementKey, *, named: bool) -> bool:
    """Leave out what cannot be done: a sequence has no value to move, to replace by a surrogate, or to look in.

    A private attribute is kept by a rule that names private attributes only: whoever writes ``KEEP ALL`` has seen the
    dictionary, not what a vendor put beside it.
    """
    if len(key.path) == 1 and key.last.tag in PROTECTED:
        return rule.action is ActionName.KEEP
    if key.last.creator is not None and _must_name(rule, named=named) and not rule.selector.names_private(key):
        return False
    if key.vr not in BULK_VRS:
        return True
    return rule.condition is None and rule.action not in {ActionName.JITTER, ActionName.PSEUDO}


def _must_name(rule: Rule, *, named: bool) -> bool:
    return rule.action is ActionName.KEEP or (named and rule.action is not ActionName.REMOVE)


def _decision(rules: tuple[Rule, ...], key: ElementKey) -> Decision | None:
    decision = None
    for first in reversed(range(len(rules))):
        rule = rules[first]
        action, value = _effect(rule, key)
        otherwise = decision if rule.condition else None
        decision = Decision(action, value, rule, rules[first + 1 :], rule.condition, otherwise)
    return decision


def _effect(rule: Rule, key: ElementKey) -> tuple[ActionName, ValueExpr | None]:
    """Say what a rule does to this element. A sequence or bulk data cannot take a text: setting one empties it."""
    if key.vr in BULK_VRS and rule.action in {ActionName.ADD, ActionName.REPLACE}:
        return ActionName.BLANK, None
    return rule.action, rule.value
