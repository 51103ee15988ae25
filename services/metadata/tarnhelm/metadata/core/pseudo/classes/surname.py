"""SURNAME: a family name."""

from __future__ import annotations

from tarnhelm.metadata.core.pseudo.contract import Example, PseudoContext, Settings
from tarnhelm.metadata.core.pseudo.keyed import Draws, language_of, pick
from tarnhelm.metadata.core.pseudo.names import NameClass
from tarnhelm.metadata.core.pseudo.normalise import first_group, part_key
from tarnhelm.metadata.core.pseudo.tables import load_names

__all__ = ["CLASS", "Surname"]


class Surname(NameClass):
    """Another family name for the same family name."""

    name = "SURNAME"
    summary = "A family name. Of a value with carets, the family name component counts."
    examples = (Example("DE LA CRUZ^ANA", "PN", "Gross"), Example("Müller", "LO", "Thibodeau", {"language": "fr"}))

    def key_of(self, value: str) -> str:
        """Take the family name component, or the whole of a value that is one component."""
        return part_key(first_group(value).partition("^")[0]) or part_key(value)

    def render(self, value: str, draws: Draws, parameters: Settings, context: PseudoContext) -> str:  # noqa: ARG002
        """Pick a surname; in a PN it is the first component."""
        return self.spelled(pick(load_names().surname[language_of(parameters, draws[0])], draws[1]), context)


CLASS = Surname()
