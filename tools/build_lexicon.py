"""Builds and checks the lexicon of the text cleaner (``services/metadata/.../core/text/lexicon``).

What it does, by command::

    names     freeze the list of common names that the check uses (from Faker's word lists)
    standard  make standard.txt: the words in the meanings of DICOM's context groups (PS3.16, as packaged by pydicom)
    check     say whether all files are in order; the exit code is 1 if not

The other files are written by hand. The lexicon is frozen data: a new pydicom or a new Faker changes nothing until
somebody runs this and commits the difference.
"""

# ruff: noqa: SIM905 - vocabularies read better as lines of words

from __future__ import annotations

import argparse
import importlib
import re
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
LEXICON = ROOT / "services/metadata/tarnhelm/metadata/core/text/lexicon"
NAMES = ROOT / "tests/unit/metadata/text/common_names.txt"
BY_HAND = ("english.txt", "french.txt", "abbreviations.txt")
EPONYMS = ("eponyms.txt", "eponyms_in_context.txt")

LOCALES = (
    "en",
    "en_GB",
    "en_IE",
    "en_IN",
    "en_US",
    "es_MX",
    "fr_CA",
    "fr_FR",
    "fr_QC",
    "it_IT",
    "pt_PT",
    "de_DE",
    "pl_PL",
    "vi_VN",
)
SHORT_NAMES = "an chan chen cheng cho choi chow chung ha han ho hu huang hui jin kang kim kwan kwok lai lam lau le lee leung li liang lim lin liu lo lu luo ma min ng nguyen pan park pham phan shen singh so sun tam tan tang tran truong tse vo vu wang wei wong wu xu yang ye yee yu yuen yun zhang zhao zheng zhou zhu".split()

# Context groups that name animals, their breeders and people's roles, not what an image shows.
OUTSIDE_GROUPS = frozenset({7454, 7480, 7481, 7486, 7490, 7450, 7452})
GEOGRAPHY = frozenset(
    "alberta american argentine asian australian austrian bavarian belgian british brunswick california canada canadian "
    "chinese columbia dutch edinburgh england english european finnish french german greek halifax hamilton hungarian "
    "iceland indian ireland irish italian japanese korean labrador london manitoba mexican montreal newfoundland nova "
    "nunavut ontario oregon ottawa persian polish portuguese prince quebec regina romanian russian saskatchewan scotia "
    "scottish siberian spanish swedish swiss texas toronto turkish vancouver victoria wales welsh winnipeg yukon".split()
)


def fold(word: str) -> str:
    """Lower case, without accents."""
    plain = unicodedata.normalize("NFKD", word.casefold())
    return (
        "".join(letter for letter in plain if not unicodedata.combining(letter)).replace("œ", "oe").replace("æ", "ae")
    )


def read_words(path: Path) -> list[str]:
    """All words of a file of the lexicon, as written; what follows a ``#`` is a comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [word for line in lines for word in line.split("#", 1)[0].split()]


def write_words(path: Path, comment: str, words: list[str]) -> None:
    """Write a generated file: comment, then sorted words, wrapped."""
    lines, line = [f"# {text}" for text in comment.splitlines()], ""
    for word in sorted(set(words)):
        if len(line) + len(word) > 118:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    path.write_text("\n".join([*lines, line, ""]), encoding="utf-8")


def freeze_names() -> None:
    """Write the common first and last names of Faker's locales, folded."""
    names: set[str] = set(SHORT_NAMES)
    for locale in LOCALES:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute in dir(provider):
            if "name" in attribute and not any(skip in attribute for skip in ("format", "prefix", "suffix", "title")):
                values = getattr(provider, attribute)
                if isinstance(values, dict | list | tuple):
                    names.update(part for value in values for part in re.split(r"[^\w]+", fold(str(value))))
    write_words(
        NAMES,
        "Common first and last names, from the word lists of Faker (MIT licence), folded.\n"
        "Made by tools/build_lexicon.py names.",
        [name for name in names if len(name) > 1 and name.isascii() and name.isalpha()],
    )


def standard_words() -> Iterator[str]:
    """Words of three letters and more in the code meanings of the context groups that are not left out."""
    from pydicom.sr._concepts_dict import concepts  # noqa: PLC0415 - only this command needs it

    for scheme in concepts.values():
        for codes in scheme.values():
            for meaning, groups in codes.values():
                if set(groups) <= OUTSIDE_GROUPS:
                    continue
                yield from (fold(word) for word in re.findall(r"[^\W\d_]{3,}", meaning))


def build_standard() -> None:
    """Write standard.txt, without common names and geography; words that must stay nevertheless are listed by hand."""
    names = frozenset(read_words(NAMES))
    eponyms = {word for file in EPONYMS if (LEXICON / file).exists() for word in read_words(LEXICON / file)}
    words = {word for word in standard_words() if word.isascii()}
    write_words(
        LEXICON / "standard.txt",
        "Words in the code meanings of the context groups of DICOM PS3.16, as packaged by pydicom.\n"
        "Made by tools/build_lexicon.py standard: common names, geography and eponyms are left out.",
        sorted(words - names - GEOGRAPHY - eponyms),
    )


def problems() -> Iterator[str]:
    """Whatever is out of order in the lexicon."""
    names = frozenset(read_words(NAMES))
    files = {path.name: read_words(path) for path in sorted(LEXICON.glob("*.txt"))}
    for file, words in files.items():
        for word in words:
            if fold(word) != word or not re.fullmatch(r"[^\W_]+", word):
                yield f"{file}: '{word}' is not folded"
    dual = set(files["dual.txt"])
    plain = {word for file in (*BY_HAND, "standard.txt") for word in files[file]}
    for word in sorted((plain & names) - dual):
        yield f"'{word}' is a common name: take it out, or list it in dual.txt"
    for word in sorted(dual - (plain & names)):
        yield f"dual.txt: '{word}' is not both a word and a common name"
    for word in sorted(set(files["eponyms.txt"]) & names):
        yield f"eponyms.txt: '{word}' is a common name: it belongs to eponyms_in_context.txt"
    for word in sorted(set(files["eponyms.txt"]) & set(files["eponyms_in_context.txt"])):
        yield f"'{word}' stands in both files of eponyms"
    for word in sorted(plain & GEOGRAPHY):
        yield f"'{word}' is a place"


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("names", "standard", "check"))
    command = parser.parse_args().command
    if command == "names":
        freeze_names()
    elif command == "standard":
        build_standard()
    else:
        found = list(problems())
        print("\n".join(found) or "The lexicon is in order.")
        return 1 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
