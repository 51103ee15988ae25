"""Formats of Canadian health numbers, and whether a number could be a real person's.

A surrogate that keeps the form of a health number must not pass as one. So this file errs on the side of
*could be valid*: where a province's rule is published it is used, and for numbers of the lengths whose rule
is not published, the two usual check digits (Luhn, and the weighted sum modulo 11) are both held to count.

==========================  ===================  ==========================================================
Jurisdiction                Form                 Held to be valid
==========================  ===================  ==========================================================
Ontario                     10 digits, 1-2       Luhn over the ten digits (Ministry of Health, Ontario:
                            letters (version)    Health Card Validation, technical specification)
British Columbia            10 digits, first 9   weights 2 4 8 5 10 9 7 3 on digits 2-9, modulo 11 (Ministry
                                                 of Health Services, Professional and Software Compliance
                                                 Standards, Appendix D)
Quebec                      4 letters, 8 digits  digits 3-6 are a month (a woman's + 50) and a day; its last
                                                 digit is not needed to tell a fake, because a fake's month
                                                 is none
AB, SK, MB, NB, YT, NU      9 digits             Luhn, or weights 9 to 2 modulo 11
NS; PE; NL                  10; 8; 12 digits     Luhn
Manitoba (registration),    6 digits; a letter   no check digit: nothing that a fake could fail
Northwest Territories       and 7 digits
==========================  ===================  ==========================================================

A scheme that none of these rules describe is not recognised: such a number is permuted like any other.
"""

from __future__ import annotations

from typing import Final

__all__ = ["could_be_valid", "is_bc_phn", "is_luhn", "is_ontario_number", "is_quebec_form", "pivot_of"]

_BC_WEIGHTS: Final = (2, 4, 8, 5, 10, 9, 7, 3)
_NINE_WEIGHTS: Final = (9, 8, 7, 6, 5, 4, 3, 2)
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

_PIVOTS: Final = {
    "d" * 8: 7,
    "d" * 9: 8,
    "d" * 10: 9,
    "d" * 10 + "U": 9,
    "d" * 10 + "UU": 9,
    "d" * 12: 11,
    "UUUU" + "d" * 8: 6,
}
"""Shape of the characters that count → place of the digit by which a fake is made to fail."""


def pivot_of(shape: str) -> int | None:
    """Place of the digit that decides whether a value of this shape could be valid, if there is one.

    ``shape`` has ``d`` for a digit and ``U`` for a letter of either case, without separators. For every
    choice of the other characters, at most five of the ten digits at this place make the value one that
    :func:`could_be_valid`: that is what lets a permutation send each of them to one that could not.
    """
    return _PIVOTS.get(shape)


def could_be_valid(core: str) -> bool:
    """Whether a value (ASCII letters and digits, no separators) could be a real person's health number."""
    size = len(core)
    if size in {10, 11, 12} and core[:10].isdecimal() and core[10:].isalpha() == (size > 10):
        number = core[:10]
        return is_luhn(number) or is_bc_phn(number)
    if core.isdecimal():
        if size == 9:
            return is_luhn(core) or _is_nine_modulo_11(core)
        return size in {8, 12} and is_luhn(core)
    return is_quebec_form(core)


def is_luhn(number: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, character in enumerate(reversed(number)):
        digit = ord(character) - 48
        total += _DOUBLED[digit] if place & 1 else digit
    return total % 10 == 0


def is_ontario_number(number: str) -> bool:
    """Whether ten digits have the form and the check digit of an Ontario health number."""
    return len(number) == 10 and number.isascii() and number.isdecimal() and is_luhn(number)


def is_bc_phn(number: str) -> bool:
    """Whether ten digits have the form and the check digit of a Personal Health Number of British Columbia."""
    if len(number) != 10 or not number.isascii() or not number.isdecimal() or number[0] != "9":
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_BC_WEIGHTS, number[1:9], strict=True))
    return int(number[9]) == (11 - total % 11) % 11


def is_quebec_form(core: str) -> bool:
    """Whether a value has the form of a Quebec health insurance number with a month and a day in it."""
    if len(core) != 12 or not core[:4].isalpha() or not core[4:].isdecimal():
        return False
    return int(core[6:8]) % 50 in range(1, 13) and 1 <= int(core[8:10]) <= 31


def _is_nine_modulo_11(number: str) -> bool:
    total = sum(weight * int(digit) for weight, digit in zip(_NINE_WEIGHTS, number[:8], strict=True))
    return int(number[8]) == (11 - total % 11) % 11
