"""Compile a profile and a recipe into what the rewriter does with each element.

The recipe's own rule decides where there is one; else the profile; else "unknown means remove". The result is
a tree of tables, one for the data set and one for every sequence that occurs, keyed by raw header bytes, and
filled when an element is seen for the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common.dicom.header import PIXEL_DATA, Encoding, KeyTable
from tarnhelm.metadata.core import makers, standard
from tarnhelm.metadata.core.expressions import (
    ElementView,
    asks_uid,
    depends_on_value_only,
    expression_maker,
    expression_queries,
)
from tarnhelm.metadata.core.harvest import FACT_TAGS, harvest_class
from tarnhelm.metadata.core.operations import DROP_OPERATION, Maker, Operation, OperationCode
from tarnhelm.metadata.core.profiles import resolve
from tarnhelm.metadata.core.pseudo import PseudoError, get_class
from tarnhelm.metadata.core.recipe import ActionName, Decision, ElementKey, PathStep, PseudoCall, TagSelector, holds

if TYPE_CHECKING:
    from tarnhelm.metadata.core.context import ObjectContext
    from tarnhelm.metadata.core.profiles import Profile
    from tarnhelm.metadata.core.recipe import Recipe

__all__ = ["MARKER_TAGS", "Addition", "RuleCompiler", "RuleTable", "attribute_label", "first_vr"]

#: Written by ``finalise`` from recorded outcomes, never copied from the source (PS3.15 E.1.1).
MARKER_TAGS: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
PATIENT_ID: Final = 0x00100020
ISSUER_OF_PATIENT_ID: Final = 0x00100021
CODE_MEANING: Final = 0x00080104
_TABLES_AT_MOST: Final = 4096
_DATE_VRS: Final = frozenset({"DA", "DT"})
_FREE_TEXT_VRS: Final = frozenset({"LO", "LT", "ST", "UC", "UT"})
#: Short strings that people fill in as they like, told by the ending of their keyword.
_FREE_ENDINGS: Final = ("ID", "Name", "Label", "Description", "Comments")
#: Texts that name equipment, agents and tables; they stay but for the object's own identifiers.
_TECHNICAL_TEXTS: Final = frozenset(
    {
        0x00080070, 0x00081090, 0x00181020, 0x00180010, 0x00180031, 0x00280055, 0x00281055, 0x00283003, 0x00283002,
        0x00181250, 0x00181251, 0x00186031, 0x00189005, 0x00540400, 0x00541101, 0x00541103, 0x00541104, 0x00541105,
        0x0008010B, 0x00080104, 0x00080116, 0x00080119, 0x00189004, 0x00080068, 0x00540202, 0x00180035, 0x00180024,
    }
)  # fmt: skip


def attribute_label(tag: int, creator: str | None = None) -> str:
    """Name of an attribute for people: its keyword, or its tag where it has none."""
    if tag >> 16 & 1:
        if creator:
            return f'({tag >> 16:04x},"{creator}",{tag & 0xFF:02x})'
        return f"({tag >> 16:04x},xx{tag & 0xFF:02x})" if tag & 0xFFFF > 0xFF else f"({tag >> 16:04x},00xx)"
    return standard.keyword_of(tag) or f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def first_vr(tag: int) -> str:
    """VR of an attribute in the dictionary, the first of several (``US or SS``), ``UN`` where it has none."""
    return (standard.vr_of(tag) or "UN").split(" ", 1)[0]


class RuleTable(KeyTable):
    """The table of one place: the data set itself, or the items of one sequence."""

    def __init__(
        self,
        compiler: RuleCompiler,
        encoding: Encoding,
        sop_class: str,
        path: tuple[PathStep, ...],
        *,
        clean_inside: bool,
    ) -> None:
        super().__init__(encoding)
        self.compiler = compiler
        self.sop_class = sop_class
        self.path = path
        self.clean_inside = clean_inside
        self._nested: dict[tuple[int, Encoding], RuleTable] = {}
        self._private: dict[tuple[int, str, str], Operation] = {}

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
                clean_inside=self.clean_inside or self.compiler.cleans_inside(self, tag),
            )
            if self.compiler.count_table():
                self._nested[tag, encoding] = found
        return found

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


@dataclass(frozen=True, slots=True)
class Addition:
    """An attribute that the recipe creates where an object has none."""

    tag: int
    vr: str
    make: Maker
    label: tuple[str, str]


def _may_keep_private(recipe: Recipe) -> bool:
    """Tell whether any rule could let a private element stay; most recipes have none, and then none is looked at."""
    for rule in recipe.header_rules:
        if rule.action is ActionName.REMOVE:
            continue
        selector = rule.selector
        if not isinstance(selector, TagSelector) or selector.tag.creator is not None:
            return True
        if selector.tag.exact and selector.tag.value >> 16 & 1:
            return True
    return False


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
        self.private_possible = profile.retain_safe_private or (recipe is not None and _may_keep_private(recipe))
        self.reads_other_fields = recipe is not None and bool(recipe.functions or recipe.value_groups)
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
            found = self._roots[sop_class, encoding] = RuleTable(self, encoding, sop_class, (), clean_inside=False)
        return found

    def count_table(self) -> bool:
        """Count one more nested table; ``False`` once there are absurdly many (a hostile file)."""
        self._tables += 1
        return self._tables < _TABLES_AT_MOST

    def cleans_inside(self, table: RuleTable, tag: int) -> bool:
        """Tell whether free text below this sequence is cleaned word by word (its rule is C)."""
        return table.compiler.operation(table, tag, "SQ").clean_inside

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
            return Operation(OperationCode.DROP, source="finalise", reason="markers are written from recorded outcomes")
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
            made = self._from_recipe(decision, tag, vr, label)
            last = made
            while last.otherwise is not None:
                last = last.otherwise
            if last.condition is not None:
                last.otherwise = self._from_profile(table, tag, vr, label)
            return _asking_for_all(made)
        return self._from_profile(table, tag, vr, label)

    def resolve_condition(
        self, operation: Operation, context: ObjectContext, value: str, tag: int, vr: str
    ) -> Operation:
        """Follow the rules of one element to the first whose condition its value fulfils."""
        view = ElementView(context, value, vr, tag)
        while operation.condition is not None:
            if holds(operation.condition, view, context.value_groups):
                break
            if operation.otherwise is None:
                return DROP_OPERATION
            operation = operation.otherwise
        return operation

    def value_groups(self, elements: Iterable[tuple[ElementKey, Sequence[str]]]) -> Mapping[str, frozenset[str]]:
        """Collect the recipe's ``%values`` groups from the elements of one object."""
        return self.recipe.collect_values_from(elements) if self.recipe is not None else {}

    def keeps_uid(self, table: RuleTable, tag: int) -> bool:
        """Tell whether a UID attribute of the data set stays as it is."""
        operation = table.compiler.operation(table, tag, "UI")
        return operation.code == OperationCode.COPY

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
                made.append(Addition(tag, vr, expression_maker(decision, tag, vr), (attribute_label(tag), "ADD")))
            self._added = tuple(sorted(made, key=lambda one: one.tag))
        return self._added

    # -- recipe -----------------------------------------------------------------------------------------------

    def _from_recipe(self, decision: Decision, tag: int, vr: str, label: str) -> Operation:
        try:
            return self._recipe_operation(decision, tag, vr, label)
        except PseudoError:
            # The file writes the attribute with a VR that the class cannot write: an odd value, so it goes.
            return Operation(
                OperationCode.DROP, (label, "REMOVE"), source="recipe", reason="its VR is not the attribute's"
            )

    def _recipe_operation(self, decision: Decision, tag: int, vr: str, label: str) -> Operation:
        source = f"recipe line {decision.rule.line}" if decision.rule.line else "recipe"
        action = decision.action
        shown = (label, str(action))
        if action is ActionName.KEEP:
            code = OperationCode.SEQUENCE if vr == "SQ" else OperationCode.COPY
            made = Operation(code, shown, source=source, reason="kept by the recipe", keeps=True)
        elif action is ActionName.REMOVE:
            made = Operation(OperationCode.DROP, shown, source=source, reason="removed by the recipe")
        elif action is ActionName.BLANK or vr == "SQ":
            made = Operation(OperationCode.EMPTY, shown, source=source, reason="blanked by the recipe")
        else:
            made = Operation(
                OperationCode.VALUE,
                shown,
                make=expression_maker(decision, tag, vr),
                memo=depends_on_value_only(decision),
                asks_uid=asks_uid(decision),
                queries=expression_queries(decision, vr),
                source=source,
                reason=f"{str(action).lower()} by the recipe",
                surrogate=_surrogate_class(decision, vr),
            )
        if decision.condition is not None:
            made.condition = decision.condition
            made.interesting = True
            if decision.otherwise is not None:
                made.otherwise = self._from_recipe(decision.otherwise, tag, vr, label)
        return made

    # -- profile ----------------------------------------------------------------------------------------------

    def _from_profile(self, table: RuleTable, tag: int, vr: str, label: str) -> Operation:
        decided = self.profile.decide(tag)
        path = (*(step.tag for step in table.path), tag)
        kind = standard.attribute_type(table.sop_class, path)
        code = resolve(decided.action, kind, iod_known=standard.is_known_iod(table.sop_class))
        if decided.action == "X/Z/U*":
            # The table lets a sequence of references go unless the IOD needs it. References are kept instead,
            # with their UIDs replaced, so that they resolve among the released objects.
            code = "U"
        row = f"profile {decided.row}"
        reason = decided.reason
        if tag == PATIENT_ID and not table.path:
            return Operation(
                OperationCode.VALUE, (label, "PSEUDO"), make=_subject_id, source=row, reason="the subject's pseudonym",
                surrogate="id",
            )  # fmt: skip
        if tag == ISSUER_OF_PATIENT_ID and not table.path:
            return Operation(
                OperationCode.VALUE, (label, "PSEUDO"), make=_issuer, source=row, reason="names the project",
                surrogate="organisation",
            )  # fmt: skip
        if vr == "UI":
            if code in "KC" and self.profile.retain_uids and not decided.row.startswith("house"):
                return Operation(OperationCode.COPY, (label, "KEEP"), source=row, reason=reason, keeps=True)
            if code in "KUDC" or (code in "XZ" and kind in ("1", "1C")):
                return Operation(OperationCode.UID, (label, "PSEUDO"), source=row, reason=reason)
        if vr == "SQ" and code in "KCUD":
            return Operation(
                OperationCode.SEQUENCE, (label, "KEEP"), source=row, reason="its items are cleaned by their own rules",
                clean_inside=code == "C",
            )  # fmt: skip
        if code == "X":
            return Operation(OperationCode.DROP, (label, "REMOVE"), source=row, reason=reason)
        if code == "Z":
            return Operation(OperationCode.EMPTY, (label, "BLANK"), source=row, reason=reason)
        if code == "D":
            if vr in _DATE_VRS and self.profile.dates == "shifted":
                return self._shift(label, vr, row, reason)
            return Operation(
                OperationCode.VALUE, (label, "REPLACE"), make=makers.dummy_maker(vr), source=row, reason=reason,
                surrogate=_CLASS_OF_VR.get(vr, "text"),
            )  # fmt: skip
        if code == "C":
            if vr in _DATE_VRS:
                return self._shift(label, vr, row, reason)
            if vr == "TM":
                return Operation(OperationCode.COPY, (label, "KEEP"), source=row, reason="times of day stay")
            return self._clean(label, vr, row, reason)
        return self._keep(table, tag, vr, label, row, reason, listed=not decided.row.startswith("house"))

    def _keep(
        self, table: RuleTable, tag: int, vr: str, label: str, row: str, reason: str, *, listed: bool
    ) -> Operation:
        if vr == "PN" and not listed:
            return Operation(
                OperationCode.VALUE, (label, "PSEUDO"), make=makers.dummy_maker("PN"), source=row,
                reason="a person's name in an attribute without a rule", surrogate="name",
            )  # fmt: skip
        if vr in _DATE_VRS and not listed:
            if self.profile.dates == "shifted":
                return self._shift(label, vr, row, "every date moves with its subject")
            if self.profile.dates == "removed":
                return Operation(
                    OperationCode.EMPTY if standard.attribute_type(table.sop_class, (tag,)) == "2" else OperationCode.DROP,
                    (label, "REMOVE"), source=row, reason="a date in an attribute without a rule",
                )  # fmt: skip
        if vr == "AS":
            return Operation(
                OperationCode.VALUE, (label, "KEEP"), make=makers.age_maker(), source=row,
                reason="ages over 89 are capped", keeps=listed,
            )  # fmt: skip
        if tag == CODE_MEANING:
            return Operation(
                OperationCode.CODE_MEANING, (label, "KEEP"), make=makers.clean_maker(vr), source=row,
                reason="meanings of local codes are cleaned as text",
            )  # fmt: skip
        if vr in makers.TEXT_VRS and not listed:
            named = vr == "SH" and label.endswith(_FREE_ENDINGS)
            if (vr in _FREE_TEXT_VRS or named) and tag not in _TECHNICAL_TEXTS:
                return self._clean(label, vr, row, "free text in an attribute without a rule")
            if table.clean_inside and vr not in ("CS", "AE", "PN"):
                return self._clean(label, vr, row, "free text below a cleaned sequence")
            return Operation(
                OperationCode.CHECK, (label, "KEEP"), make=makers.check_maker(vr), source=row,
                reason="stays but for the object's own identifiers",
            )  # fmt: skip
        if vr == "UN":
            return Operation(OperationCode.DROP, (label, "REMOVE"), source=row, reason="unknown means remove")
        return Operation(OperationCode.COPY, (label, "KEEP"), source=row, reason=reason, keeps=listed)

    def _shift(self, label: str, vr: str, row: str, reason: str) -> Operation:
        return Operation(
            OperationCode.VALUE, (label, "JITTER"), make=makers.shift_maker(vr), source=row, reason=reason, surrogate="date",
        )  # fmt: skip

    def _clean(self, label: str, vr: str, row: str, reason: str) -> Operation:
        if vr not in makers.TEXT_VRS:
            # "Clean" of numbers or bytes cannot be done by looking at words, so it is removal here.
            return Operation(OperationCode.DROP, (label, "REMOVE"), source=row, reason=reason)
        return Operation(OperationCode.VALUE, (label, "CLEAN"), make=makers.clean_maker(vr), source=row, reason=reason)

    # -- private attributes -----------------------------------------------------------------------------------

    def private_operation(self, table: RuleTable, tag: int, vr: str, creator: str) -> Operation:
        """Compile the rule for one private element (PS3.15 E.3.10): the recipe's, or the list of safe ones."""
        label = attribute_label(tag, creator)
        if self.recipe is not None:
            decision = self.recipe.decide(ElementKey((*table.path, PathStep(tag, creator)), vr))
            if decision is not None:
                return self._from_recipe(decision, tag, vr, label)
        safe = standard.safe_private(creator, tag >> 16, tag & 0xFFFF)
        if not self.profile.retain_safe_private or safe is None:
            return Operation(
                OperationCode.DROP,
                (f"({tag >> 16:04x},xxxx)", "REMOVE"),
                source="profile",
                reason="not on the list of safe private attributes",
            )
        if vr in ("UN", "OB"):
            vr = safe.vr
        row = "profile rtnSafePrivOpt"
        if vr == "SQ":
            return Operation(OperationCode.SEQUENCE, (label, "KEEP"), source=row, reason=safe.meaning)
        if vr in makers.TEXT_VRS:
            return Operation(
                OperationCode.CHECK, (label, "KEEP"), make=makers.check_maker(vr), source=row, reason=safe.meaning
            )
        if vr in _DATE_VRS:
            return self._shift(label, vr, row, safe.meaning)
        return Operation(OperationCode.COPY, (label, "KEEP"), source=row, reason=safe.meaning)


