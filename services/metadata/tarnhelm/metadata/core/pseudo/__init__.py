"""Surrogates: keyed, stable, plausible values for the PSEUDO rules of a recipe."""

from tarnhelm.metadata.core.pseudo.context import ObjectContext
from tarnhelm.metadata.core.pseudo.contract import (
    ALGORITHM_VERSION,
    Example,
    OddValue,
    Parameter,
    PseudoClass,
    PseudoContext,
    PseudoError,
    Settings,
)
from tarnhelm.metadata.core.pseudo.dates import (
    birth_date,
    cap_age,
    shift_date,
    shift_datetime,
    shift_pair,
    time_offset_seconds,
)
from tarnhelm.metadata.core.pseudo.normalise import fold, name_tokens
from tarnhelm.metadata.core.pseudo.registry import ClassDescription, class_names, describe, get_class

__all__ = [
    "ALGORITHM_VERSION",
    "ClassDescription",
    "Example",
    "ObjectContext",
    "OddValue",
    "Parameter",
    "PseudoClass",
    "PseudoContext",
    "PseudoError",
    "Settings",
    "birth_date",
    "cap_age",
    "class_names",
    "describe",
    "fold",
    "get_class",
    "name_tokens",
    "shift_date",
    "shift_datetime",
    "shift_pair",
    "time_offset_seconds",
]
