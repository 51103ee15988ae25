"""Keyed permutations of IDs: same length, same classes of characters, no two alike.

A value is read as a number in the mixed radix of its *shape* (10 for a digit, 26 for a letter, per case), the
number is permuted under a key that depends on project, kind, domain and shape, and the digits are put back
in their places. Every shape is mapped onto itself one to one, so the whole is one to one.

- Domains of at most 32,768 values (up to four digits, up to three letters) are shuffled by a keyed sort:
  each permutation is equally likely, which no Feistel network offers on few values.
- Larger ones pass a Feistel network of 16 rounds with modular addition over two nearly equal factors
  (Black and Rogaway, CT-RSA 2002, generalised Feistel) with cycle walking; the round function is
  HMAC-SHA-512.
- Separators (ASCII punctuation and spaces) stay in place and do not enter the key: ``9876 543 217`` and
  ``9876543217`` get the same digits.

Health numbers: in the shapes of :mod:`health_numbers` one digit, the *pivot*, is mapped apart. All other
characters are permuted among themselves; then the ten digits at the pivot are mapped one to one so that a
value that could be valid becomes one that could not. The map stays one to one on the whole shape. By
counting, the price is that some values that are *no* valid health number become ones with a right check digit: a
one-to-one map that keeps the length cannot avoid these numbers for every input.

Characters beyond ASCII: letters (and marks, and any symbol of class L, M, N or C) are never left standing. A
value that holds one is filled with keyed ASCII characters of its length. Since there are more such values
than ASCII ones, this cannot be one to one; two of them meet only by chance. The same goes for values of more
than 256 characters, which are no IDs. :func:`is_injective` tells.
"""

from __future__ import annotations

import hmac
import struct
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt, prod
from typing import Final

from tarnhelm.common.assign import ValueKind
from tarnhelm.linkage.core import health_numbers
from tarnhelm.linkage.core.derive import derive, text_bytes

__all__ = ["SHUFFLE_LIMIT", "IdPermuter", "is_injective"]

SHUFFLE_LIMIT: Final = 32_768
_ROUNDS: Final = 16
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALPHABET: Final = {"d": "0123456789", "U": _UPPER, "l": _UPPER.lower()}
_RADIX: Final = {"d": 10, "U": 26, "l": 26}
_HIDDEN_CLASSES: Final = frozenset("LMNC")
_CACHED_SHUFFLES: Final = 64
_LONGEST: Final = 256
"""Characters of an ID that is permuted: four times what LO allows. Arithmetic on more would cost too much."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which characters of a value are permuted, and how it looks to the key."""

    places: tuple[int, ...]
    classes: str
    tweak: bytes


def is_injective(kind: ValueKind, value: str) -> bool:
    """Whether ``value`` is in the domain that :class:`IdPermuter` maps one to one."""
    if len(value) > _LONGEST:
        return False
    return value.isascii() or not any(_class_of(kind, character) == "x" for character in value)


def _class_of(kind: ValueKind, character: str) -> str:
    """``d U l``: permuted; ``x``: must go but has no alphabet; ``s``: separator; ``o``: stays."""
    if character.isascii():
        if character.isdigit():
            return "d"
        if character.isalpha():
            if kind is ValueKind.ID_NUMERICAL:
                return "o"
            return "U" if character.isupper() else "l"
        return "s"
    if kind is ValueKind.ID_NUMERICAL:
        return "x" if character.isnumeric() else "o"
    return "x" if unicodedata.category(character)[0] in _HIDDEN_CLASSES else "s"


class IdPermuter:
    """Permutes IDs for one project.

    Parameters
    ----------
    key
        The project's key for permutations, 32 bytes.
    """

    __slots__ = ("_key", "_shuffle")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._shuffle = lru_cache(maxsize=_CACHED_SHUFFLES)(_shuffled)

    def __call__(self, kind: ValueKind, domain: str, value: str) -> str:
        """Give the surrogate of ``value``: same length, same classes of characters.

        Parameters
        ----------
        kind
            ``ID_NUMERICAL`` permutes digits and leaves all else; ``ID_ALPHANUMERICAL`` letters too.
        domain
            Separates uses: the same value has unrelated surrogates in two domains.
        value
            As it stands in the object, without padding.
        """
        if not is_injective(kind, value):
            return self._filled(kind, domain, value)
        shape = _shape_of(kind, value)
        if not shape.places:
            return value
        key = derive(self._key, "shape", kind.value.encode(), text_bytes(domain), shape.tweak)
        pivot = _pivot(kind, value, shape)
        if pivot is None:
            return self._permuted(key, value, shape.places, shape.classes)
        return self._permuted_health_number(key, value, shape, pivot)

    def _permuted(self, key: bytes, value: str, places: tuple[int, ...], classes: str) -> str:
        radices = [_RADIX[name] for name in classes]
        size = prod(radices)
        if size <= 1:
            return value
        number = 0
        for place, name, radix in zip(places, classes, radices, strict=True):
            number = number * radix + _ALPHABET[name].index(value[place])
        number = self._shuffle(key, size)[number] if size <= SHUFFLE_LIMIT else _feistel(key, size, number)
        characters = list(value)
        for place, name, radix in zip(reversed(places), reversed(classes), reversed(radices), strict=True):
            number, digit = divmod(number, radix)
            characters[place] = _ALPHABET[name][digit]
        return "".join(characters)

    def _permuted_health_number(self, key: bytes, value: str, shape: _Shape, pivot: int) -> str:
        kept = [index for index, place in enumerate(shape.places) if place != pivot]
        places = tuple(shape.places[index] for index in kept)
        classes = "".join(shape.classes[index] for index in kept)
        moved = self._permuted(derive(key, "around-pivot"), value, places, classes)
        before, after = _valid_digits(value, pivot), _valid_digits(moved, pivot)
        # Keyed by the characters around the pivot (without separators), so each of them has a map of its own.
        around = "".join(moved[place] for place in _core_places(moved) if place != pivot)
        digits = _digit_map(derive(key, "pivot", around.encode("ascii")), before, after)
        return moved[:pivot] + str(digits[int(value[pivot])]) + moved[pivot + 1 :]

    def _filled(self, kind: ValueKind, domain: str, value: str) -> str:
        key = derive(self._key, "fill", kind.value.encode(), text_bytes(domain), text_bytes(value))
        stream = _stream(key, 8 * len(value))
        characters = list(value)
        for place, character in enumerate(value):
            name = _class_of(kind, character)
            if name == "x":
                name = _ascii_class(character)
            if name in _ALPHABET:
                drawn = int.from_bytes(stream[8 * place : 8 * place + 8], "big")
                characters[place] = _ALPHABET[name][drawn % _RADIX[name]]
        return "".join(characters)