def _asking_for_all(first: Operation) -> Operation:
    """Let a rule with a condition ask whatever the rules behind it would ask: which one holds is known only later."""
    asking = []
    rule = first.otherwise
    while rule is not None:
        first.asks_uid = first.asks_uid or rule.asks_uid or rule.code == OperationCode.UID
        if rule.queries is not None:
            asking.append(rule.queries)
        rule = rule.otherwise
    if asking:
        if first.queries is not None:
            asking.append(first.queries)
        first.queries = lambda decode, raw: [query for ask in asking for query in ask(decode, raw)]
    return first


_CLASS_OF_VR: Final[Mapping[str, str]] = {
    "PN": "name", "DA": "date", "DT": "date", "TM": "time", "AS": "birth", "UI": "uid",
}  # fmt: skip

_CLASS_OF_PSEUDO: Final[Mapping[str, str]] = {
    "GIVEN_NAME": "name", "SURNAME": "name", "FULL_NAME": "name", "LOCATION_CA": "place", "LOCATION_BC": "place",
    "DATE": "date", "DATETIME": "date", "TIME": "time", "ID_NUMERICAL": "id", "ID_ALPHANUMERICAL": "id",
    "UID": "uid", "HEALTH_INSTITUTION_CA": "organisation",
}  # fmt: skip


def _surrogate_class(decision: Decision, vr: str) -> str:
    if isinstance(decision.value, PseudoCall):
        return _CLASS_OF_PSEUDO.get(get_class(decision.value.cls).name, "text")
    return _CLASS_OF_VR.get(vr, "text")


def _subject_id(context: ObjectContext, raw: bytes) -> bytes:
    del raw
    return context.reply.subject_id.encode("ascii")


def _issuer(context: ObjectContext, raw: bytes) -> bytes:
    del raw
    return context.reply.issuer.encode("ascii")
