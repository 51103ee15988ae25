"""Makers: from a raw value and its context to the new raw value, one small function per kind of rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.metadata.core.pseudo import OddValue, get_class
from tarnhelm.metadata.core.pseudo.dates import cap_age, check_time, shift_pair, time_offset_seconds
from tarnhelm.metadata.core.rewriting.encode import TEXT_LENGTHS
from tarnhelm.metadata.core.rules.operations import Maker, Queries

if TYPE_CHECKING:
    from tarnhelm.common.assign import ValueQuery
    from tarnhelm.metadata.core.pseudo import PseudoClass
    from tarnhelm.metadata.core.rules.context import ObjectContext

__all__ = [
    "SINGLE_VALUED",
    "TEXT_VRS",
    "carry_day",
    "check_maker",
    "clean_maker",
    "dummy_maker",
    "fit_text",
    "form_maker",
    "holds_own",
    "never_empty",
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

#: Empties a text that is of nothing but the characters of VR CS (PS3.5 §6.2) and separators.
_CODE_CHARACTERS: Final = str.maketrans("", "", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _\\")
#: The bytes of values that are numbers, dates and times; the old forms with points and colons too.
_FORM_BYTES: Final = {
    "DA": b"0123456789.- \\\0", "DS": b"0123456789+-.eE \\\0", "DT": b"0123456789+-. \\\0",
    "IS": b"0123456789+- \\\0", "TM": b"0123456789.:- \\\0",
}  # fmt: skip

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


def carry_day(context: ObjectContext, moved: bytes, time: bytes) -> bytes:
    """Carry the day that a time of day carries when it moves, so that date and time stay one instant.

    Parameters
    ----------
    context
        With the subject's material.
    moved
        Raw value of VR DA, moved by its days.
    time
        Raw value of VR TM as found beside it. Values pair by their order; where their numbers differ, or a time is none,
        the date has no time to carry from.
    """
    dates, times = moved.decode("ascii").split("\\"), context.decode(time, "TM").split("\\")
    if len(dates) != len(times):
        return moved
    seconds = time_offset_seconds(context.reply.subject_key)
    return "\\".join(_carried(day, clock, seconds) for day, clock in zip(dates, times, strict=True)).encode("ascii")


def _carried(day: str, clock: str, seconds: int) -> str:
    try:
        clock = check_time(clock)
    except OddValue:
        return day
    return shift_pair(day, clock, 0, seconds)[0] if day.strip() else day


def age_maker() -> Maker:
    """Ages over 89 years become ``090Y``: the few very old people of a region are known by their age."""

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        text = context.decode(raw, "AS")
        return "\\".join(cap_age(value) for value in text.split("\\")).encode("ascii") if text else b""

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
    """Keep the useful words of a text and nothing else (PS3.15 E.3.5, clean descriptors).

    Names of persons become other names, addresses go: there is no useful word in them.
    """
    if vr not in TEXT_VRS - {"PN", "UR"}:
        return dummy_maker(vr)

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
    """Leave a text as it is unless it holds an identifier of its own object; then take that out.

    A code string that breaks the rules of its VR was typed by somebody and is cleaned like one.
    """

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        text = context.decode(raw, vr)
        if not text:
            return raw
        if vr not in _CLEANABLE:
            if any(holds_own(context, value) for value in split_values(text, vr)):
                return b""
            return raw if vr != "CS" or _is_code_string(text) else tidy(context, raw)
        redact = context.cleaner.redact
        values = split_values(text, vr)
        made = [redact(value, context.identifiers).text for value in values]
        return raw if made == values else context.encode("\\".join(made), vr)

    tidy = clean_maker("CS") if vr == "CS" else make
    return make


def holds_own(context: ObjectContext, text: str) -> bool:
    """Say whether a text that stays holds an identifier of its own object, a health number or a site's record number."""
    return bool(context.cleaner.redact(text, context.identifiers).removed) or context.identifiers.found_in(text)


def _is_code_string(text: str) -> bool:
    """Say whether every value is of the characters and the length that VR CS allows (PS3.5 §6.2)."""
    return not text.translate(_CODE_CHARACTERS) and all(len(value.strip()) <= 16 for value in text.split("\\"))


def form_maker(vr: str) -> Maker:
    """Leave a number or a time that is written as text; anything else is no value of its VR and goes (PS3.5 §6.2)."""
    allowed = _FORM_BYTES[vr]

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        del context
        if raw.translate(None, allowed):
            raise OddValue
        return raw

    return make


def never_empty(maker: Maker, vr: str) -> Maker:
    """Wrap a maker for an attribute that must have a value (Type 1): what would come out empty says nothing instead."""
    dummy = dummy_maker(vr)

    def make(context: ObjectContext, raw: bytes) -> bytes | None:
        try:
            made = maker(context, raw)
        except OddValue:
            made = b""
        return made if made or not raw else dummy(context, raw)

    return make
