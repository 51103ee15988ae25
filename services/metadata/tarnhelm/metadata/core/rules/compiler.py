"""Compile a profile and a recipe into what the rewriter does with each element.

The recipe's own rule decides where there is one (:mod:`~tarnhelm.metadata.core.rules.by_recipe`); else the profile
(:mod:`~tarnhelm.metadata.core.rules.by_profile`); else "unknown means remove". The result is a tree of tables, one for the
data set and one for every sequence that occurs, keyed by raw header bytes, and filled when an element is seen for the
first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.dicom.header import PIXEL_DATA, Encoding, KeyTable
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.pseudo import OddValue
from tarnhelm.metadata.core.recipe import Decision, ElementKey, PathStep, TagSelector, holds, may_keep_private
from tarnhelm.metadata.core.rules.attributes import attribute_label, first_vr
from tarnhelm.metadata.core.rules.by_profile import ProfileRules
from tarnhelm.metadata.core.rules.by_recipe import asking_for_all, moves_times, recipe_operation
from tarnhelm.metadata.core.rules.expressions import ElementView, expression_maker
from tarnhelm.metadata.core.rules.harvest import FACT_TAGS, harvest_class
from tarnhelm.metadata.core.rules.literals import fits
from tarnhelm.metadata.core.rules.operations import Maker, Operation, OperationCode, UidMaker

if TYPE_CHECKING:
    from tarnhelm.metadata.core.profiles import Profile
    from tarnhelm.metadata.core.recipe import Recipe
    from tarnhelm.metadata.core.rules.context import ObjectContext

__all__ = ["FILED_BY", "MARKER_TAGS", "Addition", "RuleCompiler", "RuleTable"]

#: Written by ``finalise`` from recorded outcomes, never copied from the source (PS3.15 E.1.1).
MARKER_TAGS: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
_SOP_INSTANCE: Final = 0x00080018
#: SOP Class, SOP Instance, Study and Series Instance UID: without them no archive takes an object (PS3.4 Annex B).
FILED_BY: Final = frozenset({0x00080016, _SOP_INSTANCE, 0x0020000D, 0x0020000E})
_TABLES_AT_MOST: Final = 4096


class RuleTable(KeyTable):
    """The table of one place: the data set itself, or the items of one sequence."""

    def __init__(
        self,
        compiler: RuleCompiler,
        encoding: Encoding,
        sop_class: str,
        path: tuple[PathStep, ...],
    ) -> None:
        super().__init__(encoding)
        self.compiler = compiler
        self.sop_class = sop_class
        self.path = path
        self._nested: dict[tuple[int, Encoding], RuleTable] = {}
        self._private: dict[tuple[int, str, str], Operation] = {}
        #: Makers of UIDs by tag; see :meth:`RuleCompiler.uid_maker`.
        self.uid_makers: dict[int, UidMaker] = {}

    def payload(self, tag: int, vr: str) -> Operation:
        """Compile the rule for one tag and VR at this place."""
        return self.compiler.operation(self, tag, vr)

    def nested(self, tag: int, encoding: Encoding) -> RuleTable:
        """Return the table for the items of a sequence at this place."""
        found = self._nested.get((tag, encoding))
        if found is None:
            found = RuleTable(
                self.compiler,
                encoding,
                self.sop_class,
                (*self.path, PathStep(tag, None)),
            )
            if self.compiler.count_table():
                self._nested[tag, encoding] = found
        return found

    def along(self, path: tuple[int, ...]) -> RuleTable:
        """Return the table of the items at the end of a path of sequences below this place."""
        table = self
        for tag in path:
            table = table.nested(tag, self.encoding)
        return table

    def vr_of(self, tag: int) -> str:
        """VR in the data dictionary."""
        return first_vr(tag)

    def private(self, tag: int, vr: str, creator: str) -> Operation:
        """Compile the rule for a private element whose creator is known."""
        key = (tag & 0xFFFF00FF, vr, creator)
        found = self._private.get(key)
        if found is None:
            found = self.compiler.private_operation(self, tag, vr, creator)
            found.table = self
            if len(self._private) < self.most_keys:
                self._private[key] = found
        return found


def _keep_filed(operation: Operation | None, label: str) -> None:
    """Let rules that would take a UID away map it: its surrogate says as little, and the object can be filed."""
    while operation is not None:
        if operation.code in (OperationCode.DROP, OperationCode.EMPTY):
            operation.code = OperationCode.UID
            operation.label = (label, "PSEUDO")
            operation.reason = "mapped: without it the object cannot be filed"
        operation = operation.otherwise


@dataclass(frozen=True, slots=True)
class Addition:
    """An attribute that the recipe creates where an object has none."""

    tag: int
    vr: str
    make: Maker
    label: tuple[str, str]
    source: str = "recipe"


class RuleCompiler:
    """Turns (place, tag, VR) into an :class:`Operation`.

    Parameters
    ----------
    profile
        Combined profiles of PS3.15 Annex E.
    recipe
        The user's own rules, or ``None``.
    """

    def __init__(self, profile: Profile, recipe: Recipe | None) -> None:
        self.profile = profile
        self.recipe = recipe
        self.private_possible = profile.retain_safe_private or (recipe is not None and may_keep_private(recipe))
        self._pairs = moves_times(recipe)
        self.reads_other_fields = self._pairs or (recipe is not None and bool(recipe.functions or recipe.value_groups))
        self._by_profile = ProfileRules(profile, pairs=self._pairs)
        self._tables = 0
        self._roots: dict[tuple[str, Encoding], RuleTable] = {}
        self._added: tuple[Addition, ...] | None = None

    def root(self, sop_class: str, encoding: Encoding) -> RuleTable:
        """Return the table of the data set for one SOP class and encoding."""
        found = self._roots.get((sop_class, encoding))
        if found is None:
            if len(self._roots) >= 64 or self._tables >= _TABLES_AT_MOST:
                self._roots.clear()
                self._tables = 0
            found = self._roots[sop_class, encoding] = RuleTable(self, encoding, sop_class, ())
        return found

    def count_table(self) -> bool:
        """Count one more nested table; ``False`` once there are absurdly many (a hostile file)."""
        self._tables += 1
        return self._tables < _TABLES_AT_MOST

    def operation(self, table: RuleTable, tag: int, vr: str) -> Operation:
        """Compile one rule. ``vr`` is the one the file shows."""
        made = self._decide(table, tag, vr)
        made.table = table
        made.harvest = harvest_class(tag, vr)
        made.fact = tag in FACT_TAGS and not table.path
        made.interesting = bool(made.code or made.harvest or made.fact)
        return made

    def _decide(self, table: RuleTable, tag: int, vr: str) -> Operation:
        label = attribute_label(tag)
        if tag & 0xFFFF == 0:
            return Operation(
                OperationCode.DROP, (label, "REMOVE"), source="structure", reason="group lengths are retired"
            )
        if tag in MARKER_TAGS and not table.path:
            return Operation(
                OperationCode.DROP,
                (label, "REPLACE"),
                source="finalise",
                reason="markers are written from recorded outcomes",
            )
        if tag >> 16 & 1:
            code = OperationCode.PRIVATE if self.private_possible else OperationCode.DROP
            label = f"({tag >> 16:04x},xxxx)"
            return Operation(code, (label, "REMOVE"), source="profile", reason="decided by the private creator")
        if tag == PIXEL_DATA and table.path:
            return Operation(
                OperationCode.DROP, (label, "REMOVE"), source="structure", reason="a picture inside the header"
            )
        if tag == PIXEL_DATA:
            return Operation(
                OperationCode.PIXELS, (label, "KEEP"), source="structure", reason="pixels are other stages' work"
            )
        if vr == "UN":
            vr = first_vr(tag)
        decision = self.recipe.decide(ElementKey((*table.path, PathStep(tag, None)), vr)) if self.recipe else None
        if decision is not None:
            made = recipe_operation(decision, tag, vr, label, pairs=self._pairs)
            if tag in FILED_BY and not table.path:
                _keep_filed(made, label)
            last = made
            while last.otherwise is not None:
                last = last.otherwise
            if last.condition is not None:
                last.otherwise = self._by_profile.operation(table, tag, vr, label)
            return asking_for_all(made)
        return self._by_profile.operation(table, tag, vr, label)

    def profile_says(self, table: RuleTable, tag: int, vr: str) -> Operation:
        """Compile what the profile alone would do with an attribute, for explanations and reviews."""
        return self._by_profile.operation(table, tag, vr, attribute_label(tag))

    def resolve_condition(
        self, operation: Operation, context: ObjectContext, value: str, tag: int, vr: str
    ) -> Operation:
        """Follow the rules of one element to the first whose condition its value fulfils."""
        view = ElementView(context, value, vr, tag)
        while operation.condition is not None:
            if holds(operation.condition, view, context.value_groups):
                break
            if operation.otherwise is None:
                return Operation(
                    OperationCode.DROP,
                    (operation.label[0], "REMOVE"),
                    source="structure",
                    reason="unknown means remove",
                )
            operation = operation.otherwise
        return operation

    def value_groups(self, elements: Iterable[tuple[ElementKey, Sequence[str]]]) -> Mapping[str, frozenset[str]]:
        """Collect the recipe's ``%values`` groups from the elements of one object."""
        return self.recipe.collect_values_from(elements) if self.recipe is not None else {}

    def sop_instance(self, table: RuleTable) -> UidMaker:
        """Return what makes the SOP Instance UID, which the file meta information repeats (PS3.10 §7.1)."""
        return self.uid_maker(table, _SOP_INSTANCE)

    def uid_maker(self, table: RuleTable, tag: int) -> UidMaker:
        """Return what makes a UID of the data set: its surrogate, or what the recipe says instead."""
        found = table.uid_makers.get(tag)
        if found is None:
            found = table.uid_makers[tag] = self._uid_maker(self.operation(table, tag, "UI"), tag)
        return found

    def _uid_maker(self, operation: Operation, tag: int) -> UidMaker:
        def made(context: ObjectContext, original: str) -> str:
            chosen = self.resolve_condition(operation, context, original, tag, "UI")
            if chosen.code == OperationCode.COPY:
                return original
            if chosen.make is None:
                return context.uid(original)
            try:
                text = (chosen.make(context, original.encode("ascii")) or b"").decode("ascii")
            except (OddValue, ValueError, LookupError):
                raise TarnhelmError(errors.BAD_SURROGATE, tag=tag) from None
            if not text or not fits(text, "UI"):
                raise TarnhelmError(errors.BAD_SURROGATE, tag=tag)
            return text

        return made

    def sets_identity(self, table: RuleTable, tag: int) -> bool:
        """Tell whether the subject's pseudonym or the project's name is written where the source has no such attribute."""
        made = self.operation(table, tag, "LO")
        return made.code == OperationCode.VALUE

    def additions(self) -> tuple[Addition, ...]:
        """Return what the recipe creates where it is absent, in the order of tags."""
        if self._added is None:
            made = []
            for rule in self.recipe.additions if self.recipe is not None else ():
                if not isinstance(rule.selector, TagSelector) or rule.selector.tag.creator is not None:
                    continue
                tag = rule.selector.tag.value
                vr = first_vr(tag) if standard.is_known_attribute(tag) else "LO"
                decision = Decision(rule.action, rule.value, rule)
                label = attribute_label(tag), "ADD"
                made.append(Addition(tag, vr, expression_maker(decision, tag, vr), label, f"recipe line {rule.line}"))
            self._added = tuple(sorted(made, key=lambda one: one.tag))
        return self._added

    def private_operation(self, table: RuleTable, tag: int, vr: str, creator: str) -> Operation:
        """Compile the rule for one private element: the recipe's, or the list of safe ones."""
        if self.recipe is not None:
            vouched = self.profile.retain_safe_private and standard.safe_private(creator, tag >> 16, tag & 0xFFFF)
            decision = self.recipe.decide(ElementKey((*table.path, PathStep(tag, creator)), vr), named=not vouched)
            if decision is not None:
                return asking_for_all(recipe_operation(decision, tag, vr, attribute_label(tag, creator)))
        return self._by_profile.private(tag, vr, creator)
