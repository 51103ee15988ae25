"""Tags as a recipe writes them: single, repeating, private by creator.

==========================  =====================================================
``(0010,0020)``             one tag; also ``0010,0020``, ``00100020``, ``0x00100020``
``(60xx,3000)``             ``x`` (or ``X``) stands for any digit; also ``60xx3000``
``(0019,*)``                ``*`` stands for four of them
``(0029,"CREATOR",10)``     the element 10 of the block that CREATOR holds, wherever it lies
``(0029,"CREATOR",*)``      the whole block
==========================  =====================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tarnhelm.metadata.core.recipe.names import AttributeName, describe_tag

__all__ = ["PathStep", "TagPattern", "looks_like_tag", "parse_tag"]

_ALL: Final = 0xFFFF_FFFF
_BLOCK: Final = 0xFFFF_0000
_BLOCK_ELEMENT: Final = 0xFFFF_00FF

_PAIR: Final = re.compile(r"\(\s*([0-9A-Fa-fxX]{4}|\*)\s*,\s*([0-9A-Fa-fxX]{4}|\*)\s*\)")
_BARE_PAIR: Final = re.compile(r"([0-9A-Fa-fxX]{4})\s*,\s*([0-9A-Fa-fxX]{4}|\*)")
_EIGHT: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-fxX]{4})([0-9A-Fa-fxX]{4})")
_PRIVATE: Final = re.compile(
    r"""(?P<open>\()?\s*(?P<group>[0-9A-Fa-f]{4})\s*,\s*(?P<quote>["'])(?P<creator>.{1,64}?)(?P=quote)\s*,\s*"""
    r"""(?P<element>[0-9A-Fa-f]{2}|[xX]{2}|\*)\s*(?P<close>\))?"""
)


@dataclass(frozen=True, slots=True)
class PathStep:
    """One attribute on the way from the data set to an element.

    Attributes
    ----------
    tag
        32 bits, the group in the upper half; a private element with the block it has in this object.
    creator
        Private creator of the element's block, as found in the object, or ``None``.
    """

    tag: int
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class TagPattern:
    """Which tags are meant: ``tag & mask == value``, and the private creator if one is named."""

    value: int
    mask: int = _ALL
    creator: str | None = None

    @property
    def exact(self) -> bool:
        """Whether one attribute is meant; a private one counts, though its block may vary."""
        return self.mask == (_ALL if self.creator is None else _BLOCK_ELEMENT)

    @property
    def block(self) -> bool:
        """Whether the whole block of a private creator is meant."""
        return self.creator is not None and self.mask == _BLOCK

    @property
    def digits(self) -> int:
        """How many hexadecimal digits are fixed, 0 to 8."""
        return self.mask.bit_count() // 4

    @property
    def private(self) -> bool:
        """Whether the group is fixed and odd (PS3.5 section 7.8)."""
        return bool(self.mask & self.value & 0x0001_0000)

    @property
    def attribute(self) -> AttributeName | None:
        """The dictionary's row, if one public attribute is meant."""
        return describe_tag(self.value) if self.exact and self.creator is None else None

    def matches(self, step: PathStep) -> bool:
        """Tell whether ``step`` is meant.

        Creators are compared without case and outer blanks (PS3.5 section 6.2: outer blanks of LO mean nothing).
        """
        if step.tag & self.mask != self.value:
            return False
        if self.creator is None:
            return True
        in_block = bool(step.tag & 0x0001_0000) and step.tag & 0xFFFF >= 0x1000
        return in_block and step.creator is not None and _folded(step.creator) == _folded(self.creator)

    def __str__(self) -> str:
        group, element = _digits(self.value >> 16, self.mask >> 16), _digits(self.value & 0xFFFF, self.mask & 0xFFFF)
        if self.creator is None:
            return f"({group},{element})"
        quote = "'" if '"' in self.creator else '"'
        return f"({group},{quote}{self.creator}{quote},{'*' if self.block else element[2:]})"


def _folded(creator: str) -> str:
    return creator.strip().lower()


def _digits(value: int, mask: int) -> str:
    shown = (f"{value >> shift & 0xF:X}" if mask >> shift & 0xF == 0xF else "x" for shift in (12, 8, 4, 0))
    return "".join(shown)


def looks_like_tag(text: str) -> bool:
    """Whether the writer meant a tag and not a keyword: it begins with a digit or a parenthesis, or ``x``-es digits."""
    return text[:1].isdigit() or text.startswith("(") or _EIGHT.fullmatch(text) is not None


def parse_tag(text: str) -> TagPattern | None:
    """Read one of the forms of the module's table; ``None`` if it is none of them."""
    for form in (_PAIR, _BARE_PAIR, _EIGHT):
        found = form.fullmatch(text)
        if found:
            return _from_digits(_four(found[1]) + _four(found[2]))
    found = _PRIVATE.fullmatch(text)
    if found is None or bool(found["open"]) is not bool(found["close"]):
        return None
    group, creator = int(found["group"], 16), found["creator"].strip()
    if not group & 1 or not creator:
        return None
    if found["element"] in {"*", "xx", "XX", "xX", "Xx"}:
        return TagPattern(group << 16, _BLOCK, creator)
    return TagPattern(group << 16 | int(found["element"], 16), _BLOCK_ELEMENT, creator)


def _four(digits: str) -> str:
    return "xxxx" if digits == "*" else digits


def _from_digits(digits: str) -> TagPattern:
    value = int(digits.lower().replace("x", "0"), 16)
    mask = int("".join("0" if digit in "xX" else "F" for digit in digits), 16)
    return TagPattern(value, mask)
