"""What the classes for dates and times share: each of several values moves for itself."""

from __future__ import annotations

from abc import abstractmethod

from tarnhelm.metadata.core.pseudo.contract import PseudoClass, PseudoContext, Settings

__all__ = ["ShiftedClass"]


class ShiftedClass(PseudoClass):
    """A class that moves values in time; one odd value of several makes the whole attribute odd."""

    @abstractmethod
    def moved(self, value: str, parameters: Settings, context: PseudoContext) -> str:
        """Move one value; an empty one stays empty."""

    def surrogate(self, value: str, parameters: Settings, context: PseudoContext) -> str:
        """Move each value."""
        if "\\" in value:
            return "\\".join([self.moved(piece, parameters, context) for piece in value.split("\\")])
        return self.moved(value, parameters, context)
