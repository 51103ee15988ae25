"""The fixed registry of functions that a recipe may call with ``func:`` and ``deid_func:``.

In deid a recipe names any Python function the caller defines, and deid's own ones draw random or unkeyed
values. Here a recipe brings no code, and every surrogate comes from the keys of the run: the same value of
the same subject gets the same surrogate in every file, and nobody can test a guess without the key. Each
name of deid's documentation stands for the function with the same purpose.
"""

from __future__ import annotations

import functools
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tarnhelm.common.errors import RECIPE_VARIABLE, TarnhelmError
from tarnhelm.metadata.core.recipe.dates import move_dates
from tarnhelm.metadata.core.recipe.names import describe_tag, plain
from tarnhelm.metadata.core.recipe.rules import Condition, Decision, FunctionCall, Literal, ValueExpr, Variable
from tarnhelm.metadata.core.recipe.vocabulary import ActionName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Function", "FunctionContext", "Parameter", "evaluate", "function_names", "holds", "new_value", "registry"]


class FunctionContext(Protocol):
    """One element of one object, and the keys of the run behind methods."""

    @property
    def value(self) -> str:
        """Decoded; several values are divided by a backslash."""
        ...

    @property
    def vr(self) -> str:
        """Two letters."""
        ...

    @property
    def tag(self) -> int:
        """32 bits."""
        ...

    @property
    def variables(self) -> Mapping[str, str]:
        """What the run gives for ``var:``."""
        ...

    def field(self, keyword: str) -> str:
        """Give the original value of another attribute of the data set, empty if it is absent."""
        ...

    def pseudo(self, cls: str, value: str, parameters: Mapping[str, str]) -> str:
        """Give the surrogate of a PSEUDO class for a value."""
        ...

    def uid(self, value: str) -> str:
        """Give the keyed UID for a value: the same one for the same value in the whole project."""
        ...

    def shift(self, value: str, vr: str) -> str:
        """Move a date by the offset of the subject."""
        ...


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a function: what it may look like, and the value if it is not given."""

    form: str
    expected: str
    default: str = ""

    def accepts(self, text: str) -> bool:
        """Whether the whole text has the form."""
        return re.fullmatch(self.form, text) is not None


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the registry.

    Attributes
    ----------
    name
        Under which calls are recorded.
    summary
        What it returns, for the reference page.
    value, test
        Exactly one is set: a function gives a value (``None``: there is none, the old one must not stay), or
        answers a question and then stands after REMOVE.
    parameters
        By name.
    aliases
        Other names that deid or its documentation use.
    moves_dates
        The function may stand after JITTER.
    """

    name: str
    summary: str
    value: Callable[[FunctionContext, Mapping[str, str]], str | None] | None = None
    test: Callable[[FunctionContext, Mapping[str, str]], bool] | None = None
    parameters: Mapping[str, Parameter] | None = None
    aliases: tuple[str, ...] = ()
    moves_dates: bool = False


_WHOLE: Final = r"[+-]?\d{1,5}"
_ROOT: Final = r"(?=.{1,38}$)[0-2](\.(0|[1-9]\d*)){1,18}\.?"
# 38 characters of root leave 25 digits of 64, 83 bits, to the keyed part.
_KEYWORDS: Final = r"[A-Za-z]\w*(,[A-Za-z]\w*)*"
_UID: Final = re.compile(r"(?<![\d.])[0-2](?:\.(?:0|[1-9]\d*)){5,}(?![\d.])")
_OWN_FIELDS: Final = (
    "PatientName,PatientID,OtherPatientIDs,OtherPatientNames,PatientBirthName,PatientMotherBirthName,AccessionNumber"
)
_NAME_FIELDS: Final = "PatientName,OtherPatientNames,PatientBirthName,PatientMotherBirthName"


def _each(context: FunctionContext, change: Callable[[str], str]) -> str:
    return "\\".join(change(part.strip(" \0")) if part.strip(" \0") else "" for part in context.value.split("\\"))


def _keyed_uid(context: FunctionContext, args: Mapping[str, str]) -> str:
    root = (args.get("org_root") or args.get("prefix") or "").rstrip(".")
    if not root or root == "2.25":
        return _each(context, context.uid)

    def rooted(value: str) -> str:
        digits = str(int(context.uid(value).replace(".", "")))
        return f"{root}.{digits[-(63 - len(root)) :].lstrip('0') or '0'}"

    return _each(context, rooted)


