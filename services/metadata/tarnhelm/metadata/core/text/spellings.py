"""The ways in which a date, an ID or a name may be spelled inside other text.

Three sets come out of every value. *Whole* spellings count as a word of their own. *Joined* spellings count over
neighbouring words too, whatever separates them (``12-34-567``, ``Mac Donald``, ``17 JAN 2024``). *Inside* spellings
count inside a longer word (``DRSMITH2``, ``S20240117A``). Short values are never looked for inside others: that is
what keeps ``LI`` out of ``LIVER`` and ``12`` out of ``T12``.
"""

# ruff: noqa: SIM905 - vocabularies read better as lines of words

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final

from tarnhelm.metadata.core.pseudo.normalise import PARTICLES, TITLES, name_tokens
from tarnhelm.metadata.core.text.tokens import folded_words
from tarnhelm.metadata.core.text.words import lexicon

__all__ = ["INSIDE_ID", "INSIDE_NAME", "Spellings", "of_date", "of_id", "of_name", "of_place"]

INSIDE_NAME: Final = 5
"""Letters from which on a name is looked for inside longer words."""
INSIDE_ID: Final = 6
"""Letters and digits (leading zeros aside) from which on an ID is looked for inside longer words."""
_JOINED: Final = 4
"""Characters from which on a spelling may be spread over several words."""
_DIGIT_CORE: Final = 5
_WIDEST_ID: Final = 12
"""IDs are looked for with leading zeros up to this many digits."""

_NOT_NAMES: Final = frozenset(
    "anon anonymous anonymized anonyme anonymise patient unknown inconnu none null unnamed noname test phantom fantome "
    "subject volunteer control qa qc ct mr mri pet demo sample case research study".split()
)
"""Words that fill a name's place where there is no name."""


@dataclass(slots=True)
class Spellings:
    """Folded spellings; see the module for what the sets mean. ``phrases`` are words with single spaces between."""

    whole: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    phrases: set[str] = field(default_factory=set)
    names_inside: set[str] = field(default_factory=set)
    ids_inside: set[str] = field(default_factory=set)


_MONTHS: Final = (
    ("jan january janvier janv", 31), ("feb february fevrier fev fevr", 29), ("mar march mars", 31),
    ("apr april avril avr", 30), ("may mai", 31), ("jun june juin", 30), ("jul july juillet juil", 31),
    ("aug august aout aou", 31), ("sep sept september septembre", 30), ("oct october octobre", 31),
    ("nov november novembre", 30), ("dec december decembre", 31),
)  # fmt: skip
_DATE: Final = re.compile(r"\s*([12][0-9]{3})[./-]?([0-9]{2})[./-]?([0-9]{2})")


