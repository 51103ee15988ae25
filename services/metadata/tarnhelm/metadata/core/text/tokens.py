"""How text is cut into words, and how words are folded, in the one way that finding and cleaning share."""

from __future__ import annotations

import re
import string
from typing import Final

from tarnhelm.metadata.core.pseudo.normalise import fold

__all__ = ["WORD", "fold_word", "folded_words"]

_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f"
WORD: Final = re.compile(f"(?:[^\\W_][{_MARKS}]*)+")
"""A run of letters and digits; accents that stand as characters of their own belong to their letter."""

# ASCII at once: letters lowered, all else a space.
_ASCII: Final = bytes(
    ord(chr(code).lower()) if chr(code) in string.ascii_letters + string.digits else 0x20 for code in range(256)
)


def fold_word(word: str) -> str:
    """Fold one match of :data:`WORD`: no case, no accents, no apostrophe-like letters."""
    if word.isascii():
        return word.lower()
    return "".join(WORD.findall(fold(word)))


def folded_words(text: str) -> list[str]:
    """Give the folded words of ``text``: what :data:`WORD` finds, each folded, without those that fold to nothing."""
    if text.isascii():
        return text.encode().translate(_ASCII).decode().split()
    return [folded for folded in map(fold_word, WORD.findall(text)) if folded]
