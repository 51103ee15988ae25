"""FULL_NAME: surname and given name of one person."""

from __future__ import annotations

from types import MappingProxyType

from tarnhelm.metadata.core.pseudo.contract import Example, PseudoContext, Settings
from tarnhelm.metadata.core.pseudo.keyed import Draws, language_of, pick
from tarnhelm.metadata.core.pseudo.names import SEX, NameClass, given_names
from tarnhelm.metadata.core.pseudo.normalise import first_group, person_key
from tarnhelm.metadata.core.pseudo.tables import load_names

__all__ = ["CLASS", "FullName"]

_SH_CHARACTERS = 16


class FullName(NameClass):
    """Another name for the same person."""

    name = "FULL_NAME"
    summary = "A surname and a given name of the recorded sex; a middle name where the source has one."
    parameters = MappingProxyType({**NameClass.parameters, **SEX})
    examples = (
        Example("O'BRIEN^MARY-ANN^J^DR", "PN", "Swanson^Sonia^N"),
        Example("Dr. Maryann Obrien", "LO", "Sonia Swanson"),
        Example("Tremblay^Dana", "PN", "Beauregard^Nathalie", {"language": "fr", "sex": "any"}),
        Example("TREMBLAY^DANA", "PN", "Hébert^Colette", {"scope": "project"}),
    )

    def key_of(self, value: str) -> str:
        """Surname and given name, whatever their order, spelling and company."""
        return person_key(value)

    def render(self, value: str, draws: Draws, parameters: Settings, context: PseudoContext) -> str:
        """Write ``Surname^Given``, or ``Given Surname`` outside PN.

        Prefix, suffix and the ideographic and phonetic groups of the source are dropped. A source that has only an
        initial for a middle name gets an initial.
        """
        language = language_of(parameters, draws[0])
        names = given_names(language, parameters, context)
        surname = pick(load_names().surname[language], draws[1])
        given = pick(names, draws[2])
        if context.vr == "PN":
            middle = _middle(value, names, given, draws[3]) if value.count("^") > 1 else ""
            return self.spelled(f"{surname}^{given}^{middle}" if middle else f"{surname}^{given}", context)
        text = f"{given} {surname}"
        if context.vr == "SH" and len(text) > _SH_CHARACTERS:
            text = f"{given[0]} {surname}"
        return self.spelled(text, context)


def _middle(value: str, names: tuple[str, ...], given: str, draw: int) -> str:
    components = first_group(value).split("^")
    source = components[2].strip(" .\0") if len(components) > 2 else ""
    if not source:
        return ""
    index = draw % len(names)
    middle = names[index] if names[index] != given else names[index - 1]
    return middle if len(source) > 1 else middle[0]


CLASS = FullName()
