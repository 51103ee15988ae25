"""What a rule says: action, selector, value, condition; and what a recipe decides for an element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarnhelm.metadata.core.recipe.vocabulary import ACTION_RANK, ActionName

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe.selectors import Selector, Specificity

__all__ = [
    "Arguments",
    "Condition",
    "Decision",
    "FunctionCall",
    "Label",
    "Literal",
    "PseudoCall",
    "Rule",
    "ValueExpr",
    "Variable",
    "canonical_value",
]


class Arguments(Mapping[str, str]):
    """Named arguments that cannot change, so that an expression can be compared, hashed and sent to a worker."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str] | None = None) -> None:
        self._items = dict(sorted((items or {}).items()))

    def __getitem__(self, name: str) -> str:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __reduce__(self) -> tuple[object, ...]:
        return (Arguments, (self._items,))

    def __repr__(self) -> str:
        return f"Arguments({self._items!r})"


@dataclass(frozen=True, slots=True)
class Literal:
    """A text to be written as it stands; empty for an empty value."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """``var:name``: a value that the run gives."""

    name: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """``func:name key=value``: a function of the fixed registry, by its registered name."""

    name: str
    args: Mapping[str, str] = Arguments()


@dataclass(frozen=True, slots=True)
class PseudoCall:
    """A surrogate of a PSEUDO class."""

    cls: str
    parameters: Mapping[str, str] = Arguments()


ValueExpr = Literal | Variable | FunctionCall | PseudoCall


def canonical_value(value: ValueExpr | None) -> list[object] | None:
    """Give the expression as JSON for the digest of a recipe."""
    if value is None:
        return None
    if isinstance(value, Literal):
        return ["literal", value.text]
    if isinstance(value, Variable):
        return ["var", value.name]
    if isinstance(value, FunctionCall):
        return ["func", value.name, dict(value.args)]
    return ["pseudo", value.cls, dict(value.parameters)]


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold at run time for a rule to apply, because it needs the element's value.

    Attributes
    ----------
    group
        Name of a ``%values`` group: the element's value contains one of the values collected for it.
    function
        A test of the registry that must answer yes.
    """

    group: str | None = None
    function: FunctionCall | None = None

    def canonical(self) -> list[object]:
        """Give the condition as JSON for the digest of a recipe."""
        return [self.group, canonical_value(self.function)]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of ``%header``.

    Attributes
    ----------
    line
        Of the recipe, from 1.
    text
        The line without comment and outer blanks, for people.
    source
        Name of the recipe.
    """

    action: ActionName
    selector: Selector
    value: ValueExpr | None = None
    condition: Condition | None = None
    line: int = 0
    text: str = ""
    source: str = ""

    @property
    def weight(self) -> tuple[int, Specificity, int]:
        """What decides between two rules for one element: action, then selector, then the later line."""
        return ACTION_RANK[self.action], self.selector.specificity, self.line

    def says_the_same_as(self, other: Rule) -> bool:
        """Whether both do the same under the same condition."""
        return (self.action, self.value, self.condition) == (other.action, other.value, other.condition)

    def canonical(self) -> list[object]:
        """Give the rule as JSON for the digest of a recipe; line, text and source do not count."""
        condition = self.condition.canonical() if self.condition else None
        return [self.action.value, str(self.selector), canonical_value(self.value), condition]


@dataclass(frozen=True, slots=True)
class Label:
    """One line of ``%labels``: a remark of the author's that nothing is done with."""

    action: ActionName
    name: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a recipe says of one element.

    Attributes
    ----------
    action, value
        What to do. ``value`` is ``None`` for KEEP, BLANK and REMOVE.
    rule
        The line that decides.
    overridden
        The other rules that match, the weightiest first.
    condition
        ``None``, or what must hold of the value; see ``holds`` in :mod:`tarnhelm.metadata.core.recipe.functions`.
    otherwise
        What is decided if the condition does not hold; ``None`` means the recipe says nothing then.
    """

    action: ActionName
    value: ValueExpr | None
    rule: Rule
    overridden: tuple[Rule, ...] = ()
    condition: Condition | None = None
    otherwise: Decision | None = None
