"""ID_NUMERICAL: an identifier whose digits become other digits."""

from __future__ import annotations

from tarnhelm.common.assign import ValueKind
from tarnhelm.metadata.core.pseudo.contract import Example
from tarnhelm.metadata.core.pseudo.identifiers import IdentifierClass

__all__ = ["CLASS", "IdNumerical"]


class IdNumerical(IdentifierClass):
    """Another number of the same length for the same number."""

    name = "ID_NUMERICAL"
    summary = (
        "A number of the same length; other characters than digits stay in place. A value that holds letters is treated "
        "as ID_ALPHANUMERICAL, because letters left in place may be a name."
    )
    examples = (Example("0012345", "LO", "5830917"), Example("9012-345-678", "SH", "4471-902-360", {"domain": "phn"}))

    def kind_of(self, value: str) -> ValueKind:
        """Digits alone, unless letters stand beside them."""
        return ValueKind.ID_ALPHANUMERICAL if any(map(str.isalpha, value)) else ValueKind.ID_NUMERICAL


CLASS = IdNumerical()
