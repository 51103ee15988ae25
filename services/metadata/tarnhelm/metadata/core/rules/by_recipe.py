"""Rules of a recipe as operations: what its line says, for one attribute and VR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.pseudo import PseudoError, get_class
from tarnhelm.metadata.core.recipe import ActionName, Decision, FunctionCall, Literal, PseudoCall
from tarnhelm.metadata.core.rules.attributes import time_beside
from tarnhelm.metadata.core.rules.expressions import (
    asks_uid,
    depends_on_value_only,
    expression_maker,
    expression_queries,
)
from tarnhelm.metadata.core.rules.literals import FORMED, fits
from tarnhelm.metadata.core.rules.operations import Operation, OperationCode

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe import Recipe

__all__ = ["CLASS_OF_VR", "asking_for_all", "moves_times", "recipe_operation"]

#: Class of identifier that a value of this VR stands for, in the witness's policy.
CLASS_OF_VR: Final[Mapping[str, str]] = {
    "PN": "name", "DA": "date", "DT": "date", "TM": "time", "AS": "birth", "UI": "uid",
}  # fmt: skip
_CLASS_OF_PSEUDO: Final[Mapping[str, str]] = {
    "GIVEN_NAME": "name", "SURNAME": "name", "FULL_NAME": "name", "LOCATION_CA": "place", "LOCATION_BC": "place",
    "DATE": "date", "DATETIME": "date", "TIME": "time", "ID_NUMERICAL": "id", "ID_ALPHANUMERICAL": "id",
    "UID": "uid", "HEALTH_INSTITUTION_CA": "organisation",
}  # fmt: skip
_SETTING: Final = frozenset({ActionName.ADD, ActionName.REPLACE})
#: Functions that move a date by days.
_MOVING: Final = frozenset({"jitter", "shift_date"})


def recipe_operation(decision: Decision, tag: int, vr: str, label: str, *, pairs: bool = False) -> Operation:
    """Compile what a recipe decides for an attribute.

    Parameters
    ----------
    decision
        With the decisions for values that do not fulfil its condition.
    tag, vr, label
        Of the attribute; the VR that the file shows.
    pairs
        The recipe moves times of day, so a moved date is to carry what its time carries.
    """
    try:
        made = _operation(decision, tag, vr, label)
    except PseudoError:
        # The file writes the attribute with a VR that the class cannot write: an odd value, so it goes.
        made = Operation(
            OperationCode.DROP, (label, "REMOVE"), source=_source(decision), reason=f"its class cannot write VR {vr}"
        )
    else:
        if pairs and vr == "DA" and _moves_date(decision):
            made.pair = time_beside(tag)
            made.memo = made.memo and made.pair is None
        made.moves_time = _moves_time(decision, vr)
    made.decision = decision
    if decision.condition is not None:
        made.condition = decision.condition
        made.interesting = True
        if decision.otherwise is not None:
            made.otherwise = recipe_operation(decision.otherwise, tag, vr, label, pairs=pairs)
    return made


def _operation(decision: Decision, tag: int, vr: str, label: str) -> Operation:
    source = _source(decision)
    action = decision.action
    shown = (label, str(action))
    if action is ActionName.KEEP:
        code = OperationCode.SEQUENCE if vr == "SQ" else OperationCode.COPY
        return Operation(code, shown, source=source, reason="kept by the recipe", keeps=True)
    if action is ActionName.REMOVE:
        return Operation(OperationCode.DROP, shown, source=source, reason="removed by the recipe")
    if action is ActionName.BLANK or vr == "SQ":
        return Operation(OperationCode.EMPTY, (label, "BLANK"), source=source, reason="blanked by the recipe")
    if decision.value == Literal("") and action in _SETTING:
        return Operation(OperationCode.EMPTY, shown, source=source, reason="emptied by the recipe")
    if (
        isinstance(decision.value, Literal)
        and action in _SETTING
        and vr in FORMED
        and not fits(decision.value.text, vr)
    ):
        reason = f"blanked: the recipe's value is none of VR {vr}"
        return Operation(OperationCode.EMPTY, (label, "BLANK"), source=source, reason=reason)
    return Operation(
        OperationCode.VALUE,
        shown,
        make=expression_maker(decision, tag, vr),
        memo=depends_on_value_only(decision),
        asks_uid=asks_uid(decision),
        queries=expression_queries(decision, vr),
        source=source,
        reason=_REASONS[action],
        surrogate=_surrogate_class(decision, vr),
    )


_REASONS: Final = {
    ActionName.ADD: "set by the recipe",
    ActionName.REPLACE: "replaced by the recipe",
    ActionName.JITTER: "moved by the recipe's days",
    ActionName.PSEUDO: "a keyed surrogate",
}


def _source(decision: Decision) -> str:
    return f"recipe line {decision.rule.line}" if decision.rule.line else "recipe"


def _surrogate_class(decision: Decision, vr: str) -> str:
    if isinstance(decision.value, PseudoCall):
        return _CLASS_OF_PSEUDO.get(get_class(decision.value.cls).name, "text")
    return CLASS_OF_VR.get(vr, "text")


def _moves_date(decision: Decision) -> bool:
    """Tell whether the date stays a moment of the patient's history; a date of birth follows its own rules."""
    value = decision.value
    if isinstance(value, PseudoCall):
        named = get_class(value.cls).name
        return named == "DATETIME" or (named == "DATE" and value.parameters.get("birth", "no") == "no")
    if isinstance(value, FunctionCall):
        return value.name in _MOVING
    return decision.action is ActionName.JITTER


def _moves_time(decision: Decision, vr: str) -> bool:
    value = decision.value
    if not isinstance(value, PseudoCall) or get_class(value.cls).name != {"TM": "TIME", "DT": "DATETIME"}.get(vr):
        return False
    return value.parameters.get("shift") == "true"


def moves_times(recipe: Recipe | None) -> bool:
    """Tell whether any rule moves times of day (``TIME shift=true``)."""
    if recipe is None:
        return False
    return any(_moves_time(Decision(rule.action, rule.value, rule), "TM") for rule in recipe.header_rules)


def asking_for_all(first: Operation) -> Operation:
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