def _keyed_uuid(context: FunctionContext, value: str) -> str:
    """Write a keyed UID as a UUID; of a UID under 2.25 it is the same number (X.667)."""
    return str(uuid.UUID(int=int(context.uid(value).rpartition(".")[2]) % (1 << 128)))


def _uuid(context: FunctionContext, _: Mapping[str, str]) -> str:
    if context.vr == "UI":
        return _each(context, context.uid)
    return _each(context, functools.partial(_keyed_uuid, context))


def _suffixed(context: FunctionContext, _: Mapping[str, str]) -> str:
    row = describe_tag(context.tag)
    prefix = plain(row.keyword) if row else f"{context.tag:08x}"
    return f"{prefix}-{_keyed_uuid(context, context.value)}"


def _jitter(context: FunctionContext, args: Mapping[str, str]) -> str | None:
    days = int(args.get("days") or 1) + 365 * int(args.get("years") or 0)
    return move_dates(context.value, context.vr, days)


def _shift(context: FunctionContext, _: Mapping[str, str]) -> str:
    return context.shift(context.value, context.vr)


def _first_of_month(context: FunctionContext, _: Mapping[str, str]) -> str | None:
    if move_dates(context.value, context.vr, 0) is None:
        return None
    return context.value if context.vr == "TM" else _each(context, _at_first)


def _at_first(text: str) -> str:
    digits = text.replace(".", "", 2) if re.fullmatch(r"\d{4}\.\d{2}\.\d{2}", text) else text
    return digits[:6] + "01" + digits[8:]


def _full_name(context: FunctionContext, _: Mapping[str, str]) -> str:
    return context.pseudo("FULL_NAME", context.value, {})


def _subject_id(context: FunctionContext, _: Mapping[str, str]) -> str:
    return context.pseudo("ID_ALPHANUMERICAL", context.value, {})


def _own_parts(context: FunctionContext, fields: str, least: int) -> list[str]:
    """Parts of the subject's own names and identifiers, the longest first."""
    parts: set[str] = set()
    for keyword in fields.split(","):
        parts.update(re.split(r"[\s^=\\,;]+", context.field(keyword).strip(" \0")))
    return sorted((part for part in parts if len(part) >= least), key=lambda part: (-len(part), part))


def _without_own(context: FunctionContext, args: Mapping[str, str]) -> str:
    parts = _own_parts(context, args.get("fields") or _OWN_FIELDS, int(args.get("minlength") or 3))
    if not parts:
        return context.value
    text = args.get("text", "")
    found = re.compile("|".join(map(re.escape, parts)), re.IGNORECASE)
    return re.sub(r" {2,}", " ", found.sub(lambda _: text, context.value)).strip()


def _holds_name(context: FunctionContext, args: Mapping[str, str]) -> bool:
    value = context.value.lower()
    parts = _own_parts(context, args.get("fields") or _NAME_FIELDS, int(args.get("minlength") or 3))
    return any(part.lower() in value for part in parts)


def _holds_uid(context: FunctionContext, _: Mapping[str, str]) -> bool:
    return _UID.search(context.value) is not None


def _is_empty(context: FunctionContext, _: Mapping[str, str]) -> bool:
    return not context.value.strip(" \0\\")


