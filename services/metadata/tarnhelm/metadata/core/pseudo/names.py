"""What the three classes for names of persons share: tables by language and sex, and how a name is written in a VR."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tarnhelm.metadata.core.pseudo.contract import PERSON_VRS, Parameter, PseudoContext, Settings
from tarnhelm.metadata.core.pseudo.keyed import LANGUAGE, SCOPE, KeyedClass
from tarnhelm.metadata.core.pseudo.normalise import to_ascii
from tarnhelm.metadata.core.pseudo.tables import load_names

__all__ = ["SEX", "NameClass", "given_names"]

SEX: Final = MappingProxyType(
    {
        "sex": Parameter(
            "recorded",
            "`recorded` picks a given name by the sex recorded first for the patient (never with `scope=project`); "
            "`any` does not, as the name of a physician wants it.",
            ("recorded", "any"),
        )
    }
)


def given_names(language: str, parameters: Settings, context: PseudoContext) -> tuple[str, ...]:
    """Table of given names for the rule and the subject.

    A name of the project must be the same beside every patient, so there the patient's sex says nothing.
    """
    sex = context.sex if parameters["sex"] == "recorded" and parameters["scope"] != "project" else ""
    return load_names().given[language, sex if sex in {"F", "M"} else ""]


class NameClass(KeyedClass):
    """A keyed class for a name of a person or for a part of one."""

    vrs = PERSON_VRS
    parameters = MappingProxyType({**SCOPE, **LANGUAGE})
    blank = " ^=\0"

    @staticmethod
    def spelled(text: str, context: PseudoContext) -> str:
        """Spell a surrogate as the object's character set allows."""
        return to_ascii(text) if context.ascii_only else text
