"""UID: a unique identifier of the project."""

from __future__ import annotations

import re

from tarnhelm.metadata.core.pseudo.contract import Example, OddValue, PseudoClass, PseudoContext, Settings

__all__ = ["CLASS", "Uid"]

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
_MOST_CHARACTERS = 64


class Uid(PseudoClass):
    """Another UID for the same UID."""

    name = "UID"
    summary = "The project's UID for this UID; UIDs of the standard (SOP classes, transfer syntaxes) stay."
    vrs = frozenset({"UI"})
    examples = (
        Example("1.2.826.0.1.3680043.9.1", "UI", "2.25.329800735698586629295641978511506172918"),
        Example("1.2.840.10008.5.1.4.1.1.2", "UI", "1.2.840.10008.5.1.4.1.1.2"),
    )

    def surrogate(self, value: str, parameters: Settings, context: PseudoContext) -> str:  # noqa: ARG002
        """Look up each UID among those that the object's request named; what is no UID is odd (PS3.5 chapter 9)."""
        if "\\" in value:
            return "\\".join([_one(piece, context) for piece in value.split("\\")])
        return _one(value, context)


def _one(piece: str, context: PseudoContext) -> str:
    piece = piece.strip(" \0")
    if not piece:
        return ""
    if len(piece) > _MOST_CHARACTERS or not _UID.fullmatch(piece):
        raise OddValue
    return context.uid(piece)


CLASS = Uid()