@functools.cache
def _functions() -> tuple[Function, ...]:
    whole = Parameter(_WHOLE, "a whole number")
    root = Parameter(_ROOT, "a UID root of at most 38 characters")
    stable = Parameter("true", "true: surrogates are always stable here", "true")
    own = {
        "fields": Parameter(_KEYWORDS, "keywords, divided by commas"),
        "minlength": Parameter(r"\d{1,2}", "a whole number"),
    }
    return (
        Function("dicom_uuid", "A keyed UID, under `org_root` if that is given.", _keyed_uid, None, {"org_root": root}),
        Function(
            "pydicom_uuid",
            "A keyed UID, under `prefix` if that is given.",
            _keyed_uid,
            None,
            {"prefix": root, "stable_remapping": stable},
        ),
        Function("generate_uid", "A keyed UID.", _keyed_uid, aliases=("generate_suid", "hashuid", "new_UID", "uid")),
        Function(
            "basic_uuid",
            "A keyed UUID as text; a keyed UID where the VR is UI.",
            _uuid,
            aliases=("simple_uuid", "suid"),
        ),
        Function("suffix_uuid", "The keyword in lower case, a hyphen and a keyed UUID.", _suffixed, aliases=("suuid",)),
        Function(
            "jitter",
            "The date moved by `days` (1 if not given) and `years` of 365 days.",
            _jitter,
            None,
            {"days": whole, "years": whole},
            ("jitter_timestamp", "jitter_timestamp_func"),
            moves_dates=True,
        ),
        Function(
            "shift_date",
            "The date moved by the secret offset of the subject.",
            _shift,
            aliases=("shift",),
            moves_dates=True,
        ),
        Function("remove_day", "The date with the first day of its month.", _first_of_month, moves_dates=True),
        Function("replace_name", "A surrogate of the class FULL_NAME.", _full_name),
        Function(
            "replace_id", "A surrogate of the class ID_ALPHANUMERICAL.", _subject_id, aliases=("generate_id", "hash")
        ),
        Function(
            "remove_identifiers",
            "The text without the parts of the subject's names and identifiers.",
            _without_own,
            None,
            own,
        ),
        Function(
            "replace_identifiers",
            "The same with `text` in their place.",
            _without_own,
            None,
            {**own, "text": Parameter(r".{0,64}", "a text", "")},
        ),
        Function(
            "is_name",
            "Yes if the value holds a part of one of the subject's names.",
            None,
            _holds_name,
            own,
            ("has_name",),
        ),
        Function("hasuid", "Yes if the value holds a UID.", None, _holds_uid, None, ("has_uid",)),
        Function("is_empty", "Yes if the value is empty.", None, _is_empty),
    )


@functools.cache
def registry() -> Mapping[str, Function]:
    """All functions by name and alias."""
    return {name: function for function in _functions() for name in (function.name, *function.aliases)}


def function_names() -> Sequence[str]:
    """All names, for suggestions."""
    return tuple(registry())


def evaluate(expression: ValueExpr, context: FunctionContext) -> str | None:
    """Give the new value for an element.

    Parameters
    ----------
    expression
        Of an ADD, REPLACE or PSEUDO; see :func:`new_value` for any action.
    context
        The element.

    Returns
    -------
    str | None
        ``None`` if the function found no value that it can change: the old value must not stay.

    Raises
    ------
    TarnhelmError
        RCP-002 for a variable without a value: leaving the old value in place would be a leak.
    """
    if isinstance(expression, Literal):
        return expression.text
    if isinstance(expression, Variable):
        return _variable(expression, context)
    if isinstance(expression, FunctionCall):
        function = registry()[expression.name]
        if function.value is None:
            raise TypeError(expression.name)
        return function.value(context, expression.args)
    return context.pseudo(expression.cls, context.value, expression.parameters)


def _variable(expression: Variable, context: FunctionContext) -> str:
    value = context.variables.get(expression.name)
    if value is None:
        raise TarnhelmError(RECIPE_VARIABLE)
    return value


def new_value(decision: Decision, context: FunctionContext) -> str | None:
    """Give what an ADD, REPLACE, PSEUDO or JITTER puts into an element.

    Parameters
    ----------
    decision
        With a value; its condition has been looked at.
    context
        The element.

    Returns
    -------
    str | None
        ``None`` if there is no such value, for instance because JITTER met something that is no date: the old
        value must not stay.

    Raises
    ------
    TarnhelmError
        RCP-002 for a variable without a value.
    """
    expression = decision.value
    if expression is None:
        raise TypeError(decision.action)
    text = evaluate(expression, context)
    if decision.action is not ActionName.JITTER or isinstance(expression, FunctionCall):
        return text
    if text is None or not re.fullmatch(_WHOLE, text.strip()):
        return None
    return move_dates(context.value, context.vr, int(text))


def holds(condition: Condition, context: FunctionContext, groups: Mapping[str, frozenset[str]]) -> bool:
    """Tell whether a rule's condition holds for an element.

    Parameters
    ----------
    condition
        ``Decision.condition``.
    context
        The element.
    groups
        What ``Recipe.collect_values`` gave for the object. A value counts as found wherever it stands in the
        element's value, in any case, as in deid; unlike there it is a text and not an expression.
    """
    if condition.group is not None:
        value = context.value.lower()
        if not any(own.lower() in value for own in groups.get(condition.group, ())):
            return False
    if condition.function is None:
        return True
    test = registry()[condition.function.name].test
    if test is None:
        raise TypeError(condition.function.name)
    return test(context, condition.function.args)
