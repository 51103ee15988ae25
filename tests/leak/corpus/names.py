"""Invented words: syllables that make no name of any language, unique in one corpus.

A planted string must not stand in an output by chance. Short names and names that are words do, so they
are planted too, but judged by their place (see ``people``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

__all__ = ["Coiner"]

ONSETS: Final = ("br", "dr", "kl", "qu", "sk", "th", "v", "w", "z", "gl", "pl", "tr", "fl", "m", "n", "r", "l")
NUCLEI: Final = ("a", "e", "i", "o", "u", "au", "ei", "oo", "ia")
CODAS: Final = ("x", "mp", "rk", "lv", "nd", "sk", "th", "zz", "q", "bb", "gg")


class Coiner:
    """Coins words and numbers that no other planted string contains."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: set[str] = set()

    def word(self) -> str:
        """A capitalised word of nine letters or more."""
        while True:
            rng = self._rng
            text = "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS) for _ in range(3)).capitalize()
            stem = text[:8].lower()
            if len(text) >= 9 and stem not in self._used:
                self._used.add(stem)
                return text[:14]

    def digits(self, count: int) -> str:
        """A number of ``count`` digits, first digit 4 to 9; short ones, which there are too few of, may come again."""
        while True:
            text = str(self._rng.randrange(4 * 10 ** (count - 1), 10**count))
            if count < 7 or text not in self._used:
                self._used.add(text)
                return text

    def code(self, prefix: str, count: int) -> str:
        """A code such as ``HX73920184``."""
        return prefix + self.digits(count)
