"""The command line of ``deidentify.py``, understood: its spaced ``-d a b c``, its ``-i`` and ``-o``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["understood"]

_PROFILES: Final = ("-d", "--profile", "--deidentification-profile")
_LONG: Final = ("text-removal", "refine", "skull_strip", "deface", "twix", "wsi")
_OTHER_STAGES: Final = frozenset({"-t", "-s", "-de", "-tw", "-w", "--gpu", *(f"--{name}" for name in _LONG)})
#: Options of ``deidentify.py`` that ask for what is so in any case: nothing of other stages, new names.
_NEEDLESS: Final = frozenset({"--no-verbose", "--rename", *(f"--no-{name}" for name in _LONG)})
_OPENING: Final = ("-i", "-o", "--input", "--output")
_WITH_RECIPE: Final = frozenset({"clean", "explain"})


def understood(arguments: Sequence[str]) -> list[str]:
    """Rewrite a command line into the one the command parses.

    - ``-d a b c`` becomes ``-d a -d b -d c``, up to the next option, to a word that does not end like a
      profile's name (``…Opt``, ``…Profile``), or to ``--``;
    - a line that begins with an option of ``deidentify.py`` gets ``clean`` in front; in it, ``-r`` without a file
      is that program's *rename*, which needs no asking here, and so are other options that change nothing.

    Raises
    ------
    TarnhelmError
        ``RUN-010`` for an option that asks for OCR, defacing or skull stripping.
    """
    words = list(arguments)
    if words and _is_of_original(words):
        words = ["clean", *_without_needless(words)]
    if not words or words[0] not in _WITH_RECIPE:
        return words
    if words[0] == "clean" and _OTHER_STAGES & set(words[: words.index("--") if "--" in words else None]):
        raise TarnhelmError(errors.FLAG_NEEDS_STAGE)
    result: list[str] = []
    in_profiles = False
    for place, word in enumerate(words):
        if word == "--":
            return result + words[place:]
        if word in _PROFILES:
            in_profiles = True
            result.append("-d")
            continue
        if in_profiles and result[-1] != "-d":  # the word right after -d is its value, whatever it is
            in_profiles = not word.startswith("-") and _is_name(word)
            if in_profiles:
                result.append("-d")
        result.append(word)
    return result


def _is_of_original(words: list[str]) -> bool:
    options = (*_OPENING, *_PROFILES, "-v", "--verbose", "-p", "--processes", "-r", *_OTHER_STAGES, *_NEEDLESS)
    return words[0] in options and any(word in _OPENING for word in words)


def _without_needless(words: list[str]) -> list[str]:
    return [
        word
        for word, after in zip(words, [*words[1:], "-"], strict=True)
        if word not in _NEEDLESS and not (word == "-r" and after.startswith("-"))
    ]


def _is_name(word: str) -> bool:
    return all(part.endswith(("Opt", "Profile")) for part in word.split(","))
