"""Finds the classes: every module of ``classes/`` that has an instance named ``CLASS``."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from tarnhelm.metadata.core.pseudo import classes
from tarnhelm.metadata.core.pseudo.contract import Example, Parameter, PseudoClass, PseudoError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ClassDescription", "class_names", "describe", "get_class"]


@dataclass(frozen=True, slots=True)
class ClassDescription:
    """What the reference page and ``--help`` say of one class."""

    name: str
    aliases: tuple[str, ...]
    summary: str
    vrs: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    examples: tuple[Example, ...]


@cache
def _classes() -> Mapping[str, PseudoClass]:
    found: dict[str, PseudoClass] = {}
    for module in sorted(pkgutil.iter_modules(classes.__path__), key=lambda info: info.name):
        instance = importlib.import_module(f"{classes.__name__}.{module.name}").CLASS
        if not isinstance(instance, PseudoClass):
            raise TypeError(f"CLASS of {module.name} is no PseudoClass")
        for name in (instance.name, *instance.aliases):
            if name in found:
                raise ValueError(f"two PSEUDO classes are named {name}")
            found[name] = instance
    return MappingProxyType(found)


def get_class(name: str) -> PseudoClass:
    """Find a class by its name or an alias; raises PseudoError with a suggestion."""
    found = _classes().get(name)
    if found is None:
        close = difflib.get_close_matches(name.upper(), _classes(), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(class_names())}"
        raise PseudoError(f"no PSEUDO class is named {name!r}; {hint}")
    return found


def class_names() -> tuple[str, ...]:
    """Names of all classes, sorted, without aliases."""
    return tuple(sorted({known.name for known in _classes().values()}))


def describe() -> tuple[ClassDescription, ...]:
    """Describe every class, sorted by name."""
    return tuple(
        ClassDescription(one.name, one.aliases, one.summary, tuple(sorted(one.vrs)), one.parameters, one.examples)
        for one in map(get_class, class_names())
    )