def _ascii_class(character: str) -> str:
    if character.isnumeric():
        return "d"
    return "l" if character.islower() else "U"


def _shape_of(kind: ValueKind, value: str) -> _Shape:
    places: list[int] = []
    classes: list[str] = []
    tweak: list[str] = []
    for place, character in enumerate(value):
        name = _class_of(kind, character)
        if name in _ALPHABET:
            places.append(place)
            classes.append(name)
            tweak.append(name)
        elif name == "o":
            # In quotes, so that a letter that stays is not taken for the name of a class.
            tweak.append(f"'{character}'")
    return _Shape(tuple(places), "".join(classes), text_bytes("".join(tweak)))


def _core_places(value: str) -> list[int]:
    return [place for place, character in enumerate(value) if character.isascii() and character.isalnum()]


def _pivot(kind: ValueKind, value: str, shape: _Shape) -> int | None:
    if kind is ValueKind.ID_NUMERICAL and not value.isascii():
        return None
    core = _core_places(value)
    looks = "".join("d" if value[place].isdigit() else "U" for place in core)
    place = health_numbers.pivot_of(looks)
    return None if place is None or core[place] not in shape.places else core[place]


def _valid_digits(value: str, pivot: int) -> list[int]:
    """Give the digits at the pivot with which ``value`` could be a valid health number."""
    core = _core_places(value)
    at = core.index(pivot)
    text = "".join(value[place] for place in core)
    head, tail = text[:at], text[at + 1 :]
    return [digit for digit in range(10) if health_numbers.could_be_valid(f"{head}{digit}{tail}")]


def _digit_map(key: bytes, before: list[int], after: list[int]) -> list[int]:
    """Give a keyed one-to-one map of the ten digits that sends no digit of ``before`` into ``after``."""
    drawn = derive(key, "digits")
    targets = sorted(range(10), key=lambda digit: drawn[3 * digit : 3 * digit + 3])
    free = [digit for digit in targets if digit not in after]
    chosen = free[: len(before)]
    rest = iter([digit for digit in targets if digit not in chosen])
    ahead = iter(chosen)
    return [next(ahead) if digit in before else next(rest) for digit in range(10)]


def _shuffled(key: bytes, size: int) -> list[int]:
    """Give a keyed permutation of ``range(size)``: sorted by 64 pseudo-random bits each."""
    ranks = struct.unpack_from(f">{size}Q", _stream(key, 8 * size))
    return sorted(range(size), key=ranks.__getitem__)


def _stream(key: bytes, size: int) -> bytes:
    """At least ``size`` pseudo-random bytes."""
    return b"".join(hmac.digest(key, b"stream" + block.to_bytes(4, "big"), "sha512") for block in range(-(-size // 64)))


def _feistel(key: bytes, size: int, number: int) -> int:
    """Give a keyed permutation of ``range(size)``."""
    left_size = isqrt(size - 1) + 1
    right_size = -(-size // left_size)
    width = (left_size.bit_length() + 7) // 8
    while True:
        left, right = divmod(number, right_size)
        for turn in range(0, _ROUNDS, 2):
            left = (left + _round(key, turn, right, width)) % left_size
            right = (right + _round(key, turn + 1, left, width)) % right_size
        number = left * right_size + right
        if number < size:
            return number


def _round(key: bytes, turn: int, half: int, width: int) -> int:
    """Pseudo-random integer, 128 bits wider than a half, so that the remainder has no bias worth naming."""
    text = turn.to_bytes(1, "big") + half.to_bytes(width, "big")
    drawn = hmac.digest(key, text, "sha512")
    block = 0
    while len(drawn) < width + 16:
        block += 1
        drawn += hmac.digest(key, text + block.to_bytes(2, "big"), "sha512")
    return int.from_bytes(drawn[: width + 16], "big")
