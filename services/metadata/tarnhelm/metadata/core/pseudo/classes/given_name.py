"""GIVEN_NAME: a first name that follows the recorded sex."""

from __future__ import annotations

from types import MappingProxyType

from tarnhelm.metadata.core.pseudo.contract import Example, PseudoContext, Settings
from tarnhelm.metadata.core.pseudo.keyed import Draws, language_of, pick
from tarnhelm.metadata.core.pseudo.names import SEX, NameClass, given_names
from tarnhelm.metadata.core.pseudo.normalise import first_group, part_key

__all__ = ["CLASS", "GivenName"]


class GivenName(NameClass):
    """Another given name for the same given name."""

    name = "GIVEN_NAME"
    summary = "A given name of the recorded sex. Of a value with carets, the given name component counts."
    parameters = MappingProxyType({**NameClass.parameters, **SEX})
    examples = (Example("Mary-Ann", "LO", "Christy"), Example("OBRIEN^MARYANN", "PN", "^Christy"))

    def key_of(self, value: str) -> str:
        """Take the given name component, or the whole of a value that has none."""
        group = first_group(value)
        return part_key(group.split("^")[1]) or part_key(group) if "^" in group else part_key(group)

    def render(self, value: str, draws: Draws, parameters: Settings, context: PseudoContext) -> str:  # noqa: ARG002
        """Pick a given name; in a PN it is the second component (PS3.5 section 6.2.1.1)."""
        names = given_names(language_of(parameters, draws[0]), parameters, context)
        chosen = self.spelled(pick(names, draws[1]), context)
        return f"^{chosen}" if context.vr == "PN" else chosen


CLASS = GivenName()
