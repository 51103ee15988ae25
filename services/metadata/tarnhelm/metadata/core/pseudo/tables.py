"""The frozen word tables: made once by ``tools/build_words.py``, pinned by their digest, read when first needed.

A table that changes gives every known person a new name, so a table never changes: another edition gets another
folder and another version of the surrogate algorithm.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SHA256", "Institutions", "Names", "Place", "load_institutions", "load_names", "load_places"]

SHA256: Final[dict[str, str]] = {
    "names.json": "9e855fa4a5b9ee450ed53bf0df6daf6ae76902fd51a33dcb25e73cbcc90364f0",
    "places.json": "05fd31feba40e8c1764289f1b62754674f0f98f0d396dda541f0719faf397fcf",
    "institutions.json": "bbe8055915b4009e505dd59e5f6d58bef4746883c43694b3deb0067c0b8d8b40",
}
"""Digest of each file of ``words/v1``."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of persons.

    Attributes
    ----------
    given
        (language, sex) to names; the sex ``""`` stands for both tables together.
    surname
        Language to names.
    """

    given: Mapping[tuple[str, str], tuple[str, ...]]
    surname: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """A real city, district or town of at least ten thousand inhabitants."""

    city: str
    province: str
    """Two letters, as Canada Post writes them."""


@dataclass(frozen=True, slots=True)
class Institutions:
    """Parts of invented institutions: a stem of the language in one of its forms, ``{}`` being the stem's place."""

    stems: Mapping[str, tuple[str, ...]]
    forms: Mapping[str, tuple[tuple[str, str], ...]]
    """Language to (long form, form of at most 16 characters)."""


@cache
def load_names() -> Names:
    """Read the tables of names."""
    table = _read("names.json")
    given: dict[tuple[str, str], tuple[str, ...]] = {}
    for language, by_sex in table["given"].items():
        for sex, names in by_sex.items():
            given[language, sex] = tuple(names)
        given[language, ""] = tuple(dict.fromkeys((*by_sex["F"], *by_sex["M"])))
    return Names(given, {language: tuple(names) for language, names in table["surname"].items()})


@cache
def load_places(province: str = "") -> tuple[Place, ...]:
    """Read the table of places, all of Canada or one province."""
    rows: dict[str, list[str]] = _read("places.json")["places"]
    return tuple(Place(city, code) for code, cities in rows.items() if province in {"", code} for city in cities)


@cache
def load_institutions() -> Institutions:
    """Read the parts of institutions."""
    table = _read("institutions.json")
    forms = {language: tuple((long, short) for long, short in rows) for language, rows in table["forms"].items()}
    return Institutions({language: tuple(stems) for language, stems in table["stems"].items()}, forms)


def _read(name: str) -> Any:
    content = resources.files(__package__).joinpath("words", "v1", name).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        message = f"{name} is not the table that this version was made with: install the package anew"
        raise RuntimeError(message)
    return json.loads(content)
