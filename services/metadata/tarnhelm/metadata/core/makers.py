"""Makers: from a raw value and its context to the new raw value, one small function per kind of rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.metadata.core.encode import TEXT_LENGTHS
from tarnhelm.metadata.core.operations import Maker, Queries
from tarnhelm.metadata.core.pseudo import OddValue, get_class
from tarnhelm.metadata.core.pseudo.dates import cap_age

if TYPE_CHECKING:
    from tarnhelm.common.assign import ValueQuery
    from tarnhelm.metadata.core.context import ObjectContext
    from tarnhelm.metadata.core.pseudo import PseudoClass

__all__ = [
    "SINGLE_VALUED",
    "TEXT_VRS",
    "check_maker",
    "clean_maker",
    "dummy_maker",
    "fit_text",
    "literal_maker",
    "pseudo_maker",
    "pseudo_queries",
    "shift_maker",
    "split_values",
]

#: Text VRs in which a backslash is a character, not a separator (PS3.5 §6.2).
SINGLE_VALUED: Final = frozenset({"ST", "LT", "UT", "UR"})
#: VRs that hold words and so are looked through for identifiers.
TEXT_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_CLEANABLE: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})

_DUMMIES: Final = {
    "AE": b"REMOVED ", "AS": b"000Y", "CS": b"REMOVED ", "DA": b"19000101", "DS": b"0 ",
    "DT": b"19000101000000", "IS": b"0 ", "LO": b"REMOVED ", "LT": b"REMOVED ", "SH": b"REMOVED ",
    "ST": b"REMOVED ", "TM": b"000000", "UC": b"REMOVED ", "UR": b"about:blank ", "UT": b"REMOVED ",
}  # fmt: skip
_NUMBER_BYTES: Final = {
    "AT": 4, "FD": 8, "FL": 4, "OB": 2, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "SL": 4, "SS": 2,
    "SV": 8, "UL": 4, "UN": 2, "US": 2, "UV": 8,
}  # fmt: skip


def split_values(text: str, vr: str) -> list[str]:
    """Values of a decoded text: separated by backslashes, but for the VRs of one value."""
    return [text] if vr in SINGLE_VALUED else text.split("\\")


def fit_text(text: str, vr: str) -> str:
    """Cut a text to the most characters its VR allows (PS3.5 §6.2)."""
    most = TEXT_LENGTHS.get(vr)
    return text if most is None or len(text) <= most else text[:most].rstrip()


def pseudo_maker(cls: PseudoClass, parameters: Mapping[str, Any], vr: str) -> Maker:
    """Surrogates of a PSEUDO class, value by value; an empty value stays empty."""

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        text = context.decode(raw, vr)
        if not text:
            return b""
        return context.encode(cls.surrogate(text, parameters, context.pseudo_for(vr)), vr)

    return make


def pseudo_queries(cls: PseudoClass, parameters: Mapping[str, Any], vr: str) -> Queries:
    """What a PSEUDO class has to ask the assigner for one raw value, before the object can be written."""

    def queries(decode: Callable[[bytes, str], str], raw: bytes) -> list[ValueQuery]:
        text = decode(raw, vr)
        return list(cls.queries(text, parameters)) if text else []

    return queries


def shift_maker(vr: str) -> Maker:
    """Move a date or a date with time by the subject's whole days (PS3.15 E.3.6, modified dates)."""
    cls = get_class("DATE" if vr == "DA" else "DATETIME")
    return pseudo_maker(cls, cls.validate(vr, {}), vr)


def age_maker() -> Maker:
    """Ages over 89 years become ``090Y``: the few very old people of a region are known by their age."""

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        text = context.decode(raw, "AS")
        return "\\".join(cap_age(value) for value in text.split("\\")).encode("ascii") if text else b""

    return make


def literal_maker(text: str, vr: str) -> Maker:
    """The same value for every object."""
    fitted = fit_text(text, vr)

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        del raw
        return context.encode(fitted, vr)

    return make


def dummy_maker(vr: str) -> Maker:
    """A value that says nothing but is valid for the VR (PS3.15 action D)."""
    if vr == "PN":
        cls = get_class("FULL_NAME")
        return pseudo_maker(cls, cls.validate("PN", {}), "PN")
    dummy = _DUMMIES.get(vr) or b"\0" * _NUMBER_BYTES.get(vr, 0)

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        del context
        return dummy if raw else b""

    return make


def clean_maker(vr: str) -> Maker:
    """Keep the useful words of a text and nothing else (PS3.15 E.3.5, clean descriptors)."""
    if vr not in _CLEANABLE:
        return check_maker(vr)

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        text = context.decode(raw, vr)
        if not text:
            return b""
        clean = context.cleaner.clean
        made = [clean(value, context.identifiers).text for value in split_values(text, vr)]
        if made == split_values(text, vr):
            return raw
        return context.encode(fit_text("\\".join(made), vr), vr)

    return make


def check_maker(vr: str) -> Maker:
    """Leave a text as it is unless it holds an identifier of its own object; then take that out."""

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        text = context.decode(raw, vr)
        if not text or not context.identifiers.found_in(text):
            return raw
        if vr not in _CLEANABLE:
            return b""
        redact = context.cleaner.redact
        made = [redact(value, context.identifiers).text for value in split_values(text, vr)]
        return context.encode("\\".join(made), vr)

    return make


def require_value(maker: Maker) -> Maker:
    """Wrap a maker for an attribute that must not be empty: what comes out empty is an odd value."""

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        made = maker(context, raw)
        if raw and not made:
            raise OddValue
        return made

    return make
