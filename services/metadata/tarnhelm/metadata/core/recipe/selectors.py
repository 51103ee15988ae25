"""Selectors: which attributes a rule means.

A selector looks at the last attribute of an element's path, so a rule holds at any depth of nesting; only a
path looks at more. Two selectors that both match are compared by ``specificity``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.recipe.names import AttributeName, describe_tag
from tarnhelm.metadata.core.recipe.tags import PathStep, TagPattern
from tarnhelm.metadata.core.recipe.vocabulary import BULK_VRS

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe.pattern import Pattern

__all__ = [
    "AllSelector",
    "ElementKey",
    "ExceptSelector",
    "FieldGroupSelector",
    "GroupNumberSelector",
    "NameSelector",
    "PathSelector",
    "Selector",
    "Specificity",
    "TagSelector",
    "ValueGroupSelector",
    "VrSelector",
]

Specificity = tuple[int, int]
"""Compared as a pair, the larger one wins: (class of selector, fixed hexadecimal digits or path steps)."""

_PATH: Final = 5
_EXACT: Final = 4
_BLOCK: Final = 3
_PATTERN: Final = 2
_ALL: Final = 1


@dataclass(frozen=True, slots=True)
class ElementKey:
    """Everything of an element that a recipe decides by, but its value.

    Attributes
    ----------
    path
        From the outermost sequence to the element itself; at least one step. Item numbers have no place in it:
        a rule holds for every item.
    vr
        Two letters, or empty if it is not known.
    """

    path: tuple[PathStep, ...]
    vr: str = ""

    @property
    def last(self) -> PathStep:
        """The element itself."""
        return self.path[-1]


class _Public:
    """A selector that never names private attributes, though it may match some."""

    __slots__ = ()

    may_name_private = False

    def names_private(self, key: ElementKey) -> bool:
        """Tell whether the selector means this private element by name: never."""
        del key
        return False


@dataclass(frozen=True, slots=True)
class TagSelector:
    """One attribute, a repeating group, or a private block."""

    tag: TagPattern

    @property
    def may_name_private(self) -> bool:
        """Whether a private creator or an odd group is named."""
        return self.tag.creator is not None or self.tag.private

    def names_private(self, key: ElementKey) -> bool:
        """Tell whether the selector means this private element by name."""
        return self.may_name_private and self.matches(key)

    @property
    def specificity(self) -> Specificity:
        """Exact tag, then private block, then pattern; among patterns the one with more fixed digits."""
        if self.tag.exact:
            return _EXACT, 8
        return (_BLOCK if self.tag.block else _PATTERN), self.tag.digits

    def matches(self, key: ElementKey) -> bool:
        """Compare the tag (and the creator)."""
        return self.tag.matches(key.path[-1])

    def __str__(self) -> str:
        return str(self.tag)


@dataclass(frozen=True, slots=True)
class PathSelector:
    """A nested attribute: steps are tags, ``None`` for any one step, ``...`` for any number of steps.

    Without ``anchored`` the steps fit the end of the element's path, with it the whole path.
    """

    steps: tuple[TagPattern | str, ...]
    anchored: bool = False

    @property
    def may_name_private(self) -> bool:
        """Whether the last step names a private creator or an odd group."""
        last = self.steps[-1]
        return isinstance(last, TagPattern) and (last.creator is not None or last.private)

    def names_private(self, key: ElementKey) -> bool:
        """Tell whether the selector means this private element by name."""
        return self.may_name_private and self.matches(key)

    @property
    def specificity(self) -> Specificity:
        """Above every tag; among paths the one with more named steps, an anchored one before a free one."""
        named = sum(2 * step.digits for step in self.steps if isinstance(step, TagPattern))
        return _PATH, named + self.anchored

    def matches(self, key: ElementKey) -> bool:
        """Fit the steps to the path, last step first."""
        return _fits(self.steps, key.path, anchored=self.anchored)

    def __str__(self) -> str:
        return "/" * self.anchored + "/".join(str(step) for step in self.steps)


def _fits(steps: tuple[TagPattern | str, ...], path: tuple[PathStep, ...], *, anchored: bool) -> bool:
    """Compare from the end; ``reach`` holds the lengths of path that the steps so far leave open."""
    reach = {len(path)}
    for step in reversed(steps):
        if step == "**":
            reach = set(range(max(reach) + 1))
        elif isinstance(step, TagPattern):
            reach = {at - 1 for at in reach if at > 0 and step.matches(path[at - 1])}
        else:
            reach = {at - 1 for at in reach if at > 0}
        if not reach:
            return False
    return not anchored or 0 in reach


@dataclass(frozen=True, slots=True)
class NameSelector(_Public):
    """``contains:``, ``startswith:`` or ``endswith:`` an expression.

    As in deid, the expression is looked for in each of the forms of an attribute: keyword, name, ``(gggg,eeee)``,
    ``ggggeeee``, and ``(gggg,"creator",ee)`` with and without parentheses.
    """

    expander: str
    pattern: Pattern

    specificity = (_PATTERN, 0)

    def matches(self, key: ElementKey) -> bool:
        """Look for the expression."""
        return any(map(self.pattern.search, _forms(key.path[-1])))

    def __str__(self) -> str:
        return f"{self.expander}:{self.pattern.text}"


@dataclass(frozen=True, slots=True)
class ExceptSelector(_Public):
    """``except:`` an expression: every attribute in none of whose forms it occurs."""

    pattern: Pattern

    specificity = (_ALL, 1)

    def matches(self, key: ElementKey) -> bool:
        """Look for the expression and say the contrary."""
        return not any(map(self.pattern.search, _forms(key.path[-1])))

    def __str__(self) -> str:
        return f"except:{self.pattern.text}"


@dataclass(frozen=True, slots=True)
class VrSelector(_Public):
    """``select:VR:`` a value representation."""

    vr: str

    specificity = (_PATTERN, 0)

    def matches(self, key: ElementKey) -> bool:
        """Compare the VR of the element."""
        return key.vr == self.vr

    def __str__(self) -> str:
        return f"select:VR:{self.vr}"


@dataclass(frozen=True, slots=True)
class GroupNumberSelector:
    """``select:GROUP:`` a group number."""

    group: int

    specificity = (_PATTERN, 4)

    @property
    def may_name_private(self) -> bool:
        """Whether the group is odd."""
        return bool(self.group & 1)

    def names_private(self, key: ElementKey) -> bool:
        """Tell whether the selector means this private element by name."""
        return self.may_name_private and self.matches(key)

    def matches(self, key: ElementKey) -> bool:
        """Compare the group of the tag."""
        return key.path[-1].tag >> 16 == self.group

    def __str__(self) -> str:
        return f"select:GROUP:{self.group:04X}"


@dataclass(frozen=True, slots=True)
class FieldGroupSelector:
    """``fields:`` the name of a group of attributes."""

    name: str
    members: tuple[Selector, ...] = ()

    specificity = (_PATTERN, 0)

    @property
    def may_name_private(self) -> bool:
        """Whether a member does."""
        return any(member.may_name_private for member in self.members)

    def names_private(self, key: ElementKey) -> bool:
        """Tell whether a member means this private element by name."""
        return any(member.names_private(key) for member in self.members)

    def matches(self, key: ElementKey) -> bool:
        """Ask each member."""
        return any(member.matches(key) for member in self.members)

    def __str__(self) -> str:
        return f"fields:{self.name}"


@dataclass(frozen=True, slots=True)
class ValueGroupSelector(_Public):
    """``values:`` the name of a group of values: any attribute with a value to look in.

    Whether the value holds one of the group's is the rule's condition, since it needs the object.
    """

    name: str

    specificity = (_PATTERN, 0)

    def matches(self, key: ElementKey) -> bool:
        """Leave out sequences and bulk data."""
        return key.vr not in BULK_VRS

    def __str__(self) -> str:
        return f"values:{self.name}"


@dataclass(frozen=True, slots=True)
class AllSelector(_Public):
    """``ALL``: every attribute."""

    specificity = (_ALL, 0)

    def matches(self, key: ElementKey) -> bool:
        """Any element with a path."""
        return bool(key.path)

    def __str__(self) -> str:
        return "ALL"


Selector = (
    TagSelector
    | PathSelector
    | NameSelector
    | ExceptSelector
    | VrSelector
    | GroupNumberSelector
    | FieldGroupSelector
    | ValueGroupSelector
    | AllSelector
)


@functools.lru_cache(maxsize=16384)
def _forms(step: PathStep) -> tuple[str, ...]:
    group, element = step.tag >> 16, step.tag & 0xFFFF
    forms = [f"({group:04X},{element:04X})", f"{group:04X}{element:04X}"]
    row: AttributeName | None = describe_tag(step.tag)
    if row is not None:
        forms += [row.keyword, row.name]
    if step.creator is not None:
        private = f'{group:04X},"{step.creator.strip()}",{element & 0xFF:02X}'
        forms += [private, f"({private})"]
    return tuple(forms)
