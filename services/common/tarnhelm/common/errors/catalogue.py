"""What a row of the catalogue is, and the exception that carries one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Disposition(StrEnum):
    """What the pump does with an object whose stage raised the error."""

    RETRY = "retry"
    """The object is fine, a dependency is not: wait and try again."""
    QUARANTINE = "quarantine"
    """The object cannot be cleaned as it is: keep it, release nothing."""
    REJECT = "reject"
    """The input is not an object at all, or is not wanted: tell the sender."""
    SKIP = "skip"
    """The file is known litter (a DICOMDIR, a viewer's program): count it, no more."""
    USAGE = "usage"
    """The request or the configuration is wrong: exit code 2."""


RETRY: Final = Disposition.RETRY
QUARANTINE: Final = Disposition.QUARANTINE
REJECT: Final = Disposition.REJECT
SKIP: Final = Disposition.SKIP
USAGE: Final = Disposition.USAGE


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the catalogue.

    Attributes
    ----------
    code
        Stable for ever, for example ``DCM-003``. Never reused.
    disposition
        What happens to the object.
    message
        One sentence without values. ``{name}`` places take integers (and ``{tag}`` an attribute tag).
    remedy
        What the reader can do about it.
    """

    code: str
    disposition: Disposition
    message: str
    remedy: str


class TarnhelmError(Exception):
    """An error of the catalogue, with integer facts only.

    Parameters
    ----------
    kind
        The row of the catalogue.
    **facts
        Integers for the places in the message; ``tag`` is printed as ``(gggg,eeee)``.
    """

    def __init__(self, kind: ErrorCode, **facts: int) -> None:
        self.kind = kind
        self.facts = facts
        super().__init__(self.safe_message)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.kind, self.facts))

    @property
    def code(self) -> str:
        """The stable code, for example ``DCM-003``."""
        return self.kind.code

    @property
    def disposition(self) -> Disposition:
        """What happens to the object."""
        return self.kind.disposition

    @property
    def safe_message(self) -> str:
        """The sentence with its numbers filled in; holds no value out of a file."""
        shown = {name: _shown(name, value) for name, value in self.facts.items()}
        try:
            return self.kind.message.format_map(shown)
        except KeyError:
            return self.kind.message


def _rebuild(cls: type[TarnhelmError], kind: ErrorCode, facts: dict[str, int]) -> TarnhelmError:
    error = cls.__new__(cls)
    TarnhelmError.__init__(error, kind, **facts)
    return error


def _shown(name: str, value: int) -> str:
    if name == "tag":
        return f"({value >> 16:04X},{value & 0xFFFF:04X})"
    return f"{int(value):,}"


CATALOGUE: Final[dict[str, ErrorCode]] = {}


def error_code(code: str, disposition: Disposition, message: str, remedy: str) -> ErrorCode:
    """Enter one row; a code that exists already is a programming error."""
    if code in CATALOGUE:
        raise ValueError(code)
    CATALOGUE[code] = row = ErrorCode(code, disposition, message, remedy)
    return row
