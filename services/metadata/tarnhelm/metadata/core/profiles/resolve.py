"""From an action code to one action, by the Type that the attribute has in its IOD (PS3.15 Table E.1-1a)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.metadata.core.profiles.decision import ProfileDecision

__all__ = ["Action", "resolve"]

Action = Literal["X", "Z", "D", "K", "C", "U"]

_MUST_HAVE_VALUE: Final = frozenset({"1", "1C"})
_MUST_BE_PRESENT: Final = frozenset({"2", "2C"})
_SINGLE: Final = frozenset({"X", "Z", "D", "K", "C", "U"})


def resolve(code: str | ProfileDecision, attribute_type: str | None, *, iod_known: bool = False) -> Action:
    """Choose the one action that keeps the object valid and removes as much as the code allows.

    Parameters
    ----------
    code
        A decision, or a raw code: ``X/Z/D``, ``X/D`` …
    attribute_type
        ``1``, ``1C``, ``2``, ``2C``, ``3``, or None where
        :func:`~tarnhelm.metadata.core.standard.attribute_type` knows none.
    iod_known
        With no Type: whether the IOD itself is known. If it is, the attribute is an extension of it and
        so optional (PS3.2, Standard Extended SOP Class): Type 3. If it is not, the attribute may be Type 1.

    Notes
    -----
    ===========  =========  =========  ====  ================  ================
    code         1, 1C      2, 2C      3     none, IOD known   none, IOD unknown
    ===========  =========  =========  ====  ================  ================
    ``X``        D / X      Z / X      X     X                 X
    ``Z``        D          Z          Z     Z                 Z
    ``X/Z``      D          Z          X     X                 Z
    ``X/D``      D          D          X     X                 D
    ``Z/D``      D          Z          Z     Z                 D
    ``X/Z/D``    D          Z          X     X                 D
    ``X/Z/U*``   U          Z          X     X                 U
    ===========  =========  =========  ====  ================  ================

    A replacement (D) or an empty value (Z) tells as little as removal, so validity decides. A bare ``X``
    is written where the standard takes the attribute for optional; in the few IODs where it is Type 1 or
    2 it is replaced or emptied instead, and where it is conditional (1C, 2C) it goes. ``D``, ``K``,
    ``C`` and ``U`` are what they are under every Type.

    Raises
    ------
    ValueError
        For a code that is not of Table E.1-1a.
    """
    text = code if isinstance(code, str) else code.action
    return _resolved(text, attribute_type, iod_known)


@cache
def _resolved(code: str, kind: str | None, iod_known: bool) -> Action:
    choices = code.removesuffix("*").split("/")
    if not set(choices) <= _SINGLE or kind not in _RANKS:
        raise ValueError("not an action code of PS3.15 Table E.1-1a, or not a Type")
    if choices == ["X"]:
        return cast("Action", {"1": "D", "2": "Z"}.get(kind or "", "X"))
    if choices == ["Z"]:
        return "D" if kind in _MUST_HAVE_VALUE else "Z"
    if len(choices) == 1:
        return cast("Action", choices[0])
    if kind in _MUST_HAVE_VALUE:
        return cast("Action", choices[-1] if choices[-1] != "Z" else "D")
    if kind in _MUST_BE_PRESENT:
        return cast("Action", "Z" if "Z" in choices else choices[-1])
    if kind is None and not iod_known:
        return cast("Action", choices[-1])
    return cast("Action", choices[0])


_RANKS: Final[Mapping[str | None, None]] = dict.fromkeys(("1", "1C", "2", "2C", "3", None))
