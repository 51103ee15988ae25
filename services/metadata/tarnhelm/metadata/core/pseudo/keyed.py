"""Classes whose surrogate is picked from a frozen table by a key of the value.

Key material of a value is HMAC-SHA256(subject key, class name ‖ 0 ‖ normalised value) for ``scope=patient``; for
``scope=project`` the assigner gives it, because a project's key stays on its side. The material is read as four draws
of 64 bits, most significant byte first; a draw picks from a table of thousands evenly to within 2⁻⁵⁰.
"""

from __future__ import annotations

import hmac
import struct
from abc import abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from tarnhelm.common.assign import ValueKind, ValueQuery
from tarnhelm.metadata.core.pseudo.contract import Parameter, PseudoClass, PseudoContext, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LANGUAGE", "SCOPE", "Draws", "KeyedClass", "language_of", "pick"]

SCOPE: Final = MappingProxyType(
    {
        "scope": Parameter(
            "patient",
            "`project` gives equal values one surrogate in the whole project, as a physician or an institution wants it.",
            ("patient", "project"),
        )
    }
)
LANGUAGE: Final = MappingProxyType(
    {
        "language": Parameter(
            "mixed", "Language of the surrogate; `mixed` is French in one of four.", ("mixed", "en", "fr")
        )
    }
)

_Row = TypeVar("_Row")
_ENGLISH_OF_FOUR = 3
_four_draws = struct.Struct(">4Q").unpack

Draws = tuple[int, int, int, int]
"""Four integers of 64 bits, from 32 bytes of key material."""


def pick(table: Sequence[_Row], draw: int) -> _Row:
    """Pick one row; uneven by at most ``len(table)`` in 2⁶⁴."""
    return table[draw % len(table)]


def language_of(parameters: Settings, draw: int) -> str:
    """``en`` or ``fr``: the rule's choice, or by a draw."""
    wanted = parameters["language"]
    if wanted == "mixed":
        return "en" if draw % 4 < _ENGLISH_OF_FOUR else "fr"
    return str(wanted)


class KeyedClass(PseudoClass):
    """A class whose surrogate depends on nothing but key material, parameters and the context's facts."""

    blank = " \0"
    """Characters that make up an empty value."""

    @abstractmethod
    def key_of(self, value: str) -> str:
        """Normalise one value: what is equal here gets one surrogate."""

    @abstractmethod
    def render(self, value: str, draws: Draws, parameters: Settings, context: PseudoContext) -> str:
        """Make the surrogate of one value from its draws."""

    def queries(self, value: str, parameters: Settings) -> tuple[ValueQuery, ...]:
        """Ask for a key for each value, where the rule's scope is the project."""
        if parameters["scope"] != "project":
            return ()
        keys = dict.fromkeys(self.key_of(piece) for piece in value.split("\\") if piece.strip(self.blank))
        return tuple(ValueQuery(ValueKind.KEY, self.name, key) for key in keys)

    def surrogate(self, value: str, parameters: Settings, context: PseudoContext) -> str:
        """Replace each value by the row that its key picks."""
        if "\\" in value:
            return "\\".join([self._one(piece, parameters, context) for piece in value.split("\\")])
        return self._one(value, parameters, context)

    def _one(self, piece: str, parameters: Settings, context: PseudoContext) -> str:
        if not piece.strip(self.blank):
            return ""
        key = self.key_of(piece)
        if parameters["scope"] == "project":
            material = bytes.fromhex(context.project_value(ValueKind.KEY, self.name, key))
        else:
            message = f"{self.name}\0{key}".encode("utf-8", "surrogatepass")
            material = hmac.digest(context.subject_key, message, "sha256")
        return self.render(piece, _four_draws(material), parameters, context)
