"""Makers for what a recipe's own rules say: literals, variables, registered functions, PSEUDO, JITTER."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.pseudo import OddValue, get_class
from tarnhelm.metadata.core.recipe import FunctionCall, PseudoCall, new_value
from tarnhelm.metadata.core.rules.makers import fit_text, pseudo_maker, pseudo_queries

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe import Decision
    from tarnhelm.metadata.core.rules.context import ObjectContext
    from tarnhelm.metadata.core.rules.operations import Maker, Queries

__all__ = ["ElementView", "asks_uid", "depends_on_value_only", "expression_maker", "expression_queries"]

#: The class of project-scope questions that functions of a recipe may come to ask.
_ID_CLASS: Final = "ID_ALPHANUMERICAL"


class ElementView:
    """One element as the recipe's functions see it (their ``FunctionContext``)."""

    __slots__ = ("_context", "tag", "value", "vr")

    def __init__(self, context: ObjectContext, value: str, vr: str, tag: int) -> None:
        self._context = context
        self.value = value
        self.vr = vr
        self.tag = tag

    @property
    def variables(self) -> Mapping[str, str]:
        """What the run gives for ``var:``."""
        return self._context.variables

    def field(self, keyword: str) -> str:
        """Original value of another attribute of the data set."""
        return self._context.field_value(keyword)

    def pseudo(self, cls: str, value: str, parameters: Mapping[str, str]) -> str:
        """Surrogate of a PSEUDO class."""
        known = get_class(cls)
        return known.surrogate(value, known.validate(self.vr, parameters), self._context.pseudo_for(self.vr))

    def uid(self, value: str) -> str:
        """Keyed UID of a value."""
        return self._context.pseudo_for("UI").uid(value)

    def shift(self, value: str, vr: str) -> str:
        """Date moved by the subject's offset."""
        return self.pseudo("DATE" if vr == "DA" else "DATETIME", value, {})


def depends_on_value_only(decision: Decision) -> bool:
    """Tell whether what a rule makes may be remembered by (rule, old value): functions may read other attributes."""
    return not isinstance(decision.value, FunctionCall) and decision.condition is None


def asks_uid(decision: Decision) -> bool:
    """Tell whether the assigner has to be asked for a keyed UID of the value itself."""
    if isinstance(decision.value, FunctionCall):
        return True
    return isinstance(decision.value, PseudoCall) and get_class(decision.value.cls).name == "UID"


def expression_maker(decision: Decision, tag: int, vr: str) -> Maker:
    """Maker for ADD, REPLACE, JITTER and PSEUDO."""
    expression = decision.value
    if isinstance(expression, PseudoCall):
        known = get_class(expression.cls)
        return pseudo_maker(known, known.validate(vr, expression.parameters), vr)
    if expression is None:
        return _empty

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        made = new_value(decision, ElementView(context, context.decode(raw, vr), vr, tag))
        if made is None:
            raise OddValue
        return encode_value(context, made, vr)

    return make


def _empty(context: ObjectContext, raw: bytes) -> bytes:
    del context, raw
    return b""


_PACKED: Final = {
    "US": (2, False),
    "SS": (2, True),
    "UL": (4, False),
    "SL": (4, True),
    "UV": (8, False),
    "SV": (8, True),
}


def encode_value(context: ObjectContext, text: str, vr: str) -> bytes:
    """Bytes of a value that a recipe gives as text, binary integers included; raises OddValue."""
    packed = _PACKED.get(vr)
    if packed is None:
        if vr in ("FL", "FD", "OB", "OW", "OF", "OD", "OL", "OV", "UN", "AT"):
            if text:
                raise OddValue
            return b""
        return context.encode(fit_text(text, vr), vr)
    size, signed = packed
    order = context.byteorder
    return b"".join(int(part).to_bytes(size, order, signed=signed) for part in text.split("\\") if part)  # type: ignore[arg-type]


def expression_queries(decision: Decision, vr: str) -> Queries | None:
    """What a rule has to ask the assigner about one raw value; ``None`` where it never asks."""
    expression = decision.value
    if isinstance(expression, PseudoCall):
        known = get_class(expression.cls)
        settings = known.validate(vr, expression.parameters)
        if known.queries("x1", settings):
            return pseudo_queries(known, settings, vr)
        return None
    if isinstance(expression, FunctionCall):
        known = get_class(_ID_CLASS)
        return pseudo_queries(known, known.validate("", {}), vr)
    return None
