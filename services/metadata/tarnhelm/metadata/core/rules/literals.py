"""Whether a text that a recipe gives is a value of a VR (PS3.5 table 6.2-1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tarnhelm.metadata.core.pseudo import OddValue
from tarnhelm.metadata.core.pseudo.dates import cap_age, check_time, shift_date, shift_datetime
from tarnhelm.metadata.core.rewriting.encode import TEXT_LENGTHS
from tarnhelm.metadata.core.rules.makers import split_values

__all__ = ["FORMED", "fits"]

_CODE: Final = re.compile(r"[A-Z0-9 _]*")
_UID: Final = re.compile(r"(?=.{1,64}$)[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_DECIMAL: Final = re.compile(r"(?=.{1,16}$)\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
_INTEGER: Final = re.compile(r"\s*[+-]?\d{1,11}\s*", re.ASCII)
_BITS: Final = {"US": 16, "UL": 32, "UV": 64, "SS": -16, "SL": -32, "SV": -64, "IS": -32}

#: VRs whose values have a form that readers parse: a text that lacks it breaks the file.
FORMED: Final = frozenset({"AS", "DA", "DS", "DT", "IS", "TM", "UI"})


def fits(text: str, vr: str) -> bool:
    """Say whether a text is a value of a VR, or several divided by backslashes; the empty value fits every one."""
    check = _CHECKS.get(vr)
    return all(not part or check is None or check(part) for part in split_values(text, vr)) and all(
        len(part) <= TEXT_LENGTHS.get(vr, len(part)) for part in split_values(text, vr)
    )


def _moves(move: Callable[[str], str]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            move(text)
        except OddValue:
            return False
        return True

    return check


def _whole(bits: int) -> Callable[[str], bool]:
    low, high = (-(1 << -bits - 1), (1 << -bits - 1) - 1) if bits < 0 else (0, (1 << bits) - 1)

    def check(text: str) -> bool:
        return _INTEGER.fullmatch(text) is not None and low <= int(text) <= high

    return check


def _is_empty(text: str) -> bool:
    return not text


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "AS": lambda text: len(text) == 4 and _moves(cap_age)(text),
    "CS": lambda text: _CODE.fullmatch(text) is not None,
    "DA": _moves(lambda text: shift_date(text, 0)),
    "DS": lambda text: _DECIMAL.fullmatch(text) is not None,
    "DT": _moves(lambda text: shift_datetime(text, 0)),
    "TM": _moves(check_time),
    "UI": lambda text: _UID.fullmatch(text) is not None,
    **{vr: _whole(bits) for vr, bits in _BITS.items()},
    **dict.fromkeys(("AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "UN"), _is_empty),
}
"""Binary numbers with a point and bytes cannot be given as text."""
