"""HEALTH_INSTITUTION_CA: an invented institution that sounds Canadian."""

from __future__ import annotations

from types import MappingProxyType

from tarnhelm.metadata.core.pseudo.contract import TEXT_VRS, Example, PseudoContext, Settings
from tarnhelm.metadata.core.pseudo.keyed import LANGUAGE, SCOPE, Draws, KeyedClass, language_of, pick
from tarnhelm.metadata.core.pseudo.normalise import text_key, to_ascii
from tarnhelm.metadata.core.pseudo.tables import load_institutions

__all__ = ["CLASS", "HealthInstitutionCA"]


class HealthInstitutionCA(KeyedClass):
    """Another institution for the same institution."""

    name = "HEALTH_INSTITUTION_CA"
    aliases = ("HEALTH_INSTITUTION",)
    summary = "An invented hospital, clinic or health centre; none of them exists."
    vrs = TEXT_VRS
    parameters = MappingProxyType({**SCOPE, **LANGUAGE})
    examples = (
        Example("St. Paul's Hospital", "LO", "Eiderreach Regional Hospital"),
        Example("ST PAULS HOSPITAL", "SH", "Eiderreach RH"),
        Example("St. Paul's Hospital", "LO", "Centre d'imagerie médicale de Fontpruche", {"language": "fr"}),
    )

    def key_of(self, value: str) -> str:
        """Compare by letters and digits alone."""
        return text_key(value)

    def render(self, value: str, draws: Draws, parameters: Settings, context: PseudoContext) -> str:  # noqa: ARG002
        """Write an institution; SH gets the short form of the same one."""
        tables = load_institutions()
        language = language_of(parameters, draws[0])
        stem = pick(tables.stems[language], draws[1])
        long, short = pick(tables.forms[language], draws[2])
        text = (short if context.vr == "SH" else long).replace("{}", stem)
        return to_ascii(text) if context.ascii_only else text


CLASS = HealthInstitutionCA()