@lru_cache(maxsize=1024)
def of_date(value: str) -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Give (whole, joined, phrases, inside) of a DA or DT value; all empty if it is no whole date.

    A day without its year, a month, and a year alone are no spellings of a date: they fit too many people.
    """
    match = _DATE.match(value)
    none: frozenset[str] = frozenset()
    if match is None or not 1 <= int(match[2]) <= 12 or not 1 <= int(match[3]) <= _MONTHS[int(match[2]) - 1][1]:
        return none, none, none, none
    year, mm, dd = match[1], match[2], match[3]
    yy, m, d = year[2:], str(int(mm)), str(int(dd))
    inside = {year + mm + dd, dd + mm + year, mm + dd + year}
    whole = {yy + mm + dd, dd + mm + yy, mm + dd + yy}
    phrases = {
        phrase
        for a in (d, dd)
        for b in (m, mm)
        for c in (year, yy)
        for phrase in (f"{a} {b} {c}", f"{b} {a} {c}", f"{c} {b} {a}", f"{c} {a} {b}")
    }
    days = (d, dd, *(d + ending for ending in ("st", "nd", "rd", "th", "er", "e")))
    joined = {
        spelled
        for month in _MONTHS[int(mm) - 1][0].split()
        for day in days
        for spelled in (day + month + year, month + day + year, year + month + day, day + month + yy, month + day + yy)
    }
    return frozenset(whole), frozenset(whole | inside | joined), frozenset(phrases), frozenset(inside)


def of_id(value: str, into: Spellings) -> None:
    """Add an ID: with and without separators and leading zeros; its digits too, if they are many.

    A single character is no ID: every second study is study 1. Letters that make a word of the lexicon are none
    either (an accession number ``CT``).
    """
    words = folded_words(value)
    whole = "".join(words)
    if len(whole) < 2 or (whole.isalpha() and (whole in lexicon().words or whole in _NOT_NAMES)):
        return
    cores = {whole}
    cores.update(digits for digits in re.findall(r"[0-9]+", whole) if len(digits.lstrip("0")) >= _DIGIT_CORE)
    for core in cores:
        bare = core.lstrip("0")
        if len(bare) < 2:
            continue
        forms = {core, bare}
        if core.isdigit():
            forms.update(bare.zfill(width) for width in range(len(bare) + 1, _WIDEST_ID + 1))
        into.whole |= forms
        if len(bare) >= _JOINED:
            into.joined |= forms
        if len(bare) >= INSIDE_ID:
            into.ids_inside.add(bare)


def of_name(value: str, into: Spellings) -> None:
    """Add a person's name: each part, parts run together, initial with surname (``jsmith``); umlauts spelled both ways.

    Single letters, particles (``de``, ``van``) and titles are no spellings of their own.
    """
    if any(letter in value for letter in "äöüÄÖÜ"):
        of_name(value.translate(_umlauts()), into)
    for group in value.split("="):
        # name_tokens leaves out glottal 7s and apostrophes; the words as typed are looked for as well
        spelled = name_tokens(group) or ()
        typed = tuple(folded_words("^".join(group.split("^")[:3])))
        for parts in {spelled, typed}:
            _add_name_parts(parts, into)


def _add_name_parts(parts: tuple[str, ...], into: Spellings) -> None:
    proper = [part for part in parts if part not in PARTICLES and part not in TITLES and part not in _NOT_NAMES]
    if not proper:
        return
    forms = {part for part in proper if len(part) > 1 or _is_ideograph(part)}
    runs = {"".join(parts)} if len(parts) > 1 else set()
    for first, second in pairwise(parts):
        if first not in proper and second not in proper:
            continue
        runs |= {first + second, second + first}
    for initial in proper:
        for surname in proper:
            if initial is not surname and len(surname) >= _JOINED:
                runs |= {initial[0] + surname, surname + initial[0]}
    forms |= {run for run in runs if len(run) >= _JOINED}
    into.whole |= forms
    for form in forms:
        wide = _is_ideograph(form[0])
        if len(form) >= _JOINED:
            into.joined.add(form)
        if len(form) >= INSIDE_NAME or (wide and len(form) > 1):
            into.names_inside.add(form)


def of_place(value: str, into: Spellings, *, shortest: int = _JOINED) -> None:
    """Add a place or an institution: the whole, its initials, and each word that no lexicon has.

    The words of a radiology department (*General*, *Imaging*, *Heart*) are not its name; *Vancouver* is. Numbers
    count only if they are long enough for a telephone or a post box.
    """
    words = folded_words(value)
    whole = "".join(words)
    known = lexicon()
    if len(words) > 1 and len(whole) >= _JOINED:
        into.whole.add(whole)
        into.joined.add(whole)
        if len(whole) >= 2 * INSIDE_NAME:
            into.names_inside.add(whole)
    initials = "".join(word[0] for word in words if word.isalpha() and word not in PARTICLES and word not in _LINKS)
    if len(initials) > 2 and initials not in known.words:
        into.whole.add(initials)
    for word in words:
        if any(character.isdigit() for character in word):
            if len(word) >= _DIGIT_CORE:
                of_id(word, into)
        elif len(word) >= shortest and word not in known.words and word not in _GENERIC:
            into.whole.add(word)
            into.joined.add(word)
            if len(word) >= INSIDE_NAME:
                into.names_inside.add(word)


_LINKS: Final = frozenset("and of the for et de du des la le les pour at on in".split())
_GENERIC: Final = frozenset(
    "hospital hopital hopitaux clinic clinique centre center health healthcare sante general regional district community "
    "communautaire university universite universitaire medical medicine medecine imaging imagerie imagery radiology "
    "radiologie department departement dept service services institute institut cancer heart children childrens enfants "
    "saint sainte royal memorial north south east west northern southern eastern western central nord ouest street road "
    "avenue drive boulevard place court lane crescent rue chemin route unit suite apartment building floor canada "
    "diagnostic diagnostics laboratory laboratoire associates associes foundation authority network reseau family "
    "emergency urgence outpatient inpatient ward none unknown other test".split()
)


def _is_ideograph(text: str) -> bool:
    """Say whether ``text`` begins in a script without spaces between words."""
    code = ord(text[0])
    return 0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7AF or code >= 0x20000


@cache
def _umlauts() -> dict[int, str]:
    return {ord(letter): plain for letter, plain in zip("äöüÄÖÜ", ("ae", "oe", "ue", "Ae", "Oe", "Ue"), strict=True)}
