"""What the two classes for identifiers share: a keyed permutation on the assigner's side, so two IDs never collide."""

from __future__ import annotations

import re
from abc import abstractmethod
from types import MappingProxyType

from tarnhelm.common.assign import ValueKind, ValueQuery
from tarnhelm.metadata.core.pseudo.contract import (
    TEXT_VRS,
    OddValue,
    Parameter,
    PseudoClass,
    PseudoContext,
    Settings,
)

__all__ = ["IdentifierClass"]

_PRINTABLE = re.compile(r"[ -\[\]-~]+")
_MOST_CHARACTERS = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "ST": 1024, "LT": 10_240}


class IdentifierClass(PseudoClass):
    """A class whose surrogate keeps the length and the kinds of characters of the identifier."""

    vrs = TEXT_VRS | {"CS", "AE"}
    parameters = MappingProxyType(
        {
            "prefix": Parameter(
                "",
                "Put before each surrogate: at most 8 of `A-Z 0-9 _ -`.",
                form=r"[A-Z0-9_-]{0,8}",
                expected="at most 8 of A-Z 0-9 _ -",
            ),
            "domain": Parameter(
                "id",
                "Equal identifiers get equal surrogates within one domain: give accession numbers a domain of their own "
                "to cut them off from equal patient numbers.",
                form=r"[a-z][a-z0-9-]{0,31}",
                expected="a lower-case word of at most 32 characters",
            ),
        }
    )

    @abstractmethod
    def kind_of(self, value: str) -> ValueKind:
        """Which permutation leaves nothing of ``value`` in place but punctuation."""

    def queries(self, value: str, parameters: Settings) -> tuple[ValueQuery, ...]:
        """Ask for each identifier; an odd one is not asked for, :meth:`surrogate` raises for it."""
        domain = str(parameters["domain"])
        known = [piece for piece in map(_stripped, value.split("\\")) if _understood(piece)]
        return tuple(ValueQuery(self.kind_of(piece), domain, piece) for piece in dict.fromkeys(known))

    def surrogate(self, value: str, parameters: Settings, context: PseudoContext) -> str:
        """Give each identifier the assigner's answer behind the prefix."""
        if "\\" in value:
            return "\\".join([self._one(piece, parameters, context) for piece in value.split("\\")])
        return self._one(value, parameters, context)

    def _one(self, piece: str, parameters: Settings, context: PseudoContext) -> str:
        piece = piece.strip(" \0")
        if not piece:
            return ""
        if not _understood(piece):
            raise OddValue
        answer = context.project_value(self.kind_of(piece), str(parameters["domain"]), piece)
        text = f"{parameters['prefix']}{answer}"
        if len(text) > _MOST_CHARACTERS.get(context.vr, len(text)):
            raise OddValue
        return text


def _stripped(piece: str) -> str:
    return piece.strip(" \0")


def _understood(piece: str) -> bool:
    """Say whether the permutation reaches all that can identify: ASCII, with a letter or a digit."""
    return _PRINTABLE.fullmatch(piece) is not None and any(map(str.isalnum, piece))
