"""ID_ALPHANUMERICAL: an identifier whose letters and digits become others."""

from __future__ import annotations

from tarnhelm.common.assign import ValueKind
from tarnhelm.metadata.core.pseudo.contract import Example
from tarnhelm.metadata.core.pseudo.identifiers import IdentifierClass

__all__ = ["CLASS", "IdAlphanumerical"]


class IdAlphanumerical(IdentifierClass):
    """Another identifier of the same shape for the same identifier."""

    name = "ID_ALPHANUMERICAL"
    summary = "An identifier of the same shape: digits stay digits, letters stay letters of the same case."
    examples = (Example("MRN-0012345", "LO", "KQB-7719024"), Example("A12\\B34", "SH", "XT80\\XE56", {"prefix": "X"}))

    def kind_of(self, value: str) -> ValueKind:  # noqa: ARG002
        """Letters and digits alike."""
        return ValueKind.ID_ALPHANUMERICAL


CLASS = IdAlphanumerical()
