"""Cleans free text: an allow-list of useful words, minus the object's own identifiers, minus what looks like an ID.

A description mixes a name with words that a researcher needs (``MRI BRAIN SMITH T2 3mm``). Looking for names finds
the names that somebody listed; keeping known words removes the others too. What may stay is decided word by word;
the rules stand in ``docs/reference/text-cleaning.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.text.identifiers import NOBODY, Identifiers
from tarnhelm.metadata.core.text.numbers import is_protocol_token, number_stays
from tarnhelm.metadata.core.text.patterns import identifying_spans, own_form_spans
from tarnhelm.metadata.core.text.tokens import WORD, fold_word
from tarnhelm.metadata.core.text.words import TITLES, Lexicon, lexicon

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CleanText", "TextCleaner"]

_GONE: Final = "\x00"
_SEPARATORS: Final = r"[ \t,;:/|^=_\-.&@~\"'!?#$`%]"
# Bounded, or a long line of dashes would cost its square.
_AROUND_GONE: Final = re.compile(rf"{_SEPARATORS}{{0,16}}\x00(?:{_SEPARATORS}|\x00)*")
_EMPTY_BRACKETS: Final = re.compile(r"\(\s*\)|\[\s*\]|\{\s*\}|<\s*>")
_SPACES: Final = re.compile(r"[ \t]{2,}")
_INSIDE_BRACKETS: Final = re.compile(r"(?<=[(\[{])[ \t]+|[ \t]+(?=[)\]}])")
_EDGES: Final = " \t,;:/|^=_-.&@~\r\n\f"
# Signs that descriptions use beyond ASCII. Any other symbol may be a letter in disguise.
_ODD: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]|(?![°±×÷²³≤≥≈→–—’‘“”«»…µ½¼¾\u00a0])[^\x00-\x7f\w]")
_PASSES: Final = 8
_MEMO: Final = 4096
_LONGEST_KEPT: Final = 1024
_NEAR: Final = re.compile(r"[\s'’\-.]{1,3}|")
_DOTTED: Final = frozenset(
    "".join(sorted(pair)) for pair in ("pi", "iv", "po", "sc", "im", "eg", "ie", "am", "pm", "vs")
)
_LINKS: Final = frozenset({"s", "de", "du", "d", "des", "of", "the", "la", "le"})


@dataclass(frozen=True, slots=True)
class CleanText:
    """A text without identifiers, and how many words and numbers were taken out."""

    text: str
    removed: int


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """A result, and the text before each pass."""

    result: CleanText
    stages: tuple[str, ...]


class TextCleaner:
    """Cleans descriptions and comments; one per recipe, used for all objects.

    Results are kept for a while: the objects of a series repeat their descriptions.

    Parameters
    ----------
    extra_words
        A site's own useful words.
    mrn_patterns
        Regular expressions for a site's record numbers; case does not count.
    """

    def __init__(self, extra_words: Iterable[str] = (), mrn_patterns: Iterable[str] = ()) -> None:
        self._extra = frozenset(word for text in extra_words for word in map(fold_word, WORD.findall(text)) if word)
        self._patterns = tuple(re.compile(pattern, re.IGNORECASE) for pattern in mrn_patterns)
        self._memo: dict[tuple[str, bytes, bool], CleanText] = {}
        self._nobodys: dict[tuple[str, bool], _Cleaned] = {}

    @cached_property
    def _lexicon(self) -> Lexicon:
        return lexicon().with_words(self._extra)

    def clean(self, text: str, identifiers: Identifiers) -> CleanText:
        """Keep the useful words of ``text`` and remove all else.

        Cleaning twice changes nothing: ``clean(clean(x)) == clean(x)``.

        Parameters
        ----------
        text
            One decoded value of a text VR; multi-valued text is split by the caller.
        identifiers
            The object's own; no spelling of them survives.
        """
        return self._remembered(text, identifiers, strict=True)

    def redact(self, text: str, identifiers: Identifiers) -> CleanText:
        """Take only own identifiers, health numbers and a site's record numbers out of a text that is kept.

        Parameters
        ----------
        text, identifiers
            As for :meth:`clean`.
        """
        return self._remembered(text, identifiers, strict=False)

    def _remembered(self, text: str, identifiers: Identifiers, *, strict: bool) -> CleanText:
        if not text:
            return CleanText("", 0)
        if len(text) > _LONGEST_KEPT:
            return self._until_stable(text, identifiers, strict=strict).result
        key = (text, identifiers.key, strict)
        known = self._memo.get(key)
        if known is None:
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            known = self._memo[key] = self._cleaned(text, identifiers, strict=strict)
        return known

    def _cleaned(self, text: str, identifiers: Identifiers, *, strict: bool) -> CleanText:
        """Clean a text, by what is known of it where it names nobody.

        A protocol's name comes with patient after patient. Where neither it nor anything that cleaning makes of
        it spells one of these identifiers, they change nothing, and the result is that of nobody in particular.
        """
        nobodys = self._nobodys.get((text, strict))
        if nobodys is None:
            if identifiers.found_in(text):
                return self._until_stable(text, identifiers, strict=strict).result
            if len(self._nobodys) >= _MEMO:
                self._nobodys.clear()
            nobodys = self._nobodys[text, strict] = self._until_stable(text, NOBODY, strict=strict)
        if any(identifiers.found_in(stage) for stage in nobodys.stages):
            return self._until_stable(text, identifiers, strict=strict).result
        return nobodys.result

    def _until_stable(self, text: str, identifiers: Identifiers, *, strict: bool) -> _Cleaned:
        """Remove until nothing is left to remove: what was apart may stand together after a pass."""
        total = 0
        stages = []
        for _ in range(_PASSES):
            stages.append(text)
            spans = sorted(set(self._strict_spans(text, identifiers) if strict else self._own_spans(text, identifiers)))
            if not spans:
                return _Cleaned(CleanText(text, total), tuple(stages))
            total += _words_in(text, spans)
            text = _without(text, spans)
            if not text:
                break
        return _Cleaned(CleanText("", total), tuple(stages))

    def _own_spans(self, text: str, identifiers: Identifiers) -> list[tuple[int, int]]:
        spans = identifiers.spans(text)
        forms = list(own_form_spans(text, self._patterns))
        if forms:
            # A word that only begins with a number of that form goes as a whole.
            spans += forms
            matches = list(WORD.finditer(text))
            spans += [m.span() for m, hit in zip(matches, _covered(matches, forms), strict=True) if hit]
        return spans

    def _strict_spans(self, text: str, identifiers: Identifiers) -> list[tuple[int, int]]:
        spans = [match.span() for match in _ODD.finditer(text)]
        spans += identifiers.spans(text)
        spans += identifying_spans(text, self._patterns)
        matches = list(WORD.finditer(text))
        folded = [fold_word(match[0]) for match in matches]
        gaps = [text[a.end() : b.start()] for a, b in pairwise(matches)]
        covered = _covered(matches, spans)
        kept = [not gone and self._may_stay(word) for word, gone in zip(folded, covered, strict=True)]
        self._judge_neighbours(folded, gaps, kept)
        spans += [match.span() for match, stays in zip(matches, kept, strict=True) if not stays]
        return spans

    def _may_stay(self, word: str) -> bool:
        """Say whether a word may stay as far as it can be told without its neighbours."""
        if not word:
            return False
        if word in self._lexicon.words or word in self._lexicon.eponyms or word in self._extra:
            return True
        if word.isalpha():
            return len(word) == 1 and word.isascii()
        return word.isascii() and (word.isdigit() or is_protocol_token(word, self._lexicon.words))

    def _judge_neighbours(self, folded: list[str], gaps: list[str], kept: list[bool]) -> None:
        """Take away what only its neighbours make identifying: eponyms, names after titles, initials, bare numbers."""
        words, count = self._lexicon, len(folded)
        for at, word in enumerate(folded):
            if not kept[at]:
                continue
            if word in words.eponyms and word not in words.words:
                kept[at] = self._in_context(folded, gaps, at)
            elif word in words.dual and any(
                folded[before] in TITLES and not any(gap.strip(" ._-^") for gap in gaps[before:at])
                for before in range(max(0, at - 2), at)
            ):
                kept[at] = False
        for at in range(count - 2, -1, -1):
            if kept[at] and not kept[at + 1] and folded[at] in TITLES and not gaps[at].strip(" ._-^"):
                kept[at] = False  # else the next word would follow the title, and go next
        initial = [len(word) == 1 and word.isalpha() and word.isascii() for word in folded]
        for at in range(count):
            if kept[at] and initial[at] and _is_initial(at, folded, initial, gaps, kept):
                kept[at] = False
        for at, word in enumerate(folded):
            if kept[at] and word.isdigit():
                before = folded[at - 1] if at and kept[at - 1] else ""
                after = folded[at + 1] if at + 1 < count and kept[at + 1] else ""
                kept[at] = number_stays(word, before, gaps[at - 1] if at else "", after, words.words)

    def _in_context(self, folded: list[str], gaps: list[str], at: int) -> bool:
        contexts = self._lexicon.contexts
        for step in (1, -1):
            place, links = at + step, 0
            while 0 <= place < len(folded) and _NEAR.fullmatch(gaps[min(place, place - step)]):
                word = folded[place]
                if word in contexts:
                    return True
                another = word in self._lexicon.eponyms or word in self._lexicon.words
                if links == 2 or not (word in _LINKS or another):
                    break
                links += 1
                place += step
        return False


def _is_initial(at: int, folded: list[str], initial: list[bool], gaps: list[str], kept: list[bool]) -> bool:
    """Say whether a single letter is an initial: beside a removed word, dotted, or one of three letters in a row."""
    left, right = (gaps[at - 1] if at else None), (gaps[at] if at < len(gaps) else None)
    for gap, beside in ((left, at - 1), (right, at + 1)):
        if gap is not None and not kept[beside] and gap.strip(" ._,-^") == "" and "\n" not in gap:
            return True
    dotted = any(
        gap is not None and gap in (".", ". ") and initial[beside] and "".join(sorted(pair)) not in _DOTTED
        for gap, beside, pair in (
            (right, min(at + 1, len(initial) - 1), folded[at : at + 2]),
            (left, max(at - 1, 0), folded[max(at - 1, 0) : at + 1]),
        )
    )
    row = 1
    for step, edge in ((-1, 0), (1, len(initial) - 1)):
        place = at
        while (
            place != edge
            and row < 3
            and initial[place + step]
            and gaps[min(place, place + step)] in (" ", "-", "_", ". ")
        ):
            row += 1
            place += step
    return dotted or row >= 3


def _covered(matches: list[re.Match[str]], spans: list[tuple[int, int]]) -> list[bool]:
    """Say of each word whether a span touches it; one sweep over both, both in order of position."""
    ordered = sorted(spans)
    covered: list[bool] = []
    at, reach = 0, 0
    for match in matches:
        first, last = match.span()
        while at < len(ordered) and ordered[at][0] < last:
            reach = max(reach, ordered[at][1])
            at += 1
        covered.append(reach > first)
    return covered


def _words_in(text: str, spans: list[tuple[int, int]]) -> int:
    """Count the words and signs that spans cover, each once."""
    words = sum(_covered(list(WORD.finditer(text)), spans))
    signs = sum(1 for start, end in spans if WORD.search(text, start, end) is None)
    return words + signs


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """Take the spans out and tidy what separated them."""
    parts, position = [], 0
    for start, end in spans:
        if start >= position:
            parts += [text[position:start], _GONE]
        position = max(position, end)
    parts.append(text[position:])
    tidy = _AROUND_GONE.sub(_separator, "".join(parts))
    tidy = _EMPTY_BRACKETS.sub(" ", tidy)
    tidy = _INSIDE_BRACKETS.sub("", _SPACES.sub(" ", tidy)).strip(_EDGES)
    return tidy if any(map(str.isalnum, tidy)) else ""


def _separator(match: re.Match[str]) -> str:
    gap = match[0].replace(_GONE, "")
    return "_" if "_" in gap and " " not in gap else " "
