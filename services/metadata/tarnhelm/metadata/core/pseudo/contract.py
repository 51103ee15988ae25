"""What a PSEUDO class is: a pure function from a value and a subject's key material to a plausible value.

A recipe says ``PSEUDO PatientName FULL_NAME language=fr``. The recipe's compiler calls ``validate`` once, the first
walk over an object calls ``queries`` and asks the assigner, the second walk calls ``surrogate``. A class holds no key,
no clock and no randomness, so the same person gets the same value in every file, process and year.
"""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

if TYPE_CHECKING:
    from tarnhelm.common.assign import ValueKind, ValueQuery

__all__ = [
    "ALGORITHM_VERSION",
    "PERSON_VRS",
    "TEXT_VRS",
    "Example",
    "OddValue",
    "Parameter",
    "PseudoClass",
    "PseudoContext",
    "PseudoError",
    "Settings",
]

ALGORITHM_VERSION: Final = 1
"""Of normalisation, key derivation, tables and picks together. A project pins it; a change of any is a new number."""

TEXT_VRS: Final = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
PERSON_VRS: Final = TEXT_VRS | {"PN"}

Settings = Mapping[str, str | bool]
"""Parameters of one rule after :meth:`PseudoClass.validate`: every parameter of the class, typed."""


class PseudoError(ValueError):
    """A rule of a recipe uses a class wrongly. The text may quote the recipe, it never sees a value of a file."""


class OddValue(Exception):  # noqa: N818 - says what the value is, not that the program failed
    """The value is none that the class can understand: the caller removes it and flags the attribute.

    Carries no text, because the value must not get into an error.
    """


class PseudoContext(Protocol):
    """What a class may know of the object whose value it replaces.

    :class:`~tarnhelm.metadata.core.pseudo.context.ObjectContext` is the implementation for a rewriter; a notebook may
    bring its own.
    """

    @property
    def subject_key(self) -> bytes:
        """32 bytes, different for every subject and project."""

    @property
    def sex(self) -> str:
        """The sex recorded first for the subject: ``M``, ``F``, ``O`` or empty."""

    @property
    def date_offset_days(self) -> int:
        """Negative: dates move into the past by whole days."""

    @property
    def vr(self) -> str:
        """Value representation that the surrogate must fit (PS3.5 section 6.2)."""

    @property
    def ascii_only(self) -> bool:
        """The object's character set cannot hold accents."""

    @property
    def study_date(self) -> str:
        """(0008,0020) as found, or empty: the day at which an age counts."""

    def uid(self, value: str) -> str:
        """Surrogate of a UID; a standard UID comes back as it is."""

    def project_value(self, kind: ValueKind, domain: str, value: str) -> str:
        """Answer of the assigner to a question that ``queries`` announced; raises LookupError for any other."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a class, as it stands in a recipe: ``name=value``.

    Attributes
    ----------
    default
        As it would be written.
    help
        One sentence for the reference page and for ``--help``.
    choices
        The values allowed; empty means text.
    form
        Regular expression that a text fits; empty means any.
    expected
        What fits ``form``, in words.
    """

    default: str
    help: str
    choices: tuple[str, ...] = ()
    form: str = ""
    expected: str = ""

    def accepts(self, text: str) -> bool:
        """Whether a recipe may write this value."""
        if self.choices:
            return text in self.choices
        return not self.form or re.fullmatch(self.form, text) is not None

    @property
    def is_flag(self) -> bool:
        """The value is ``true`` or ``false`` and reaches the class as a bool."""
        return self.choices == ("true", "false")

    @property
    def type(self) -> str:
        """How the reference page names the type."""
        return "true or false" if self.is_flag else " or ".join(self.choices) if self.choices else "text"


@dataclass(frozen=True, slots=True)
class Example:
    """A call that the reference page shows and the tests evaluate, under the page's own keys."""

    value: str
    vr: str
    result: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class PseudoClass(ABC):
    """One kind of surrogate.

    A new kind is one file in ``classes/`` with a subclass and an instance of it named ``CLASS``.
    """

    name: ClassVar[str]
    """As a recipe writes it."""
    aliases: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str]
    """One sentence for the reference page."""
    vrs: ClassVar[frozenset[str]]
    """Value representations whose values the class can write."""
    parameters: ClassVar[Mapping[str, Parameter]] = MappingProxyType({})
    examples: ClassVar[tuple[Example, ...]]

    def validate(self, vr: str, parameters: Mapping[str, str]) -> Settings:
        """Check the parameters of a rule and fill in the defaults.

        Parameters
        ----------
        vr
            Of the attribute that the rule names; empty where the recipe cannot know it (a rule for many attributes).
        parameters
            As written in the recipe.

        Raises
        ------
        PseudoError
            An unknown parameter or value, or a VR that the class cannot write.
        """
        if vr and vr not in self.vrs:
            raise PseudoError(f"{self.name} cannot write VR {vr}; it writes {', '.join(sorted(self.vrs))}")
        for name in parameters:
            if name not in self.parameters:
                raise PseudoError(f"{self.name} has no parameter {name!r}{_nearest(name, self.parameters)}")
        return MappingProxyType(
            {name: self._typed(name, parameters.get(name, known.default)) for name, known in self.parameters.items()}
        )

    def _typed(self, name: str, text: str) -> str | bool:
        known = self.parameters[name]
        if not known.accepts(text):
            wanted = f"is none of {', '.join(known.choices)}" if known.choices else f"must be {known.expected}"
            raise PseudoError(f"{self.name}: {name}={text} {wanted}")
        return text == "true" if known.is_flag else text

    def queries(self, value: str, parameters: Settings) -> tuple[ValueQuery, ...]:  # noqa: ARG002 - for subclasses
        """Name what must be asked of the assigner before :meth:`surrogate` can answer; never raises.

        Parameters
        ----------
        value
            Decoded value, all of its values with backslashes between them.
        parameters
            What :meth:`validate` returned.
        """
        return ()

    @abstractmethod
    def surrogate(self, value: str, parameters: Settings, context: PseudoContext) -> str:
        """Replace ``value``; each of several values for itself, empty values stay empty.

        Parameters
        ----------
        value
            As for :meth:`queries`.
        parameters
            What :meth:`validate` returned.
        context
            The object's material; ``context.vr`` is the VR to write.

        Raises
        ------
        OddValue
            The value is none that the class understands.
        """


def _nearest(name: str, known: Mapping[str, Parameter]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; it has {', '.join(known)}" if known else "; it has none"
